//! Redactions on a server in memory: nothing that shows an event shows what was redacted.

use ruma::{
    OwnedEventId,
    api::{Direction, client::filter::RoomEventFilter},
    events::{StateEventType, TimelineEventType},
};
use serde::Serialize;
use serde_json::{Value, json};
use tertulia_protocol::{Draft, Pdu};

use super::*;
use crate::{
    EventFilter, Homeserver, JoinedMember, MessagesQuery, Room, Session,
    events::{
        Admitted,
        admit_tests::{Scene, member, state},
        load_head,
    },
    sync::{SyncFilter, SyncRequest},
    testing::{public_room, raw, server},
};

const VERSIONS: [&str; 5] = ["1", "6", "10", "11", "12"];

/// A session of a new user.
async fn session(server: &Homeserver, name: &str) -> Session {
    server.register(name).await.unwrap().0
}

/// As it is written, whatever a reader of JSON would say.
fn text(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap()
}

async fn messages(room: &Room) -> String {
    let (towards, filter) = (Direction::Backward, EventFilter::default());
    let query = MessagesQuery { from: None, to: None, towards, limit: 100, filter };
    text(&room.messages(&query).await.unwrap().events)
}

async fn sync(session: &Session, filter: Value) -> String {
    let filter = SyncFilter::Given(Box::new(serde_json::from_value(filter).unwrap()));
    text(&session.sync(SyncRequest { filter, ..SyncRequest::default() }).await.unwrap())
}

/// Everything that tells of `event`.
async fn told(session: &Session, room: &Room, event: &OwnedEventId) -> Vec<String> {
    let one = room.event(event).await.unwrap();
    let state = room.state().await.unwrap();
    let members = room.member_events(&Default::default()).await.unwrap();
    let fields = json!({ "event_fields": ["event_id", "content.membership", "unsigned"] });
    vec![
        text(&one),
        text(&state),
        text(&members),
        messages(room).await,
        sync(session, json!({})).await,
        sync(session, fields).await,
    ]
}

/// Makes the server believe that it once stored this content in `event`.
async fn stored_with(session: &Session, room: &Room, event: &OwnedEventId, content: &str) {
    let view = session.core.store.view().await.unwrap();
    let head = load_head(&view, room.id()).await.unwrap();
    let cache = session.core.local::<EventCache>();
    let pdu = cache.load(&view, &head.rules, event).await.unwrap();
    let json = pdu.json().get().replace(pdu.content().get(), content);
    let pdu = Pdu::load(event.clone(), json.as_bytes(), &head.rules).unwrap();
    assert_eq!(pdu.content().get(), content);
    cache.keep(&pdu);
}

/// A member whose face was redacted, in rooms of several versions.
async fn faceless(version: &str) -> (Homeserver, Session, Room, OwnedEventId) {
    let server = server().await;
    let alice = session(&server, "alice").await;
    let room = alice.room(public_room(&alice, version).await.id());
    let face = json!({ "membership": "join", "displayname": "Secret", "avatar_url": "mxc://x/s" });
    let me = alice.id().as_str();
    let event = room.set_state(StateEventType::RoomMember, me, raw(&face)).await.unwrap();
    (server, alice, room, event)
}

fn face_of(member: &JoinedMember) -> (Option<&str>, Option<&str>) {
    (member.displayname.as_deref(), member.avatar_url.as_deref())
}

