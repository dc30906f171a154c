//! The law of state: whatever branches a room grows, the state that is kept before each event, and
//! the room's current state, are what a naive recomputation from the events alone gives.

use std::collections::{BTreeSet, HashMap};

use ruma::OwnedEventId;
use serde_json::json;
use tertulia_protocol::{AuthState, Known, Pdu, StateIds, Unresolved, resolve};

use super::{
    admit_tests::{Scene, state, text},
    contention::{Start, contention},
    fork::typed,
    history::{current_state, state_at, state_of},
    *,
};
use crate::{
    schema::{EVENT_META, StateRef, Verdict},
    testing::field,
};

/// What the kept state is held against.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// The state after an event is the state before it with the event in its slot.
    Right,
    /// Broken on purpose: the state after an event is the room's state at its position.
    ByPosition,
    /// Broken on purpose: what branches have in common is not asked what it relies on.
    LocalDifference,
}

impl Rule {
    /// From where the auth chains of branches are swept.
    fn start(self) -> Start {
        if self == Self::LocalDifference { Start::Conflict } else { Start::Everything }
    }
}

/// The room as one computes it who keeps every state in full.
struct Naive {
    after: HashMap<OwnedEventId, StateIds>,
    known: Known,
    ends: BTreeSet<OwnedEventId>,
    rule: Rule,
}

