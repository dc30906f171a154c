//! What erased users wrote, on a server in memory: whoever comes later is told none of it, by
//! whatever tells events.

use ruma::{OwnedEventId, OwnedRoomId, api::Direction, events::StateEventType, user_id};
use serde::Serialize;
use serde_json::{Value, json};
use tertulia_storage::MemoryEngine;

use crate::{
    EventFilter, Homeserver, MembersQuery, MessagesQuery, ProfileField, Remains, Room, Session,
    StateFor,
    sync::{SyncFilter, SyncRequest, Update},
    testing::{carried, field, public_room, raw},
};

const VERSIONS: [&str; 5] = ["1", "6", "10", "11", "12"];

/// A room in which Alice and Bob talked. All that Alice wrote has the word "secret" in it.
struct Scene {
    engine: MemoryEngine,
    server: Homeserver,
    alice: Session,
    bob: Session,
    room: OwnedRoomId,
    /// A message of Alice's.
    words: OwnedEventId,
    /// The topic that Alice set.
    topic: OwnedEventId,
}

async fn session(server: &Homeserver, name: &str) -> Session {
    server.register(name).await.unwrap().0
}

impl Scene {
    async fn of_version(version: &str) -> Self {
        let engine = MemoryEngine::default();
        let server = Homeserver::start("x", engine.clone()).await.unwrap();
        let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
        alice.set_profile_field(ProfileField::DISPLAY_NAME, json!("secret A")).await.unwrap();
        let room = public_room(&bob, version).await.id().to_owned();
        let hers = alice.room(&room);
        hers.join(None).await.unwrap();
        // The creator of a room of version 12 has all power, and must not be named.
        let levels = match version {
            "12" => json!({ "users": { "@alice:x": 50 } }),
            _ => json!({ "users": { "@alice:x": 50, "@bob:x": 100 } }),
        };
        let kind = StateEventType::RoomPowerLevels;
        bob.room(&room).set_state(kind, "", raw(&levels)).await.unwrap();
        let kind = StateEventType::RoomTopic;
        let topic = hers.set_state(kind, "", field("topic", "secret B")).await.unwrap();
        let words = hers.send_text("secret C").await.unwrap();
        let slip = hers.send_text("secret D").await.unwrap();
        hers.redact(&slip, Some("secret E".to_owned()), None).await.unwrap();
        let theirs = bob.room(&room).send_text("no harm").await.unwrap();
        hers.redact(&theirs, Some("secret F".to_owned()), None).await.unwrap();
        let nobody = user_id!("@nobody:x");
        hers.ban(nobody, Some("secret G".to_owned())).await.unwrap();
        bob.room(&room).send_text("plain words").await.unwrap();
        Self { engine, server, alice, bob, room, words, topic }
    }

    async fn new() -> Self {
        Self::of_version("11").await
    }

    /// Closes Alice's account, and waits until she has left the room.
    async fn close(&self, remains: Remains) {
        self.alice.deactivate(remains).await.unwrap();
        carried(&self.server).await;
    }

    async fn newcomer(&self, name: &str) -> Session {
        let session = session(&self.server, name).await;
        self.join(&session).await;
        session
    }

    async fn join(&self, session: &Session) {
        session.room(&self.room).join(None).await.unwrap();
    }

    /// Checks of everything that tells events whether it tells `reader` what Alice wrote.
    async fn check(&self, reader: &Session, is_told: bool) {
        let room = reader.room(&self.room);
        for (how, answer) in self.looks(&room).await.into_iter().chain(syncs(reader).await) {
            assert_eq!(answer.contains("secret"), is_told, "{how}: {answer}");
        }
    }

    /// What tells one who looks into the room what Alice wrote.
    async fn looks(&self, room: &Room) -> Vec<(&'static str, String)> {
        let (topic, members) = (StateEventType::RoomTopic, MembersQuery::default());
        let here = || EventFilter::default();
        vec![
            ("event", text(&room.event(&self.words).await.unwrap())),
            ("state event by its ID", text(&room.event(&self.topic).await.unwrap())),
            ("messages backward", messages(room, Direction::Backward, here()).await),
            ("messages forward", messages(room, Direction::Forward, here()).await),
            ("context", self.context(room, here()).await),
            ("state", text(&room.state().await.unwrap())),
            ("slot", text(&room.state_event(&topic, "").await.unwrap())),
            ("members", text(&room.member_events(&members).await.unwrap())),
        ]
    }

