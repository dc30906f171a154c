//! What people do in rooms, as others see it.

mod files;
mod history;
mod members;

use ruma::{
    event_id,
    events::{receipt::ReceiptThread, room::message::RoomMessageEventContent},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    Homeserver, Session, SyncRequest, User,
    receipts::ReadMarks as Marks,
    testing::{DrivenClock, public_room, server_at, user},
};

/// Alice's room, in which Bob is.
struct Chat {
    clock: DrivenClock,
    server: Homeserver,
    alice: Room,
    bob: Room,
}

async fn chat() -> Chat {
    let clock = DrivenClock::default();
    let server = server_at(&clock).await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let alice = public_room(&alice, "11").await;
    bob.room(alice.id()).join(None).await.unwrap();
    let bob = bob.room(alice.id());
    Chat { clock, server, alice, bob }
}

async fn content(room: &Room, event: &EventId) -> Value {
    room.event(event).await.unwrap().content_as().unwrap()
}

#[tokio::test]
async fn words_arrive_as_they_were_said() {
    let Chat { alice, bob, .. } = chat().await;
    let text = alice.send_text("good morning 👋").await.unwrap();
    let told = bob.event(&text).await.unwrap();
    assert_eq!(
        (told.sender(), told.body().as_deref()),
        (alice.user().id(), Some("good morning 👋"))
    );
    let notice = alice.send_notice("it is nine").await.unwrap();
    let expected = json!({ "msgtype": "m.notice", "body": "it is nine" });
    assert_eq!(content(&bob, &notice).await, expected);
}

#[tokio::test]
async fn anything_can_be_sent_that_is_a_json_object() {
    #[derive(Serialize)]
    struct Vote<'a> {
        yes: bool,
        why: &'a str,
    }
    let Chat { alice, bob, .. } = chat().await;
    let vote = alice.send_event("org.example.vote", &Vote { yes: true, why: "why not" }).await;
    let vote = bob.event(&vote.unwrap()).await.unwrap();
    assert_eq!(vote.kind().to_string(), "org.example.vote");
    assert_eq!(vote.content_as::<Value>().unwrap(), json!({ "yes": true, "why": "why not" }));
    assert_eq!(vote.body(), None);
    let ruma = RoomMessageEventContent::text_plain("hi");
    let ruma = alice.send_event("m.room.message", &ruma).await.unwrap();
    assert_eq!(bob.event(&ruma).await.unwrap().body().as_deref(), Some("hi"));

    let named = alice.send_state_event("m.room.name", "", &json!({ "name": "ours" })).await;
    assert_eq!(content(&bob, &named.unwrap()).await, json!({ "name": "ours" }));
    let refused = alice.send_event("org.example.vote", &7).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    let unwritten = std::collections::BTreeMap::from([((1, 2), 3)]);
    let refused = alice.send_event("org.example.vote", &unwritten).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
}

#[tokio::test]
async fn an_answer_tells_whom_it_answers() {
    let Chat { alice, bob, .. } = chat().await;
    let asked = alice.send_text("tea?").await.unwrap();
    let answered = bob.reply(&asked, "please").await.unwrap();
    let told = content(&alice, &answered).await;
    assert_eq!(told["m.mentions"], json!({ "user_ids": ["@alice:x"] }));
    assert_eq!(told["m.relates_to"]["m.in_reply_to"]["event_id"], asked.as_str());
    let to_herself = alice.reply(&asked, "or coffee").await.unwrap();
    assert_eq!(content(&bob, &to_herself).await["m.mentions"], json!({}));
    let missing = bob.reply(event_id!("$none"), "what?").await.unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)), "{missing}");
}

#[tokio::test]
async fn a_thread_goes_on_behind_its_newest_event() {
    let Chat { alice, bob, .. } = chat().await;
    let root = alice.send_text("the trip").await.unwrap();
    let first = bob.reply_in_thread(&root, "by train").await.unwrap();
    let second = alice.reply_in_thread(&root, "on Monday").await.unwrap();
    let relation = async |event| content(&alice, event).await["m.relates_to"].clone();
    assert_eq!(relation(&first).await["m.in_reply_to"]["event_id"], root.as_str());
    assert_eq!(relation(&second).await["m.in_reply_to"]["event_id"], first.as_str());
    let told = alice.event(&root).await.unwrap();
    let thread = told.unsigned().relations.as_ref().unwrap().thread.as_ref().unwrap();
    assert_eq!((thread.count, thread.latest_event.id()), (2, &*second));
    let refused = bob.reply_in_thread(&first, "a thread in a thread").await.unwrap_err();
    assert!(matches!(refused, Error::NoThreadRoot), "{refused}");
}

