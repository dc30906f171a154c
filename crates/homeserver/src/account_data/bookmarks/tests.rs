//! Bookmarks as clients write them, by nothing but account data.

use proptest::prelude::*;
use ruma::{EventId, OwnedEventId, RoomId};
use serde_json::{Value, json};
use tertulia_protocol::{BookmarkNames, MessageKind};
use tertulia_storage::{Direction, Key, Position, Table, Value as Stored_, View};

use super::*;
use crate::{
    FavouritesQuery, Homeserver, Room,
    account_data::{all, changed},
    schema::{FAVOURITE_LISTS, FAVOURITE_MEDIA, FAVOURITES, KEPT_EVENTS, SNAPSHOTS},
    testing::{public_room, raw, server, user},
};

const UNSTABLE: BookmarkNames = BookmarkNames::Unstable;
const INDEX: &str = "org.matrix.msc4438.bookmarks.index";

fn item(id: &str, room: &RoomId, event: &EventId, ts: u64) -> Value {
    json!({
        "version": 1, "bookmark_id": id, "uri": "matrix:roomid/r/e/e", "room_id": room,
        "event_id": event, "event_ts": 5, "bookmarked_ts": ts, "body_preview": "as the client has it",
    })
}

async fn set(user: &User, kind: &str, content: &Value) {
    user.set_account_data(None, kind, raw(content)).await.unwrap();
}

async fn set_item(user: &User, names: BookmarkNames, content: &Value) {
    let id = content["bookmark_id"].as_str().unwrap();
    set(user, &format!("{}{id}", names.item_prefix()), content).await;
}

async fn read(user: &User, kind: &str) -> Value {
    let content = user.account_data(None, kind).await.unwrap();
    serde_json::from_str(content.get()).unwrap()
}

async fn listed(user: &User) -> Vec<String> {
    let query = FavouritesQuery { limit: 100, ..FavouritesQuery::default() };
    let page = user.favourites().list(&query).await.unwrap();
    page.favourites.into_iter().map(|favourite| favourite.id).collect()
}

/// A client that does as the proposal has it, one step after the other.
struct Client<'a>(&'a User);

impl Client<'_> {
    async fn write_item(&self, id: &str, room: &Room, event: &EventId, ts: u64) {
        set_item(self.0, UNSTABLE, &item(id, room.id(), event, ts)).await;
    }

    async fn read_index(&self) -> Value {
        let empty = json!({ "version": 1, "revision": 0, "updated_ts": 0, "bookmark_ids": [] });
        let content = self.0.account_data(None, INDEX).await;
        content.map_or(empty, |content| serde_json::from_str(content.get()).unwrap())
    }

    async fn prepend(&self, mut index: Value, id: &str) {
        let ids = index["bookmark_ids"].as_array_mut().unwrap();
        if !ids.iter().any(|known| known == id) {
            ids.insert(0, id.into());
        }
        self.write_index(index).await;
    }

    async fn write_index(&self, mut index: Value) {
        index["revision"] = (index["revision"].as_u64().unwrap() + 1).into();
        set(self.0, INDEX, &index).await;
    }

    async fn remove(&self, id: &str, room: &Room, event: &EventId) {
        let mut index = self.read_index().await;
        index["bookmark_ids"].as_array_mut().unwrap().retain(|known| known != id);
        self.write_index(index).await;
        let mut tombstone = item(id, room.id(), event, 1);
        tombstone["deleted"] = true.into();
        set_item(self.0, UNSTABLE, &tombstone).await;
    }
}

async fn scene() -> (Homeserver, User, Room, Vec<OwnedEventId>) {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let mut events = Vec::new();
    for n in 0..4 {
        events.push(room.send_text(&format!("message {n}")).await.unwrap());
    }
    (server, alice, room, events)
}