    async fn context(&self, room: &Room, filter: EventFilter) -> String {
        let context = room.context(&self.words, 20, filter).await.unwrap();
        let around = [context.before, context.after, context.state].concat();
        text(&context.event) + &text(&around)
    }
}

/// As it is written, whatever a reader of JSON would say.
fn text(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap()
}

async fn messages(room: &Room, towards: Direction, filter: EventFilter) -> String {
    let query = MessagesQuery { from: None, to: None, towards, limit: 100, filter };
    let page = room.messages(&query).await.unwrap();
    text(&[page.events, page.state].concat())
}

async fn sync(session: &Session, filter: Value, request: SyncRequest) -> Update {
    let filter = SyncFilter::Given(Box::new(serde_json::from_value(filter).unwrap()));
    session.sync(SyncRequest { filter, ..request }).await.unwrap()
}

/// First syncs of clients of all kinds.
async fn syncs(session: &Session) -> Vec<(&'static str, String)> {
    let first = SyncRequest::default;
    let modern = SyncRequest { state: StateFor::TimelineEnd, ..first() };
    let short = json!({ "room": { "timeline": { "limit": 1 } } });
    let lazy = json!({ "room": { "state": { "lazy_load_members": true } } });
    let fields = json!({ "event_fields": ["event_id", "content", "unsigned"] });
    let form = json!({ "event_format": "federation" });
    vec![
        ("sync", text(&sync(session, json!({}), first()).await)),
        ("sync of the state", text(&sync(session, short.clone(), first()).await)),
        ("sync of the state after", text(&sync(session, short, modern).await)),
        ("lazy sync", text(&sync(session, lazy, first()).await)),
        ("sync of some fields", text(&sync(session, fields, first()).await)),
        ("sync as servers see it", text(&sync(session, form, first()).await)),
    ]
}

#[tokio::test]
async fn one_who_joins_later_is_told_redacted_copies() {
    for version in VERSIONS {
        let scene = Scene::of_version(version).await;
        scene.close(Remains::Erase).await;
        let carol = scene.newcomer("carol").await;
        scene.check(&carol, false).await;
        let told = carol.room(&scene.room).event(&scene.words).await.unwrap();
        let told = serde_json::to_value(told).unwrap();
        assert_eq!((&told["content"], &told["sender"]), (&json!({}), &json!("@alice:x")));
        assert_eq!(told["unsigned"].get("redacted_because"), None, "{version}");
    }
}

#[tokio::test]
async fn one_who_was_there_is_still_told_everything() {
    for version in VERSIONS {
        let scene = Scene::of_version(version).await;
        scene.close(Remains::Erase).await;
        scene.check(&scene.bob, true).await;
    }
}

#[tokio::test]
async fn one_who_came_before_the_erasure_could_see_what_was_before() {
    let scene = Scene::new().await;
    let carol = scene.newcomer("carol").await;
    scene.close(Remains::Erase).await;
    scene.check(&carol, true).await;
}

#[tokio::test]
async fn one_who_comes_back_is_told_what_they_knew_and_no_more() {
    let scene = Scene::new().await;
    let carol = scene.newcomer("carol").await;
    let room = carol.room(&scene.room);
    room.leave(None).await.unwrap();
    let missed = scene.alice.room(&scene.room).send_text("secret too").await.unwrap();
    scene.close(Remains::Erase).await;
    room.join(None).await.unwrap();
    scene.check(&carol, true).await;
    assert!(!text(&room.event(&missed).await.unwrap()).contains("secret"));
    let timeline = text(&sync(&carol, json!({}), SyncRequest::default()).await);
    assert!(!timeline.contains("secret too"), "{timeline}");
}