#[tokio::test]
async fn one_edits_what_one_said_as_often_as_one_likes() {
    let Chat { clock, alice, bob, .. } = chat().await;
    let said = alice.send_text("helo").await.unwrap();
    let edit = alice.edit(&said, "hallo").await.unwrap();
    clock.advance(1);
    let again = alice.edit(&edit, "hello").await.unwrap();
    let told = bob.event(&said).await.unwrap();
    let newest = told.unsigned().relations.as_ref().unwrap().replace.as_ref().unwrap();
    assert_eq!(newest.id(), &*again);
    let expected = json!({ "msgtype": "m.text", "body": "hello" });
    assert_eq!(newest.content_as::<Value>().unwrap()["m.new_content"], expected);
}

#[tokio::test]
async fn nobody_edits_what_is_anothers_or_no_message() {
    let Chat { alice, bob, .. } = chat().await;
    let said = alice.send_text("helo").await.unwrap();
    let refused = bob.edit(&said, "I said nothing").await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    let reaction = alice.react(&said, "👍").await.unwrap();
    alice.redact(&said, None, None).await.unwrap();
    for no_message in [&reaction, &said] {
        let refused = alice.edit(no_message, "x").await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
}

#[tokio::test]
async fn the_same_is_said_of_an_event_once() {
    let Chat { alice, bob, .. } = chat().await;
    let said = alice.send_text("a house").await.unwrap();
    for (room, key) in [(&bob, "👍"), (&bob, "🏠"), (&alice, "👍")] {
        let reaction = room.react(&said, key).await.unwrap();
        assert_eq!(content(room, &reaction).await["m.relates_to"]["key"], key);
    }
    let again = bob.react(&said, "👍").await.unwrap_err();
    assert!(matches!(again, Error::DuplicateAnnotation), "{again}");
}

/// What a session is told of a room that is not kept.
async fn fleeting(session: &Session, room: &Room) -> Vec<Value> {
    let update = session.sync(SyncRequest::default()).await.unwrap();
    let told = &update.rooms.join[room.id()].ephemeral.events;
    told.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect()
}

#[tokio::test]
async fn the_others_see_who_reads_and_types() {
    let Chat { server, alice, bob, .. } = chat().await;
    let (carol, _) = server.register("carol").await.unwrap();
    carol.room(alice.id()).join(None).await.unwrap();
    let said = alice.send_text("a").await.unwrap();
    bob.mark_read(&said).await.unwrap();
    bob.typing(true).await.unwrap();
    let told = fleeting(&carol, &alice).await;
    let of =
        |kind: &str| told.iter().find(|event| event["type"] == kind).unwrap()["content"].clone();
    assert_eq!(of("m.typing"), json!({ "user_ids": ["@bob:x"] }));
    assert_eq!(of("m.receipt")[said.as_str()]["m.read"].as_object().unwrap().len(), 1);
    let marker = bob.user().account_data(Some(alice.id()), "m.fully_read").await.unwrap();
    assert!(marker.get().contains(said.as_str()), "{marker}");

    bob.typing(false).await.unwrap();
    let told = fleeting(&carol, &alice).await;
    assert!(
        told.iter()
            .all(|event| event["type"] != "m.typing" || event["content"]["user_ids"] == json!([]))
    );
    let outside: User = user(&server, "mallory");
    let outside = outside.room(alice.id());
    for refused in [outside.mark_read(&said).await, outside.typing(true).await] {
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    }
    assert_eq!(Marks::default().thread, ReceiptThread::Unthreaded);
}

#[tokio::test]
async fn those_outside_can_do_none_of_it() {
    let Chat { server, alice, .. } = chat().await;
    let said = alice.send_text("a").await.unwrap();
    let outside = user(&server, "mallory").room(alice.id());
    let all = [
        outside.send_text("b").await,
        outside.send_notice("b").await,
        outside.send_event("org.example", &json!({})).await,
        outside.send_state_event("org.example", "", &json!({})).await,
        outside.react(&said, "👍").await,
    ];
    for refused in all {
        assert!(matches!(refused, Err(Error::Refused(_) | Error::Forbidden(_))), "{refused:?}");
    }
}
