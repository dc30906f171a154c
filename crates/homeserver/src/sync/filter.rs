//! What a client asks to be spared (client-server API, "Filtering").

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::client::filter::{EventFormat, FilterDefinition, LazyLoadOptions, RoomEventFilter},
};
use tertulia_protocol::Pdu;

use super::fields::Fields;
use crate::events::{EventFilter, matches};

/// How many events of a room's timeline are told where the filter does not say.
const TIMELINE: usize = 10;
/// The most that a filter can ask for.
const MOST: usize = 100;

/// A filter, ready to be asked about events.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    rooms: Choice<OwnedRoomId>,
    /// How many events of each timeline are told.
    pub(crate) limit: usize,
    pub(crate) timeline: RoomEvents,
    pub(crate) state: RoomEvents,
    pub(crate) ephemeral: Kinds,
    pub(crate) room_account_data: Kinds,
    pub(crate) account_data: Kinds,
    pub(crate) presence: Present,
    /// Whether rooms that the user has left belong to the picture.
    pub(crate) include_leave: bool,
    pub(crate) members: Members,
    /// Whether unread events of threads are counted by themselves.
    pub(crate) unread_threads: bool,
    pub(crate) form: Form,
}

/// Which members are part of the state that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// All of them.
    All,
    /// Those a client needs to show the events it is told.
    Needed,
}

/// In which form events are told.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// As clients usually get them.
    Client,
    /// As clients get them, but only some of their fields.
    Fields(Fields),
    /// As servers know them.
    Federation,
}

/// A filter of a section that holds events of rooms.
#[derive(Clone, Debug)]
pub(crate) struct RoomEvents {
    /// None where nothing is held back, so that events need not be looked at.
    filter: Option<EventFilter>,
}

impl RoomEvents {
    fn new(filter: &RoomEventFilter) -> Self {
        let open = filter.types.is_none()
            && filter.not_types.is_empty()
            && filter.senders.is_none()
            && filter.not_senders.is_empty()
            && filter.rooms.is_none()
            && filter.not_rooms.is_empty()
            && filter.url_filter.is_none();
        Self { filter: (!open).then(|| filter.clone().into()) }
    }

    /// Whether no event is held back.
    pub(crate) fn passes_all(&self) -> bool {
        self.filter.is_none()
    }

    /// Whether an event may be told. Of one that was redacted, it is what is left that is told.
    pub(crate) fn passes(&self, event: &Pdu, redacted: bool) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes(event, redacted))
    }
}

/// A filter of a section whose events have neither sender nor place.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    rooms: Choice<OwnedRoomId>,
    kinds: Choice<String>,
}

impl Kinds {
    fn of_room(filter: &RoomEventFilter) -> Self {
        Self {
            rooms: Choice { wanted: filter.rooms.clone(), unwanted: filter.not_rooms.clone() },
            kinds: Choice { wanted: filter.types.clone(), unwanted: filter.not_types.clone() },
        }
    }

    /// Whether data of this type may be told of a room, or of none.
    pub(crate) fn passes(&self, room: Option<&RoomId>, kind: &str) -> bool {
        room.is_none_or(|room| self.rooms.takes(|id| id == room))
            && self.kinds.takes(|pattern| matches(pattern, kind))
    }
}

/// Whose presence is told.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    any: bool,
    users: Choice<OwnedUserId>,
}

impl Present {
    fn new(filter: &ruma::api::client::filter::Filter) -> Self {
        let kinds = Choice { wanted: filter.types.clone(), unwanted: filter.not_types.clone() };
        let users = (filter.senders.clone(), filter.not_senders.clone());
        Self {
            any: kinds.takes(|pattern| matches(pattern, "m.presence")),
            users: Choice { wanted: users.0, unwanted: users.1 },
        }
    }

    /// Whether the presence of `user` may be told.
    pub(crate) fn passes(&self, user: &UserId) -> bool {
        self.any && self.users.takes(|id| id == user)
    }
}

