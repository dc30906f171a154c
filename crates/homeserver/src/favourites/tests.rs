use ruma::{RoomVersionId, events::StateEventType};
use serde_json::{Value, json};
use tertulia_protocol::{NewRoom, Preset};
use tertulia_storage::{Direction, LocalEngine, Memory, Table, testing::FailingEngine};

use super::*;
use crate::{
    Homeserver, Room, Session,
    schema::{
        BOOKMARK_ORDERS, BOOKMARKS_ADOPTED, FAVOURITE_COUNTS, FAVOURITE_LISTS, FAVOURITE_MEDIA,
        FAVOURITES, KEPT_EVENTS, UNSEEN_EVENTS,
    },
    testing::{carried, field, public_room, raw, server, user},
};

async fn scene() -> (Homeserver, User, User, Room) {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "11").await;
    bob.room(room.id()).join(None).await.unwrap();
    (server, alice, bob, room)
}

fn message(content: Value) -> Box<RawValue> {
    raw(&content)
}

async fn send(room: &Room, content: Value) -> OwnedEventId {
    room.send("m.room.message".into(), message(content), None).await.unwrap()
}

async fn keep(user: &User, room: &Room, event: &EventId) -> Favourite {
    user.favourites().keep(room.id(), event, Told::default()).await.unwrap()
}

fn content(kept: &Favourite) -> Value {
    serde_json::from_str(kept.message.as_ref().unwrap().content.get()).unwrap()
}

async fn list(user: &User) -> Vec<Favourite> {
    let query = FavouritesQuery { limit: 100, ..FavouritesQuery::default() };
    user.favourites().list(&query).await.unwrap().favourites
}

async fn found(user: &User, words: &str) -> usize {
    let query = FavouritesQuery { words: Some(words.to_owned()), ..FavouritesQuery::default() };
    user.favourites().list(&query).await.unwrap().favourites.len()
}

/// Lets what was redacted be blanked, and nothing be left to blank.
async fn blank(server: &Homeserver) {
    blank_unseen(&server.core).await.unwrap();
    assert_eq!(count(server, &UNSEEN_EVENTS).await, 0);
}

async fn count<K: tertulia_storage::Key, V: tertulia_storage::Value>(
    server: &Homeserver,
    table: &Table<K, V>,
) -> usize {
    let view = server.core.store.view().await.unwrap();
    view.scan(table, &(), Direction::Forward, usize::MAX).await.unwrap().len()
}

#[tokio::test]
async fn a_kept_message_is_a_bookmark_that_any_client_reads() {
    let (_server, alice, bob, room) = scene().await;
    let name = field("name", "Old friends");
    room.set_state(StateEventType::RoomName, "", name).await.unwrap();
    let event = room.send_text("remember\nthis").await.unwrap();
    let kept = keep(&bob, &room, &event).await;
    assert_eq!((kept.kind, kept.redacted), (MessageKind::Text, false));
    assert_eq!(kept.sender.as_deref(), Some(alice.id()));
    assert_eq!(kept.preview.as_deref(), Some("remember this"));
    assert_eq!(content(&kept)["body"], "remember\nthis");

    let item = format!("org.matrix.msc4438.bookmark.{}", kept.id);
    let item = bob.account_data(None, &item).await.unwrap();
    let item: Value = serde_json::from_str(item.get()).unwrap();
    let uri = item["uri"].as_str().unwrap();
    assert!(uri.starts_with("matrix:roomid/%21") && uri.contains("/e/%24"), "{uri}");
    for (key, value) in [
        ("version", json!(1)),
        ("bookmark_id", json!(kept.id)),
        ("room_id", json!(room.id())),
        ("event_id", json!(event)),
        ("event_ts", json!(kept.sent)),
        ("bookmarked_ts", json!(kept.kept)),
        ("sender", json!(alice.id())),
        ("room_name", json!("Old friends")),
        ("body_preview", json!("remember this")),
        ("msgtype", json!("m.text")),
    ] {
        assert_eq!(item[key], value, "{key}");
    }
    let index = bob.account_data(None, "org.matrix.msc4438.bookmarks.index").await.unwrap();
    assert!(index.get().contains(&kept.id));
    assert!(list(&alice).await.is_empty());
}

