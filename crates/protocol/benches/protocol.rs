//! What the pure rules cost: `cargo bench -p tertulia-protocol`.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ruma::events::StateEventType;
use ruma::room_version_rules::RoomVersionRules;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, RoomVersionId, UInt};
use serde_json::{Value, json, value::to_raw_value};
use tertulia_protocol::sync::{Change, cut, full_state, state};
use tertulia_protocol::{
    AuthState, Draft, Known, NewRoom, Pdu, Preset, Signer, Slot, StateIds, Tip, append, auth_slots,
    authorize, create, resolve,
};

/// How many members the room has.
const MEMBERS: usize = 100;
/// How many changes each of two branches makes.
const CHANGES: usize = 10;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A room of the newest version, in memory.
#[derive(Clone)]
struct Room {
    rules: RoomVersionRules,
    state: BTreeMap<Slot, Pdu>,
    events: Vec<Pdu>,
    now: u32,
}

fn user(number: usize) -> OwnedUserId {
    format!("@user{number}:example.org").try_into().expect("it is a user's ID")
}

fn signer() -> Signer {
    let server = "example.org".try_into().expect("it is a server's name");
    Signer::from_seed(server, &[7; 32], "1").expect("any seed is a key")
}

fn text() -> Draft {
    let content = json!({ "msgtype": "m.text", "body": "x".repeat(100) });
    Draft::message(user(1), "m.room.message".into(), to_raw_value(&content).expect("it is JSON"))
}

fn set(kind: StateEventType, key: &str, content: &Value) -> Draft {
    Draft::state(user(0), kind, key, to_raw_value(content).expect("it is JSON"))
}

impl Room {
    /// A room of so many members that anybody may join.
    fn new() -> Outcome<Self> {
        let mut wishes = NewRoom::new(user(0), RoomVersionId::V12);
        wishes.preset = Preset::PublicChat;
        let rules = wishes.version.rules().ok_or("version 12 is known")?;
        let mut room = Self { rules, state: BTreeMap::new(), events: Vec::new(), now: 0 };
        for draft in create(&wishes)? {
            room.say(draft)?;
        }
        for number in 1..MEMBERS {
            let content = to_raw_value(&json!({ "membership": "join" }))?;
            let member = user(number);
            let key = member.to_string();
            room.say(Draft::state(member, StateEventType::RoomMember, key, content))?;
        }
        Ok(room)
    }

    fn auth_state(&self, draft: &Draft) -> Outcome<AuthState> {
        let slots = auth_slots(&self.rules, draft)?;
        Ok(slots.iter().filter_map(|slot| self.state.get(slot)).cloned().collect())
    }

    fn build(&self, draft: Draft, state: &AuthState, signer: &Signer) -> Outcome<Pdu> {
        let newest = self.events.last();
        let tip = Tip {
            room: newest.map(Pdu::room_id),
            rules: &self.rules,
            prev_events: &Vec::from_iter(newest.map(|event| event.event_id().clone())),
            depth: newest.map_or(0, Pdu::depth),
            state,
            known: &Known::default(),
        };
        Ok(append(&tip, draft, MilliSecondsSinceUnixEpoch(UInt::from(self.now)), signer)?)
    }

    fn say(&mut self, draft: Draft) -> Outcome<Pdu> {
        let event = self.build(draft.clone(), &self.auth_state(&draft)?, &signer())?;
        if let Some(slot) = event.slot() {
            self.state.insert(slot.clone(), event.clone());
        }
        self.now += 1;
        self.events.push(event.clone());
        Ok(event)
    }

    fn state_ids(&self) -> StateIds {
        let entries = self.state.iter();
        entries.map(|(slot, event)| (slot.clone(), event.event_id().clone())).collect()
    }

