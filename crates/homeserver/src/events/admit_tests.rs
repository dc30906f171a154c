//! What the schema keeps for federation, tested by admitting events of another server.

use ruma::{
    EventId, OwnedEventId, UserId,
    events::{StateEventType, TimelineEventType},
    owned_server_name,
    room_version_rules::RoomVersionRules,
    uint,
};
use serde_json::{Value, json};
use tertulia_protocol::{
    AuthState, Draft, Incoming, Known, Pdu, Purpose, Signer, Tip, Verified, auth_slots,
};

use tertulia_storage::{Memory, MemoryEngine};

use super::*;
use crate::{
    Homeserver, MessagesQuery, Room,
    schema::{EVENT_META, GAPS, Ordinal, StateRef, TIMELINE, Verdict},
    testing::{bodies, public_room, raw, user},
};

/// A room of `@alice:x` that `@bob:y` has joined from elsewhere.
pub(super) struct Scene {
    pub(super) server: Homeserver,
    pub(super) room: Room,
    pub(super) rules: RoomVersionRules,
    pub(super) memory: Memory,
    signer: Signer,
}

impl Scene {
    pub(super) async fn new(version: &str) -> Self {
        let memory = Memory::default();
        let server = start(&memory).await;
        let room = public_room(&user(&server, "alice"), version).await;
        let rules = super::current::rules_of(version).unwrap();
        let scene = Self { server, room, rules, memory, signer: other_signer() };
        let join = scene.build(&scene.tips().await, member("@bob:y", "join")).await;
        assert_eq!(scene.admit(join).await, Admitted::Accepted);
        scene
    }

    /// The events that nothing follows yet.
    pub(super) async fn tips(&self) -> Vec<OwnedEventId> {
        let ends = self.head().await.row.extremities.into_iter();
        ends.map(|end| end.event).collect()
    }

    pub(super) async fn head(&self) -> Head {
        let view = self.server.core.store.view().await.unwrap();
        load_head(&view, self.room.id()).await.unwrap()
    }

    pub(super) async fn load(&self, ids: &[OwnedEventId]) -> Vec<Pdu> {
        let view = self.server.core.store.view().await.unwrap();
        let cache = self.server.core.local::<EventCache>();
        let events = cache.load_many(&view, &self.rules, ids).await.unwrap();
        events.into_iter().map(Option::unwrap).collect()
    }

    /// An event of `@bob:y` after `prev`, authorised by the room's present state.
    pub(super) async fn build(&self, prev: &[OwnedEventId], draft: Draft) -> Pdu {
        let view = self.server.core.store.view().await.unwrap();
        let (head, slots) = (self.head().await, auth_slots(&self.rules, &draft).unwrap());
        let state = current_slots(&view, &self.server.core, &head, &slots).await.unwrap();
        self.build_on(prev, draft, &state).await.unwrap()
    }

    /// An event after `prev`, if `state` allows it.
    pub(super) async fn build_on(
        &self,
        prev: &[OwnedEventId],
        draft: Draft,
        state: &AuthState,
    ) -> Option<Pdu> {
        let before = self.load(prev).await;
        self.sign(prev, draft, state, before)
    }

    fn sign(
        &self,
        prev: &[OwnedEventId],
        draft: Draft,
        state: &AuthState,
        before: Vec<Pdu>,
    ) -> Option<Pdu> {
        let depth = before.iter().map(Pdu::depth).max().unwrap_or_default();
        let known: Known = before.into_iter().collect();
        let room = Some(self.room.id());
        let tip = Tip { room, rules: &self.rules, prev_events: prev, depth, state, known: &known };
        let now = ruma::MilliSecondsSinceUnixEpoch(uint!(1_000));
        tertulia_protocol::append(&tip, draft, now, &self.signer).ok()
    }

    pub(super) async fn admit(&self, pdu: Pdu) -> Admitted {
        self.admit_for(pdu, Purpose::Timeline { sent_by: owned_server_name!("y") }).await
    }

    pub(super) async fn admit_for(&self, pdu: Pdu, purpose: Purpose) -> Admitted {
        let incoming = Incoming { event: Verified::trusted(pdu), purpose };
        self.server.admit(self.room.id(), incoming, None).await.unwrap()
    }