#[tokio::test]
async fn what_a_client_writes_step_by_step_is_kept() {
    let (_server, alice, room, events) = scene().await;
    let client = Client(&alice);
    client.write_item("a", &room, &events[0], 10).await;
    // A client that is interrupted here has kept the message, and its index says so.
    assert_eq!(listed(&alice).await, ["a"]);
    let index = client.read_index().await;
    assert_eq!(index["bookmark_ids"], json!(["a"]));
    assert_eq!(index["version"], 1);
    client.prepend(index, "a").await;
    client.write_item("b", &room, &events[1], 20).await;
    let index = client.read_index().await;
    client.prepend(index, "b").await;
    assert_eq!(listed(&alice).await, ["b", "a"]);
    let kept = alice.favourites().get("a").await.unwrap();
    assert_eq!((kept.event_id, kept.kind, kept.kept), (events[0].clone(), MessageKind::Text, 10));
    assert_eq!(kept.message.unwrap().content.get(), r#"{"body":"message 0","msgtype":"m.text"}"#);

    client.remove("a", &room, &events[0]).await;
    assert_eq!(listed(&alice).await, ["b"]);
    assert_eq!(client.read_index().await["bookmark_ids"], json!(["b"]));
    // It can be brought back.
    client.write_item("a", &room, &events[0], 30).await;
    assert_eq!(listed(&alice).await, ["a", "b"]);
    set(&alice, "org.matrix.msc4438.bookmark.a", &json!({})).await;
    assert_eq!(listed(&alice).await, ["b"]);
}

#[tokio::test]
async fn a_client_that_forgot_its_items_has_removed_nothing() {
    let (_server, alice, room, events) = scene().await;
    let client = Client(&alice);
    client.write_item("a", &room, &events[0], 10).await;
    client.write_item("b", &room, &events[1], 20).await;
    // The first half of removing, and of another client's adding.
    client.write_index(json!({ "revision": 7, "bookmark_ids": ["x", "a"] })).await;
    assert_eq!(listed(&alice).await, ["b", "a"]);
    let index = client.read_index().await;
    assert_eq!(index["bookmark_ids"], json!(["b", "a"]));
    assert_eq!(index["revision"], 8, "what a client wrote counts");
    set(&alice, INDEX, &json!({})).await;
    assert_eq!(client.read_index().await["bookmark_ids"], json!(["b", "a"]));
    assert_eq!(client.read_index().await["revision"], 9);
    client.write_index(json!({ "revision": 9, "bookmark_ids": ["a", "b"] })).await;
    assert_eq!(client.read_index().await["bookmark_ids"], json!(["a", "b"]));
    client.write_item("x", &room, &events[2], 5).await;
    assert_eq!(client.read_index().await["bookmark_ids"], json!(["x", "a", "b"]));
    assert_eq!(listed(&alice).await, ["b", "a", "x"], "newest first, however it is shown");
}

#[tokio::test]
async fn two_devices_at_once_lose_nothing() {
    let (_server, alice, room, events) = scene().await;
    let (one, other) = (Client(&alice), Client(&alice));
    one.write_item("a", &room, &events[0], 10).await;
    other.write_item("b", &room, &events[1], 20).await;
    let (index_one, index_other) = (one.read_index().await, other.read_index().await);
    one.prepend(index_one, "a").await;
    other.prepend(index_other, "b").await;
    assert_eq!(listed(&alice).await, ["b", "a"]);
    assert_eq!(one.read_index().await["bookmark_ids"], json!(["b", "a"]));
    // Both keep the same message, under an ID each: it is one favourite, and two bookmarks.
    one.write_item("c", &room, &events[2], 30).await;
    other.write_item("d", &room, &events[2], 40).await;
    one.write_item("e", &room, &events[2], 40).await;
    assert_eq!(listed(&alice).await, ["d", "b", "a"]);
    assert_eq!(one.read_index().await["bookmark_ids"], json!(["d", "e", "c", "b", "a"]));
    other.remove("d", &room, &events[2]).await;
    assert_eq!(listed(&alice).await, ["e", "b", "a"]);
    let kept = alice.favourites().of(room.id(), &events[2]).await.unwrap();
    assert_eq!(kept.id, "e");
    alice.favourites().drop("e").await.unwrap();
    assert_eq!(listed(&alice).await, ["b", "a"], "a dropped message is kept by no bookmark");
    assert_eq!(read(&alice, "org.matrix.msc4438.bookmark.c").await["deleted"], true);
}

#[tokio::test]
async fn both_names_are_read_and_each_has_its_index() {
    let (_server, alice, room, events) = scene().await;
    alice.account_data(None, "m.bookmarks.index").await.unwrap_err();
    set_item(&alice, BookmarkNames::Stable, &item("s", room.id(), &events[0], 10)).await;
    set_item(&alice, UNSTABLE, &item("u", room.id(), &events[1], 20)).await;
    set_item(&alice, BookmarkNames::Stable, &item("u", room.id(), &events[2], 30)).await;
    assert_eq!(listed(&alice).await, ["u", "u", "s"]);
    assert_eq!(read(&alice, "m.bookmarks.index").await["bookmark_ids"], json!(["u", "s"]));
    assert_eq!(read(&alice, INDEX).await["bookmark_ids"], json!(["u"]));
    alice.favourites().drop("u").await.unwrap();
    assert_eq!(listed(&alice).await, ["s"]);
    // Of a room they are account data like any other.
    let kind = "m.bookmark.s";
    alice.set_account_data(Some(room.id()), kind, raw(&json!({}))).await.unwrap();
    assert_eq!(listed(&alice).await, ["s"]);
}

#[tokio::test]
async fn what_is_no_bookmark_is_kept_as_account_data_and_not_listed() {
    let (_server, alice, room, events) = scene().await;
    let mut other_id = item("a", room.id(), &events[0], 10);
    other_id["bookmark_id"] = "b".into();
    for content in [json!({}), json!({ "version": 2 }), other_id] {
        set(&alice, "m.bookmark.a", &content).await;
        assert_eq!(read(&alice, "m.bookmark.a").await, content);
        assert_eq!(listed(&alice).await, [""; 0]);
        alice.account_data(None, "m.bookmarks.index").await.unwrap_err();
    }
    let long = "x".repeat(200);
    set_item(&alice, UNSTABLE, &item(&long, room.id(), &events[0], 10)).await;
    assert_eq!(listed(&alice).await, [""; 0]);
}

#[tokio::test]
async fn a_bookmark_of_what_its_keeper_cannot_see_has_no_snapshot() {
    let (server, alice, room, events) = scene().await;
    let bob = user(&server, "bob");
    set_item(&bob, UNSTABLE, &item("a", room.id(), &events[0], 10)).await;
    let kept = bob.favourites().get("a").await.unwrap();
    assert_eq!(kept.preview.as_deref(), Some("as the client has it"));
    assert!(kept.message.is_none() && !kept.redacted);
    // Once it can be seen, writing the item anew takes one.
    bob.room(room.id()).join(None).await.unwrap();
    set_item(&bob, UNSTABLE, &item("a", room.id(), &events[0], 10)).await;
    assert!(bob.favourites().get("a").await.unwrap().message.is_some());
    // Another message under the same ID has none of it.
    set_item(&bob, UNSTABLE, &item("a", room.id(), &events[3], 10)).await;
    let content = bob.favourites().get("a").await.unwrap().message.unwrap().content;
    assert!(content.get().contains("message 3"));
    assert_eq!(listed(&alice).await, [""; 0]);
}

/// What a sync after a position tells: types and, of indexes, their IDs.
async fn told(user: &User, after: Option<Position>) -> Vec<(String, Value)> {
    let view = user.core.store.view().await.unwrap();
    let data = match after {
        Some(after) => changed(&view, user.id(), after).await.unwrap(),
        None => all(&view, user.id()).await.unwrap(),
    };
    let shown = data.into_iter().filter(|datum| datum.kind.contains("bookmark"));
    let shown = shown.map(|datum| {
        let content: Value = serde_json::from_str(&datum.content).unwrap();
        (datum.kind, content["bookmark_ids"].clone())
    });
    shown.collect()
}

#[tokio::test]
async fn each_sync_tells_the_item_and_after_it_the_index() {
    let (_server, alice, room, events) = scene().await;
    let kind = |id: &str| format!("org.matrix.msc4438.bookmark.{id}");
    let before = alice.core.store.settled();
    set_item(&alice, UNSTABLE, &item("a", room.id(), &events[0], 10)).await;
    let index = |ids: Value| (INDEX.to_owned(), ids);
    let item_of = |id: &str| (kind(id), Value::Null);
    assert_eq!(told(&alice, Some(before)).await, [item_of("a"), index(json!(["a"]))]);
    let between = alice.core.store.settled();
    set_item(&alice, UNSTABLE, &item("b", room.id(), &events[1], 20)).await;
    assert_eq!(told(&alice, Some(between)).await, [item_of("b"), index(json!(["b", "a"]))]);
    let all = [item_of("a"), item_of("b"), index(json!(["b", "a"]))];
    assert_eq!(told(&alice, Some(before)).await, all);
    assert_eq!(told(&alice, None).await, all);
    // What changes no list is no news of it.
    let after = alice.core.store.settled();
    let mut renamed = item("b", room.id(), &events[1], 20);
    renamed["room_name"] = "Renamed".into();
    set_item(&alice, UNSTABLE, &renamed).await;
    assert_eq!(told(&alice, Some(after)).await, [item_of("b")]);
}

/// All rows of a table, whatever they are.
async fn rows<K: Key, V: Stored_>(view: &View, table: &Table<K, V>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = view.scan(table, &(), Direction::Forward, usize::MAX).await.unwrap();
    let bytes = |value: &V| {
        let mut out = tertulia_storage::Writer::default();
        value.write(&mut out);
        out.finish().0
    };
    rows.iter().map(|(key, value)| (key.encode(), bytes(value))).collect()
}

async fn projections(user: &User) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let view = user.core.store.view().await.unwrap();
    vec![
        rows(&view, &FAVOURITES).await,
        rows(&view, &FAVOURITE_LISTS).await,
        rows(&view, &FAVOURITE_COUNTS).await,
        rows(&view, &KEPT_EVENTS).await,
        rows(&view, &FAVOURITE_MEDIA).await,
    ]
}

