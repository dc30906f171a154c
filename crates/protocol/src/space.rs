//! Spaces: rooms that name others as their children (client-server API, "Spaces").

use std::cmp::Ordering;

use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::Pdu;

/// The longest `order` that counts, in bytes.
const LONGEST_ORDER: usize = 50;

/// A room that a space names as its child.
#[derive(Clone, Debug)]
pub struct SpaceChild {
    /// The room.
    pub room: OwnedRoomId,
    /// Whether members of the space are advised to join it.
    pub suggested: bool,
    order: Option<String>,
    event: Pdu,
}

/// Whether the room that begins with `create` is a space.
pub fn is_space(create: &Pdu) -> bool {
    #[derive(Deserialize)]
    struct Content {
        r#type: Option<String>,
    }
    create
        .content_as::<Content>()
        .is_some_and(|content| content.r#type.as_deref() == Some("m.space"))
}

impl SpaceChild {
    /// The child that an `m.space.child` names; none if it names none, or takes it back.
    pub fn of(event: &Pdu) -> Option<Self> {
        #[derive(Deserialize)]
        struct Content<'a> {
            via: Vec<String>,
            #[serde(borrow)]
            order: Option<&'a RawValue>,
            #[serde(borrow)]
            suggested: Option<&'a RawValue>,
        }
        let Content { via, order, suggested } = event.content_as()?;
        if via.is_empty() {
            return None;
        }
        let room = OwnedRoomId::try_from(event.state_key()?).ok()?;
        let order = order.and_then(|order| serde_json::from_str(order.get()).ok());
        let order = order.filter(|order: &String| is_order(order));
        let suggested = suggested.is_some_and(|value| value.get() == "true");
        Some(Self { room, suggested, order, event: event.clone() })
    }

    /// The event as those see it who are not in the space: stripped, with its time.
    pub fn stripped(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        struct Stripped<'a> {
            content: &'a RawValue,
            origin_server_ts: MilliSecondsSinceUnixEpoch,
            sender: &'a UserId,
            state_key: &'a str,
            #[serde(rename = "type")]
            kind: &'static str,
        }
        let stripped = Stripped {
            content: self.event.content(),
            origin_server_ts: self.event.origin_server_ts(),
            sender: self.event.sender(),
            state_key: self.event.state_key().unwrap_or_default(),
            kind: "m.space.child",
        };
        to_raw_value(&stripped).expect("an event is JSON")
    }

    /// Which of two children of a space comes first.
    pub fn in_order(&self, other: &Self) -> Ordering {
        fn key(child: &SpaceChild) -> (bool, Option<&String>, MilliSecondsSinceUnixEpoch) {
            // Those without an order come behind all that have one.
            (child.order.is_none(), child.order.as_ref(), child.event.origin_server_ts())
        }
        key(self).cmp(&key(other)).then_with(|| self.room.cmp(&other.room))
    }
}

fn is_order(order: &str) -> bool {
    let printable = order.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    printable && !order.is_empty() && order.len() <= LONGEST_ORDER
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_version_rules::RoomVersionRules};
    use serde_json::{Value, json};

    use super::*;

    fn child(room: &str, ts: u64, content: &Value) -> Option<SpaceChild> {
        let json = json!({
            "type": "m.space.child", "state_key": room, "sender": "@a:x", "content": content,
            "room_id": "!r:x", "origin_server_ts": ts, "depth": 1, "prev_events": [],
            "auth_events": [],
        });
        let json = json.to_string();
        let id = event_id!("$e").to_owned();
        let event = Pdu::load(id, json.as_bytes(), &RoomVersionRules::V11).unwrap();
        SpaceChild::of(&event)
    }

    #[track_caller]
    fn check(children: &[(&str, u64, Value)], expected: &[&str]) {
        let read = children.iter().filter_map(|(room, ts, content)| child(room, *ts, content));
        let mut read: Vec<_> = read.collect();
        read.sort_by(SpaceChild::in_order);
        let rooms: Vec<_> = read.iter().map(|child| child.room.as_str()).collect();
        assert_eq!(rooms, expected, "{children:?}");
    }

    #[test]
    fn children_are_ordered_as_the_specification_shows() {
        let via = json!(["x"]);
        check(
            &[
                ("!e:x", 1_640_641_000_000, json!({ "via": via })),
                ("!a:x", 1_640_141_000_000, json!({ "via": via, "order": "aaaa" })),
                ("!d:x", 1_640_741_000_000, json!({ "via": via })),
                ("!b:x", 1_640_341_000_000, json!({ "via": via, "order": " " })),
                ("!c:x", 1_640_841_000_000, json!({ "via": via, "order": "first" })),
            ],
            &["!b:x", "!a:x", "!c:x", "!e:x", "!d:x"],
        );
        let same = json!({ "via": via, "order": "a" });
        check(
            &[("!c:x", 2, same.clone()), ("!b:x", 2, same.clone()), ("!a:x", 3, same)],
            &["!b:x", "!c:x", "!a:x"],
        );
    }

    #[test]
    fn an_order_that_is_not_valid_is_none() {
        for order in
            [json!(""), json!("é"), json!("a\n"), json!("a".repeat(51)), json!(7), json!([])]
        {
            let odd = json!({ "via": ["x"], "order": order });
            let plain = json!({ "via": ["x"] });
            check(&[("!b:x", 2, odd), ("!a:x", 1, plain)], &["!a:x", "!b:x"]);
        }
        let longest = json!({ "via": ["x"], "order": "~".repeat(50) });
        check(&[("!b:x", 2, longest), ("!a:x", 1, json!({ "via": ["x"] }))], &["!b:x", "!a:x"]);
    }

    #[test]
    fn a_child_without_servers_to_join_by_is_none() {
        for via in [json!(null), json!([]), json!("x"), json!([7]), json!({})] {
            assert!(child("!a:x", 1, &json!({ "via": via })).is_none(), "{via}");
        }
        assert!(child("!a:x", 1, &json!({})).is_none());
        assert!(child("nonsense", 1, &json!({ "via": ["x"] })).is_none());
    }

    #[test]
    fn a_child_is_suggested_only_by_a_plain_yes() {
        for (suggested, expected) in
            [(json!(true), true), (json!(false), false), (json!("true"), false)]
        {
            let content = json!({ "via": ["x"], "suggested": suggested });
            assert_eq!(child("!a:x", 1, &content).unwrap().suggested, expected, "{content}");
        }
    }

    #[test]
    fn those_outside_are_told_the_event_stripped_with_its_time() {
        let content = json!({ "via": ["x"], "org.example": 1 });
        let told = child("!a:x", 7, &content).unwrap().stripped();
        let expected = json!({
            "type": "m.space.child", "state_key": "!a:x", "sender": "@a:x", "content": content,
            "origin_server_ts": 7,
        });
        assert_eq!(serde_json::from_str::<Value>(told.get()).unwrap(), expected);
    }
}