#[tokio::test]
async fn who_sent_it_is_called_as_they_are_called_now() {
    let (server, _alice, bob, room) = scene().await;
    let zoe = server.create_user("zoe").await.unwrap();
    zoe.room(room.id()).join(None).await.unwrap();
    let event = zoe.room(room.id()).send_text("hello").await.unwrap();
    assert_eq!(keep(&bob, &room, &event).await.sender_displayname, None);
    zoe.set_nickname(Some("Zoe")).await.unwrap();
    zoe.set_avatar_url(Some("mxc://x/zoe".into())).await.unwrap();
    let [kept] = &list(&bob).await[..] else { panic!("one is kept") };
    assert_eq!(kept.sender_displayname.as_deref(), Some("Zoe"));
    assert_eq!(kept.sender_avatar_url.as_deref(), Some("mxc://x/zoe"));
}

#[tokio::test]
async fn keeping_twice_is_keeping_once_and_dropping_is_for_good() {
    let (_server, alice, _bob, room) = scene().await;
    let event = room.send_text("a").await.unwrap();
    let kept = keep(&alice, &room, &event).await;
    let settled = alice.core.store.settled();
    assert_eq!(keep(&alice, &room, &event).await.id, kept.id);
    assert_eq!(alice.core.store.settled(), settled, "nothing was written");
    assert_eq!(alice.favourites().of(room.id(), &event).await.unwrap().id, kept.id);
    alice.favourites().drop(&kept.id).await.unwrap();
    assert!(matches!(alice.favourites().drop(&kept.id).await, Err(Error::NotFound(_))));
    assert!(matches!(alice.favourites().get(&kept.id).await, Err(Error::NotFound(_))));
    assert!(matches!(alice.favourites().of(room.id(), &event).await, Err(Error::NotFound(_))));
    assert!(list(&alice).await.is_empty());
    assert_eq!(keep(&alice, &room, &event).await.id, kept.id, "the same item is brought back");
}

