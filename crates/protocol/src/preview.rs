//! How lists of chats show the newest message of each.

use ruma::events::TimelineEventType as Type;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{MessageKind, Pdu, Relation, RelationKind};

/// How many characters of a message are shown.
const LONGEST: usize = 160;

/// What is shown of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What kind of message it is.
    pub kind: MessageKind,
    /// How it begins, on one line; for a file it is what the file is called. None where nothing can be
    /// read.
    pub text: Option<String>,
}

/// Whether an event is one that people talk by, and lists of chats show. What edits one or says how one
/// likes it is none.
pub fn is_spoken(event: &Pdu) -> bool {
    let kind = event.kind();
    let is_message =
        matches!(kind, Type::RoomMessage | Type::RoomEncrypted | Type::Sticker | Type::CallInvite)
            || matches!(&*kind.to_string(), "m.poll.start" | "org.matrix.msc3381.poll.start");
    let edits =
        || Relation::of(event.content()).is_some_and(|it| it.kind() == RelationKind::Replace);
    is_message && event.state_key().is_none() && !edits()
}

impl Preview {
    /// What is shown of `event`, where `edit` is the newest edit of it.
    pub fn of(event: &Pdu, edit: Option<&Pdu>) -> Self {
        #[derive(Deserialize)]
        struct Edited<'a> {
            #[serde(borrow, rename = "m.new_content")]
            new: &'a RawValue,
        }
        let edited = edit.and_then(|edit| edit.content_as::<Edited<'_>>());
        let content =
            edited.and_then(|edited| serde_json::from_str::<Content>(edited.new.get()).ok());
        let content = content.or_else(|| event.content_as::<Content>()).unwrap_or_default();
        let kind = MessageKind::of(Some(&event.kind().to_string()), content.msgtype.as_deref());
        Self { kind, text: content.body.as_deref().and_then(line) }
    }
}

/// What is read of a message.
#[derive(Default, Deserialize)]
struct Content {
    msgtype: Option<String>,
    body: Option<String>,
}

/// How a text begins, on one line.
fn line(text: &str) -> Option<String> {
    let mut shown = String::new();
    let words = text.split(|sign: char| sign.is_whitespace() || sign.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
            shown.truncate(end);
            shown.push('…');
            break;
        }
    }
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, event_id};
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, content: &Value) -> Pdu {
        let json = json!({
            "auth_events": [], "content": content, "depth": 1, "origin_server_ts": 1,
            "prev_events": [], "room_id": "!r:x", "sender": "@a:x", "type": kind,
        });
        let rules = RoomVersionId::V11.rules().unwrap();
        Pdu::load(event_id!("$e").to_owned(), json.to_string().as_bytes(), &rules).unwrap()
    }

    #[track_caller]
    fn check(kind: &str, content: Value, expected: (MessageKind, Option<&str>)) {
        let preview = Preview::of(&event(kind, &content), None);
        assert_eq!((preview.kind, preview.text.as_deref()), expected, "{kind} {content}");
    }

    #[test]
    fn a_message_is_shown_by_its_first_words_on_one_line() {
        let text = |body: &str| json!({ "msgtype": "m.text", "body": body });
        let message = "m.room.message";
        check(message, text("hello"), (MessageKind::Text, Some("hello")));
        check(message, text(" one\n\ttwo \u{0}three"), (MessageKind::Text, Some("one two three")));
        check(message, text(" \n"), (MessageKind::Text, None));
        let long = Preview::of(&event(message, &text(&"喝茶".repeat(100))), None).text.unwrap();
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
        let long = Preview::of(&event(message, &text(&"a b ".repeat(100))), None).text.unwrap();
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_file_is_shown_by_its_name_and_a_secret_not_at_all() {
        let image = json!({ "msgtype": "m.image", "body": "tea.png", "url": "mxc://x/y" });
        check("m.room.message", image, (MessageKind::Image, Some("tea.png")));
        check("m.sticker", json!({ "body": "a cup" }), (MessageKind::Image, Some("a cup")));
        check("m.room.encrypted", json!({ "ciphertext": "x" }), (MessageKind::Other, None));
        check("m.room.message", json!({ "body": 7 }), (MessageKind::Other, None));
        check("m.room.message", json!({}), (MessageKind::Other, None));
    }

    #[test]
    fn an_edit_is_what_is_shown() {
        let first = event("m.room.message", &json!({ "msgtype": "m.text", "body": "teh" }));
        let new = json!({ "msgtype": "m.text", "body": "the" });
        let edit = event("m.room.message", &json!({ "body": "* the", "m.new_content": new }));
        assert_eq!(Preview::of(&first, Some(&edit)).text.as_deref(), Some("the"));
        let odd = event("m.room.message", &json!({ "m.new_content": "the" }));
        assert_eq!(Preview::of(&first, Some(&odd)).text.as_deref(), Some("teh"));
    }

    #[test]
    fn only_what_people_say_is_spoken() {
        let check = |kind: &str, content: Value, expected: bool| {
            assert_eq!(is_spoken(&event(kind, &content)), expected, "{kind} {content}");
        };
        let relation =
            |rel_type: &str| json!({ "m.relates_to": { "rel_type": rel_type, "event_id": "$p" } });
        check("m.room.message", json!({}), true);
        check("m.room.message", relation("m.thread"), true);
        check("m.room.message", relation("m.replace"), false);
        check("m.room.encrypted", json!({}), true);
        check("m.sticker", json!({}), true);
        check("m.call.invite", json!({}), true);
        check("org.matrix.msc3381.poll.start", json!({}), true);
        check("m.reaction", relation("m.annotation"), false);
        check("m.room.redaction", json!({}), false);
        check("org.example", json!({}), false);
    }
}
