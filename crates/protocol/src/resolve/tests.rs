use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use ruma::{OwnedEventId, room_version_rules::StateResolutionVersion};
use serde_json::{Value, json};

use super::{
    naive::{Naive, Omit},
    *,
};
use crate::{
    Draft, Pdu, Slot,
    testing::{Room, State, VERSIONS, draft, member},
};

const USERS: [&str; 4] = ["@a:x", "@b:y", "@c:x", "@d:z"];

/// Something a user tries in one branch; what the branch refuses does not happen.
#[derive(Clone, Copy, Debug)]
struct Try {
    what: u8,
    by: usize,
    to: usize,
    level: usize,
    wait: u32,
}

impl Try {
    fn draft(self, room: &Room) -> Draft {
        let (by, to) = (USERS[self.by], USERS[self.to]);
        match self.what {
            0 | 1 => member(by, by, "join"),
            2 => member(by, by, "leave"),
            3 => member(by, to, "leave"),
            4 => member(by, to, "ban"),
            5 => member(by, to, "invite"),
            6 | 7 => self.levels(room),
            8 => {
                let rule = ["public", "invite", "public", "invite"][self.level];
                draft(by, "m.room.join_rules", Some(""), json!({ "join_rule": rule }))
            }
            _ => draft(by, "m.room.topic", Some(""), json!({ "topic": self.level })),
        }
    }

    /// The power levels as they are, but for one user.
    fn levels(self, room: &Room) -> Draft {
        let slot = ("m.room.power_levels".into(), String::new());
        let old: Option<Value> = room.state.get(&slot).and_then(Pdu::content_as);
        let mut content = old.unwrap_or_else(|| json!({"users": {}}));
        let creators = room.rules.authorization.explicitly_privilege_room_creators;
        if !creators {
            content["users"]["@a:x"] = 100.into();
        }
        if !(creators && USERS[self.to] == "@a:x") {
            content["users"][USERS[self.to]] = [0, 49, 50, 100][self.level].into();
        }
        draft(USERS[self.by], "m.room.power_levels", Some(""), content)
    }
}

prop_compose! {
    fn a_try()(
        what in 0..11u8, by in prop_oneof![3 => Just(0), 1 => 0..4usize], to in 0..4usize,
        level in 0..4usize, wait in 0..3u32,
    ) -> Try {
        Try { what, by, to, level, wait }
    }
}

/// Rounds of branches that start from the same state; after each round the branches meet.
fn history() -> impl Strategy<Value = Vec<Vec<Vec<Try>>>> {
    let branch = prop::collection::vec(a_try(), 0..7);
    let round = prop::collection::vec(branch, 2..4);
    prop::collection::vec(round, 1..4)
}

fn run(room: &Room, tries: &[Try]) -> Room {
    let mut room = room.clone();
    for attempt in tries {
        room.now += attempt.wait;
        let draft = attempt.draft(&room);
        let _refused = room.try_say(draft);
    }
    room
}

/// The room after its branches have met.
fn join(branches: &[Room], state: &StateIds) -> Room {
    let mut room = branches[0].clone();
    for branch in &branches[1..] {
        for event in &branch.events {
            if !room.events.contains(event) {
                room.events.push(event.clone());
            }
        }
        room.tips.extend(branch.tips.clone());
        room.depth = room.depth.max(branch.depth);
        room.now = room.now.max(branch.now);
    }
    room.tips.sort();
    room.tips.dedup();
    let find = |id: &OwnedEventId| room.events.iter().find(|event| event.event_id() == id);
    let state: State =
        state.iter().map(|(slot, id)| (slot.clone(), find(id).unwrap().clone())).collect();
    room.state = state;
    room
}