impl Naive {
    fn resolved(&self, scene: &Scene, ids: &[OwnedEventId]) -> StateIds {
        let forks: Vec<_> = ids.iter().map(|id| self.after[id].clone()).collect();
        match resolve(&scene.rules, &forks, &self.known) {
            Ok(state) => state,
            Err(Unresolved::Needs(needs)) => panic!("all events are known, but not {needs:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes note of an event and tells the state before it.
    async fn follow(&mut self, scene: &Scene, pdu: &Pdu, verdict: Verdict) -> StateIds {
        let before = self.resolved(scene, pdu.prev_events());
        let mut after = before.clone();
        if let Some(slot) = pdu.slot().filter(|_| verdict != Verdict::Rejected) {
            after.insert(slot.clone(), pdu.event_id().clone());
        }
        if let (Rule::ByPosition, Verdict::Timeline { ordinal, .. }) = (self.rule, verdict) {
            after = at_position(scene, ordinal).await;
        }
        self.known.found(pdu.clone().with_rejected(verdict == Verdict::Rejected));
        self.after.insert(pdu.event_id().clone(), after);
        if matches!(verdict, Verdict::Timeline { .. }) {
            self.ends.retain(|end| !pdu.prev_events().contains(end));
            self.ends.insert(pdu.event_id().clone());
        }
        before
    }

    fn auth_state(&self, state: &StateIds) -> AuthState {
        state.values().filter_map(|id| self.known.get(id).cloned()).collect()
    }
}

async fn at_position(scene: &Scene, ordinal: crate::schema::Ordinal) -> StateIds {
    let view = scene.server.core.store.view().await.unwrap();
    let head = scene.head().await;
    let position = ordinal.position().unwrap();
    typed(&state_at(&view, head.base(), position).await.unwrap())
}

async fn meta(scene: &Scene, pdu: &Pdu) -> crate::schema::EventMeta {
    let view = scene.server.core.store.view().await.unwrap();
    let key = (scene.room.id().to_owned(), pdu.event_id().clone());
    view.get(&EVENT_META, &key).await.unwrap().unwrap()
}

/// The events the room began with, oldest first.
async fn beginning(scene: &Scene) -> Vec<Pdu> {
    let mut ids: Vec<OwnedEventId> = Vec::new();
    let mut next = scene.tips().await;
    while let Some(id) = next.pop() {
        next.extend(scene.load(std::slice::from_ref(&id)).await[0].prev_events().iter().cloned());
        ids.push(id);
    }
    ids.reverse();
    scene.load(&ids).await
}

/// A small deterministic source of choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

/// An event after one or two random events, if the rules allow one there.
async fn random_event(
    scene: &Scene,
    naive: &Naive,
    recent: &[OwnedEventId],
    dice: &mut Dice,
    n: usize,
) -> Option<Pdu> {
    let mut prev: Vec<_> =
        (0..=dice.roll(2)).map(|_| recent[dice.roll(recent.len())].clone()).collect();
    prev.sort();
    prev.dedup();
    let draft = match dice.roll(6) {
        0 => state("m.room.name", "", &json!({ "name": n.to_string() })),
        1 => state("m.room.member", "@bob:y", &json!({"membership": "leave"})),
        2 => state(
            "m.room.member",
            "@bob:y",
            &json!({"membership": "join", "displayname": n.to_string()}),
        ),
        3 => state("org.example.slot", &dice.roll(2).to_string(), &json!({ "n": n })),
        4 => state(
            "m.room.power_levels",
            "",
            &json!({
                "users": {"@alice:x": 100, "@bob:y": 50}, "state_default": 50 + dice.roll(2)
            }),
        ),
        _ => text(&n.to_string()),
    };
    let state = naive.auth_state(&naive.resolved(scene, &prev));
    scene.build_on(&prev, draft, &state).await
}

/// Whether the kept states are those of the naive model, in a random history of `version`.
async fn holds(version: &str, seed: u64, steps: usize, rule: Rule) -> bool {
    let (scene, mut dice) = (Scene::new(version).await, Dice(seed | 1));
    let levels = json!({"users": {"@alice:x": 100, "@bob:y": 50}});
    let levels = if version == "12" { json!({"users": {"@bob:y": 50}}) } else { levels };
    let kind = ruma::events::StateEventType::RoomPowerLevels;
    scene.room.set_state(kind, "", crate::testing::raw(&levels)).await.unwrap();
    let mut naive =
        Naive { after: HashMap::new(), known: Known::default(), ends: BTreeSet::new(), rule };
    let mut recent = Vec::new();
    for pdu in beginning(&scene).await {
        let verdict = meta(&scene, &pdu).await.verdict;
        naive.follow(&scene, &pdu, verdict).await;
        recent.push(pdu.event_id().clone());
    }
    recent.drain(..recent.len() - 1);
    for n in 0..steps {
        let pdu = if dice.roll(5) == 0 {
            let kind = ruma::events::StateEventType::RoomTopic;
            let id = scene.room.set_state(kind, "", field("topic", &n.to_string())).await.unwrap();
            scene.load(&[id]).await.remove(0)
        } else {
            let Some(pdu) = random_event(&scene, &naive, &recent, &mut dice, n).await else {
                continue;
            };
            if scene.admit(pdu.clone()).await == Admitted::Known {
                continue;
            }
            pdu
        };
        if !agrees(&scene, &mut naive, &pdu).await {
            return false;
        }
        recent.push(pdu.event_id().clone());
        let old = recent.len().saturating_sub(6);
        recent.drain(..old);
    }
    true
}

async fn agrees(scene: &Scene, naive: &mut Naive, pdu: &Pdu) -> bool {
    let meta = meta(scene, pdu).await;
    let expected = naive.follow(scene, pdu, meta.verdict).await;
    let view = scene.server.core.store.view().await.unwrap();
    assert_ne!(meta.before, StateRef::Unknown);
    let before = state_of(&view, scene.room.id(), meta.before).await.unwrap();
    let head = scene.head().await;
    let current = typed(&current_state(&view, head.base()).await.unwrap());
    let ends: Vec<_> = naive.ends.iter().cloned().collect();
    let (before, resolved) = (typed(&before), naive.resolved(scene, &ends));
    before == expected && current == resolved && disputes_agree(scene, naive, &ends).await
}

/// Whether the index of auth chains tells of the branches what walking all chains does.
async fn disputes_agree(scene: &Scene, naive: &Naive, ends: &[OwnedEventId]) -> bool {
    let forks: Vec<_> = ends.iter().map(|id| naive.after[id].clone()).collect();
    if scene.rules.state_res.v2_rules().is_none() {
        return true;
    }
    let (view, head) = (scene.server.core.store.view().await.unwrap(), scene.head().await);
    let swept = contention(&view, &head, &forks, None, naive.rule.start()).await.unwrap();
    let walked = tertulia_protocol::contention(&scene.rules, &forks, &naive.known).unwrap();
    swept == walked
}

/// How many histories of each version: a tenth, or all of them when the laws are asked for.
fn histories() -> u64 {
    if std::env::var("TERTULIA_LAWS").is_ok_and(|laws| laws == "all") { 40 } else { 4 }
}

#[tokio::test]
async fn the_state_before_every_event_is_what_recomputing_gives() {
    for version in 1..=12 {
        for seed in 1..=histories() {
            let seed = seed * 104_729 + version;
            let holds = holds(&version.to_string(), seed, 30, Rule::Right).await;
            assert!(holds, "room version {version}, seed {seed}");
        }
        let seeds = (104_729 + version, histories() * 104_729 + version);
        println!("room version {version}: held in {} histories, seeds {seeds:?}", histories());
    }
}

#[tokio::test]
async fn taking_the_rooms_state_for_that_of_a_branch_is_found_out() {
    for seed in 1..=20 {
        if !holds("11", seed * 7_919, 30, Rule::ByPosition).await {
            return;
        }
    }
    panic!("the law does not notice a broken rule");
}

#[tokio::test]
async fn taking_what_branches_rely_on_for_a_matter_of_their_conflict_is_found_out() {
    for seed in 1..=20 {
        if !holds("11", seed * 7_919, 30, Rule::LocalDifference).await {
            return;
        }
    }
    panic!("the law does not notice a broken rule");
}
