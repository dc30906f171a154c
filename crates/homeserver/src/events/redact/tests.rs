//! Redactions on a server in memory: nothing that shows an event shows what was redacted.

use ruma::{
    OwnedEventId,
    api::Direction,
    events::{StateEventType, TimelineEventType},
};
use serde::Serialize;
use serde_json::{Value, json};
use tertulia_protocol::Pdu;

use super::*;
use crate::{
    EventFilter, Homeserver, MessagesQuery, Room, Session,
    events::load_head,
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
    let members = room.members(&Default::default()).await.unwrap();
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
