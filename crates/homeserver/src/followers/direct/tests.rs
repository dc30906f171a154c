//! What the lists say is tested where they are written, `account_data/direct`; here is how far they follow.

use ruma::RoomVersionId;
use serde_json::json;
use tertulia_protocol::NewRoom;
use tertulia_storage::{LocalEngine, Memory};

use crate::{
    Homeserver,
    testing::{listed, user},
};

#[tokio::test]
async fn what_happened_before_a_stop_is_listed_after_it_and_once() {
    let memory = Memory::default();
    let start = async |memory: &Memory| {
        Homeserver::start("x", LocalEngine::start(memory.clone()).unwrap()).await.unwrap()
    };
    let server = start(&memory).await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let mut wishes = NewRoom::new(alice.id().to_owned(), RoomVersionId::V12);
    wishes.invite = vec![bob.id().to_owned()];
    wishes.is_direct = true;
    let room = alice.create_room(wishes).await.unwrap();
    bob.room(room.id()).join(None).await.unwrap();
    server.shutdown().await;
    let server = start(&memory.crash()).await;
    listed(&server).await;
    let settled = server.core.store.settled();
    for (name, other) in [("alice", "@bob:x"), ("bob", "@alice:x")] {
        let content = user(&server, name).account_data(None, "m.direct").await.unwrap();
        assert_eq!(content.get(), json!({ other: [room.id()] }).to_string());
    }
    server.shutdown().await;
    let server = start(&memory.crash()).await;
    listed(&server).await;
    assert!(server.core.store.settled() <= settled);
}
