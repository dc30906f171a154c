//! What a room tells of itself to those who are not in it: in the published directory, in spaces, in previews
//! (client-server API, "Published room directory").

use std::collections::BTreeMap;

use ruma::{
    MxcUri, OwnedRoomAliasId, OwnedRoomId, RoomAliasId,
    events::{StateEventType, room::history_visibility::HistoryVisibility},
    room_version_rules::AuthorizationRules,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{AuthState, Pdu, restricted::allowed_rooms, visibility::visibility_in};

/// The slots, all with an empty key, of which a summary is made.
pub const SUMMARY: [StateEventType; 9] = [
    StateEventType::RoomCreate,
    StateEventType::RoomName,
    StateEventType::RoomTopic,
    StateEventType::RoomAvatar,
    StateEventType::RoomCanonicalAlias,
    StateEventType::RoomJoinRules,
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomEncryption,
];

/// The longest topic that is told to those outside, in bytes; what is longer is cut.
const LONGEST: usize = 4 * 1024;

/// What a room tells of itself. What is absent in the state, or of a wrong type, is absent here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The main alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_alias: Option<OwnedRoomAliasId>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The topic as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Who may join.
    pub join_rule: String,
    /// The rooms whose members may join, where the join rule is a restricted one and the version of
    /// the room knows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_room_ids: Vec<OwnedRoomId>,
    /// Whether one may ask to be let in.
    #[serde(skip)]
    pub knockable: bool,
    /// What kind of room it is, if no ordinary one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
    /// Whether everyone may read it.
    pub world_readable: bool,
    /// Whether guests may join.
    pub guest_can_join: bool,
    /// The algorithm that encrypts its messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
}

impl Summary {
    /// Reads the events in the slots of [`SUMMARY`], without what was redacted of them.
    pub fn of(rules: &AuthorizationRules, state: &AuthState) -> Self {
        use StateEventType as Kind;
        let text = |kind: Kind, field: &str| text(state.get(&kind, "")?, field);
        let join_rules = state.get(&Kind::RoomJoinRules, "");
        let join_rule = text(Kind::RoomJoinRules, "join_rule");
        let join_rule = join_rule.unwrap_or_else(|| "invite".to_owned());
        let visibility = state.get(&Kind::RoomHistoryVisibility, "").map(visibility_in);
        let alias = text(Kind::RoomCanonicalAlias, "alias");
        Self {
            canonical_alias: alias
                .and_then(|alias| Some(RoomAliasId::parse(alias).ok()?.to_owned())),
            name: text(Kind::RoomName, "name"),
            topic: state.get(&Kind::RoomTopic, "").and_then(topic),
            avatar_url: text(Kind::RoomAvatar, "url")
                .filter(|url| <&MxcUri>::from(&**url).is_valid()),
            knockable: match &*join_rule {
                "knock" => rules.knocking,
                "knock_restricted" => rules.knock_restricted_join_rule,
                _ => false,
            },
            join_rule,
            allowed_room_ids: join_rules
                .and_then(|event| allowed_rooms(rules, event))
                .unwrap_or_default(),
            room_type: text(Kind::RoomCreate, "type"),
            world_readable: visibility == Some(HistoryVisibility::WorldReadable),
            guest_can_join: text(Kind::RoomGuestAccess, "guest_access").as_deref()
                == Some("can_join"),
            encryption: text(Kind::RoomEncryption, "algorithm"),
        }
    }

    /// Whether everyone may join the room or read it.
    pub fn is_open(&self) -> bool {
        self.world_readable || self.join_rule == "public"
    }

    /// Whether everyone may know of the room, were it only to ask to be let in.
    pub fn is_accessible(&self) -> bool {
        self.is_open() || self.knockable
    }

    /// Whether it is a space.
    pub fn is_space(&self) -> bool {
        self.room_type.as_deref() == Some("m.space")
    }
}

/// A text of an event's content, unless it is empty.
fn text(event: &Pdu, field: &str) -> Option<String> {
    let content: BTreeMap<String, &RawValue> = event.content_as()?;
    let text: String = serde_json::from_str(content.get(field)?.get()).ok()?;
    (!text.is_empty()).then_some(text)
}

/// The topic as plain text: that of `m.topic`, otherwise `topic`.
fn topic(event: &Pdu) -> Option<String> {
    let mut topic = plain_topic(event).or_else(|| text(event, "topic"))?;
    let end = (0..=LONGEST.min(topic.len())).rev().find(|&end| topic.is_char_boundary(end));
    topic.truncate(end.unwrap_or_default());
    Some(topic)
}

