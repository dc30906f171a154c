use ruma::{owned_event_id, owned_room_id, owned_user_id};
use serde_json::json;

use super::*;

fn bookmark() -> Bookmark {
    Bookmark {
        room_id: owned_room_id!("!abc:example.com"),
        event_id: owned_event_id!("$evt123:example.com"),
        event_ts: 1_741_440_000_000,
        bookmarked_ts: 1_741_443_960_000,
        sender: Some(owned_user_id!("@alice:example.com")),
        room_name: Some("General Chat".to_owned()),
        body_preview: Some("Here is the link".to_owned()),
        msgtype: Some("m.text".to_owned()),
    }
}

/// The proposal's example.
fn example() -> Value {
    json!({
        "version": 1,
        "bookmark_id": "book_id_1234",
        "uri": "matrix:roomid/%21abc%3Aexample.com/e/%24evt123%3Aexample.com",
        "room_id": "!abc:example.com",
        "event_id": "$evt123:example.com",
        "event_ts": 1_741_440_000_000_u64,
        "bookmarked_ts": 1_741_443_960_000_u64,
        "sender": "@alice:example.com",
        "room_name": "General Chat",
        "body_preview": "Here is the link",
        "msgtype": "m.text",
    })
}

#[test]
fn types_say_what_they_are_to_bookmarks() {
    let check = |kind: &str, expected| assert_eq!(BookmarkType::of(kind), expected, "{kind}");
    let (unstable, stable) = (BookmarkNames::Unstable, BookmarkNames::Stable);
    check("org.matrix.msc4438.bookmarks.index", Some(BookmarkType::Index(unstable)));
    check("m.bookmarks.index", Some(BookmarkType::Index(stable)));
    check("org.matrix.msc4438.bookmark.a.b", Some(BookmarkType::Item(unstable, "a.b")));
    check("m.bookmark.index", Some(BookmarkType::Item(stable, "index")));
    let longest = "x".repeat(MAX_ID);
    check(&format!("m.bookmark.{longest}"), Some(BookmarkType::Item(stable, &longest)));
    for other in ["m.bookmark.", "m.bookmark", "m.bookmarks", "m.direct", "pl.chrome.bookmark.x"] {
        check(other, None);
    }
    check(&format!("m.bookmark.{longest}x"), None);
}

#[test]
fn items_are_read_and_written_as_the_proposal_has_them() {
    let written: Value = serde_json::from_str(&bookmark().item("book_id_1234")).unwrap();
    assert_eq!(written, example());
    assert_eq!(Bookmark::read("book_id_1234", &example().to_string()), Some(bookmark()));
    let mut least = example();
    for optional in ["sender", "room_name", "body_preview", "msgtype"] {
        least.as_object_mut().unwrap().remove(optional);
    }
    let read = Bookmark::read("book_id_1234", &least.to_string()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read.item("book_id_1234")).unwrap(), least);
}

#[test]
fn what_is_malformed_or_removed_is_no_bookmark() {
    let check = |key: &str, value: Value, is_one: bool| {
        let mut item = example();
        item[key] = value;
        let read = Bookmark::read("book_id_1234", &item.to_string());
        assert_eq!(read.is_some(), is_one, "{item}");
    };
    check("deleted", false.into(), true);
    check("org.example.more", json!({ "a": 1 }), true);
    check("sender", Value::Null, true);
    check("deleted", true.into(), false);
    check("deleted", "no".into(), false);
    check("version", 2.into(), false);
    check("bookmark_id", "other".into(), false);
    check("uri", "https://example.com".into(), false);
    check("room_id", "abc".into(), false);
    check("event_id", 7.into(), false);
    check("event_ts", (-1).into(), false);
    check("bookmarked_ts", 1.5.into(), false);
    check("sender", "alice".into(), false);
    check("body_preview", json!([]), false);
    check("body_preview", "x".repeat(MAX_ITEM).into(), false);
    for required in ["version", "bookmark_id", "uri", "room_id", "event_id", "event_ts"] {
        check(required, Value::Null, false);
    }
    for content in ["{}", "[]", "7", ""] {
        assert_eq!(Bookmark::read("book_id_1234", content), None, "{content}");
    }
}

