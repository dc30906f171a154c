use ruma::{events::TimelineEventType, owned_event_id, user_id};
use serde_json::Value;

use super::*;
use crate::{
    Room,
    testing::{public_room, raw, server, user},
};

/// A room with alice and bob in it, and what bob sends.
struct Scene {
    alice: User,
    bob: User,
    room: Room,
}

impl Scene {
    async fn new() -> Self {
        let server = server().await;
        let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
        let room = public_room(&alice, "12").await;
        bob.room(room.id()).join(None).await.unwrap();
        Self { alice, bob, room }
    }

    /// Sends a message that relates to another event in some way.
    async fn send(&self, relation: Value) -> OwnedEventId {
        let content = json!({ "msgtype": "m.text", "body": "b", "m.relates_to": relation });
        let kind = TimelineEventType::RoomMessage;
        self.room.send(kind, raw(&content), None).await.unwrap()
    }

    async fn view(&self) -> View {
        self.alice.core.store.view().await.unwrap()
    }

    fn now(&self) -> Position {
        self.alice.core.store.settled()
    }

    /// What `reader` is told of receipts after a position: user, kind, thread and event.
    async fn told(
        &self,
        reader: &User,
        after: Position,
    ) -> Vec<(String, ReceiptKind, String, OwnedEventId)> {
        let view = self.view().await;
        let changed =
            changed(&view, self.room.id(), (reader.id(), &Ignored::default()), after, 100)
                .await
                .unwrap();
        let told = changed.into_iter();
        told.map(|it| (it.user.to_string(), it.kind, it.thread, it.event)).collect()
    }
}

fn read(event: &EventId) -> ReadMarks {
    ReadMarks { read: Some(event.to_owned()), ..ReadMarks::default() }
}

fn threaded(event: &EventId, thread: ReceiptThread) -> ReadMarks {
    ReadMarks { thread, ..read(event) }
}

#[tokio::test]
async fn a_public_receipt_is_told_to_all_and_a_private_one_to_its_giver() {
    let scene = Scene::new().await;
    let event = scene.send(json!({})).await;
    let before = scene.now();
    let marks = ReadMarks { read_private: Some(event.clone()), ..read(&event) };
    scene.bob.mark_read(scene.room.id(), marks).await.unwrap();
    let bob = scene.bob.id().to_string();
    let public = (bob.clone(), ReceiptKind::Read, String::new(), event.clone());
    let private = (bob, ReceiptKind::ReadPrivate, String::new(), event);
    let told = scene.told(&scene.bob, before).await;
    assert_eq!(told, [public, private]);
    assert_eq!(scene.told(&scene.alice, before).await, told[..1]);
    assert_eq!(scene.told(&scene.bob, scene.now()).await, []);
}

#[tokio::test]
async fn a_receipt_replaces_the_last_one_of_its_thread_forwards_or_back() {
    let scene = Scene::new().await;
    let (first, second) = (scene.send(json!({})).await, scene.send(json!({})).await);
    let room = scene.room.id();
    scene.bob.mark_read(room, read(&second)).await.unwrap();
    scene.bob.mark_read(room, threaded(&second, ReceiptThread::Main)).await.unwrap();
    scene.bob.mark_read(room, read(&first)).await.unwrap();
    let bob = scene.bob.id().to_string();
    let expected = [
        (bob.clone(), ReceiptKind::Read, "main".to_owned(), second),
        (bob, ReceiptKind::Read, String::new(), first.clone()),
    ];
    assert_eq!(scene.told(&scene.alice, Position::ZERO).await, expected);

    let before = scene.now();
    scene.bob.mark_read(room, read(&first)).await.unwrap();
    assert_eq!(scene.now(), before, "the same receipt again is no news");
}

#[tokio::test]
async fn only_the_newest_receipts_are_told_when_there_are_too_many() {
    let scene = Scene::new().await;
    let event = scene.send(json!({})).await;
    scene.alice.mark_read(scene.room.id(), read(&event)).await.unwrap();
    scene.bob.mark_read(scene.room.id(), read(&event)).await.unwrap();
    let (view, room) = (scene.view().await, scene.room.id());
    let told = changed(&view, room, (scene.bob.id(), &Ignored::default()), Position::ZERO, 1)
        .await
        .unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].user, scene.bob.id());
}

#[tokio::test]
async fn ones_own_receipts_are_told_however_many_others_there_are() {
    let scene = Scene::new().await;
    let [first, second] = [scene.send(json!({})).await, scene.send(json!({})).await];
    let before = scene.now();
    let room = scene.room.id();
    scene.bob.mark_read(room, threaded(&first, ReceiptThread::Main)).await.unwrap();
    scene.bob.mark_read(room, read(&first)).await.unwrap();
    scene.alice.mark_read(room, read(&first)).await.unwrap();
    scene.alice.mark_read(room, threaded(&second, ReceiptThread::Main)).await.unwrap();
    let view = scene.view().await;
    let told = async |reader: &User, after, limit| {
        let told =
            changed(&view, room, (reader.id(), &Ignored::default()), after, limit).await.unwrap();
        let told = told.into_iter().map(|it| format!("{} {}", it.user.localpart(), it.thread));
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(&scene.bob, before, 1).await, ["bob main", "bob ", "alice main"]);
    assert_eq!(told(&scene.alice, before, 1).await, ["alice ", "alice main"]);
    assert_eq!(told(&scene.bob, before, 3).await, ["bob main", "bob ", "alice ", "alice main"]);
    assert_eq!(told(&scene.bob, before, 4).await, ["bob main", "bob ", "alice ", "alice main"]);
    assert_eq!(told(&scene.bob, scene.now(), 1).await, [""; 0]);
}