/// Deletes all rows that follow from others.
struct Forget;

impl Command for Forget {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("test", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.delete_all(&FAVOURITES, &(), 400).await?;
        tx.delete_all(&FAVOURITE_LISTS, &(), 400).await?;
        tx.delete_all(&FAVOURITE_COUNTS, &(), 400).await?;
        tx.delete_all(&KEPT_EVENTS, &(), 400).await?;
        tx.delete_all(&FAVOURITE_MEDIA, &(), 400).await?;
        Ok(())
    }
}

/// Something that happens to bookmarks: an item by its number that is about a message by its number, or
/// is removed; a message that is redacted and blanked.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Write(usize, usize, u64),
    Remove(usize),
    Keep(usize),
    Drop(usize),
    Redact(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => (0..4_usize, 0..4_usize, 0..4_u64).prop_map(|(id, event, ts)| Deed::Write(id, event, ts)),
        2 => (0..4_usize).prop_map(Deed::Remove),
        2 => (0..4_usize).prop_map(Deed::Keep),
        1 => (0..4_usize).prop_map(Deed::Drop),
        1 => (0..4_usize).prop_map(Deed::Redact),
    ]
}

async fn do_it(alice: &User, room: &Room, events: &[OwnedEventId], deed: Deed) {
    let id = |n: usize| format!("id{n}");
    match deed {
        Deed::Write(n, event, ts) => {
            set_item(alice, UNSTABLE, &item(&id(n), room.id(), &events[event], ts)).await;
        }
        Deed::Remove(n) => {
            set(alice, &format!("{}{}", UNSTABLE.item_prefix(), id(n)), &json!({})).await;
        }
        Deed::Keep(event) => {
            let told = crate::Told::default();
            alice.favourites().keep(room.id(), &events[event], told).await.unwrap();
        }
        Deed::Drop(event) => {
            if let Ok(kept) = alice.favourites().of(room.id(), &events[event]).await {
                alice.favourites().drop(&kept.id).await.unwrap();
            }
        }
        Deed::Redact(event) => {
            room.redact(&events[event], None, None).await.unwrap();
            crate::favourites::blank_unseen(&alice.core).await.unwrap();
        }
    }
}

