//! What is left of servers that were shut down. This is a process of its own, so that all tasks and
//! threads in it are known.

#![allow(clippy::unwrap_used, reason = "all of this is a test, and panics when something is wrong")]

use std::fs;

use tertulia::{Homeserver, NewFile, NewRoom, SyncRequest};
use tertulia_storage::MemoryEngine;
use tokio::runtime::{Builder, Handle};

/// How many threads of this process carry this name, where the system tells.
fn threads(name: &str) -> usize {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0 };
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|other| other.trim() == name).count()
}

/// A server whose users do something of everything.
async fn busy(name: &str) -> Homeserver {
    let server = Homeserver::start(name, MemoryEngine::default()).await.unwrap();
    let (alice, _) = server.register("alice").await.unwrap();
    let version = server.settings().default_room_version.clone();
    let room = alice.create_room(NewRoom::new(alice.id().to_owned(), version)).await.unwrap();
    let text = room.send_text("good morning").await.unwrap();
    room.send_file(NewFile::from_bytes("a.txt", "a")).await.unwrap();
    room.mark_read(&text).await.unwrap();
    room.typing(true).await.unwrap();
    alice.set_nickname(Some("Alicia")).await.unwrap();
    alice.sync(SyncRequest::default()).await.unwrap();
    server
}

#[test]
fn neither_a_task_nor_a_thread_is_left() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut servers = Vec::new();
        for number in 0..3 {
            servers.push(busy(&format!("s{number}.example.org")).await);
        }
        assert!(threads("committer") == 3 || !fs::exists("/proc/self/task").unwrap());
        assert!(Handle::current().metrics().num_alive_tasks() > 0);
        for server in servers {
            server.shutdown().await;
        }
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        assert_eq!(threads("committer"), 0);
    });
}
