use std::pin::pin;

use futures_util::poll;
use ruma::{room_id, user_id};
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{
    Homeserver, Room,
    testing::{DrivenClock, public_room, user},
};

fn everyone(_: &UserId) -> bool {
    true
}

/// A room in which alice and bob are, and a client that knows all of it so far.
struct Scene {
    server: Homeserver,
    clock: DrivenClock,
    alice: User,
    room: Room,
    since: TypingVersion,
}

impl Scene {
    async fn new() -> Self {
        let clock = DrivenClock::default();
        let server = Homeserver::builder("x").unwrap().clock(clock.clone());
        let server = server.start(MemoryEngine::default()).await.unwrap();
        let alice = user(&server, "alice");
        let room = public_room(&user(&server, "bob"), "12").await;
        alice.room(room.id()).join(None).await.unwrap();
        let since = version(&server.core);
        Self { server, clock, alice, room, since }
    }

    async fn start(&self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.alice.start_typing(self.room.id(), time).await.unwrap();
    }

    fn watch(&self) -> tertulia_storage::Watch {
        self.server.core.store.watch([log::room_topic(self.room.id())])
    }

    /// What the client is told next of who types.
    fn told(&mut self) -> Option<Vec<OwnedUserId>> {
        let since = std::mem::replace(&mut self.since, version(&self.server.core));
        changed(&self.server.core, self.room.id(), Some(since), everyone)
    }
}

#[tokio::test]
async fn the_room_is_woken_when_someone_begins_and_when_they_stop() {
    let mut scene = Scene::new().await;
    let alice = scene.alice.id().to_owned();
    let mut watch = scene.watch();
    scene.start(30).await;
    watch.changed().await;
    assert_eq!(scene.told(), Some(vec![alice]));
    scene.start(30).await;
    assert!(poll!(pin!(watch.changed())).is_pending());
    assert_eq!(scene.told(), None);
    scene.alice.stop_typing(scene.room.id()).await.unwrap();
    watch.changed().await;
    assert_eq!(scene.told(), Some(vec![]));
    scene.alice.stop_typing(scene.room.id()).await.unwrap();
    assert!(poll!(pin!(watch.changed())).is_pending());
    assert_eq!(scene.told(), None);
}

#[tokio::test]
async fn who_leaves_or_is_removed_types_no_more() {
    let mut scene = Scene::new().await;
    let (alice, theirs) = (scene.alice.clone(), scene.alice.room(scene.room.id()));
    for removed in [false, true] {
        scene.start(30).await;
        assert_eq!(scene.told(), Some(vec![alice.id().to_owned()]));
        match removed {
            true => scene.room.kick(alice.id(), None).await.unwrap(),
            false => theirs.leave(None).await.unwrap(),
        }
        assert_eq!(scene.told(), Some(vec![]), "removed: {removed}");
        theirs.join(None).await.unwrap();
        assert_eq!(scene.told(), None, "removed: {removed}");
    }
}

#[tokio::test]
async fn typing_ends_when_its_time_is_up_and_not_before() {
    let mut scene = Scene::new().await;
    scene.start(30).await;
    assert!(scene.told().is_some());
    let mut watch = scene.watch();
    scene.clock.advance(20_000);
    scene.start(30).await;
    // The task that waited for the first end sees that there is a later one.
    scene.clock.advance(29_999);
    tokio::task::yield_now().await;
    assert_eq!(scene.told(), None);
    scene.clock.advance(1);
    watch.changed().await;
    assert_eq!(scene.told(), Some(vec![]));
}

#[tokio::test]
async fn nobody_types_for_longer_than_two_minutes_at_once() {
    let mut scene = Scene::new().await;
    let mut watch = scene.watch();
    scene.start(u64::MAX / 1_000).await;
    watch.changed().await;
    scene.clock.advance(120_000);
    watch.changed().await;
    assert_eq!(scene.told(), Some(vec![]));
}

#[tokio::test]
async fn a_server_stops_without_waiting_for_those_who_type() {
    let scene = Scene::new().await;
    scene.start(30).await;
    scene.server.shutdown().await;
}

