//! Two who ask each other to be friends at once.

use tertulia::{Friendship, Homeserver, User};
use tertulia_storage::{
    Engine, LocalEngine, Memory, MemoryEngine,
    testing::{FailingEngine, Fault},
};
use tertulia_testkit::{DrivenClock, SeededRandom};

use crate::schedule::{Chance, Seeded, Told, seeds};

/// After how many commits the server may stop; without a stop there are fewer.
const COMMITS: u64 = 10;

async fn start(seed: u64, engine: impl Engine) -> Result<Homeserver, tertulia::Error> {
    let builder = Homeserver::builder("x")?.clock(DrivenClock::default());
    builder.random(SeededRandom::new(seed)).start(engine).await
}

async fn two(server: &Homeserver) -> Result<[User; 2], tertulia::Error> {
    Ok([server.user("alice").await?, server.user("bob").await?])
}

/// Lets both ask at once until the server stops after so many commits; tells whether either was told
/// that it is done.
async fn ask_until(stop: usize, seed: u64, chance: &Chance, memory: &Memory) -> bool {
    let failing = FailingEngine::new(memory.clone(), Fault::StopAfter(stop));
    let engine = LocalEngine::start(failing).unwrap();
    let Ok(server) = start(seed, Seeded { engine, chance: chance.clone() }).await else {
        return false;
    };
    let Ok([alice, bob]) = two(&server).await else { return false };
    let ask = |(one, other): (User, User)| async move {
        one.friends().request(other.id(), None).await.is_ok()
    };
    let done = chance.race([(alice.clone(), bob.clone()), (bob, alice)].map(ask)).await;
    server.shutdown().await;
    done.contains(&true)
}

/// Whoever was told that they asked has asked, and when both ask again they are friends in one room.
async fn check(seed: u64, memory: &Memory, was_told: bool) {
    let server = start(seed, MemoryEngine::over(memory.crash())).await.unwrap();
    server.go_on_requesting().await.unwrap();
    let [alice, bob] = two(&server).await.unwrap();
    let known = alice.friends().status(bob.id()).await.unwrap();
    assert!(!was_told || known != Friendship::Stranger, "what was told is gone");
    alice.friends().request(bob.id(), None).await.unwrap();
    bob.friends().request(alice.id(), None).await.unwrap();
    for user in [&alice, &bob] {
        assert_eq!(user.joined_rooms().await.unwrap().len(), 1, "of {}", user.id());
    }
    assert!(alice.friends().status(bob.id()).await.unwrap().is_friend());
    server.shutdown().await;
}

#[tokio::test]
async fn there_is_one_room_wherever_the_server_stops() {
    let memory = Memory::default();
    let server = start(0, MemoryEngine::over(memory.clone())).await.unwrap();
    for name in ["alice", "bob"] {
        server.create_user(name).await.unwrap();
    }
    server.shutdown().await;
    let (chance, mut told) = (Chance::default(), 0);
    for seed in seeds() {
        chance.begin(seed);
        let _told = Told(seed);
        let memory = memory.crash();
        let stop = (chance.draw() % (COMMITS + 1)) as usize;
        let was_told = ask_until(stop, 2 * seed + 1, &chance, &memory).await;
        told += u64::from(was_told);
        check(2 * seed + 2, &memory, was_told).await;
    }
    println!("{told} times one was told before the stop");
}