fn plain_topic(event: &Pdu) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        #[serde(rename = "m.topic")]
        topic: Block,
    }
    #[derive(Deserialize)]
    struct Block {
        #[serde(rename = "m.text")]
        forms: Vec<Form>,
    }
    #[derive(Deserialize)]
    struct Form {
        body: String,
        mimetype: Option<String>,
    }
    let content: Content = event.content_as()?;
    let is_plain = |form: &Form| form.mimetype.as_deref().is_none_or(|kind| kind == "text/plain");
    content.topic.forms.into_iter().find(is_plain).map(|form| form.body)
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_version_rules::RoomVersionRules};
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, content: &Value) -> Pdu {
        let json = json!({
            "type": kind, "state_key": "", "sender": "@a:x", "content": content, "room_id": "!r:x",
            "origin_server_ts": 1, "depth": 1, "prev_events": [], "auth_events": [],
        });
        let json = json.to_string();
        Pdu::load(event_id!("$e").to_owned(), json.as_bytes(), &RoomVersionRules::V11).unwrap()
    }

    #[track_caller]
    fn check(state: &[(&str, Value)], expected: Value) {
        let events = state.iter().map(|(kind, content)| event(kind, content));
        let told =
            serde_json::to_value(Summary::of(&AuthorizationRules::V11, &events.collect())).unwrap();
        let mut all = json!({
            "join_rule": "invite", "world_readable": false, "guest_can_join": false,
        });
        all.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
        assert_eq!(told, all, "{state:?}");
    }

    #[test]
    fn a_room_tells_what_its_state_says() {
        check(&[], json!({}));
        let rules = json!({
            "join_rule": "restricted",
            "allow": [
                { "type": "m.room_membership", "room_id": "!s:x" },
                { "type": "m.room_membership", "room_id": "nonsense" },
                { "type": "org.example", "room_id": "!t:x" },
            ],
        });
        check(
            &[
                ("m.room.create", json!({ "type": "m.space" })),
                ("m.room.name", json!({ "name": "Name" })),
                ("m.room.topic", json!({ "topic": "Topic" })),
                ("m.room.avatar", json!({ "url": "mxc://x/a" })),
                ("m.room.canonical_alias", json!({ "alias": "#a:x" })),
                ("m.room.join_rules", rules),
                ("m.room.history_visibility", json!({ "history_visibility": "world_readable" })),
                ("m.room.guest_access", json!({ "guest_access": "can_join" })),
                ("m.room.encryption", json!({ "algorithm": "m.megolm.v1.aes-sha2" })),
            ],
            json!({
                "room_type": "m.space", "name": "Name", "topic": "Topic", "avatar_url": "mxc://x/a",
                "canonical_alias": "#a:x", "join_rule": "restricted", "allowed_room_ids": ["!s:x"],
                "world_readable": true, "guest_can_join": true,
                "encryption": "m.megolm.v1.aes-sha2",
            }),
        );
    }

    #[test]
    fn what_is_empty_or_of_a_wrong_type_is_not_there() {
        for odd in [json!(""), json!(null), json!(7), json!(["a"]), json!({ "a": 1 })] {
            let state = [
                ("m.room.create", json!({ "type": odd })),
                ("m.room.name", json!({ "name": odd })),
                ("m.room.topic", json!({ "topic": odd, "m.topic": odd })),
                ("m.room.avatar", json!({ "url": odd })),
                ("m.room.canonical_alias", json!({ "alias": odd })),
                ("m.room.join_rules", json!({ "join_rule": odd, "allow": odd })),
                ("m.room.history_visibility", json!({ "history_visibility": odd })),
                ("m.room.guest_access", json!({ "guest_access": odd })),
                ("m.room.encryption", json!({ "algorithm": odd })),
            ];
            check(&state, json!({}));
        }
        check(&[("m.room.canonical_alias", json!({ "alias": "nonsense" }))], json!({}));
        check(&[("m.room.avatar", json!({ "url": "https://x/a" }))], json!({}));
    }

    #[test]
    fn a_topic_is_told_as_plain_text_and_not_without_end() {
        let html = json!({ "body": "<b>T</b>", "mimetype": "text/html" });
        let both = json!({ "topic": "old", "m.topic": { "m.text": [html, { "body": "T" }] } });
        check(&[("m.room.topic", both)], json!({ "topic": "T" }));
        let only = json!({ "topic": "old", "m.topic": { "m.text": [html] } });
        check(&[("m.room.topic", only)], json!({ "topic": "old" }));
        let long = json!({ "topic": format!("a{}", "é".repeat(LONGEST)) });
        let cut = format!("a{}", "é".repeat(LONGEST / 2 - 1));
        check(&[("m.room.topic", long)], json!({ "topic": cut }));
    }

    #[test]
    fn rooms_are_open_to_those_who_may_join_or_read_and_known_to_those_who_may_ask() {
        for (join_rule, readable, open, accessible, in_version_6) in [
            ("public", false, true, true, true),
            ("invite", true, true, true, true),
            ("invite", false, false, false, false),
            ("restricted", false, false, false, false),
            ("knock", false, false, true, false),
            ("knock_restricted", false, false, true, false),
        ] {
            let visibility = if readable { "world_readable" } else { "shared" };
            let condition = json!({ "type": "m.room_membership", "room_id": "!s:x" });
            let rules = json!({ "join_rule": join_rule, "allow": [condition] });
            let visibility = json!({ "history_visibility": visibility });
            let events = [
                event("m.room.join_rules", &rules),
                event("m.room.history_visibility", &visibility),
            ];
            let state = events.into_iter().collect();
            let summary = Summary::of(&AuthorizationRules::V11, &state);
            assert_eq!((summary.is_open(), summary.is_accessible()), (open, accessible));
            assert_eq!(summary.allowed_room_ids.is_empty(), !join_rule.contains("restricted"));
            let old = Summary::of(&AuthorizationRules::V6, &state);
            assert_eq!(old.is_accessible(), in_version_6, "{join_rule}");
            assert_eq!(old.allowed_room_ids, [] as [OwnedRoomId; 0]);
        }
    }
}