/// A list of what is wanted, if not all is, and a list of what is not.
#[derive(Clone, Debug)]
struct Choice<T> {
    wanted: Option<Vec<T>>,
    unwanted: Vec<T>,
}

impl<T> Choice<T> {
    fn takes(&self, is: impl Fn(&T) -> bool) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(&is))
            && !self.unwanted.iter().any(is)
    }
}

impl Filter {
    /// Makes a client's filter ready.
    pub(crate) fn new(definition: &FilterDefinition) -> Self {
        let (room, global) = (&definition.room, &definition.account_data);
        let lazy = [&room.state, &room.timeline]
            .iter()
            .any(|section| section.lazy_load_options != LazyLoadOptions::Disabled);
        Self {
            rooms: Choice { wanted: room.rooms.clone(), unwanted: room.not_rooms.clone() },
            limit: room.timeline.limit.map_or(TIMELINE, limit),
            timeline: RoomEvents::new(&room.timeline),
            state: RoomEvents::new(&room.state),
            ephemeral: Kinds::of_room(&room.ephemeral),
            room_account_data: Kinds::of_room(&room.account_data),
            account_data: Kinds {
                rooms: Choice { wanted: None, unwanted: Vec::new() },
                kinds: Choice { wanted: global.types.clone(), unwanted: global.not_types.clone() },
            },
            presence: Present::new(&definition.presence),
            include_leave: room.include_leave,
            unread_threads: room.timeline.unread_thread_notifications,
            members: if lazy { Members::Needed } else { Members::All },
            form: form(definition),
        }
    }

    /// Whether anything of a room may be told.
    pub(crate) fn passes_room(&self, room: &RoomId) -> bool {
        self.rooms.takes(|id| id == room)
    }
}

fn form(definition: &FilterDefinition) -> Form {
    match (&definition.event_format, &definition.event_fields) {
        (EventFormat::Federation, _) => Form::Federation,
        (_, Some(fields)) => Form::Fields(Fields::new(fields)),
        _ => Form::Client,
    }
}