    /// The same room after the creator has set topics and power levels, as one branch of it.
    fn branch(&self, name: &str) -> Outcome<Self> {
        let mut branch = self.clone();
        for number in 0..CHANGES {
            branch.say(set(StateEventType::RoomTopic, "", &json!({ "topic": name })))?;
            let levels = json!({ "users": { user(number + 1).as_str(): 50 } });
            branch.say(set(StateEventType::RoomPowerLevels, "", &levels))?;
        }
        Ok(branch)
    }
}

fn appending(criterion: &mut Criterion) {
    let room = Room::new().expect("the room allows it");
    let (draft, signer) = (text(), signer());
    let state = room.auth_state(&draft).expect("a message cites little");
    room.build(draft.clone(), &state, &signer).expect("members speak");
    criterion.bench_function("append: a message of 100 characters", |bencher| {
        bencher.iter(|| room.build(black_box(draft.clone()), &state, &signer));
    });
}

fn authorising(criterion: &mut Criterion) {
    let mut room = Room::new().expect("the room allows it");
    let event = room.say(text()).expect("members speak");
    let state = room.auth_state(&text()).expect("a message cites little");
    let known: Known = room.events.iter().cloned().collect();
    assert_eq!(authorize(&room.rules, &event, &state, &known), Ok(Ok(())));
    criterion.bench_function("authorise: a message", |bencher| {
        bencher.iter(|| authorize(&room.rules, black_box(&event), &state, &known));
    });
}

fn resolving(criterion: &mut Criterion) {
    let room = Room::new().expect("the room allows it");
    let [one, other] = ["one", "other"].map(|name| room.branch(name).expect("the creator may"));
    let forks = [one.state_ids(), other.state_ids()];
    let known: Known = one.events.into_iter().chain(other.events).collect();
    let resolved = resolve(&room.rules, &forks, &known).expect("everything is known");
    assert_eq!(resolved.len(), room.state.len() + 1, "the topic is new");
    let name = format!("resolve: two branches of {} changes, {MEMBERS} members", 2 * CHANGES);
    criterion.bench_function(&name, |bencher| {
        bencher.iter(|| resolve(&room.rules, black_box(&forks), &known));
    });
}

/// A stretch of the log: so many events, every fifth of which sets the topic.
struct Stretch {
    events: Vec<(u64, Pdu)>,
    changes: Vec<Change<u64>>,
    current: StateIds,
}

impl Stretch {
    fn new(length: u64) -> Outcome<Self> {
        let mut room = Room::new()?;
        let (mut events, mut changes) = (Vec::new(), Vec::<Change<u64>>::new());
        for at in 0..length {
            let topic = json!({ "topic": at });
            let is_change = at % 5 == 0;
            let draft = if is_change { set(StateEventType::RoomTopic, "", &topic) } else { text() };
            let event = room.say(draft)?;
            if let Some(slot) = event.slot().cloned() {
                let replaced: Option<OwnedEventId> =
                    changes.last().and_then(|change| change.event.clone());
                let id = event.event_id().clone();
                changes.push(Change { at, slot, event: Some(id), replaced });
            }
            events.push((at, event));
        }
        Ok(Self { events, changes, current: room.state_ids() })
    }
}

fn syncing(criterion: &mut Criterion) {
    let Stretch { events, changes, current } = Stretch::new(100).expect("the room allows it");
    criterion.bench_function("sync delta: 100 events, 20 changes, a timeline of 20", |bencher| {
        bencher.iter(|| {
            let timeline = cut(black_box(events.clone()), &changes, 20);
            (state(&changes, &timeline), timeline)
        });
    });
    let name = format!("sync in full: a room of {MEMBERS}, a timeline of 20");
    criterion.bench_function(&name, |bencher| {
        bencher.iter(|| {
            let timeline = cut(black_box(events.clone()), &changes, 20);
            (full_state(current.clone(), &changes, &timeline), timeline)
        });
    });
}

criterion_group!(benches, appending, authorising, resolving, syncing);
criterion_main!(benches);