async fn check_law(deeds: Vec<Deed>) {
    let (_server, alice, room, mut events) = scene().await;
    let picture = json!({ "msgtype": "m.image", "body": "p.png", "url": "mxc://x/p" });
    events[0] = room.send("m.room.message".into(), raw(&picture), None).await.unwrap();
    for deed in &deeds {
        do_it(&alice, &room, &events, *deed).await;
    }
    let followed = projections(&alice).await;
    alice.core.store.write(Forget).await.unwrap();
    crate::favourites::adopt_all(&alice).await.unwrap();
    assert_eq!(projections(&alice).await, followed, "{deeds:?}");
    // Without bookmarks there are no rows.
    for kept in listed(&alice).await {
        alice.favourites().drop(&kept).await.unwrap();
    }
    assert!(projections(&alice).await.iter().all(Vec::is_empty));
    let view = alice.core.store.view().await.unwrap();
    assert!(rows(&view, &SNAPSHOTS).await.is_empty());
}

#[test]
fn rows_that_are_made_anew_from_items_and_snapshots_are_those_that_followed_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = ProptestConfig::with_cases(24);
    config.failure_persistence = None;
    proptest!(config, |(deeds in proptest::collection::vec(deed(), 1..20))| {
        runtime.block_on(check_law(deeds));
    });
}