#[tokio::test]
async fn what_was_kept_last_is_first_even_within_a_millisecond() {
    let (_server, alice, _bob, room) = scene().await;
    let mut expected = Vec::new();
    for n in 0..20 {
        let event = room.send_text(&n.to_string()).await.unwrap();
        expected.insert(0, keep(&alice, &room, &event).await.id);
    }
    let listed: Vec<_> = list(&alice).await.into_iter().map(|kept| kept.id).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn only_what_one_may_see_can_be_kept_and_what_was_kept_stays() {
    let (server, alice, bob, room) = scene().await;
    let eve = user(&server, "eve");
    let mut secret = NewRoom::new(alice.id().to_owned(), RoomVersionId::V11);
    secret.preset = Preset::PrivateChat;
    let secret = alice.create_room(secret).await.unwrap();
    let hidden = secret.send_text("hidden").await.unwrap();
    for (room, event) in
        [(&secret, &*hidden), (&room, &*hidden), (&room, "$none".try_into().unwrap())]
    {
        let refused = eve.favourites().keep(room.id(), event, Told::default()).await;
        assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    }
    assert!(list(&eve).await.is_empty());

    let event = room.send_text("stays").await.unwrap();
    keep(&bob, &room, &event).await;
    room.ban(bob.id(), None).await.unwrap();
    let later = room.send_text("not for Bob").await.unwrap();
    assert_eq!(content(&list(&bob).await[0])["body"], "stays");
    assert!(bob.favourites().keep(room.id(), &later, Told::default()).await.is_err());
}

#[tokio::test]
async fn each_kind_is_listed_by_itself() {
    let (_server, alice, _bob, room) = scene().await;
    let mut expected = Vec::new();
    for (msgtype, kind) in [
        ("m.notice", MessageKind::Text),
        ("m.image", MessageKind::Image),
        ("m.file", MessageKind::File),
        ("m.audio", MessageKind::Audio),
        ("m.video", MessageKind::Video),
        ("m.location", MessageKind::Other),
    ] {
        let content = json!({ "msgtype": msgtype, "body": msgtype, "url": "mxc://x/a" });
        expected.push((send(&room, content).await, kind));
    }
    let sticker = raw(&json!({ "body": "cat", "url": "mxc://x/cat", "info": {} }));
    let sticker = room.send("m.sticker".into(), sticker, None).await.unwrap();
    expected.push((sticker, MessageKind::Image));
    for (event, kind) in &expected {
        assert_eq!(keep(&alice, &room, event).await.kind, *kind);
    }
    for kind in MessageKind::ALL {
        let query = FavouritesQuery { kind: Some(kind), limit: 10, ..FavouritesQuery::default() };
        let listed = alice.favourites().list(&query).await.unwrap().favourites;
        let listed: Vec<_> = listed.into_iter().rev().map(|kept| kept.event_id).collect();
        let of_kind = expected.iter().filter(|(_, other)| *other == kind);
        assert_eq!(listed, of_kind.map(|(event, _)| event.clone()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn of_an_encrypted_message_its_keeper_says_what_it_is() {
    let (_server, alice, _bob, room) = scene().await;
    let encrypted = json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "abc" });
    let send = || room.send("m.room.encrypted".into(), raw(&encrypted), None);
    let (told, untold) = (send().await.unwrap(), send().await.unwrap());
    let say = Told { msgtype: Some("m.image".to_owned()), preview: Some("cat.png".to_owned()) };
    let kept = alice.favourites().keep(room.id(), &told, say).await.unwrap();
    assert_eq!((kept.kind, kept.preview.as_deref()), (MessageKind::Image, Some("cat.png")));
    assert_eq!(content(&kept), encrypted);
    assert_eq!(found(&alice, "cat").await, 1);
    let kept = keep(&alice, &room, &untold).await;
    assert_eq!((kept.kind, kept.preview), (MessageKind::Other, None));
    let long = Told { msgtype: Some("m".repeat(256)), preview: None };
    let refused = alice.favourites().keep(room.id(), &untold, long).await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
    // What the server can read it believes itself.
    let plain = room.send_text("plain").await.unwrap();
    let lie = Told { msgtype: Some("m.video".to_owned()), preview: Some("lie".to_owned()) };
    let kept = alice.favourites().keep(room.id(), &plain, lie).await.unwrap();
    assert_eq!((kept.kind, kept.preview.as_deref()), (MessageKind::Text, Some("plain")));
}

async fn edit(room: &Room, event: &EventId, body: &str) -> OwnedEventId {
    let content = json!({
        "msgtype": "m.text", "body": format!("* {body}"),
        "m.new_content": { "msgtype": "m.text", "body": body },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    });
    send(room, content).await
}

#[tokio::test]
async fn a_message_is_kept_as_it_was_seen() {
    let (server, alice, _bob, room) = scene().await;
    let event = room.send_text("first").await.unwrap();
    let seen = edit(&room, &event, "second").await;
    let kept = keep(&alice, &room, &event).await;
    assert_eq!(content(&kept)["body"], "second");
    edit(&room, &event, "third").await;
    assert_eq!(content(&list(&alice).await[0])["body"], "second");
    assert_eq!((found(&alice, "second").await, found(&alice, "third").await), (1, 0));
    // When the edit that was seen is taken back, so is what was seen.
    room.redact(&seen, None, None).await.unwrap();
    blank(&server).await;
    assert_eq!((found(&alice, "second").await, found(&alice, "third").await), (0, 1));
    assert_eq!(content(&list(&alice).await[0])["body"], "third");
}

async fn item_of(user: &User, kept: &Favourite) -> Value {
    let kind = format!("org.matrix.msc4438.bookmark.{}", kept.id);
    let item = user.account_data(None, &kind).await.unwrap();
    serde_json::from_str(item.get()).unwrap()
}

#[tokio::test]
async fn a_message_whose_edit_is_taken_back_stands_as_it_is_without_it() {
    let (server, alice, bob, room) = scene().await;
    let event = room.send_text("orig").await.unwrap();
    let seen = edit(&room, &event, "edited").await;
    keep(&alice, &room, &event).await;
    let kept = keep(&bob, &room, &event).await;
    bob.room(room.id()).leave(None).await.unwrap();
    room.redact(&seen, None, None).await.unwrap();
    for user in [&alice, &bob] {
        let shown = &list(user).await[0];
        assert!(!shown.redacted, "the message stands");
        assert!(shown.message.as_ref().is_none_or(|now| !now.content.get().contains("edited")));
        assert_ne!(shown.preview.as_deref(), Some("edited"));
    }
    blank(&server).await;
    for user in [&alice, &bob] {
        let shown = &list(user).await[0];
        assert_eq!((content(shown)["body"].clone(), shown.redacted), (json!("orig"), false));
        assert_eq!(shown.preview.as_deref(), Some("orig"));
        assert_eq!((found(user, "orig").await, found(user, "edited").await), (1, 0));
        assert_eq!(item_of(user, &kept).await["body_preview"], "orig");
    }
    // It is as any other that is kept.
    room.redact(&event, None, None).await.unwrap();
    assert!(list(&bob).await[0].redacted);
    blank(&server).await;
    assert!(list(&bob).await[0].message.is_none());
    assert_eq!(
        (found(&bob, "orig").await, item_of(&bob, &kept).await.get("body_preview")),
        (0, None)
    );
}

#[tokio::test]
async fn what_is_dropped_leaves_no_word_of_the_message() {
    let (server, alice, bob, room) = scene().await;
    let event = room.send_text("TOPSECRET").await.unwrap();
    let kept = keep(&bob, &room, &event).await;
    bob.favourites().drop(&kept.id).await.unwrap();
    let check = async || {
        let item = item_of(&bob, &kept).await;
        assert_eq!((&item["deleted"], &item["event_id"]), (&json!(true), &json!(event)));
        assert!(!item.to_string().contains("TOPSECRET"), "{item}");
        assert_eq!(count(&server, &SNAPSHOTS).await, 0);
    };
    check().await;
    alice.room(room.id()).redact(&event, None, None).await.unwrap();
    blank(&server).await;
    check().await;
}

#[tokio::test]
async fn what_a_keeper_told_of_an_encrypted_message_goes_with_it() {
    let (server, alice, _bob, room) = scene().await;
    let encrypted = json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "abc" });
    let event = room.send("m.room.encrypted".into(), raw(&encrypted), None).await.unwrap();
    let told = Told { msgtype: Some("m.text".to_owned()), preview: Some("secret".to_owned()) };
    let kept = alice.favourites().keep(room.id(), &event, told).await.unwrap();
    room.redact(&event, None, None).await.unwrap();
    blank(&server).await;
    assert_eq!(item_of(&alice, &kept).await.get("body_preview"), None);
    assert_eq!(found(&alice, "secret").await, 0);
}

#[tokio::test]
async fn a_redacted_message_is_blank_at_once_and_soon_in_the_store() {
    let (server, alice, bob, room) = scene().await;
    let picture = json!({ "msgtype": "m.image", "body": "secret.png", "url": "mxc://x/secret" });
    let event = send(&room, picture).await;
    let (hers, his) = (keep(&alice, &room, &event).await, keep(&bob, &room, &event).await);
    assert_eq!(hers.id, his.id);
    let own = raw(&json!({
        "version": 1, "bookmark_id": "own", "uri": "matrix:roomid/r/e/e", "room_id": room.id(),
        "event_id": event, "event_ts": 5, "bookmarked_ts": 5, "body_preview": "my own note",
    }));
    alice.set_account_data(None, "m.bookmark.own", own).await.unwrap();
    assert_eq!(count(&server, &FAVOURITE_MEDIA).await, 3);
    room.redact(&event, None, None).await.unwrap();
    for user in [&alice, &bob] {
        let kept = &list(user).await[0];
        assert!(kept.redacted && kept.message.is_none() && kept.preview.is_none());
    }
    blank(&server).await;
    assert_eq!(count(&server, &FAVOURITE_MEDIA).await, 0);
    let view = server.core.store.view().await.unwrap();
    let snapshots = view.scan(&SNAPSHOTS, &(), Direction::Forward, 10).await.unwrap();
    assert_eq!(snapshots.len(), 3);
    assert!(snapshots.iter().all(|(_, row)| row.content.is_none()));
    assert_eq!((found(&alice, "secret").await, found(&bob, "secret").await), (0, 0));
    let listed = list(&alice).await;
    assert_eq!((listed.len(), listed[0].kind), (1, MessageKind::Image));
    let kind = format!("org.matrix.msc4438.bookmark.{}", hers.id);
    let item = alice.account_data(None, &kind).await.unwrap();
    assert!(!item.get().contains("secret"), "{item}");
    let own = alice.account_data(None, "m.bookmark.own").await.unwrap();
    assert!(own.get().contains("my own note"), "what a client says is its own");
    // Kept after it was redacted, there is nothing to see.
    alice.favourites().drop(&hers.id).await.unwrap();
    assert!(list(&alice).await.is_empty());
    let tell = Told { preview: Some("secret".to_owned()), ..Told::default() };
    let again = alice.favourites().keep(room.id(), &event, tell).await.unwrap();
    assert_eq!(found(&alice, "secret").await, 0);
    assert!(again.redacted && again.message.is_none() && again.preview.is_none());
}

#[tokio::test]
async fn of_a_removed_room_the_bookmarks_are_left_and_nothing_that_was_said() {
    let (server, alice, bob, room) = scene().await;
    let event = room.send_text("said").await.unwrap();
    let other = public_room(&alice, "11").await;
    let stays = other.send_text("said elsewhere").await.unwrap();
    keep(&bob, &room, &event).await;
    bob.room(other.id()).join(None).await.unwrap();
    keep(&bob, &other, &stays).await;
    server.remove_room(room.id()).await.unwrap();
    for _ in 0..2 {
        let listed = list(&bob).await;
        assert_eq!(listed.len(), 2);
        assert_eq!(content(&listed[0])["body"], "said elsewhere");
        assert!(listed[1].message.is_none() && listed[1].preview.is_none());
        blank(&server).await;
    }
    assert_eq!(found(&bob, "said").await, 1);
    assert!(bob.favourites().keep(room.id(), &event, Told::default()).await.is_err());
}

#[tokio::test]
async fn the_follower_blanks_without_being_asked() {
    let (server, alice, _bob, room) = scene().await;
    let event = room.send_text("said").await.unwrap();
    keep(&alice, &room, &event).await;
    room.redact(&event, None, None).await.unwrap();
    while count(&server, &UNSEEN_EVENTS).await > 0 {
        assert!(!server.core.tasks.is_empty(), "the follower has given up");
        tokio::task::yield_now().await;
    }
    assert_eq!(found(&alice, "said").await, 0);
}

/// Sets how many bookmarks count.
struct Count(User, u32);

impl Command for Count {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.0.id)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.put(&FAVOURITE_COUNTS, &(self.0.id.clone(),), &(self.1,));
        Ok(())
    }
}

