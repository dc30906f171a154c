//! Rooms to try the rules on: they hold their whole state in memory and append to it.

use std::collections::BTreeMap;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UInt,
    owned_room_id, room_version_rules::RoomVersionRules,
};
use serde_json::{Value, json, value::to_raw_value};

use crate::{
    AppendError, AuthState, Draft, Known, Pdu, ServerKey, Signer, Slot, StateIds, Tip, append,
    append::build, auth_slots,
};

pub(crate) const VERSIONS: [&str; 12] =
    ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

pub(crate) fn rules(version: &str) -> RoomVersionRules {
    RoomVersionId::try_from(version).unwrap().rules().unwrap()
}

/// The signer of a server; each server has a key of its own.
pub(crate) fn signer(server: &str) -> Signer {
    let mut seed = [7; 32];
    for (byte, own) in seed.iter_mut().zip(server.bytes()) {
        *byte ^= own;
    }
    Signer::from_seed(server.try_into().unwrap(), &seed, "1").unwrap()
}

/// Tells the key of [`signer`], valid for the given time.
pub(crate) fn tell_key(known: &mut Known, server: &str, valid_until: u32) {
    let signer = signer(server);
    let key = ServerKey {
        key: signer.public_key().to_vec(),
        valid_until: MilliSecondsSinceUnixEpoch(valid_until.into()),
    };
    known.tell_key(server.try_into().unwrap(), signer.key_id(), Some(key));
}

pub(crate) fn draft(sender: &str, kind: &str, key: Option<&str>, content: Value) -> Draft {
    Draft {
        sender: sender.try_into().unwrap(),
        kind: kind.into(),
        state_key: key.map(Into::into),
        content: to_raw_value(&content).unwrap(),
        redacts: None,
    }
}

/// Objects in each other, `depth` of them.
pub(crate) fn nested(depth: usize) -> String {
    format!("{}{{}}{}", r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1))
}

pub(crate) fn member(sender: &str, target: &str, membership: &str) -> Draft {
    let content = json!({ "membership": membership });
    draft(sender, "m.room.member", Some(target), content)
}

pub(crate) fn text(sender: &str, body: &str) -> Draft {
    let content = json!({"msgtype": "m.text", "body": body});
    draft(sender, "m.room.message", None, content)
}

pub(crate) fn redaction(sender: &str, target: &Pdu) -> Draft {
    let mut draft = draft(sender, "m.room.redaction", None, json!({"reason": "spam"}));
    draft.redacts = Some(target.event_id().clone());
    draft
}

pub(crate) type State = BTreeMap<Slot, Pdu>;

/// A room of one branch. Events get times one second apart.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) rules: RoomVersionRules,
    pub(crate) id: Option<OwnedRoomId>,
    pub(crate) events: Vec<Pdu>,
    pub(crate) state: State,
    pub(crate) tips: Vec<OwnedEventId>,
    pub(crate) depth: u64,
    pub(crate) now: u32,
}

impl Room {
    pub(crate) fn empty(version: &str) -> Self {
        let rules = rules(version);
        let hashed = rules.authorization.room_create_event_id_as_room_id;
        Self {
            id: (!hashed).then(|| owned_room_id!("!room:x")),
            rules,
            events: vec![],
            state: State::new(),
            tips: vec![],
            depth: 0,
            now: 0,
        }
    }

    /// A room of @a:x, who joined it and gave it join rules.
    pub(crate) fn new(version: &str, join_rule: &str) -> Self {
        let mut room = Self::empty(version);
        let mut content = json!({ "room_version": version });
        if !room.rules.authorization.use_room_create_sender {
            content["creator"] = "@a:x".into();
        }
        room.say(draft("@a:x", "m.room.create", Some(""), content));
        room.say(member("@a:x", "@a:x", "join"));
        let rule = json!({ "join_rule": join_rule });
        room.say(draft("@a:x", "m.room.join_rules", Some(""), rule));
        room
    }

    pub(crate) fn auth_state(&self, draft: &Draft) -> AuthState {
        let slots = auth_slots(&self.rules, draft).unwrap_or_default();
        let events = slots.iter().filter_map(|slot| self.state.get(slot));
        events.cloned().collect()
    }

    pub(crate) fn state_ids(&self) -> StateIds {
        let entries = self.state.iter();
        entries.map(|(slot, event)| (slot.clone(), event.event_id().clone())).collect()
    }

    pub(crate) fn known(&self) -> Known {
        self.events.iter().cloned().collect()
    }

    /// Appends what the sender's server would.
    pub(crate) fn try_say(&mut self, draft: Draft) -> Result<Pdu, AppendError> {
        let state = self.auth_state(&draft);
        let signer = signer(draft.sender.server_name().as_str());
        let tip = Tip {
            room: self.id.as_deref(),
            rules: &self.rules,
            prev_events: &self.tips,
            depth: self.depth,
            state: &state,
            known: &self.known(),
        };
        let event = append(&tip, draft, self.time(), &signer)?;
        self.take(event.clone());
        Ok(event)
    }

    /// Builds what a server would that does not care for the rules.
    pub(crate) fn forge(&self, draft: &Draft) -> Pdu {
        let state = self.auth_state(draft);
        let signer = signer(draft.sender.server_name().as_str());
        let tip = Tip {
            room: self.id.as_deref(),
            rules: &self.rules,
            prev_events: &self.tips,
            depth: self.depth,
            state: &state,
            known: &self.known(),
        };
        build(&tip, draft, self.time(), &signer).unwrap()
    }

    pub(crate) fn time(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::from(self.now) * UInt::from(1000_u32))
    }

    #[track_caller]
    pub(crate) fn say(&mut self, draft: Draft) -> Pdu {
        self.try_say(draft).unwrap()
    }

    /// Makes `event` the newest of this branch.
    pub(crate) fn take(&mut self, event: Pdu) {
        self.now += 1;
        self.depth = event.depth();
        self.tips = vec![event.event_id().clone()];
        self.id = Some(event.room_id().to_owned());
        if let Some(slot) = event.slot() {
            self.state.insert(slot.clone(), event.clone());
        }
        self.events.push(event);
    }

    pub(crate) fn join(&mut self, user: &str) -> Pdu {
        self.say(member(user, user, "join"))
    }

    /// Sets power levels, with @a:x at 100 where creators may be named.
    pub(crate) fn power(&mut self, mut users: Value) -> Pdu {
        if !self.rules.authorization.explicitly_privilege_room_creators {
            users["@a:x"] = 100.into();
        }
        let content = json!({"users": users, "redact": 50});
        self.say(draft("@a:x", "m.room.power_levels", Some(""), content))
    }
}

/// A user ID for a test.
pub(crate) fn user(id: &str) -> OwnedUserId {
    id.try_into().unwrap()
}
