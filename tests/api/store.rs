//! What a client is told where the store cannot be written.

use serde_json::json;
use tertulia_storage::{
    LocalEngine, Memory,
    testing::{FailingEngine, Fault},
};
use tertulia_testkit::{Client, TestServer};

/// Alice, in a room, on a server where every write fails after the first `writes`; and how many
/// writes there were.
async fn alice_on(writes: usize) -> (Client, String, usize) {
    let local = FailingEngine::new(Memory::default(), Fault::StopAfter(writes));
    let counts = local.counts();
    let engine = LocalEngine::start(local).unwrap();
    let alice = TestServer::builder().start_on(engine).await.user("alice").await;
    let room = alice.create_room(json!({})).await;
    alice.send(&room, "before").await;
    (alice, room, counts.writes())
}

#[tokio::test]
async fn a_store_that_became_read_only_is_still_read_and_writing_says_what_to_do() {
    let (_, _, writes) = alice_on(usize::MAX).await;
    let (alice, room, _) = alice_on(writes).await;
    let path = ["rooms", &room, "send", "m.room.message", "lost"];
    // What fails the first time fails in the same way later.
    for _ in 0..2 {
        let sent = alice.put(path).json(json!({ "msgtype": "m.text", "body": "lost" })).await;
        let told = sent.refused(503, "M_UNKNOWN");
        let words = told["error"].as_str().unwrap();
        assert!(words.contains("can be read but not written") && words.contains("restart"));
    }
    alice.post(["createRoom"]).json(json!({})).await.refused(503, "M_UNKNOWN");
    let page = alice.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    assert_eq!(page["chunk"][0]["content"]["body"], "before");
    let update = alice.sync(None).await;
    assert!(update["rooms"]["join"][&room].is_object());
}
