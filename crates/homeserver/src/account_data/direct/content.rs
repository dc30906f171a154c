//! The content of `m.direct`, of which nothing is lost that is not understood.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// How many rooms a list can name that are looked at.
const MOST: usize = 20_000;

/// A room and with whom it is listed.
pub(super) type Listed = (OwnedUserId, OwnedRoomId);

/// All of it, by what stands for the other.
type Content = BTreeMap<String, Box<RawValue>>;

fn read(content: &str) -> Option<Content> {
    serde_json::from_str(content).ok()
}

fn written(content: &Content) -> String {
    serde_json::to_string(content).expect("JSON serialises")
}

/// What stands for one other, if it is a list.
fn list(value: &RawValue) -> Option<Vec<Value>> {
    serde_json::from_str(value.get()).ok()
}

fn names(list: &[Value], room: &RoomId) -> bool {
    list.iter().any(|named| named.as_str() == Some(room.as_str()))
}

fn put(content: &mut Content, other: &str, list: &[Value]) {
    content.insert(other.to_owned(), to_raw_value(list).expect("JSON serialises"));
}

/// The rooms that are listed, and with whom.
pub(super) fn listed(content: &str) -> BTreeSet<Listed> {
    let content = read(content).unwrap_or_default();
    let all = content.iter().filter_map(|(other, rooms)| {
        let other = UserId::parse(other.as_str()).ok()?.to_owned();
        Some((other, list(rooms)?))
    });
    let all = all.flat_map(|(other, rooms)| {
        let rooms = rooms
            .into_iter()
            .filter_map(|room| RoomId::parse(room.as_str()?).ok().map(|room| room.to_owned()));
        rooms.map(move |room| (other.clone(), room)).collect::<Vec<_>>()
    });
    all.take(MOST).collect()
}

/// The rooms that are listed, whatever stands for the other.
pub(super) fn rooms(content: &str) -> BTreeSet<OwnedRoomId> {
    let content = read(content).unwrap_or_default();
    let lists = content.values().filter_map(|rooms| list(rooms)).flatten();
    lists
        .filter_map(|room| RoomId::parse(room.as_str()?).ok().map(|room| room.to_owned()))
        .take(MOST)
        .collect()
}

/// The content with `room` under each of `others`; none if some list names the room already: whoever
/// did that has decided it.
pub(super) fn with(content: &str, room: &RoomId, others: &[OwnedUserId]) -> Option<String> {
    let mut content = read(content)?;
    if content.values().filter_map(|rooms| list(rooms)).any(|list| names(&list, room)) {
        return None;
    }
    let mut changes = false;
    for other in others {
        let rooms = match content.get(other.as_str()) {
            None => Some(Vec::new()),
            Some(rooms) => list(rooms),
        };
        // What is no list is not the server's to change.
        let Some(mut rooms) = rooms else { continue };
        rooms.push(room.as_str().into());
        put(&mut content, other.as_str(), &rooms);
        changes = true;
    }
    changes.then(|| written(&content))
}

/// The content without those rooms that `goes`; none if it names none of them. Who is left without a
/// room is left out.
pub(super) fn without(content: &str, goes: impl Fn(&str) -> bool) -> Option<String> {
    let mut content = read(content)?;
    let mut changes = false;
    let lists: Vec<_> =
        content.iter().filter_map(|(other, rooms)| Some((other.clone(), list(rooms)?))).collect();
    for (other, mut rooms) in lists {
        let before = rooms.len();
        rooms.retain(|room| !room.as_str().is_some_and(&goes));
        if rooms.len() == before {
            continue;
        }
        changes = true;
        match rooms.is_empty() {
            true => drop(content.remove(&other)),
            false => put(&mut content, &other, &rooms),
        }
    }
    changes.then(|| written(&content))
}

/// What a client wrote over `old`, with those of the rooms that only the old one names which `stay`,
/// where they were; none if there are none.
pub(super) fn merged(old: &str, new: &str, stay: &BTreeSet<OwnedRoomId>) -> Option<String> {
    if stay.is_empty() {
        return None;
    }
    let (old, mut new) = (read(old)?, read(new)?);
    let mut changes = false;
    for (other, rooms) in old {
        let stays =
            |room: &Value| room.as_str().is_some_and(|room| stay.iter().any(|id| id == room));
        let kept: Vec<_> = list(&rooms).into_iter().flatten().filter(stays).collect();
        let rooms = match new.get(&other) {
            None => Some(Vec::new()),
            Some(rooms) => list(rooms),
        };
        let Some(mut rooms) = rooms.filter(|_| !kept.is_empty()) else { continue };
        rooms.extend(kept);
        put(&mut new, &other, &rooms);
        changes = true;
    }
    changes.then(|| written(&new))
}

