//! What a sync and a page of history say, read no further than the instruments need.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The answer to a sync.
#[derive(Debug, Deserialize)]
pub struct Update {
    /// Where the next sync goes on.
    pub next_batch: String,
    /// What happened in rooms.
    #[serde(default)]
    pub rooms: Rooms,
    /// The user's account data that changed.
    #[serde(default)]
    pub account_data: Items,
}

/// The rooms of a sync that the user is in.
#[derive(Debug, Default, Deserialize)]
pub struct Rooms {
    /// Joined rooms by their ID.
    #[serde(default)]
    pub join: BTreeMap<String, JoinedRoom>,
}

/// What a sync says of one joined room.
#[derive(Debug, Default, Deserialize)]
pub struct JoinedRoom {
    /// New events.
    #[serde(default)]
    pub timeline: Timeline,
    /// State before the timeline.
    #[serde(default)]
    pub state: Events,
    /// Receipts and typing.
    #[serde(default)]
    pub ephemeral: Items,
    /// The user's account data of this room that changed.
    #[serde(default)]
    pub account_data: Items,
}

/// The newest events of a room.
#[derive(Debug, Default, Deserialize)]
pub struct Timeline {
    /// Oldest first.
    #[serde(default)]
    pub events: Vec<Event>,
    /// True if older new events were left out.
    #[serde(default)]
    pub limited: bool,
    /// Where to read what was left out.
    pub prev_batch: Option<String>,
}

/// Events in a list.
#[derive(Debug, Default, Deserialize)]
pub struct Events {
    /// In the server's order.
    #[serde(default)]
    pub events: Vec<Event>,
}

/// Account data, receipts, typing: what has a type and a content and no ID.
#[derive(Debug, Default, Deserialize)]
pub struct Items {
    /// In the server's order.
    #[serde(default)]
    pub events: Vec<Item>,
}

/// One thing that is not an event of the room.
#[derive(Debug, Deserialize)]
pub struct Item {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its content.
    #[serde(default)]
    pub content: Value,
}

/// One page of a room's history.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// In the order asked for.
    pub chunk: Vec<Event>,
    /// Where the next page begins; absent at the end.
    pub end: Option<String>,
}

/// An event of a room.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// Its ID.
    pub event_id: String,
    /// Who sent it.
    pub sender: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Present if it is state.
    pub state_key: Option<String>,
    /// Unread until somebody asks.
    pub content: Box<RawValue>,
}

impl Event {
    /// The text of a message; nothing for other events.
    pub fn text(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Message {
            body: String,
        }
        serde_json::from_str(self.content.get()).ok().map(|message: Message| message.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_without_news_is_a_token() {
        let update: Update = serde_json::from_str(r#"{"next_batch":"t1"}"#).unwrap();
        assert_eq!(update.next_batch, "t1");
        assert!(update.rooms.join.is_empty() && update.account_data.events.is_empty());
    }

    #[test]
    fn a_room_is_read_as_far_as_it_is_told() {
        let json = r#"{"next_batch":"t2","rooms":{"join":{"!r:x":{"timeline":{"limited":true,"prev_batch":"p","events":[
            {"event_id":"$e","sender":"@a:x","type":"m.room.message","content":{"body":"hello"},"unsigned":{"age":1}}]}}}}}"#;
        let update: Update = serde_json::from_str(json).unwrap();
        let timeline = &update.rooms.join["!r:x"].timeline;
        assert!(timeline.limited);
        assert_eq!(timeline.prev_batch.as_deref(), Some("p"));
        assert_eq!(timeline.events[0].text().as_deref(), Some("hello"));
        assert_eq!(timeline.events[0].state_key, None);
    }

    #[test]
    fn what_is_no_message_has_no_text() {
        let json = r#"{"event_id":"$e","sender":"@a:x","type":"m.room.topic","state_key":"","content":{"topic":"t"}}"#;
        assert_eq!(serde_json::from_str::<Event>(json).unwrap().text(), None);
    }
}
