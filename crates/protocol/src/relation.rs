//! Relations between events: what one says that it relates to, and which of them count
//! (client-server API, "Forming relationships between events").

use ruma::{OwnedEventId, events::TimelineEventType};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

use crate::Pdu;

/// What an event says that it relates to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// How.
    pub rel_type: String,
    /// To what.
    pub event_id: OwnedEventId,
    /// With which annotation.
    pub key: Option<String>,
}

/// How an event relates to another, as far as the server acts upon it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationKind {
    /// In a way that only clients know.
    Other,
    /// `m.annotation`
    Annotation,
    /// `m.replace`
    Replace,
    /// `m.thread`
    Thread,
    /// `m.reference`
    Reference,
}

impl RelationKind {
    /// What the server makes of a `rel_type`.
    pub fn named(rel_type: &str) -> Self {
        match rel_type {
            "m.annotation" => Self::Annotation,
            "m.replace" => Self::Replace,
            "m.thread" => Self::Thread,
            "m.reference" => Self::Reference,
            _ => Self::Other,
        }
    }
}

impl Relation {
    /// What an event with this content relates to. A rich reply has no `rel_type` and is none of
    /// these relations; what does not have the form of a relation is ignored.
    pub fn of(content: &RawValue) -> Option<Self> {
        // The rest of the content is not needed, and most have nothing of this.
        if !content.get().contains("m.relates_to") {
            return None;
        }
        #[derive(Deserialize)]
        struct Content {
            #[serde(rename = "m.relates_to")]
            relation: Written,
        }
        #[derive(Deserialize)]
        struct Written {
            rel_type: String,
            event_id: OwnedEventId,
            key: Option<Value>,
        }
        let content: Content = serde_json::from_str(content.get()).ok()?;
        let Written { rel_type, event_id, key } = content.relation;
        let key = key.and_then(|key| key.as_str().map(str::to_owned));
        Some(Self { rel_type, event_id, key })
    }

    /// What the server makes of its `rel_type`.
    pub fn kind(&self) -> RelationKind {
        RelationKind::named(&self.rel_type)
    }

    /// Whether `child`, which has this relation, may count as what it says it is to `parent`.
    pub fn counts(&self, child: &Pdu, parent: &Pdu) -> bool {
        match self.kind() {
            RelationKind::Replace => replaces(child, parent),
            // What is a child itself is no thread root.
            RelationKind::Thread => Self::of(parent.content()).is_none(),
            RelationKind::Other | RelationKind::Annotation | RelationKind::Reference => true,
        }
    }
}

/// Whether `edit` is a valid replacement ("Validity of replacement events"). The new content of an
/// encrypted event is inside.
fn replaces(edit: &Pdu, original: &Pdu) -> bool {
    #[derive(Deserialize)]
    struct Content {
        #[serde(rename = "m.new_content")]
        _new: IgnoredAny,
    }
    let is_edit = Relation::of(original.content())
        .is_some_and(|relation| relation.kind() == RelationKind::Replace);
    edit.sender() == original.sender()
        && edit.kind() == original.kind()
        && edit.state_key().is_none()
        && original.state_key().is_none()
        && !is_edit
        && (*edit.kind() == TimelineEventType::RoomEncrypted
            || edit.content_as::<Content>().is_some())
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_version_rules::RoomVersionRules};
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn event(change: impl Fn(&mut Value)) -> Pdu {
        let mut json = json!({
            "type": "m.room.message", "sender": "@a:x", "room_id": "!r:x",
            "content": { "body": "b" }, "origin_server_ts": 1, "depth": 1, "prev_events": [],
            "auth_events": [],
        });
        change(&mut json);
        let json = json.to_string();
        Pdu::load(event_id!("$e").to_owned(), json.as_bytes(), &RoomVersionRules::V11).unwrap()
    }

    fn relation(kind: &str) -> Value {
        json!({ "m.relates_to": { "rel_type": kind, "event_id": "$p" }, "m.new_content": {} })
    }

    #[test]
    fn what_an_event_relates_to_is_read_from_its_content() {
        let check = |content: Value, expected: Option<(RelationKind, &str)>| {
            let read = Relation::of(&to_raw_value(&content).unwrap());
            let read = read.as_ref().map(|read| (read.kind(), read.event_id.as_str()));
            assert_eq!(read, expected, "{content}");
        };
        for (name, kind) in [
            ("m.annotation", RelationKind::Annotation),
            ("m.replace", RelationKind::Replace),
            ("m.thread", RelationKind::Thread),
            ("m.reference", RelationKind::Reference),
            ("org.example", RelationKind::Other),
        ] {
            check(relation(name), Some((kind, "$p")));
        }
        check(json!({}), None);
        check(json!({ "body": "m.relates_to" }), None);
        for wrong in [
            json!(7),
            json!({ "event_id": "$p" }),
            json!({ "rel_type": "m.thread" }),
            json!({ "rel_type": 1, "event_id": "$p" }),
            json!({ "rel_type": "m.thread", "event_id": "p" }),
            json!({ "m.in_reply_to": { "event_id": "$p" } }),
        ] {
            check(json!({ "m.relates_to": wrong }), None);
        }
    }

    #[track_caller]
    fn check(kind: &str, child: impl Fn(&mut Value), parent: impl Fn(&mut Value), counts: bool) {
        let child = event(|event| {
            event["content"] = relation(kind);
            child(event);
        });
        let read = Relation::of(&to_raw_value(&relation(kind)).unwrap()).unwrap();
        assert_eq!(read.counts(&child, &event(parent)), counts);
    }

    #[test]
    fn an_edit_is_of_the_same_sender_and_type_and_brings_new_content() {
        let same = |_: &mut Value| {};
        check("m.replace", same, same, true);
        check("m.replace", |event| event["sender"] = "@b:x".into(), same, false);
        check("m.replace", |event| event["type"] = "m.sticker".into(), same, false);
        check("m.replace", |event| event["state_key"] = "".into(), same, false);
        check("m.replace", same, |event| event["state_key"] = "".into(), false);
        check("m.replace", same, |event| event["content"] = relation("m.replace"), false);
        check("m.replace", same, |event| event["content"] = relation("m.thread"), true);
        let bare = |event: &mut Value| event["content"] = json!({});
        check("m.replace", bare, same, false);
        let encrypted = |event: &mut Value| event["type"] = "m.room.encrypted".into();
        check(
            "m.replace",
            |event| {
                bare(event);
                encrypted(event);
            },
            encrypted,
            true,
        );
    }

    #[test]
    fn a_thread_begins_at_what_is_no_child_itself() {
        let same = |_: &mut Value| {};
        check("m.thread", same, same, true);
        for kind in ["m.thread", "m.replace", "org.example"] {
            check("m.thread", same, |event| event["content"] = relation(kind), false);
        }
        let reply = json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$q" } } });
        check("m.thread", same, |event| event["content"] = reply.clone(), true);
        check("m.reference", same, |event| event["content"] = relation("m.thread"), true);
    }
}