#[tokio::test]
async fn an_erasure_outlives_the_server() {
    let mut scene = Scene::new().await;
    scene.close(Remains::Erase).await;
    scene.server.shutdown().await;
    scene.server = Homeserver::start("x", scene.engine.reopen()).await.unwrap();
    let carol = scene.newcomer("carol").await;
    scene.check(&carol, false).await;
    let bob = scene.server.user("bob").await.unwrap().room(&scene.room);
    for (how, answer) in scene.looks(&bob).await {
        assert!(answer.contains("secret"), "{how}: {answer}");
    }
}

#[tokio::test]
async fn who_only_closes_the_account_hides_nothing() {
    let scene = Scene::new().await;
    scene.close(Remains::Keep).await;
    let carol = scene.newcomer("carol").await;
    scene.check(&carol, true).await;
}

#[tokio::test]
async fn a_removed_user_is_erased() {
    for closed_before in [false, true] {
        let scene = Scene::new().await;
        if closed_before {
            scene.close(Remains::Keep).await;
        }
        scene.server.remove_user(scene.alice.id()).await.unwrap();
        let carol = scene.newcomer("carol").await;
        scene.check(&carol, false).await;
        scene.check(&scene.bob, true).await;
    }
}

#[tokio::test]
async fn removing_an_erased_user_leaves_the_erasure_as_it_was() {
    let scene = Scene::new().await;
    scene.close(Remains::Erase).await;
    let carol = scene.newcomer("carol").await;
    scene.server.remove_user(scene.alice.id()).await.unwrap();
    scene.check(&carol, false).await;
}

#[tokio::test]
async fn what_others_wrote_is_told_to_everyone() {
    let scene = Scene::new().await;
    scene.close(Remains::Erase).await;
    let carol = scene.newcomer("carol").await;
    let told = messages(&carol.room(&scene.room), Direction::Forward, Default::default()).await;
    assert!(told.contains("plain words"), "{told}");
}