#[tokio::test]
async fn who_stopped_leaves_no_task_behind() {
    let scene = Scene::new().await;
    let tasks = &scene.server.core.tasks;
    let without_typing = tasks.len();
    scene.start(30).await;
    assert!(tasks.len() > without_typing);
    scene.alice.stop_typing(scene.room.id()).await.unwrap();
    while tasks.len() > without_typing {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_members_type() {
    let scene = Scene::new().await;
    let (carol, room) = (user(&scene.server, "carol"), scene.room.id());
    for refused in
        [carol.start_typing(room, Duration::from_secs(9)).await, carol.stop_typing(room).await]
    {
        assert!(matches!(refused, Err(Error::Forbidden(_))));
    }
}

#[tokio::test]
async fn a_new_client_and_one_from_before_a_restart_are_told_what_holds_now() {
    let scene = Scene::new().await;
    let (core, room) = (&scene.server.core, scene.room.id());
    let before = TypingVersion { boot: scene.since.boot ^ 1, count: 99 };
    assert_eq!(changed(core, room, None, everyone), None);
    assert_eq!(changed(core, room, Some(before), everyone), Some(vec![]));
    scene.start(30).await;
    let alice = vec![scene.alice.id().to_owned()];
    assert_eq!(changed(core, room, None, everyone), Some(alice.clone()));
    assert_eq!(changed(core, room, Some(before), everyone), Some(alice));
}

fn at(time: u32) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(time.into())
}

#[test]
fn a_list_is_news_until_it_was_told() {
    let (room, other) = (room_id!("!a:x"), room_id!("!b:x"));
    let (alice, bob) = (user_id!("@alice:x"), user_id!("@bob:x"));
    let mut lists = Lists::default();
    assert_eq!(lists.changed(room, 0, everyone), None);
    let _alice = lists.start(room, alice, at(5)).unwrap();
    let _bob = lists.start(room, bob, at(5)).unwrap();
    assert_eq!(lists.changed(room, 1, everyone), Some(vec![alice.to_owned(), bob.to_owned()]));
    assert_eq!(lists.changed(room, 2, everyone), None);
    assert_eq!(lists.changed(other, 0, everyone), None);
    assert!(lists.stop(room, alice) && lists.stop(room, bob));
    assert_eq!(lists.changed(room, 2, everyone), Some(vec![]));
    assert!(!lists.stop(room, alice) && !lists.stop(other, alice));
    assert_eq!(lists.changed(room, 4, everyone), None);
}

#[test]
fn what_only_those_do_who_are_not_heard_is_no_news() {
    let room = room_id!("!a:x");
    let (alice, bob) = (user_id!("@alice:x"), user_id!("@bob:x"));
    let hears = |user: &UserId| user != bob;
    let mut lists = Lists::default();
    let _bob = lists.start(room, bob, at(5)).unwrap();
    assert_eq!(lists.changed(room, 0, hears), None);
    let _alice = lists.start(room, alice, at(5)).unwrap();
    assert_eq!(lists.changed(room, 0, hears), Some(vec![alice.to_owned()]));
    lists.stop(room, bob);
    assert_eq!(lists.changed(room, 2, hears), None);
    assert_eq!(lists.changed(room, 2, everyone), Some(vec![alice.to_owned()]));
    lists.stop(room, alice);
    for _ in 0..MAX_CHANGES {
        let _bob = lists.start(room, bob, at(5)).unwrap();
        lists.stop(room, bob);
    }
    assert_eq!(lists.changed(room, 2, hears), Some(vec![]), "whose changes is not known any more");
    assert_eq!(lists.changed(room, lists.count - 1, hears), None);
}

#[test]
fn a_list_that_was_forgotten_may_have_been_any() {
    let room = room_id!("!a:x");
    let bob = user_id!("@bob:x");
    let mut lists = Lists { count: 9, forgotten: 7, ..Lists::default() };
    let _bob = lists.start(room, bob, at(5)).unwrap();
    let hears_nobody = |_: &UserId| false;
    assert_eq!(lists.changed(room, 6, hears_nobody), Some(vec![]));
    assert_eq!(lists.changed(room, 7, hears_nobody), None);
}

#[test]
fn who_goes_on_typing_is_no_news_and_types_longer() {
    let (room, alice) = (room_id!("!a:x"), user_id!("@alice:x"));
    let mut lists = Lists::default();
    let mut stopped = lists.start(room, alice, at(5)).unwrap();
    assert!(lists.start(room, alice, at(9)).is_none());
    assert_eq!(lists.changed(room, 1, everyone), None);
    assert_eq!(lists.expire(room, alice, at(5)), Some(at(9)));
    stopped.try_recv().unwrap_err();
    assert_eq!(lists.expire(room, alice, at(9)), None);
    assert_eq!(lists.changed(room, 1, everyone), Some(vec![]));
    assert_eq!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Closed));
}

#[test]
fn quiet_rooms_are_forgotten_without_a_client_missing_that_they_went_quiet() {
    let alice = user_id!("@alice:x");
    let name = |n: usize| RoomId::parse(format!("!{n}:x")).unwrap().to_owned();
    let mut lists = Lists::default();
    let _typing = lists.start(room_id!("!loud:x"), alice, at(5));
    for n in 0..=MAX_QUIET_ROOMS {
        let _stopped = lists.start(&name(n), alice, at(5));
        lists.stop(&name(n), alice);
    }
    assert!(lists.rooms.len() <= MAX_QUIET_ROOMS);
    assert_eq!(lists.users(room_id!("!loud:x"), everyone), [alice]);
    assert_eq!(lists.changed(&name(0), 2, everyone), Some(vec![]));
    assert_eq!(lists.changed(&name(MAX_QUIET_ROOMS), 2, everyone), Some(vec![]));
    assert_eq!(lists.changed(&name(0), lists.count, everyone), None);
}

#[test]
fn times_neither_overflow_nor_run_backwards() {
    assert_eq!(later(at(5), Duration::from_millis(7)), at(12));
    assert_eq!(later(at(5), Duration::MAX).get(), UInt::MAX);
    assert_eq!(remaining(at(5), at(12)), Duration::from_millis(7));
    assert_eq!(remaining(at(12), at(5)), Duration::ZERO);
}

#[test]
fn the_event_replaces_what_a_client_knew() {
    let json: serde_json::Value =
        serde_json::from_str(event(&[user_id!("@alice:x").to_owned()]).get()).unwrap();
    assert_eq!(json, json!({ "type": "m.typing", "content": { "user_ids": ["@alice:x"] } }));
}
