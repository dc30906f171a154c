//! What is unread over a whole server in memory, as a client is told it.

mod law;
mod notified;

use ruma::{
    OwnedEventId,
    events::{TimelineEventType, receipt::ReceiptThread},
    push::{Action, NewPatternedPushRule, NewPushRule, NewSimplePushRule, RuleKind},
};
use serde_json::{Value, json};

use crate::{
    Homeserver, PushRuleChange, ReadMarks, Room, Session, SyncFilter, SyncRequest,
    testing::{public_room, raw, server},
};

/// A client that syncs, and remembers what it was told is unread.
struct Client {
    session: Session,
    request: SyncRequest,
    /// Of one room.
    unread: Value,
    threads: Value,
}

impl Client {
    fn new(session: &Session, by_thread: bool) -> Self {
        let filter =
            json!({ "room": { "timeline": { "unread_thread_notifications": by_thread } } });
        let filter = SyncFilter::Given(Box::new(serde_json::from_value(filter).unwrap()));
        let request = SyncRequest { filter, ..SyncRequest::default() };
        Self { session: session.clone(), request, unread: Value::Null, threads: Value::Null }
    }

    async fn sync(&mut self, room: &Room) {
        let update = self.session.sync(self.request.clone()).await.unwrap();
        self.request.since = Some(update.next_batch);
        let mut update = serde_json::to_value(&update).unwrap();
        let room = &mut update["rooms"]["join"][room.id().as_str()];
        if !room.is_null() {
            self.unread = room["unread_notifications"].take();
            self.threads = room["unread_thread_notifications"].take();
        }
    }

    /// The counts in short: notifications and highlights, then those of each thread.
    fn told(&self) -> String {
        let short = |counts: &Value| {
            format!("{}/{}", counts["notification_count"], counts["highlight_count"])
        };
        let threads = self.threads.as_object().into_iter().flatten();
        let threads = threads.map(|(_, counts)| short(counts));
        std::iter::once(short(&self.unread)).chain(threads).collect::<Vec<_>>().join(" ")
    }
}

/// Alice, who reads, in a room with Bob, who writes.
struct Scene {
    server: Homeserver,
    alice: Session,
    bob: Session,
    room: Room,
    client: Client,
    threaded: Client,
}

impl Scene {
    async fn new() -> Self {
        let server = server().await;
        let (alice, _) = server.register("alice").await.unwrap();
        let (bob, _) = server.register("bob").await.unwrap();
        let room = public_room(&bob, "11").await;
        alice.room(room.id()).join(None).await.unwrap();
        let (client, threaded) = (Client::new(&alice, false), Client::new(&alice, true));
        Self { server, alice, bob, room, client, threaded }
    }

    async fn say(&self, content: Value) -> OwnedEventId {
        self.send(&self.bob, "m.room.message", content).await
    }

    async fn send(&self, who: &Session, kind: &str, content: Value) -> OwnedEventId {
        let kind = TimelineEventType::from(kind);
        who.room(self.room.id()).send(kind, raw(&content), None).await.unwrap()
    }

    async fn read(&self, event: &OwnedEventId, thread: ReceiptThread) {
        let marks = ReadMarks { read: Some(event.clone()), thread, ..ReadMarks::default() };
        self.alice.mark_read(self.room.id(), marks).await.unwrap();
    }

    async fn change(&self, change: PushRuleChange) {
        self.alice.change_push_rules(change).await.unwrap();
    }

    /// What Alice's clients know after a sync: without and with threads by themselves.
    #[track_caller]
    fn check(&mut self, whole: &str, threaded: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            self.client.sync(&self.room).await;
            self.threaded.sync(&self.room).await;
            assert_eq!(self.client.told(), whole, "{place}");
            assert_eq!(self.threaded.told(), threaded, "{place}");
        }
    }
}

fn text() -> Value {
    json!({ "msgtype": "m.text", "body": "tea" })
}

fn to_alice() -> Value {
    json!({ "msgtype": "m.text", "body": "tea", "m.mentions": { "user_ids": ["@alice:x"] } })
}

fn in_thread(root: &OwnedEventId) -> Value {
    json!({ "msgtype": "m.text", "body": "tea",
            "m.relates_to": { "rel_type": "m.thread", "event_id": root } })
}