#[tokio::test]
async fn one_can_keep_so_many_and_no_more() {
    let (_server, alice, _bob, room) = scene().await;
    let (one, two) = (room.send_text("1").await.unwrap(), room.send_text("2").await.unwrap());
    alice.core.store.write(Count(alice.clone(), bookmarks::MOST - 1)).await.unwrap();
    let kept = keep(&alice, &room, &one).await;
    let refused = alice.favourites().keep(room.id(), &two, Told::default()).await;
    assert!(matches!(refused, Err(Error::TooMany(_))), "{refused:?}");
    let item = raw(&json!({
        "version": 1, "bookmark_id": "b", "uri": "matrix:roomid/r/e/e", "room_id": room.id(),
        "event_id": two, "event_ts": 5, "bookmarked_ts": 5,
    }));
    let refused = alice.set_account_data(None, "m.bookmark.b", item).await;
    assert!(matches!(refused, Err(Error::TooMany(_))), "{refused:?}");
    assert!(
        alice.account_data(None, "m.bookmark.b").await.is_err(),
        "not even the item is written"
    );
    keep(&alice, &room, &one).await;
    alice.favourites().drop(&kept.id).await.unwrap();
    keep(&alice, &room, &two).await;
}

/// How many rows there are beside the account data.
async fn rows(server: &Homeserver) -> usize {
    count(server, &FAVOURITES).await
        + count(server, &FAVOURITE_LISTS).await
        + count(server, &FAVOURITE_COUNTS).await
        + count(server, &KEPT_EVENTS).await
        + count(server, &FAVOURITE_MEDIA).await
        + count(server, &SNAPSHOTS).await
        + count(server, &BOOKMARK_ORDERS).await
}