#[tokio::test]
async fn a_room_that_is_open_to_the_world_tells_passers_by_nothing() {
    let mut scene = Scene::new().await;
    let kind = StateEventType::RoomHistoryVisibility;
    let open = field("history_visibility", "world_readable");
    scene.bob.room(&scene.room).set_state(kind, "", open).await.unwrap();
    let hers = scene.alice.room(&scene.room);
    let topic = field("topic", "secret too");
    scene.topic = hers.set_state(StateEventType::RoomTopic, "", topic).await.unwrap();
    scene.words = hers.send_text("secret words").await.unwrap();
    let passer = session(&scene.server, "passer").await.room(&scene.room);
    for (is_told, remains) in [(true, None), (false, Some(Remains::Erase))] {
        if let Some(remains) = remains {
            scene.close(remains).await;
        }
        for (how, answer) in scene.looks(&passer).await {
            assert_eq!(answer.contains("secret"), is_told, "{how}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_was_replaced_is_hidden_like_what_is_in_force() {
    let scene = Scene::new().await;
    let (kind, content) = (StateEventType::RoomTopic, field("topic", "clean"));
    scene.bob.room(&scene.room).set_state(kind, "", content).await.unwrap();
    scene.close(Remains::Erase).await;
    let carol = scene.newcomer("carol").await;
    scene.check(&carol, false).await;
    let told = text(&sync(&scene.bob, json!({}), SyncRequest::default()).await);
    assert!(told.contains(r#""prev_content":{"topic":"secret B"}"#), "{told}");
}

#[tokio::test]
async fn a_filter_finds_no_url_in_what_is_hidden() {
    let scene = Scene::new().await;
    let content = json!({ "msgtype": "m.image", "body": "secret", "url": "mxc://x/secret" });
    let hers = scene.alice.room(&scene.room);
    let picture = hers.send("m.room.message".into(), raw(&content), None).await.unwrap();
    scene.close(Remains::Erase).await;
    let carol = scene.newcomer("carol").await;
    let wanted = json!({ "contains_url": true });
    for (reader, is_told) in [(&scene.bob, true), (&carol, false)] {
        let filter: ruma::api::client::filter::RoomEventFilter =
            serde_json::from_value(wanted.clone()).unwrap();
        let room = reader.room(&scene.room);
        let page = messages(&room, Direction::Backward, filter.into()).await;
        let filter = json!({ "room": { "timeline": &wanted, "state": &wanted } });
        let update = text(&sync(reader, filter, SyncRequest::default()).await);
        for answer in [page, update] {
            assert_eq!(answer.contains(picture.as_str()), is_told, "{answer}");
        }
    }
}

#[tokio::test]
async fn newcomers_are_told_how_the_room_works() {
    for version in VERSIONS {
        let scene = Scene::of_version(version).await;
        let hers = scene.alice.room(&scene.room);
        let algorithm = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
        let settings = [
            (StateEventType::RoomEncryption, algorithm),
            (StateEventType::RoomGuestAccess, json!({ "guest_access": "can_join" })),
        ];
        for (kind, content) in &settings {
            hers.set_state(kind.clone(), "", raw(content)).await.unwrap();
        }
        scene.close(Remains::Erase).await;
        let newcomer = scene.newcomer("carol").await;
        let theirs = newcomer.room(&scene.room);
        for (kind, content) in settings {
            let event = theirs.state_event(&kind, "").await.unwrap();
            let told: Value = serde_json::from_str(event.content().get()).unwrap();
            assert_eq!(told, content, "{kind} in version {version}");
        }
    }
}

#[tokio::test]
async fn a_guest_knows_of_the_room_what_the_invite_told() {
    let scene = Scene::new().await;
    let hers = scene.alice.room(&scene.room);
    hers.set_state("m.room.name".into(), "", field("name", "secret name")).await.unwrap();
    let (early, late) =
        (session(&scene.server, "early").await, session(&scene.server, "late").await);
    hers.invite(early.id(), Some("secret reason".to_owned()), false).await.unwrap();
    scene.close(Remains::Erase).await;
    scene.bob.room(&scene.room).invite(late.id(), None, false).await.unwrap();
    for (guest, is_told) in [(&early, true), (&late, false)] {
        let told = text(&sync(guest, json!({}), SyncRequest::default()).await);
        assert!(told.contains("m.room.name"), "{told}");
        for secret in ["secret name", "secret reason"] {
            assert_eq!(told.contains(secret), is_told, "{secret}: {told}");
        }
    }
    scene.join(&early).await;
    let told = text(&early.room(&scene.room).event(&scene.words).await.unwrap());
    assert!(!told.contains("secret"), "who is asked in was not there: {told}");
}

#[tokio::test]
async fn a_room_whose_name_is_hidden_is_called_by_its_members() {
    let scene = Scene::new().await;
    let hers = scene.alice.room(&scene.room);
    hers.set_state("m.room.name".into(), "", field("name", "secret name")).await.unwrap();
    scene.close(Remains::Erase).await;
    let carol = scene.newcomer("carol").await;
    for (reader, heroes) in [(&scene.bob, Value::Null), (&carol, json!(["@bob:x"]))] {
        let update = sync(reader, json!({}), SyncRequest::default()).await;
        let update = serde_json::to_value(update).unwrap();
        let summary = &update["rooms"]["join"][scene.room.as_str()]["summary"];
        assert_eq!(summary["m.heroes"], heroes, "{summary}");
    }
}

#[tokio::test]
async fn an_older_client_and_a_new_one_are_told_the_same() {
    let scene = Scene::new().await;
    let (before, after) = (scene.newcomer("before").await, session(&scene.server, "after").await);
    let knows = sync(&before, json!({}), SyncRequest::default()).await;
    let nothing = sync(&after, json!({}), SyncRequest::default()).await;
    assert!(text(&knows).contains("secret") && !text(&nothing).contains("secret"));
    scene.close(Remains::Erase).await;
    scene.join(&after).await;
    let since =
        |update: Update| SyncRequest { since: Some(update.next_batch), ..Default::default() };
    let all = json!({ "room": { "timeline": { "limit": 100 } } });
    for (session, old, is_told) in [(before, knows, true), (after, nothing, false)] {
        let next = sync(&session, all.clone(), since(old)).await;
        let new = sync(&session, all.clone(), SyncRequest::default()).await;
        assert_eq!(text(&new).contains("secret"), is_told);
        // What is left of an old client's knowledge to be told is Alice's leaving.
        let told = text(&next);
        assert!(told.contains(r#""prev_content""#), "{told}");
        assert_eq!(told.contains("secret"), is_told, "{told}");
    }
}
