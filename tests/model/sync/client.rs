//! A client that remembers only what it was told, as the specification says a client does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Value, json};
use tertulia::{StateFor, SyncFilter, SyncRequest, SyncToken};

use super::world::{Stopped, World};
use crate::dice::Dice;

/// What a client asks for, and how often.
#[derive(Clone, Debug)]
pub struct Wishes {
    pub state: StateFor,
    pub limit: u8,
    pub lazy: bool,
    pub include_leave: bool,
    pub syncs_once_in: usize,
}

impl Wishes {
    pub fn random(dice: &mut Dice) -> Self {
        let ends = [StateFor::TimelineStart, StateFor::TimelineEnd];
        Self {
            state: *dice.pick(&ends).expect("two ways"),
            limit: *dice.pick(&[1, 2, 3, 10]).expect("four limits"),
            lazy: dice.once_in(2),
            include_leave: dice.once_in(3),
            syncs_once_in: *dice.pick(&[2, 10, 40]).expect("three paces"),
        }
    }

    fn filter(&self) -> Value {
        json!({ "room": {
            "timeline": { "limit": self.limit },
            "state": { "lazy_load_members": self.lazy },
            "include_leave": self.include_leave,
        } })
    }
}

/// A mistake that a client makes on purpose, to see that the law notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Does not look at the state that goes with a limited timeline.
    IgnoresGaps,
    /// Does not hear that nobody types any more.
    NeverStopsTyping,
    /// Does not look at the state of a room whose state was told anew.
    MissesRenewals,
}

/// What a room is to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Join,
    Invite,
    Knock,
    Leave,
}

/// What a client knows of a room.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub place: Option<Place>,
    pub state: BTreeMap<(String, String), String>,
    /// The events it was told in timelines, and whether it knows them to be redacted.
    pub events: BTreeMap<String, bool>,
    /// The same events in the order in which they were told first.
    pub timeline: Vec<String>,
    /// An event that it was told again although it knew it.
    pub told_again: Option<String>,
    /// Whether events were left out, so that it may have missed a redaction.
    pub gaps: bool,
    /// The first event it was told after the last of those gaps, if there was one.
    pub after_gap: Option<String>,
    pub account_data: BTreeMap<String, Value>,
    /// By reader and kind.
    pub receipts: BTreeMap<(String, String), String>,
    pub typing: BTreeSet<String>,
    pub summary: Value,
    /// How many events are unread, by its user's push rules.
    pub unread: Value,
    /// What those outside are told.
    pub stripped: Value,
}

/// A client that remembers only what it was told.
pub struct Client {
    user: usize,
    pub wishes: Wishes,
    flaw: Option<Flaw>,
    since: Option<SyncToken>,
    pub rooms: BTreeMap<String, Known>,
    pub account_data: BTreeMap<String, Value>,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {} with {:?}", self.user, self.wishes)
    }
}

impl Client {
    pub fn new(user: usize, wishes: Wishes, flaw: Option<Flaw>) -> Self {
        let (rooms, account_data) = (BTreeMap::new(), BTreeMap::new());
        Self { user, wishes, flaw, since: None, rooms, account_data }
    }

    /// A new client of the same user with the same wishes.
    pub fn like(&self) -> Self {
        Self::new(self.user, self.wishes.clone(), None)
    }

    /// A new client that wants to know all members.
    pub fn complete(&self) -> Self {
        Self::new(self.user, Wishes { lazy: false, ..self.wishes.clone() }, None)
    }

    /// Up to where in the log it was told.
    pub fn moment(&self) -> Option<String> {
        let token = self.since?.to_string();
        token.split('_').nth(1).map(str::to_owned)
    }

    /// Asks what is new, and applies it.
    pub async fn sync(&mut self, world: &World) -> Result<(), Stopped> {
        let filter = serde_json::from_value(self.wishes.filter()).expect("a filter");
        let request = SyncRequest {
            since: self.since,
            filter: SyncFilter::Given(Box::new(filter)),
            state: self.wishes.state,
            ..SyncRequest::default()
        };
        let update = world.session(self.user).sync(request).await.map_err(|_| Stopped)?;
        self.since = Some(update.next_batch);
        self.apply(world, &serde_json::to_value(&update).expect("an update serialises"));
        Ok(())
    }