#[tokio::test]
async fn of_a_closed_account_no_favourites_are_left() {
    let server = server().await;
    let (alice, bob) =
        (server.register("alice").await.unwrap().0, server.register("bob").await.unwrap().0);
    let room = public_room(&alice, "11").await;
    bob.room(room.id()).join(None).await.unwrap();
    let mut events = Vec::new();
    for n in 0..20 {
        let content = json!({ "msgtype": "m.file", "body": format!("{n}"), "url": "mxc://x/a" });
        events.push(send(&room, content).await);
    }
    let keep_all = async |user: &Session| {
        for event in &events {
            keep(user, &room, event).await;
        }
        let order = raw(&json!({ "bookmark_ids": ["a"] }));
        let kind = "org.matrix.msc4438.bookmarks.index";
        user.set_account_data(None, kind, order).await.unwrap();
    };
    keep_all(&alice).await;
    let hers = rows(&server).await;
    keep_all(&bob).await;
    assert!(rows(&server).await > hers);
    bob.deactivate(crate::Remains::Keep).await.unwrap();
    carried(&server).await;
    assert_eq!(rows(&server).await, hers);
    server.remove_user(alice.id()).await.unwrap();
    assert_eq!(rows(&server).await, 0);
}

#[tokio::test]
async fn older_bookmarks_become_favourites_once() {
    let (server, _alice, _bob, room) = scene().await;
    let event = room.send_text("old").await.unwrap();
    let ana = server.create_user("ana").await.unwrap();
    ana.room(room.id()).join(None).await.unwrap();
    let kept = keep(&ana, &room, &event).await;
    // As if there had never been any.
    clear(&server.core, &ana.id).await.unwrap();
    assert!(ana.favourites().get(&kept.id).await.is_ok(), "the item is there");
    adopt(&server.core).await.unwrap();
    let is_done = count(&server, &BOOKMARKS_ADOPTED).await > 0;
    assert_eq!(list(&ana).await.len(), usize::from(!is_done), "it is done once");
    adopt_all(&ana).await.unwrap();
    assert_eq!(content(&list(&ana).await[0])["body"], "old");
}

