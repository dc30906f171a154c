//! What a client is told where the store cannot be written.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use tertulia_storage::{Batch, Error, Local, LocalEngine, Memory, Result, Rows};
use tertulia_testkit::TestServer;

/// A store on a disk that may become full.
#[derive(Clone, Default)]
struct Disk {
    memory: Memory,
    is_full: Arc<AtomicBool>,
}

impl Local for Disk {
    fn snapshot(&self) -> Arc<dyn Rows> {
        self.memory.snapshot()
    }

    fn write(&self, batch: Batch, sync: bool) -> Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Error::engine("/secret/path is full"));
        }
        self.memory.write(batch, sync)
    }

    fn sync(&self) -> Result<()> {
        self.memory.sync()
    }
}

#[tokio::test]
async fn a_store_that_became_read_only_is_still_read_and_writing_says_what_to_do() {
    let disk = Disk::default();
    let engine = LocalEngine::start(disk.clone()).unwrap();
    let alice = TestServer::builder().start_on(engine).await.user("alice").await;
    let room = alice.create_room(json!({})).await;
    alice.send(&room, "before").await;
    disk.is_full.store(true, Ordering::SeqCst);
    let path = ["rooms", &room, "send", "m.room.message", "lost"];
    let send = async || alice.put(path).json(json!({ "msgtype": "m.text", "body": "lost" })).await;
    for is_full in [true, false] {
        disk.is_full.store(is_full, Ordering::SeqCst);
        let told = send().await.refused(503, "M_UNKNOWN");
        let words = told["error"].as_str().unwrap();
        assert!(words.contains("can be read but not written") && words.contains("restart"));
        assert!(!words.contains("secret"));
    }
    alice.post(["createRoom"]).json(json!({})).await.refused(503, "M_UNKNOWN");
    let page = alice.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    assert_eq!(page["chunk"][0]["content"]["body"], "before");
    let update = alice.sync(None).await;
    assert!(update["rooms"]["join"][&room].is_object());
}