#[tokio::test]
async fn what_came_after_the_join_is_unread_until_it_is_read() {
    let mut scene = Scene::new().await;
    scene.check("0/0", "0/0").await;
    let first = scene.say(text()).await;
    scene.check("1/0", "1/0").await;
    for _ in 0..10 {
        scene.say(text()).await;
    }
    scene.say(json!({ "msgtype": "m.notice", "body": "beep" })).await;
    let mention = scene.say(to_alice()).await;
    scene.check("12/1", "12/1").await;
    scene.read(&first, ReceiptThread::Unthreaded).await;
    scene.check("11/1", "11/1").await;
    scene.read(&mention, ReceiptThread::Unthreaded).await;
    scene.check("0/0", "0/0").await;
}

#[tokio::test]
async fn a_private_receipt_counts_as_the_other_if_it_is_further() {
    let mut scene = Scene::new().await;
    let first = scene.say(text()).await;
    let second = scene.say(text()).await;
    let marks = ReadMarks { read_private: Some(second), ..ReadMarks::default() };
    scene.alice.mark_read(scene.room.id(), marks).await.unwrap();
    scene.read(&first, ReceiptThread::Unthreaded).await;
    scene.check("0/0", "0/0").await;
}

#[tokio::test]
async fn threads_are_read_by_themselves() {
    let mut scene = Scene::new().await;
    let root = scene.say(text()).await;
    let reply = scene.say(in_thread(&root)).await;
    let last = scene.say(text()).await;
    scene.check("3/0", "2/0 1/0").await;
    scene.read(&last, ReceiptThread::Main).await;
    scene.check("1/0", "0/0 1/0").await;
    scene.say(in_thread(&root)).await;
    scene.read(&reply, ReceiptThread::Thread(root.clone())).await;
    scene.check("1/0", "0/0 1/0").await;
    let newest = scene.say(in_thread(&root)).await;
    scene.read(&newest, ReceiptThread::Unthreaded).await;
    scene.check("0/0", "0/0").await;
}

#[tokio::test]
async fn who_writes_in_a_thread_has_read_it() {
    let mut scene = Scene::new().await;
    let root = scene.say(text()).await;
    scene.say(in_thread(&root)).await;
    scene.check("2/0", "1/0 1/0").await;
    scene.send(&scene.alice, "m.room.message", in_thread(&root)).await;
    scene.check("1/0", "1/0").await;
    scene.send(&scene.alice, "m.reaction", json!({})).await;
    scene.check("0/0", "0/0").await;
    scene.say(text()).await;
    scene.check("1/0", "1/0").await;
}

#[tokio::test]
async fn what_is_redacted_is_not_unread() {
    let mut scene = Scene::new().await;
    let mut said = Vec::new();
    for _ in 0..9 {
        said.push(scene.say(text()).await);
    }
    said.push(scene.say(to_alice()).await);
    scene.check("10/1", "10/1").await;
    for event in [0, 2, 5, 9] {
        scene.room.redact(&said[event], None, None).await.unwrap();
    }
    scene.check("6/0", "6/0").await;
}

#[tokio::test]
async fn other_rules_count_differently_at_once() {
    let mut scene = Scene::new().await;
    for _ in 0..6 {
        scene.say(text()).await;
    }
    scene.say(to_alice()).await;
    scene.say(json!({ "msgtype": "m.text", "body": "coffee" })).await;
    scene.check("8/1", "8/1").await;
    let room = scene.room.id().to_owned();
    let mute = NewPushRule::Room(NewSimplePushRule::new(room.clone(), vec![]));
    scene.change(PushRuleChange::Put { rule: mute, after: None, before: None }).await;
    scene.check("1/1", "1/1").await;
    let word = NewPatternedPushRule::new("c".to_owned(), "coffee".to_owned(), vec![Action::Notify]);
    let word = NewPushRule::Content(word);
    scene.change(PushRuleChange::Put { rule: word, after: None, before: None }).await;
    scene.check("2/1", "2/1").await;
    let master = ".m.rule.master".to_owned();
    scene.change(PushRuleChange::Enable(RuleKind::Override, master.clone(), true)).await;
    scene.check("0/0", "0/0").await;
    scene.change(PushRuleChange::Enable(RuleKind::Override, master, false)).await;
    scene.change(PushRuleChange::Delete(RuleKind::Room, room.to_string())).await;
    scene.check("8/1", "8/1").await;
}