#[cfg(test)]
mod tests {
    use ruma::{owned_room_id, owned_user_id, room_id};
    use serde_json::json;

    use super::*;

    fn value(content: Option<String>) -> Option<Value> {
        content.map(|content| serde_json::from_str(&content).unwrap())
    }

    #[test]
    fn a_room_is_added_once_and_nothing_else_is_lost() {
        let others = [owned_user_id!("@b:x"), owned_user_id!("@c:x")];
        let check = |content: &str, expected: Option<Value>| {
            assert_eq!(value(with(content, room_id!("!r:x"), &others)), expected, "{content}");
        };
        check("{}", Some(json!({ "@b:x": ["!r:x"], "@c:x": ["!r:x"] })));
        check(
            r#"{"@b:x":["!1:x",7],"@c:x":"odd","other":{"n":1.50}}"#,
            Some(json!({ "@b:x": ["!1:x", 7, "!r:x"], "@c:x": "odd", "other": { "n": 1.5 } })),
        );
        check(r#"{"@d:x":["!r:x"]}"#, None);
        check(r#"{"@b:x":7,"@c:x":7}"#, None);
        check("[]", None);
        let exact = with(r#"{"other":{"n":1.50}}"#, room_id!("!r:x"), &others[..1]).unwrap();
        assert!(exact.contains(r#"{"n":1.50}"#), "{exact}");
    }

    #[test]
    fn a_room_is_taken_away_wherever_it_stands() {
        let check = |content: Value, expected: Option<Value>| {
            let left = without(&content.to_string(), |room| room == "!r:x");
            assert_eq!(value(left), expected, "{content}");
        };
        check(
            json!({ "@b:x": ["!r:x"], "@c:x": ["!1:x", "!r:x", 7], "@d:x": [], "o": "!r:x" }),
            Some(json!({ "@c:x": ["!1:x", 7], "@d:x": [], "o": "!r:x" })),
        );
        check(json!({ "@b:x": ["!1:x"] }), None);
        check(json!([]), None);
    }

    #[test]
    fn what_stays_is_put_back_where_it_was() {
        let stay = BTreeSet::from([owned_room_id!("!s:x")]);
        let check = |old: Value, new: Value, expected: Option<Value>| {
            assert_eq!(
                value(merged(&old.to_string(), &new.to_string(), &stay)),
                expected,
                "{old} {new}"
            );
        };
        let old = json!({ "@b:x": ["!1:x", "!s:x"], "@c:x": ["!2:x"] });
        check(old.clone(), json!({}), Some(json!({ "@b:x": ["!s:x"] })));
        check(
            old.clone(),
            json!({ "@b:x": ["!3:x"], "u": 7 }),
            Some(json!({ "@b:x": ["!3:x", "!s:x"], "u": 7 })),
        );
        check(old.clone(), json!({ "@b:x": "odd" }), None);
        check(json!({ "@b:x": ["!1:x"] }), json!({}), None);
        assert_eq!(merged(&old.to_string(), "{}", &BTreeSet::new()), None);
    }

    #[test]
    fn only_lists_of_rooms_under_users_are_listed() {
        let content = json!({
            "@b:x": ["!1:x", "!1:x", 7, "no room"], "@c:x": ["!1:x"], "nobody": ["!2:x"], "@d:x": "!3:x",
        });
        let content = content.to_string();
        let expected = [
            (owned_user_id!("@b:x"), owned_room_id!("!1:x")),
            (owned_user_id!("@c:x"), owned_room_id!("!1:x")),
        ];
        assert_eq!(listed(&content), BTreeSet::from(expected));
        let all = BTreeSet::from([owned_room_id!("!1:x"), owned_room_id!("!2:x")]);
        assert_eq!(rooms(&content), all);
        assert!(listed("[]").is_empty() && rooms("7").is_empty());
    }
}
