//! What presence promises, through the library.

use tertulia_storage::{
    LocalEngine, Memory, MemoryEngine,
    testing::{Counts, FailingEngine, Fault},
};

use super::*;
use crate::{
    Homeserver, Remains, Settings,
    schema::STATUSES,
    testing::{public_room, server, user},
};

#[tokio::test]
async fn a_message_costs_presence_nothing_while_its_sender_is_active() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let _poll = Poll::begin(&server.core, alice.id(), &PresenceState::Online).await.unwrap();
    let before = version(&server.core);
    for n in 0..10 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    assert_eq!(version(&server.core), before);
}

#[tokio::test]
async fn who_waits_unseen_is_not_there_and_sends_unseen() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let poll = Poll::begin(&server.core, alice.id(), &PresenceState::Offline).await.unwrap();
    room.send_text("boo").await.unwrap();
    drop(poll);
    assert!(news(&server.core, None).users.is_empty());
}

#[tokio::test]
async fn one_answer_tells_only_so_many() {
    let server = server().await;
    for n in 0..MOST_TOLD + 10 {
        let user = user(&server, &format!("u{n}"));
        user.set_presence(PresenceState::Online, None).await.unwrap();
    }
    let first = news(&server.core, Some(0));
    assert_eq!(first.users.len(), MOST_TOLD);
    let rest = news(&server.core, Some(first.up_to));
    assert_eq!((rest.users.len(), rest.up_to), (10, version(&server.core)));
}

async fn start(memory: &Memory) -> Homeserver {
    Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap()
}

/// A server in which nobody keeps house or follows the log, and how often it has written.
async fn counted() -> (Homeserver, Arc<Counts>) {
    let engine = FailingEngine::new(Memory::default(), Fault::Never);
    let counts = engine.counts();
    (Homeserver::start("x", LocalEngine::start(engine).unwrap()).await.unwrap(), counts)
}

fn words(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What is stored of what somebody said.
async fn stored(server: &Homeserver, user: &User) -> Option<String> {
    let view = server.core.store.view().await.unwrap();
    view.get(&STATUSES, &(user.id.clone(),)).await.unwrap().map(|(status,)| status)
}

#[tokio::test]
async fn what_one_says_outlives_the_server_and_how_present_one_is_does_not() {
    let memory = Memory::default();
    let server = start(&memory).await;
    let alice = user(&server, "alice");
    public_room(&alice, "12").await;
    alice.set_presence(PresenceState::Online, words("in the garden")).await.unwrap();
    server.shutdown().await;
    let server = start(&memory).await;
    let alice = user(&server, "alice");
    assert_eq!(news(&server.core, None).users, std::slice::from_ref(&alice.id), "others are told");
    let told = event(&server.core, &alice.id);
    let told: serde_json::Value = serde_json::from_str(told.get()).unwrap();
    let expected = serde_json::json!({ "presence": "offline", "status_msg": "in the garden" });
    assert_eq!(told["content"], expected);
    let _poll = Poll::begin(&server.core, &alice.id, &PresenceState::Online).await.unwrap();
    let told = server.core.local::<Known>().0.lock().presence(&alice.id, now(&server.core));
    assert_eq!((told.state, told.status), (PresenceState::Online, words("in the garden")));
}

#[tokio::test]
async fn only_words_that_are_new_are_written() {
    let (server, counts) = counted().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let say = async |status| alice.set_presence(PresenceState::Online, status).await.unwrap();
    let mut before = counts.writes();
    for (status, writes) in [
        (None, 0),
        (words("here"), 1),
        (words("here"), 0),
        (words("there"), 1),
        (None, 1),
        (None, 0),
        (words(""), 1),
    ] {
        say(status.clone()).await;
        assert_eq!(counts.writes() - before, writes, "{status:?}");
        assert_eq!(stored(&server, &alice).await, status);
        before = counts.writes();
    }
    // To do something, to wait and to be gone writes nothing of presence.
    drop(Poll::begin(&server.core, &alice.id, &PresenceState::Online).await.unwrap());
    alice.set_presence(PresenceState::Offline, words("")).await.unwrap();
    assert_eq!(counts.writes(), before);
    room.send_text("hello").await.unwrap();
    assert_eq!(stored(&server, &alice).await, words(""));
}

#[tokio::test]
async fn who_was_not_remembered_is_looked_up() {
    let memory = Memory::default();
    let server = start(&memory).await;
    let alice = server.create_user("alice").await.unwrap();
    alice.set_presence(PresenceState::Online, words("here")).await.unwrap();
    *server.core.local::<Known>().0.lock() = People::default();
    let presence = alice.presence_of(&alice.id).await.unwrap();
    assert_eq!((presence.state, presence.status), (PresenceState::Offline, words("here")));
    *server.core.local::<Known>().0.lock() = People::default();
    alice.set_presence(PresenceState::Online, None).await.unwrap();
    assert_eq!(stored(&server, &alice).await, None, "it is known that something was said");
}

#[tokio::test]
async fn a_closed_account_says_nothing_any_more() {
    let memory = Memory::default();
    let server = start(&memory).await;
    let alice = server.create_user("alice").await.unwrap();
    alice.set_presence(PresenceState::Online, words("here")).await.unwrap();
    alice.deactivate(Remains::Keep).await.unwrap();
    assert_eq!(stored(&server, &alice).await, None);
    assert_eq!(alice.presence_of(&alice.id).await.unwrap().status, None);
    let late = alice.set_presence(PresenceState::Online, words("still here")).await;
    assert!(matches!(late, Err(Error::Deactivated)));
    assert_eq!(stored(&server, &alice).await, None);
}

#[tokio::test]
async fn a_server_without_presence_neither_writes_nor_tells_what_was_said() {
    let memory = Memory::default();
    let server = start(&memory).await;
    let alice = server.create_user("alice").await.unwrap();
    alice.set_presence(PresenceState::Online, words("here")).await.unwrap();
    server.shutdown().await;
    let settings = Settings { presence: false, ..Settings::default() };
    let builder = Homeserver::builder("x").unwrap().settings(settings);
    let server = builder.start(MemoryEngine::over(memory)).await.unwrap();
    let alice = server.user("alice").await.unwrap();
    assert!(news(&server.core, None).users.is_empty());
    alice.set_presence(PresenceState::Online, None).await.unwrap();
    assert_eq!(stored(&server, &alice).await, words("here"));
    assert_eq!(alice.presence_of(&alice.id).await.unwrap(), Presence::unknown());
}