    fn apply(&mut self, world: &World, update: &Value) {
        for event in list(&update["account_data"]) {
            self.account_data.insert(text(&event["type"]), event["content"].clone());
        }
        let places = [
            ("join", Place::Join),
            ("invite", Place::Invite),
            ("knock", Place::Knock),
            ("leave", Place::Leave),
        ];
        let me = world.session(self.user).id().as_str();
        for (name, place) in places {
            let rooms = update["rooms"][name].as_object().expect("every section is there");
            for (id, room) in rooms {
                let known = self.rooms.entry(id.clone()).or_default();
                known.place = Some(place);
                let misses = |flaw: &Flaw| *flaw != Flaw::MissesRenewals || world.was_renewed(id);
                known.apply(room, self.flaw.filter(misses), me);
            }
        }
    }
}

impl Known {
    fn apply(&mut self, room: &Value, flaw: Option<Flaw>, me: &str) {
        for stripped in ["invite_state", "knock_state"] {
            if let Some(state) = room.get(stripped) {
                self.stripped = state.clone();
            }
        }
        let limited = room["timeline"]["limited"] == true;
        self.gaps |= limited;
        if limited {
            self.after_gap = None;
        }
        let told = match flaw {
            Some(Flaw::IgnoresGaps) if limited => &["state_after"][..],
            Some(Flaw::MissesRenewals) => &[],
            _ => &["state", "state_after"],
        };
        self.told_again =
            self.told_again.take().or_else(|| self.again(list(&room["timeline"]), me));
        let events = told.iter().flat_map(|part| list(&room[*part]));
        events.for_each(|event| self.put(event));
        for event in list(&room["timeline"]) {
            self.see(event);
            if room.get("state_after").is_none() {
                self.put(event);
            }
        }
        for event in list(&room["account_data"]) {
            self.account_data.insert(text(&event["type"]), event["content"].clone());
        }
        for event in list(&room["ephemeral"]) {
            self.hear(event, flaw);
        }
        if let Some(unread) = room.get("unread_notifications") {
            self.unread = unread.clone();
        }
        if let Some(summary) = room.get("summary") {
            self.summary = summary.clone();
        }
    }

    /// An event of a timeline that it knows already. A stay that is new to it is told with what
    /// came before, but for that it came in stands behind.
    fn again(&self, timeline: &[Value], me: &str) -> Option<String> {
        let is_known = |event: &Value| self.events.contains_key(&text(&event["event_id"]));
        let comes_in = |event: &Value| {
            event["state_key"] == me && event["content"]["membership"] == "join" && !is_known(event)
        };
        let told = timeline.iter().rposition(comes_in).map_or(0, |came_in| came_in + 1);
        timeline[told..].iter().find(|event| is_known(event)).map(|event| text(&event["event_id"]))
    }

    /// Applies an event to the state, if it is one of the state.
    fn put(&mut self, event: &Value) {
        if let Some(key) = event["state_key"].as_str() {
            self.state.insert((text(&event["type"]), key.to_owned()), text(&event["event_id"]));
        }
    }

    /// Takes note of an event of the timeline.
    fn see(&mut self, event: &Value) {
        let redacted = !event["unsigned"]["redacted_because"].is_null();
        self.timeline.push(text(&event["event_id"]));
        self.after_gap.get_or_insert_with(|| text(&event["event_id"]));
        let known = self.events.entry(text(&event["event_id"])).or_default();
        *known |= redacted;
        // An event that was itself redacted redacts nothing.
        if let Some(target) = event["redacts"].as_str().filter(|_| !redacted) {
            self.events.entry(target.to_owned()).and_modify(|redacted| *redacted = true);
        }
    }

    fn hear(&mut self, event: &Value, flaw: Option<Flaw>) {
        if event["type"] == "m.typing" {
            let users = event["content"]["user_ids"].as_array().expect("a list of users");
            if !users.is_empty() || flaw != Some(Flaw::NeverStopsTyping) {
                self.typing = users.iter().map(text).collect();
            }
            return;
        }
        for (event, kinds) in event["content"].as_object().expect("receipts by event") {
            for (kind, users) in kinds.as_object().expect("receipts by kind") {
                for user in users.as_object().expect("receipts by user").keys() {
                    self.receipts.insert((user.clone(), kind.clone()), event.clone());
                }
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn list(section: &Value) -> &[Value] {
    section["events"].as_array().map_or(&[], Vec::as_slice)
}