#[tokio::test]
async fn the_ignored_are_not_counted() {
    let mut scene = Scene::new().await;
    scene.say(text()).await;
    scene.check("1/0", "1/0").await;
    for (users, expected) in [(json!({ "@bob:x": {} }), "0/0"), (json!({}), "1/0")] {
        let list = raw(&json!({ "ignored_users": users }));
        scene.alice.set_account_data(None, "m.ignored_user_list", list).await.unwrap();
        scene.check(expected, expected).await;
    }
}

#[tokio::test]
async fn the_room_is_mentioned_by_those_with_the_power_to() {
    let mut scene = Scene::new().await;
    let to_all = json!({ "msgtype": "m.text", "body": "all", "m.mentions": { "room": true } });
    let (carol, _) = scene.server.register("carol").await.unwrap();
    carol.room(scene.room.id()).join(None).await.unwrap();
    scene.send(&carol, "m.room.message", to_all.clone()).await;
    scene.check("1/0", "1/0").await;
    scene.say(to_all).await;
    scene.check("2/1", "2/1").await;
}

#[tokio::test]
async fn who_mentions_a_crowd_mentions_each_of_them() {
    let mut scene = Scene::new().await;
    let crowd: Vec<_> =
        (0..40).map(|n| format!("@u{n}:x")).chain(["@alice:x".to_owned()]).collect();
    scene
        .say(json!({ "msgtype": "m.text", "body": "hi", "m.mentions": { "user_ids": crowd } }))
        .await;
    for _ in 0..4 {
        scene.say(text()).await;
    }
    scene.check("5/1", "5/1").await;
}

#[tokio::test]
async fn who_comes_back_begins_anew() {
    let mut scene = Scene::new().await;
    scene.say(text()).await;
    let alice = scene.alice.room(scene.room.id());
    alice.leave(None).await.unwrap();
    scene.say(text()).await;
    alice.join(None).await.unwrap();
    scene.check("0/0", "0/0").await;
    scene.say(text()).await;
    scene.check("1/0", "1/0").await;
}

#[tokio::test]
async fn a_filter_holds_events_back_and_not_their_count() {
    let mut scene = Scene::new().await;
    scene.client.request.filter = SyncFilter::Given(Box::new(
        serde_json::from_value(json!({ "room": { "timeline": { "types": [] } } })).unwrap(),
    ));
    scene.check("0/0", "0/0").await;
    scene.say(text()).await;
    scene.check("1/0", "1/0").await;
}

/// A rule that reads the content of every message.
fn asks_for_cake() -> PushRuleChange {
    let actions = vec![Action::Notify, Action::SetTweak(ruma::push::Tweak::Highlight(true.into()))];
    let rule = NewPatternedPushRule::new("cake".to_owned(), "cake".to_owned(), actions);
    PushRuleChange::Put { rule: NewPushRule::Content(rule), after: None, before: None }
}

#[tokio::test]
async fn what_was_too_much_to_read_for_one_answer_is_read_for_the_next() {
    let scene = Scene::new().await;
    let other = public_room(&scene.bob, "11").await;
    scene.alice.room(other.id()).join(None).await.unwrap();
    scene.change(asks_for_cake()).await;
    let (first, second) = (scene.room.clone(), other);
    for room in [&first, &second] {
        let speaker = scene.bob.room(room.id());
        speaker.send_text("cake").await.unwrap();
        for _ in 0..119 {
            speaker.send_text("tea").await.unwrap();
        }
    }
    let mut highlights = Vec::new();
    for _ in 0..2 {
        let update = scene.alice.sync(SyncRequest::default()).await.unwrap();
        let update = serde_json::to_value(&update).unwrap();
        let of = |room: &Room| {
            update["rooms"]["join"][room.id().as_str()]["unread_notifications"].clone()
        };
        let both = [of(&first), of(&second)];
        assert!(both.iter().all(|counts| counts["notification_count"] == 120), "{both:?}");
        highlights.push(
            both.map(|counts| counts["highlight_count"].as_u64().unwrap()).iter().sum::<u64>(),
        );
    }
    assert_eq!(highlights, [1, 2]);
}
