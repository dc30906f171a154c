//! A request goes on wherever the server stopped.

use tertulia_storage::{
    LocalEngine, Memory, MemoryEngine,
    testing::{FailingEngine, Fault},
};

use super::*;
use crate::{schema::PAIRS, testing::user};

async fn begun(server: &Homeserver) -> usize {
    let view = server.core.store.view().await.unwrap();
    view.scan(&PAIRS, &(), tertulia_storage::Direction::Forward, 9).await.unwrap().len()
}

/// Lets one ask the other, or both at once, on a store that stops after so many writes; then begins
/// again with what is left. Tells whether it was stopped.
async fn interrupted(memory: &Memory, both: bool, stop: usize) -> bool {
    let memory = memory.crash();
    let failing = FailingEngine::new(memory.clone(), Fault::StopAfter(stop));
    let server = Homeserver::start("x", LocalEngine::start(failing).unwrap()).await;
    let mut done = false;
    if let Ok(server) = server {
        let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
        let (ask, back) = (alice.friends(), bob.friends());
        let ask = ask.request(bob.id(), None);
        done = match both {
            true => {
                let (one, other) = tokio::join!(ask, back.request(alice.id(), None));
                one.is_ok() && other.is_ok()
            }
            false => ask.await.is_ok(),
        };
    }
    let server = Homeserver::start("x", MemoryEngine::over(memory.crash())).await.unwrap();
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    server.go_on_requesting().await.unwrap();
    assert_eq!(begun(&server).await, 0, "stopped after {stop}");
    if done {
        check_both(&alice, &bob, if both { "friend friend" } else { "asked asking" }).await;
    }
    alice.friends().request(bob.id(), None).await.unwrap();
    bob.friends().request(alice.id(), None).await.unwrap();
    check_both(&alice, &bob, "friend friend").await;
    for user in [&alice, &bob] {
        assert_eq!(user.joined_rooms().await.unwrap().len(), 1, "stopped after {stop}");
    }
    !done
}

#[tokio::test]
async fn after_a_stop_at_any_commit_there_is_one_room() {
    let memory = Memory::default();
    let server = Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap();
    people(&server, ["alice", "bob"]).await;
    server.shutdown().await;
    for both in [false, true] {
        let mut stops = 0;
        while interrupted(&memory, both, stops).await {
            stops += 1;
        }
        assert!(stops >= 3, "only {stops} writes");
    }
}

#[tokio::test]
async fn a_request_of_one_who_is_gone_meanwhile_is_given_up() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let row = alice.new_request(bob.id(), None).await.unwrap();
    put(&server, (alice.id().to_owned(), bob.id().to_owned()), row).await;
    bob.deactivate(Remains::Keep).await.unwrap();
    server.go_on_requesting().await.unwrap();
    assert_eq!(begun(&server).await, 0);
    assert!(alice.joined_rooms().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_has_become_of_a_request_is_not_undone_by_placing_it_again() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let row = alice.new_request(bob.id(), None).await.unwrap();
    let pair = (alice.id().to_owned(), bob.id().to_owned());
    put(&server, pair.clone(), row.clone()).await;
    server.go_on_requesting().await.unwrap();
    check_both(&alice, &bob, "asked asking").await;
    bob.friends().refuse(alice.id()).await.unwrap();
    put(&server, pair, row).await;
    server.go_on_requesting().await.unwrap();
    check_both(&alice, &bob, "stranger stranger").await;
}

/// Writes down that a request is on its way.
async fn put(server: &Homeserver, pair: (OwnedUserId, OwnedUserId), row: crate::schema::PairRow) {
    struct Put((OwnedUserId, OwnedUserId), crate::schema::PairRow);
    impl tertulia_storage::Command for Put {
        type Out = ();
        type Error = Error;

        fn partition(&self) -> tertulia_storage::Partition {
            tertulia_storage::Partition::of("pair", "")
        }

        async fn run(&self, tx: &mut tertulia_storage::Tx) -> Result<()> {
            tx.put(&PAIRS, &self.0, &self.1);
            Ok(())
        }
    }
    server.core.store.write(Put(pair, row)).await.unwrap();
}