#[test]
fn a_removed_item_can_be_brought_back_and_has_no_word_of_the_message() {
    let mut item = example();
    item["org.example.note"] = "Here is the link, says Alice".into();
    let mut removed: Value = serde_json::from_str(&removed_item(&item.to_string())).unwrap();
    assert_eq!(removed["deleted"], true);
    assert_eq!(Bookmark::read("book_id_1234", &removed.to_string()), None);
    removed["deleted"] = false.into();
    let bare =
        Bookmark { sender: None, room_name: None, body_preview: None, msgtype: None, ..bookmark() };
    assert_eq!(Bookmark::read("book_id_1234", &removed.to_string()), Some(bare));
    assert!(!removed.to_string().contains("Here is the link"), "{removed}");
    assert_eq!(removed_item("[]"), r#"{"deleted":true}"#);
}

#[test]
fn a_preview_is_changed_and_taken_away_without_touching_anything_else() {
    let mut item = example();
    item["org.example.more"] = 7.into();
    for preview in [Some("Other words"), None] {
        let changed: Value =
            serde_json::from_str(&item_with_preview(&item.to_string(), preview)).unwrap();
        assert_eq!(changed.get("body_preview").and_then(Value::as_str), preview);
        let mut expected = item.clone();
        expected.as_object_mut().unwrap().remove("body_preview");
        let mut others = changed;
        others.as_object_mut().unwrap().remove("body_preview");
        assert_eq!(others, expected);
    }
}

#[test]
fn the_same_message_gets_the_same_id_and_another_message_another() {
    let of = |room: &str, event: &str| {
        bookmark_id(&RoomId::parse(room).unwrap(), &EventId::parse(event).unwrap())
    };
    assert_eq!(of("!a:x", "$e"), "tertulia_JZs-CveWq3dpXpwhzkZxW-Pc");
    assert_ne!(of("!a:x", "$e"), of("!b:x", "$e"));
    assert_ne!(of("!a:x", "$e"), of("!a:x", "$f"));
}

#[test]
fn a_preview_is_the_beginning_on_one_line() {
    let check = |body: &str, expected: Option<&str>| {
        assert_eq!(body_preview(body).as_deref(), expected, "{body:?}");
    };
    check("hello", Some("hello"));
    check(" hello\n  you\t", Some("hello you"));
    check("", None);
    check(" \n ", None);
    check(&"é".repeat(120), Some(&"é".repeat(120)));
    check(&"é".repeat(121), Some(&format!("{}…", "é".repeat(120))));
    let long = body_preview(&"word ".repeat(100)).unwrap();
    assert_eq!(long.chars().count(), 121);
    assert!(long.ends_with('…'));
    assert!(body_preview(&(" ".repeat(2_000) + "late")).is_none());
}

fn ids(ids: &str) -> Vec<String> {
    ids.chars().map(String::from).collect()
}

#[test]
fn a_client_orders_what_is_there_and_neither_adds_nor_removes() {
    let check = |newest: &str, order: &str, expected: &str| {
        assert_eq!(arranged(ids(newest), &ids(order)), ids(expected), "{newest} {order}");
    };
    check("cba", "", "cba");
    check("cba", "abc", "abc");
    check("cba", "ab", "cab");
    check("dcba", "ac", "dbac");
    check("cba", "axyb", "cab");
    check("", "abc", "");
}

#[test]
fn an_index_counts_its_changes_and_never_goes_back() {
    let index = BookmarkIndex { revision: 7, updated_ts: 1 };
    assert_eq!(BookmarkIndex::read(&index.header()), index);
    assert_eq!(index.changed(5), BookmarkIndex { revision: 8, updated_ts: 5 });
    let check = |content: Value, revision: u64, order: &str| {
        let (next, ordered) = index.written(&content.to_string(), 5);
        assert_eq!(next, BookmarkIndex { revision, updated_ts: 5 }, "{content}");
        assert_eq!(ordered, ids(order), "{content}");
    };
    check(json!({ "revision": 8, "bookmark_ids": ["b", "a"] }), 8, "ba");
    check(json!({ "revision": 20, "bookmark_ids": ["b", "a", "b", 7, "", null] }), 20, "ba");
    check(json!({ "revision": 3, "bookmark_ids": "ba" }), 8, "");
    check(json!({ "revision": MAX_REVISION }), MAX_REVISION, "");
    for odd in [json!({}), json!({ "revision": u64::MAX }), json!({ "revision": -4 })] {
        check(odd, 8, "");
    }
    let many: Vec<_> = (0..INDEXED + 5).map(|n| n.to_string()).collect();
    let (_, order) = index.written(&json!({ "bookmark_ids": many }).to_string(), 5);
    assert_eq!(order, many[..INDEXED]);
}

#[test]
fn what_stood_in_an_index_before_is_read_as_far_as_it_makes_sense() {
    let check = |content: &str, revision: u64| {
        assert_eq!(BookmarkIndex::read(content).revision, revision, "{content}");
    };
    check(r#"{"version":1,"revision":12,"updated_ts":5,"bookmark_ids":["a"]}"#, 12);
    check(r#"{"revision":"12"}"#, 0);
    check(r#"{"revision":-1}"#, 0);
    check("{}", 0);
    check("", 0);
    let last = BookmarkIndex::read(&format!(r#"{{"revision":{}}}"#, u64::MAX));
    assert_eq!(last.changed(1).revision, 2 * MAX_REVISION - 1);
}

#[test]
fn an_index_is_told_as_the_proposal_has_it() {
    let index = BookmarkIndex { revision: 12, updated_ts: 5 };
    let content: Value = serde_json::from_str(&index.content(ids("cba"), &ids("a"))).unwrap();
    let expected = json!({
        "version": 1, "revision": 12, "updated_ts": 5, "bookmark_ids": ["c", "b", "a"],
    });
    assert_eq!(content, expected);
}

#[test]
fn a_bookmark_is_of_the_kind_that_its_item_says_or_else_its_event() {
    let check = |item: Option<&str>, event: Option<(&str, Option<&str>)>, expected| {
        let bookmark = Bookmark { msgtype: item.map(str::to_owned), ..bookmark() };
        assert_eq!(bookmark.kind(event), expected, "{item:?} {event:?}");
    };
    use crate::MessageKind::{Audio, Image, Other, Text};
    check(Some("m.audio"), Some(("m.room.encrypted", None)), Audio);
    check(Some("m.audio"), Some(("m.room.message", Some("m.text"))), Audio);
    check(None, Some(("m.room.message", Some("m.text"))), Text);
    check(None, Some(("m.sticker", None)), Image);
    check(None, None, Other);
}