/// A store that counts, with a user who keeps `count` messages, and a room with one more.
async fn counted(count: usize) -> (Homeserver, FailingEngine<Memory>, User, Room, OwnedEventId) {
    let engine = FailingEngine::new(Memory::default(), Default::default());
    let server = Homeserver::start("x", LocalEngine::start(engine.clone()).unwrap()).await.unwrap();
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    for n in 0..count {
        let item = json!({
            "version": 1, "bookmark_id": n.to_string(), "uri": "matrix:roomid/r/e/e",
            "room_id": room.id(), "event_id": format!("$e{n}"), "event_ts": 5,
            "bookmarked_ts": n, "body_preview": "one of many", "msgtype": "m.text",
        });
        let kind = format!("org.matrix.msc4438.bookmark.{n}");
        alice.set_account_data(None, &kind, raw(&item)).await.unwrap();
    }
    let event = room.send_text("one more of many").await.unwrap();
    // What is read for the first time is kept in memory.
    room.event(&event).await.unwrap();
    // What follows the log reads as well.
    server.core.stop.cancel();
    server.core.tasks.close();
    server.core.tasks.wait().await;
    (server, engine, alice, room, event)
}

#[tokio::test]
async fn keeping_and_a_first_page_cost_the_same_whatever_is_kept() {
    let mut costs = Vec::new();
    for kept in [100, 3_000] {
        let (_server, engine, alice, room, event) = counted(kept).await;
        let counts = engine.counts();
        let (reads, read, written) = (counts.reads(), counts.rows(), counts.written());
        keep(&alice, &room, &event).await;
        let (reads, read) = (counts.reads() - reads, counts.rows() - read);
        let written = counts.written() - written;
        assert!(reads < 60 && read < 60 && written < 30, "{reads} {read} {written}");

        let before = counts.reads();
        let query = FavouritesQuery { limit: 50, ..FavouritesQuery::default() };
        let page = alice.favourites().list(&query).await.unwrap();
        assert_eq!(page.favourites.len(), 50);
        let page = counts.reads() - before;
        // The list, the profile of who sent them, and of each favourite its item, snapshot and message.
        assert!(page <= 3 + 3 * 50, "{page}");
        costs.push((reads, read, written, page));
    }
    assert_eq!(costs[0], costs[1]);
}