    pub(super) async fn meta(&self, id: &EventId) -> crate::schema::EventMeta {
        let view = self.server.core.store.view().await.unwrap();
        let key = (self.room.id().to_owned(), id.to_owned());
        view.get(&EVENT_META, &key).await.unwrap().unwrap()
    }

    pub(super) async fn said(&self) -> Vec<String> {
        let query = MessagesQuery {
            from: None,
            to: None,
            towards: ruma::api::Direction::Forward,
            limit: 100,
            filter: EventFilter::of_types(&["m.room.message"]),
        };
        bodies(&self.room.messages(&query).await.unwrap().events)
    }
}

async fn start(memory: &Memory) -> Homeserver {
    Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap()
}

fn other_signer() -> Signer {
    Signer::from_seed(owned_server_name!("y"), &[7; 32], "1").unwrap()
}

pub(super) fn bob() -> ruma::OwnedUserId {
    UserId::parse("@bob:y").unwrap().to_owned()
}

pub(super) fn text(body: &str) -> Draft {
    let content = raw(&json!({ "msgtype": "m.text", "body": body }));
    Draft::message(bob(), TimelineEventType::RoomMessage, content)
}

pub(super) fn state(kind: &str, key: &str, content: &Value) -> Draft {
    Draft::state(bob(), StateEventType::from(kind), key, raw(content))
}

pub(super) fn member(user: &str, membership: &str) -> Draft {
    state("m.room.member", user, &json!({ "membership": membership }))
}

/// Lets everyone change what the tests change.
pub(super) async fn open_levels(scene: &Scene) {
    let kind = StateEventType::RoomPowerLevels;
    let levels = scene.room.state_event(&kind, "").await.unwrap();
    let mut content: Value = serde_json::from_str(levels.content().get()).unwrap();
    content["state_default"] = 0.into();
    content["events"]["m.room.name"] = 0.into();
    scene.room.set_state(kind, "", raw(&content)).await.unwrap();
}

#[tokio::test]
async fn an_event_that_follows_the_room_takes_its_place_once() {
    for version in 1..=12 {
        let scene = Scene::new(&version.to_string()).await;
        let hello = scene.build(&scene.tips().await, text("hello")).await;
        assert_eq!(scene.admit(hello.clone()).await, Admitted::Accepted, "version {version}");
        assert_eq!(scene.admit(hello).await, Admitted::Known);
        assert_eq!(scene.said().await, ["hello"]);
    }
}

#[tokio::test]
async fn branches_are_kept_apart_until_an_event_joins_them() {
    let scene = Scene::new("11").await;
    let fork = scene.tips().await;
    for body in ["left", "right"] {
        let event = scene.build(&fork, text(body)).await;
        assert_eq!(scene.admit(event).await, Admitted::Accepted);
    }
    assert_eq!(scene.tips().await.len(), 2);
    scene.room.send_text("both").await.unwrap();
    assert_eq!(scene.tips().await.len(), 1);
    assert_eq!(scene.said().await, ["left", "right", "both"]);
}

/// Two branches name the room; the order in which they come does not matter for which name holds.
#[tokio::test]
async fn conflicting_branches_resolve_to_one_state_whatever_comes_first() {
    for version in ["1", "2", "6", "11", "12"] {
        let scene = Scene::new(version).await;
        open_levels(&scene).await;
        let fork = scene.tips().await;
        let (mut names, mut events) = (Vec::new(), Vec::new());
        for name in ["one", "two"] {
            events.push(scene.build(&fork, state("m.room.name", "", &json!({"name": name}))).await);
        }
        for order in [[0, 1], [1, 0]] {
            let copy = scene.copy().await;
            for index in order {
                assert_eq!(copy.admit(events[index].clone()).await, Admitted::Accepted);
            }
            let name = copy.room.state_event(&StateEventType::RoomName, "").await.unwrap();
            names.push(name.content().get().to_owned());
        }
        assert_eq!(names[0], names[1], "version {version}");
    }
}

impl Scene {
    /// The same room in the same store content, to go on from differently.
    pub(super) async fn copy(&self) -> Self {
        let memory = self.memory.reopen();
        let server = start(&memory).await;
        let room = user(&server, "alice").room(self.room.id());
        Self { server, room, rules: self.rules.clone(), memory, signer: other_signer() }
    }
}