#[tokio::test]
async fn a_redacted_face_is_nowhere_told() {
    for version in VERSIONS {
        let (_server, alice, room, event) = faceless(version).await;
        let members = room.joined_members().await.unwrap();
        assert_eq!(face_of(&members[0]), (Some("Secret"), Some("mxc://x/s")));
        room.redact(&event, None, None).await.unwrap();
        let members = room.joined_members().await.unwrap();
        assert_eq!(members.iter().map(face_of).collect::<Vec<_>>(), [(None, None)], "{version}");
        for answer in told(&alice, &room, &event).await {
            assert!(!answer.contains("Secret"), "{version}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_was_replaced_is_not_what_a_redaction_takes_from_the_list() {
    let (_server, alice, room, event) = faceless("11").await;
    let face = json!({ "membership": "join", "displayname": "Alice" });
    let me = alice.id().as_str();
    room.set_state(StateEventType::RoomMember, me, raw(&face)).await.unwrap();
    room.redact(&event, None, None).await.unwrap();
    let members = room.joined_members().await.unwrap();
    assert_eq!(face_of(&members[0]), (Some("Alice"), None));
}

/// Bob takes his own power away in one branch and removes Carol in another; by what the branches
/// resolve to, he could not, so that her join is in force again.
#[tokio::test]
async fn a_redacted_face_does_not_come_back_when_branches_meet() {
    let scene = Scene::new("11").await;
    let levels = |bob: u8, n: u16| json!({ "users": { "@alice:x": 100, "@bob:y": bob }, "n": n });
    let kind = StateEventType::RoomPowerLevels;
    scene.room.set_state(kind, "", raw(&levels(100, 0))).await.unwrap();
    let face = json!({ "membership": "join", "displayname": "Secret" });
    let join = Draft {
        sender: ruma::owned_user_id!("@carol:y"),
        ..state("m.room.member", "@carol:y", &face)
    };
    let join = scene.build(&scene.tips().await, join).await;
    assert_eq!(scene.admit(join.clone()).await, Admitted::Accepted);
    scene.room.redact(join.event_id(), None, None).await.unwrap();
    let fork = scene.tips().await;
    let kick = scene.build(&fork, member("@carol:y", "leave")).await;
    assert_eq!(scene.admit(kick.clone()).await, Admitted::Accepted);
    assert_eq!(scene.room.joined_members().await.unwrap().len(), 2);
    // Of two events of the same time and power, the one whose ID is less goes first.
    let mut resigning = None;
    for n in 0.. {
        let event = scene.build(&fork, state("m.room.power_levels", "", &levels(0, n))).await;
        if event.event_id() < kick.event_id() {
            resigning = Some(event);
            break;
        }
    }
    assert_eq!(scene.admit(resigning.unwrap()).await, Admitted::Accepted);
    let members = scene.room.joined_members().await.unwrap();
    let carol = members.iter().find(|member| member.user == "@carol:y").unwrap();
    assert_eq!(face_of(carol), (None, None));
    let view = scene.server.core.store.view().await.unwrap();
    let slot = scene.head().await.slot("m.room.member", "@carol:y");
    assert!(view.get(&STATE, &slot).await.unwrap().unwrap().redacted);
}

#[tokio::test]
async fn a_redaction_that_was_redacted_gives_no_reason_any_more() {
    for version in VERSIONS {
        let server = server().await;
        let alice = session(&server, "alice").await;
        let room = alice.room(public_room(&alice, version).await.id());
        let kind = StateEventType::from("m.test");
        let event = room.set_state(kind, "", raw(&json!({ "a": "words" }))).await.unwrap();
        let redaction = room.redact(&event, Some("slander".to_owned()), None).await.unwrap();
        for answer in [text(&room.event(&event).await.unwrap()), messages(&room).await] {
            assert!(answer.contains("slander"), "{version}: {answer}");
        }
        let second = room.redact(&redaction, Some("rude".to_owned()), None).await.unwrap();
        for answer in told(&alice, &room, &event).await {
            assert!(!answer.contains("slander"), "{version}: {answer}");
            assert!(!answer.contains("words"), "{version}: {answer}");
        }
        let told = serde_json::to_value(room.event(&event).await.unwrap()).unwrap();
        assert_eq!(told["unsigned"]["redacted_because"]["event_id"], redaction.as_str());
        let told = serde_json::to_value(room.event(&redaction).await.unwrap()).unwrap();
        let because = &told["unsigned"]["redacted_because"];
        assert_eq!(because["event_id"], second.as_str());
        assert_eq!(because["content"]["reason"], "rude");
    }
}

#[tokio::test]
async fn a_redacted_invite_gives_no_reason_any_more() {
    for version in VERSIONS {
        let server = server().await;
        let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
        let room = alice.room(public_room(&alice, version).await.id());
        room.invite(bob.id(), Some("a secret".to_owned()), false).await.unwrap();
        assert!(sync(&bob, json!({})).await.contains("a secret"), "{version}");
        let kind = StateEventType::RoomMember;
        let invite = room.state_event(&kind, bob.id().as_str()).await.unwrap();
        room.redact(invite.id(), None, None).await.unwrap();
        let told = sync(&bob, json!({})).await;
        assert!(told.contains(r#"{"membership":"invite"}"#), "{version}: {told}");
        assert!(!told.contains("a secret"), "{version}: {told}");
    }
}

#[tokio::test]
async fn a_url_that_was_redacted_is_none() {
    let server = server().await;
    let alice = session(&server, "alice").await;
    let room = alice.room(public_room(&alice, "11").await.id());
    let content = json!({ "url": "mxc://x/y" });
    let message = room.send("m.test".into(), raw(&content), None).await.unwrap();
    let state = room.set_state("m.state".into(), "", raw(&content)).await.unwrap();
    let told = async |wanted: bool| {
        let section = json!({ "contains_url": wanted });
        let filter: RoomEventFilter = serde_json::from_value(section.clone()).unwrap();
        let filter = filter.into();
        let towards = Direction::Backward;
        let query = MessagesQuery { from: None, to: None, towards, limit: 100, filter };
        let timeline =
            json!({ "room": { "timeline": section, "state": { "limit": 0, "types": [] } } });
        let short = json!({ "room": { "timeline": { "limit": 0 }, "state": section } });
        let messages = text(&room.messages(&query).await.unwrap().events);
        let all = [messages, sync(&alice, timeline).await];
        let has = |answer: &String, event: &OwnedEventId| {
            answer.contains(&format!(r#""event_id":"{event}","#))
        };
        let messages = all.iter().map(|answer| has(answer, &message)).collect::<Vec<_>>();
        (messages, has(&sync(&alice, short).await, &state))
    };
    assert_eq!(told(true).await, (vec![true, true], true));
    assert_eq!(told(false).await, (vec![false, false], false));
    for event in [&message, &state] {
        room.redact(event, None, None).await.unwrap();
    }
    assert_eq!(told(true).await, (vec![false, false], false));
    assert_eq!(told(false).await, (vec![true, true], true));
}

#[tokio::test]
async fn what_was_stored_too_deep_can_be_read_and_redacted() {
    for version in VERSIONS {
        let server = server().await;
        let alice = session(&server, "alice").await;
        let room = alice.room(public_room(&alice, version).await.id());
        let kind = TimelineEventType::from("m.test");
        for depth in [127, 128, 5_000] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let message = room.send(kind.clone(), raw(&json!({ "n": depth })), None).await.unwrap();
            stored_with(&alice, &room, &message, &format!(r#"{{"deep":{deep}}}"#)).await;
            let face = json!({ "membership": "join", "n": depth });
            let kind = StateEventType::RoomMember;
            let member = room.set_state(kind, alice.id().as_str(), raw(&face)).await.unwrap();
            let content = format!(r#"{{"displayname":{deep},"membership":"join"}}"#);
            stored_with(&alice, &room, &member, &content).await;
            for event in [&message, &member] {
                assert!(told(&alice, &room, event).await[0].contains(&deep), "{version}");
                room.redact(event, None, None).await.unwrap();
            }
            for answer in told(&alice, &room, &member).await {
                assert!(!answer.contains(&deep), "{version}, {depth}: {answer}");
            }
            assert_eq!(room.joined_members().await.unwrap().len(), 1);
            room.send_text("still here").await.unwrap();
        }
    }
}