#[tokio::test]
async fn the_fully_read_marker_is_room_account_data() {
    let scene = Scene::new().await;
    let event = scene.send(json!({})).await;
    let before = scene.now();
    let marks = ReadMarks { fully_read: Some(event.clone()), ..ReadMarks::default() };
    scene.bob.mark_read(scene.room.id(), marks).await.unwrap();
    assert_eq!(scene.told(&scene.bob, before).await, []);
    let content = scene.bob.account_data(Some(scene.room.id()), "m.fully_read").await.unwrap();
    assert_eq!(content.get(), json!({ "event_id": event }).to_string());
}

#[tokio::test]
async fn only_members_read_and_only_what_is_there() {
    let scene = Scene::new().await;
    let event = scene.send(json!({})).await;
    let carol = User::new(scene.alice.core.clone(), user_id!("@carol:x").to_owned());
    let refused = carol.mark_read(scene.room.id(), read(&event)).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)));
    let unknown = owned_event_id!("$unknown");
    for marks in [
        read(&unknown),
        ReadMarks { read_private: Some(unknown.clone()), ..read(&event) },
        ReadMarks { fully_read: Some(unknown.clone()), ..read(&event) },
    ] {
        let refused = scene.bob.mark_read(scene.room.id(), marks).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound(_)));
    }
    let other = public_room(&scene.bob, "11").await;
    let refused = scene.bob.mark_read(other.id(), read(&event)).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound(_)));
    assert_eq!(scene.told(&scene.bob, Position::ZERO).await, []);
}

#[tokio::test]
async fn a_receipt_for_a_thread_names_an_event_of_the_thread() {
    let scene = Scene::new().await;
    let root = scene.send(json!({})).await;
    let other = scene.send(json!({})).await;
    let reply = scene.send(json!({ "rel_type": "m.thread", "event_id": root })).await;
    let edit = scene.send(json!({ "rel_type": "m.replace", "event_id": reply })).await;
    let reaction = scene.send(json!({ "rel_type": "m.annotation", "event_id": root })).await;
    let check = async |event: &EventId, thread: ReceiptThread, fits: bool| {
        let given = scene.bob.mark_read(scene.room.id(), threaded(event, thread.clone())).await;
        assert_eq!(given.is_ok(), fits, "{event} in {thread:?}");
        assert!(fits || matches!(given, Err(Error::Invalid(_))));
    };
    let thread = ReceiptThread::Thread(root.clone());
    for event in [&root, &other, &reaction] {
        check(event, ReceiptThread::Main, true).await;
    }
    for event in [&root, &reply, &edit] {
        check(event, thread.clone(), true).await;
    }
    check(&reply, ReceiptThread::Main, false).await;
    check(&edit, ReceiptThread::Main, false).await;
    check(&other, thread.clone(), false).await;
    check(&reaction, thread.clone(), false).await;
    check(&reply, ReceiptThread::Thread(other), false).await;

    let marks = ReadMarks { fully_read: Some(reply), thread, ..ReadMarks::default() };
    let refused = scene.bob.mark_read(scene.room.id(), marks).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)));
}

#[tokio::test]
async fn a_receipt_wakes_the_room_unless_it_is_private() {
    let scene = Scene::new().await;
    let event = scene.send(json!({})).await;
    let store = &scene.alice.core.store;
    let mut room = store.watch([log::room_topic(scene.room.id())]);
    let mut bob = store.watch([log::user_topic(scene.bob.id())]);
    scene.bob.mark_read(scene.room.id(), read(&event)).await.unwrap();
    room.changed().await;
    let private = ReadMarks { read_private: Some(event), ..ReadMarks::default() };
    scene.bob.mark_read(scene.room.id(), private).await.unwrap();
    bob.changed().await;
}

#[test]
fn receipts_are_told_in_one_event_for_each_thread() {
    let receipt = |user: &UserId, kind, thread: &str, event: &str, ts| Receipt {
        user: user.to_owned(),
        kind,
        thread: thread.to_owned(),
        event: EventId::parse(event).unwrap().to_owned(),
        ts,
        at: Position::new(1),
    };
    let (alice, bob) = (user_id!("@alice:x"), user_id!("@bob:x"));
    let events = events(&[
        receipt(alice, ReceiptKind::Read, "", "$a", 1),
        receipt(alice, ReceiptKind::Read, "main", "$a", 2),
        receipt(alice, ReceiptKind::ReadPrivate, "$root", "$b", 3),
        receipt(bob, ReceiptKind::Read, "main", "$a", 4),
        receipt(bob, ReceiptKind::Read, "", "$a", 5),
    ]);
    let told: Vec<Value> =
        events.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect();
    let in_thread = |ts: u64, thread: &str| json!({ "ts": ts, "thread_id": thread });
    let expected = [
        json!({ "$a": { "m.read": { "@alice:x": { "ts": 1 }, "@bob:x": { "ts": 5 } } } }),
        json!({ "$b": { "m.read.private": { "@alice:x": in_thread(3, "$root") } } }),
        json!({ "$a": { "m.read": {
            "@alice:x": in_thread(2, "main"), "@bob:x": in_thread(4, "main"),
        } } }),
    ];
    assert_eq!(told, expected.map(|content| json!({ "type": "m.receipt", "content": content })));
}