fn limit(limit: ruma::UInt) -> usize {
    usize::try_from(u64::from(limit)).map_or(MOST, |limit| limit.min(MOST))
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id, room_version_rules::RoomVersionRules};
    use serde_json::{Value, from_value, json};

    use super::*;

    fn filter(definition: Value) -> Filter {
        Filter::new(&from_value(definition).unwrap())
    }

    fn event(kind: &str, sender: &str, content: &Value) -> Pdu {
        let json = json!({
            "type": kind, "sender": sender, "content": content, "room_id": "!r:x",
            "origin_server_ts": 1, "depth": 1, "prev_events": [], "auth_events": [],
        });
        let json = json.to_string();
        Pdu::load(event_id!("$e").to_owned(), json.as_bytes(), &RoomVersionRules::V11).unwrap()
    }

    #[track_caller]
    fn check(section: &Value, kind: &str, sender: &str, content: &Value, expected: bool) {
        let filter = filter(json!({ "room": { "timeline": section } }));
        assert_eq!(
            filter.timeline.passes(&event(kind, sender, content), false),
            expected,
            "{section}"
        );
        assert!(filter.state.passes_all());
    }

    #[test]
    fn an_empty_filter_passes_everything() {
        let all = filter(json!({}));
        assert!(all.passes_room(room_id!("!r:x")) && all.timeline.passes_all());
        assert_eq!((all.limit, all.members), (10, Members::All));
        assert!(!all.include_leave && matches!(all.form, Form::Client));
        check(&json!({}), "m.room.message", "@a:x", &json!({}), true);
    }

    #[test]
    fn types_and_senders_are_wanted_or_not_and_unwanted_wins() {
        let (message, member) = ("m.room.message", "m.room.member");
        for (section, kind, sender, expected) in [
            (json!({ "types": ["m.room.*"] }), message, "@a:x", true),
            (json!({ "types": [] }), message, "@a:x", false),
            (json!({ "types": ["m.call.*"] }), message, "@a:x", false),
            (json!({ "types": [message], "not_types": ["m.*"] }), message, "@a:x", false),
            (json!({ "not_types": [member] }), message, "@a:x", true),
            (json!({ "not_types": [member] }), member, "@a:x", false),
            (json!({ "senders": ["@a:x"] }), message, "@a:x", true),
            (json!({ "senders": ["@a:x"] }), message, "@b:x", false),
            (json!({ "senders": ["@a:x"], "not_senders": ["@a:x"] }), message, "@a:x", false),
            (json!({ "types": [member], "senders": ["@a:x"] }), message, "@a:x", false),
            (json!({ "not_rooms": ["!r:x"] }), message, "@a:x", false),
        ] {
            check(&section, kind, sender, &json!({}), expected);
        }
    }

    #[test]
    fn events_with_and_without_urls_can_be_told_apart() {
        let picture = json!({ "url": "mxc://x/1" });
        let text = json!({ "body": "url" });
        for (wanted, content, expected) in [
            (true, &picture, true),
            (false, &picture, false),
            (true, &text, false),
            (false, &text, true),
        ] {
            let section = json!({ "contains_url": wanted });
            check(&section, "m.room.message", "@a:x", content, expected);
        }
    }

    #[test]
    fn rooms_are_chosen_for_all_sections_and_for_each() {
        let (one, two) = (room_id!("!1:x"), room_id!("!2:x"));
        let some = filter(json!({ "room": {
            "rooms": [one, two], "not_rooms": [two], "ephemeral": { "not_rooms": [one] }
        } }));
        assert!(some.passes_room(one) && !some.passes_room(two));
        assert!(!some.passes_room(room_id!("!3:x")));
        assert!(!some.ephemeral.passes(Some(one), "m.typing"));
        assert!(some.ephemeral.passes(Some(two), "m.typing"));
        assert!(some.room_account_data.passes(Some(one), "m.tag"));
    }

    #[test]
    fn presence_is_chosen_by_its_type_and_by_whose_it_is() {
        for (section, alice, bob) in [
            (json!({}), true, true),
            (json!({ "types": ["m.presence"] }), true, true),
            (json!({ "types": [] }), false, false),
            (json!({ "not_types": ["m.*"] }), false, false),
            (json!({ "senders": ["@alice:x"] }), true, false),
            (json!({ "not_senders": ["@alice:x"] }), false, true),
        ] {
            let filter = filter(json!({ "presence": section }));
            assert_eq!(filter.presence.passes(ruma::user_id!("@alice:x")), alice, "{section}");
            assert_eq!(filter.presence.passes(ruma::user_id!("@bob:x")), bob, "{section}");
        }
    }

    #[test]
    fn limits_are_kept_to_a_bound() {
        for (asked, given) in
            [(0, 0), (1, 1), (100, 100), (101, 100), (9_007_199_254_740_991_u64, 100)]
        {
            let filter = filter(json!({ "room": { "timeline": { "limit": asked } } }));
            assert_eq!(filter.limit, given);
        }
    }

    #[test]
    fn account_data_is_chosen_by_its_type() {
        let mine = filter(json!({ "account_data": { "types": ["m.*"], "not_types": ["m.tag"] } }));
        let passes = |kind| mine.account_data.passes(None, kind);
        assert!(passes("m.direct") && !passes("m.tag") && !passes("org.x"));
    }

    #[test]
    fn lazy_members_and_formats_are_read() {
        let lazy = filter(json!({
            "event_format": "federation",
            "room": { "state": { "lazy_load_members": true }, "include_leave": true }
        }));
        assert_eq!(lazy.members, Members::Needed);
        assert!(lazy.include_leave && lazy.state.passes_all());
        assert!(matches!(lazy.form, Form::Federation));
        let fields = filter(json!({ "event_fields": ["content.body"] }));
        assert!(matches!(fields.form, Form::Fields(_)));
    }
}