#[tokio::test]
async fn the_state_before_a_branch_is_not_the_rooms() {
    let scene = Scene::new("11").await;
    open_levels(&scene).await;
    let fork = scene.tips().await;
    let left = scene.build(&fork, state("m.room.name", "", &json!({"name": "left"}))).await;
    let right = scene.build(&fork, state("org.example.side", "", &json!({"is": "right"}))).await;
    scene.admit(left.clone()).await;
    scene.admit(right.clone()).await;
    let tail = scene.build(&[right.event_id().clone()], text("tail")).await;
    assert_eq!(scene.admit(tail.clone()).await, Admitted::Accepted);
    let meta = scene.meta(tail.event_id()).await;
    assert!(matches!(meta.before, StateRef::Overlay(_)), "{meta:?}");
    let view = scene.server.core.store.view().await.unwrap();
    let before = super::history::state_of(&view, scene.room.id(), meta.before).await.unwrap();
    let slot = |kind: &str| before.get(&(kind.to_owned(), String::new()));
    assert_eq!(slot("m.room.name"), None);
    assert_eq!(slot("org.example.side"), Some(right.event_id()));
}

#[tokio::test]
async fn what_the_rules_forbid_is_kept_and_shown_to_nobody() {
    let scene = Scene::new("11").await;
    let tips = scene.tips().await;
    let join = scene.load(&tips).await.remove(0);
    let citing = [join].into_iter().collect::<AuthState>();
    let stranger = Draft { sender: UserId::parse("@eve:y").unwrap().to_owned(), ..text("hi") };
    assert!(scene.build_on(&tips, stranger, &citing).await.is_none(), "cannot even be built");

    let name = state("m.room.name", "", &json!({"name": "mine"}));
    let mut state = AuthState::default();
    state.extend(scene.load(&scene.state_ids().await).await);
    let levels = StateEventType::RoomPowerLevels;
    let without_levels: AuthState =
        state.iter().filter(|event| !event.is_at(&levels, "")).cloned().collect();
    let forged = scene.build_on(&tips, name, &without_levels).await;
    let Some(forged) = forged else { return };
    assert_eq!(scene.admit(forged.clone()).await, Admitted::Rejected);
    assert_eq!(scene.meta(forged.event_id()).await.verdict, Verdict::Rejected);
    assert_eq!(scene.tips().await, tips);
}