/// Runs the histories and calls `law` with the branches each time they meet.
fn meet(
    version: &str,
    rounds: &[Vec<Vec<Try>>],
    mut law: impl FnMut(&Room, &[StateIds], &StateIds),
) {
    let mut room = Room::new(version, "public");
    room.power(json!({"@b:y": 50}));
    for user in &USERS[1..] {
        room.join(user);
    }
    for round in rounds {
        let branches: Vec<_> = round.iter().map(|tries| run(&room, tries)).collect();
        let forks: Vec<_> = branches.iter().map(|branch| branch.state_ids()).collect();
        let all = join(&branches, &forks[0]);
        let resolved = resolve(&room.rules, &forks, &all.known()).unwrap();
        law(&all, &forks, &resolved);
        room = join(&branches, &resolved);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_the_branches_does_not_matter(rounds in history(), version in 0..12usize) {
        meet(VERSIONS[version], &rounds, |all, forks, resolved| {
            let mut forks = forks.to_vec();
            forks.reverse();
            assert_eq!(resolve(&all.rules, &forks, &all.known()).as_ref(), Ok(resolved));
            forks.rotate_left(1);
            assert_eq!(resolve(&all.rules, &forks, &all.known()).as_ref(), Ok(resolved));
        });
    }

    #[test]
    fn a_branch_twice_is_a_branch_once(rounds in history(), version in 0..12usize) {
        meet(VERSIONS[version], &rounds, |all, forks, resolved| {
            let mut forks = forks.to_vec();
            forks.push(forks[0].clone());
            assert_eq!(resolve(&all.rules, &forks, &all.known()).as_ref(), Ok(resolved));
        });
    }

    #[test]
    fn the_result_is_that_of_the_specification_step_by_step(
        rounds in history(), version in 1..12usize,
    ) {
        meet(VERSIONS[version], &rounds, |all, forks, resolved| {
            assert_eq!(naive(all, forks, Omit::Nothing), *resolved);
        });
    }

    #[test]
    fn what_all_branches_agree_on_stays(rounds in history(), version in 0..12usize) {
        meet(VERSIONS[version], &rounds, |_, forks, resolved| {
            for (slot, id) in &forks[0] {
                if forks.iter().all(|fork| fork.get(slot) == Some(id)) {
                    assert_eq!(resolved.get(slot), Some(id));
                }
            }
        });
    }

    #[test]
    fn reduced_branches_lead_to_the_same_state(rounds in history(), version in 1..12usize) {
        meet(VERSIONS[version], &rounds, |all, forks, resolved| {
            let known = all.known();
            let contention = contention(&all.rules, forks, &known).unwrap();
            let slots = decisive(all, forks, &contention);
            let reduced: Vec<StateIds> = forks.iter().map(|fork| {
                let kept = fork.iter().filter(|(slot, _)| slots.contains(*slot));
                kept.map(|(slot, id)| (slot.clone(), id.clone())).collect()
            }).collect();
            let small = resolve_contended(&all.rules, &reduced, &contention, &known).unwrap();
            for (slot, id) in resolved {
                if slots.contains(slot) {
                    assert_eq!(small.get(slot), Some(id), "{slot:?}");
                }
            }
            assert!(small.keys().all(|slot| resolved.contains_key(slot)));
        });
    }

    #[test]
    fn one_answer_follows_from_what_was_asked_for(rounds in history(), version in 0..12usize) {
        meet(VERSIONS[version], &rounds, |all, forks, resolved| {
            let (complete, mut told) = (all.known(), Known::default());
            for _ in 0..200 {
                match resolve(&all.rules, forks, &told) {
                    Ok(state) => return assert_eq!(&state, resolved),
                    Err(Unresolved::Needs(needs)) => {
                        assert!(!needs.is_empty());
                        let found = needs.events.iter().map(|id| complete.get(id).unwrap());
                        told.extend(found.cloned());
                    }
                    Err(broken) => panic!("{broken}"),
                }
            }
            panic!("the questions do not end");
        });
    }
}

/// The state that the words of the specification lead to, but for what is omitted.
fn naive(all: &Room, forks: &[StateIds], omit: Omit) -> StateIds {
    let StateResolutionVersion::V2(v2) = all.rules.state_res else {
        panic!("only version 1 has the older algorithm");
    };
    let events = all.events.iter();
    let events: BTreeMap<_, _> =
        events.map(|event| (event.event_id().clone(), event.clone())).collect();
    let naive = Naive { rules: &all.rules, v2, events: &events, omit };
    naive.resolve(forks)
}

/// How many random histories it takes until an omission shows.
fn noticed(omit: Omit, version: &str) -> Option<usize> {
    let mut runner = TestRunner::deterministic();
    (0..3_000).find(|_| {
        let rounds = history().new_tree(&mut runner).unwrap().current();
        let mut differs = false;
        meet(version, &rounds, |all, forks, resolved| {
            differs |= naive(all, forks, omit) != *resolved;
        });
        differs
    })
}

#[test]
fn whoever_omits_a_rule_is_noticed() {
    for version in ["11", "12"] {
        let omissions = [Omit::AuthDifference, Omit::Power, Omit::Mainline];
        for omit in omissions {
            assert!(noticed(omit, version).is_some(), "{omit:?} in version {version}");
        }
    }
    assert!(noticed(Omit::Agreement, "12").is_some());
}

/// The slots to which branches may be reduced.
fn decisive(all: &Room, forks: &[StateIds], contention: &Contention) -> BTreeSet<Slot> {
    let known = all.known();
    let mut ids: BTreeSet<_> = conflicted(forks).into_iter().cloned().collect();
    ids.extend(contention.difference.iter().cloned());
    ids.extend(contention.subgraph.iter().cloned());
    let mut slots = BTreeSet::new();
    for kind in ["m.room.create", "m.room.power_levels", "m.room.join_rules"] {
        slots.insert((kind.into(), String::new()));
    }
    for event in ids.iter().filter_map(|id| known.get(id)) {
        slots.extend(event.slot().cloned());
        slots.extend(crate::auth_slots_of(&all.rules, event).unwrap());
    }
    slots
}

/// Two branches of a room in which @b has power 50, and the event that is in `slot` after they met.
#[track_caller]
fn check(versions: &[&str], one: &[Draft], two: &[Draft], slot: (&str, &str), expected: &Value) {
    for version in versions {
        let mut room = Room::new(version, "public");
        room.power(json!({"@b:y": 50}));
        for user in &USERS[1..] {
            room.join(user);
        }
        let branch = |drafts: &[Draft]| {
            let mut branch = room.clone();
            for draft in drafts {
                branch.say(draft.clone());
            }
            branch
        };
        let branches = [branch(one), branch(two)];
        let forks = branches.each_ref().map(|branch| branch.state_ids());
        let known = join(&branches, &forks[0]).known();
        let resolved = resolve(&room.rules, &forks, &known).unwrap();
        let id = resolved.get(&(slot.0.into(), slot.1.to_owned()));
        let content: Option<Value> = id.and_then(|id| known.get(id)?.content_as());
        assert_eq!(content.as_ref(), Some(expected), "room version {version}");
    }
}

fn topic(by: &str, topic: &str) -> Draft {
    draft(by, "m.room.topic", Some(""), json!({ "topic": topic }))
}

const NEWER: [&str; 11] = ["2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

#[test]
fn a_ban_wins_over_what_the_banned_did_meanwhile() {
    let ban = [member("@a:x", "@b:y", "ban")];
    let meanwhile = [topic("@b:y", "mine")];
    check(&VERSIONS, &ban, &meanwhile, ("m.room.member", "@b:y"), &json!({"membership": "ban"}));
    let before = [topic("@a:x", "ours"), member("@a:x", "@b:y", "ban")];
    let theirs = [topic("@b:y", "theirs"), topic("@b:y", "mine")];
    check(&NEWER, &before, &theirs, ("m.room.topic", ""), &json!({"topic": "ours"}));
}

#[test]
fn the_later_topic_wins() {
    let early = [topic("@a:x", "early")];
    let late = [draft("@b:y", "m.test", None, json!({})), topic("@b:y", "late")];
    check(&VERSIONS, &early, &late, ("m.room.topic", ""), &json!({"topic": "late"}));
    check(&VERSIONS, &late, &early, ("m.room.topic", ""), &json!({"topic": "late"}));
}

#[test]
fn in_version_1_the_deepest_event_wins_also_if_it_is_older() {
    let deep = [draft("@a:x", "m.test", None, json!({})), topic("@a:x", "deep")];
    let shallow = [topic("@b:y", "shallow")];
    check(&["1"], &deep, &shallow, ("m.room.topic", ""), &json!({"topic": "deep"}));
}

#[test]
fn in_version_1_what_only_one_branch_has_is_no_conflict() {
    let one = [topic("@a:x", "t")];
    check(&["1"], &one, &[], ("m.room.topic", ""), &json!({"topic": "t"}));
}

#[test]
fn in_version_1_power_levels_are_followed_as_long_as_they_are_allowed() {
    let levels = |by, b: i32, c: i32| {
        let users = json!({"@a:x": 100, "@b:y": b, "@c:x": c});
        draft(by, "m.room.power_levels", Some(""), json!({"users": users, "redact": 50}))
    };
    let demoted = [levels("@a:x", 0, 0)];
    let promoting = [draft("@b:y", "m.test", None, json!({})), levels("@b:y", 50, 40)];
    let after = json!({"users": {"@a:x": 100, "@b:y": 0, "@c:x": 0}, "redact": 50});
    check(&["1"], &demoted, &promoting, ("m.room.power_levels", ""), &after);
    let first = [levels("@b:y", 50, 40)];
    let second = [draft("@a:x", "m.test", None, json!({})), levels("@a:x", 60, 0)];
    let after = json!({"users": {"@a:x": 100, "@b:y": 60, "@c:x": 0}, "redact": 50});
    check(&["1"], &first, &second, ("m.room.power_levels", ""), &after);
}

#[test]
fn in_version_1_join_rules_are_settled_before_members() {
    let closed = draft("@a:x", "m.room.join_rules", Some(""), json!({"join_rule": "invite"}));
    let out_and_in = [member("@d:z", "@d:z", "leave"), member("@d:z", "@d:z", "join")];
    let out_and_closed = [member("@d:z", "@d:z", "leave"), closed];
    check(
        &["1"],
        &out_and_closed,
        &out_and_in,
        ("m.room.member", "@d:z"),
        &json!({"membership": "leave"}),
    );
}

#[test]
fn branches_that_agree_need_nothing() {
    let room = Room::new("12", "public");
    let forks = vec![room.state_ids(); 3];
    assert_eq!(resolve(&room.rules, &forks, &Known::default()), Ok(room.state_ids()));
    assert_eq!(resolve(&room.rules, &[], &Known::default()), Ok(StateIds::new()));
}

#[test]
fn events_that_cannot_be_had_are_left_out() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        let before = room.state_ids();
        let topic = room.say(topic("@a:x", "lost"));
        let mut known: Known = room.events[..3].iter().cloned().collect();
        known.absent(topic.event_id().clone());
        let forks = [before.clone(), room.state_ids()];
        let resolved = resolve(&room.rules, &forks, &known).unwrap();
        assert_eq!(resolved.contains_key(topic.slot().unwrap()), version == "1");
    }
}

#[test]
fn events_that_cite_each_other_are_no_room() {
    let mut room = Room::new("2", "public");
    let forge = |room: &Room, id: &str, cites: &str| {
        let mut object = room.events[2].to_object().unwrap();
        let cited = json!([[cites, {"sha256": ""}]]);
        object.insert("auth_events".to_owned(), cited.try_into().unwrap());
        object.insert("event_id".to_owned(), id.into());
        Pdu::from_object(object, &room.rules).unwrap()
    };
    let (one, two) = (forge(&room, "$1:x", "$2:x"), forge(&room, "$2:x", "$1:x"));
    let before = room.state_ids();
    room.take(one);
    room.events.push(two);
    let result = resolve(&room.rules, &[before, room.state_ids()], &room.known());
    assert!(matches!(result, Err(Unresolved::Broken(_))));
}