impl Scene {
    pub(super) async fn state_ids(&self) -> Vec<OwnedEventId> {
        let events = self.room.state().await.unwrap();
        events.iter().map(|event| event.id().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_event_from_before_a_ban_that_comes_after_it_fails_softly() {
    let scene = Scene::new("11").await;
    let fork = scene.tips().await;
    let late = scene.build(&fork, text("too late")).await;
    scene.room.ban(&bob(), None).await.unwrap();
    let tips = scene.tips().await;
    assert_eq!(scene.admit(late.clone()).await, Admitted::SoftFailed);
    assert_eq!(scene.meta(late.event_id()).await.verdict, Verdict::SoftFailed);
    assert_eq!(scene.said().await, [""; 0]);
    assert_eq!(scene.tips().await, tips, "nothing new follows it");
}

#[tokio::test]
async fn a_cited_event_is_an_outlier_until_it_comes_by_itself() {
    let scene = Scene::new("11").await;
    let event = scene.build(&scene.tips().await, text("cited")).await;
    assert_eq!(scene.admit_for(event.clone(), Purpose::Cited).await, Admitted::Outlier);
    assert_eq!(scene.meta(event.event_id()).await.before, StateRef::Unknown);
    assert_eq!(scene.said().await, [""; 0]);
    assert_eq!(scene.admit(event).await, Admitted::Accepted);
    assert_eq!(scene.said().await, ["cited"]);
}

#[tokio::test]
async fn an_outlier_that_comes_by_itself_keeps_its_number() {
    let scene = Scene::new("11").await;
    open_levels(&scene).await;
    let name = state("m.room.name", "", &json!({ "name": "cited first" }));
    let event = scene.build(&scene.tips().await, name).await;
    assert_eq!(scene.admit_for(event.clone(), Purpose::Cited).await, Admitted::Outlier);
    let (number, next) =
        (scene.meta(event.event_id()).await.number, scene.head().await.row.next_auth);
    assert!(number.is_some());
    assert_eq!(scene.admit(event.clone()).await, Admitted::Accepted);
    assert_eq!(scene.meta(event.event_id()).await.number, number);
    assert_eq!(scene.head().await.row.next_auth, next);
}

#[tokio::test]
async fn what_an_event_follows_must_be_here_or_the_state_before_it_told() {
    let scene = Scene::new("11").await;
    let first = scene.build(&scene.tips().await, text("lost")).await;
    let state = AuthState::from_iter(scene.load(&scene.state_ids().await).await);
    let lost = vec![first.event_id().clone()];
    let second = scene.sign(&lost, text("found"), &state, vec![first]).unwrap();
    assert_eq!(scene.admit(second.clone()).await, Admitted::Missing(lost.clone()));

    let view = scene.server.core.store.view().await.unwrap();
    let head = scene.head().await;
    let told = current_state(&view, head.base()).await.unwrap();
    let purpose = Purpose::Timeline { sent_by: owned_server_name!("y") };
    let incoming = Incoming { event: Verified::trusted(second.clone()), purpose };
    let told = Some(super::fork::typed(&told));
    let admitted = scene.server.admit(scene.room.id(), incoming, told).await.unwrap();
    assert_eq!(admitted, Admitted::Accepted);
    let Verdict::Timeline { stretch, ordinal } = scene.meta(second.event_id()).await.verdict else {
        panic!("it was accepted");
    };
    let view = scene.server.core.store.view().await.unwrap();
    let place = (scene.room.id().to_owned(), stretch, ordinal);
    assert_eq!(view.get(&GAPS, &place).await.unwrap().unwrap().from, lost);
}

#[tokio::test]
async fn a_redaction_may_come_before_what_it_redacts() {
    let scene = Scene::new("11").await;
    let fork = scene.tips().await;
    let secret = scene.build(&fork, text("secret")).await;
    let mut draft = Draft::message(bob(), TimelineEventType::RoomRedaction, raw(&json!({})));
    draft.redacts = Some(secret.event_id().clone());
    let redaction = scene.build(&fork, draft).await;
    assert_eq!(scene.admit(redaction).await, Admitted::Accepted);
    assert_eq!(scene.admit(secret).await, Admitted::Accepted);
    assert_eq!(scene.said().await, ["{}"]);
}

#[tokio::test]
async fn history_from_before_counts_down_and_wakes_nobody() {
    let scene = Scene::new("11").await;
    let settled = scene.server.core.store.settled();
    let tips = scene.tips().await;
    let mut state = AuthState::default();
    state.extend(scene.load(&scene.state_ids().await).await);
    let told = scene.head().await;
    let view = scene.server.core.store.view().await.unwrap();
    let told = super::fork::typed(&current_state(&view, told.base()).await.unwrap());
    for n in 1..=3_u64 {
        let event = scene.sign(&tips, text(&format!("old {n}")), &state, scene.load(&tips).await);
        let event = event.unwrap();
        let purpose = Purpose::Past;
        let incoming = Incoming { event: Verified::trusted(event.clone()), purpose };
        let admitted = scene.server.admit(scene.room.id(), incoming, Some(told.clone())).await;
        assert_eq!(admitted.unwrap(), Admitted::Accepted);
        let ordinal = Ordinal::Backfilled(std::cmp::Reverse(n));
        let verdict = scene.meta(event.event_id()).await.verdict;
        assert_eq!(verdict, Verdict::Timeline { stretch: 0, ordinal });
    }
    assert_eq!(scene.server.core.store.settled(), settled, "no log entry");
    let view = scene.server.core.store.view().await.unwrap();
    let prefix = (scene.room.id().to_owned(), 0_u32);
    let rows = view.scan(&TIMELINE, &prefix, tertulia_storage::Direction::Forward, 3).await;
    let oldest = rows.unwrap().remove(0).0.2;
    assert_eq!(oldest, Ordinal::Backfilled(std::cmp::Reverse(3)));
    assert_eq!(scene.said().await, ["old 3", "old 2", "old 1"]);
}
