//! Who may do what in a room, while that changes.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

use crate::schedule::{CALLERS, Course, only_winner};

/// The only administrator hands over to one of many, many times at once.
#[tokio::test]
async fn one_handover_takes_the_last_administrator_the_power() {
    let course = Course::new(TestServer::builder()).await;
    let alice = course.server.user("alice").await;
    course
        .for_each_seed(async |_| {
            let room = alice.create_room(json!({ "room_version": "11" })).await;
            let heir = |n: usize| format!("@heir{n}:example.org");
            let path = ["rooms", &room, "state", "m.room.power_levels", ""];
            let hand_over = |n| {
                let users = json!({ heir(n): 100, alice.id(): 0 });
                alice.put(path).json(json!({ "users": users }))
            };
            let answers = course.race((0..CALLERS).map(hand_over).collect()).await;
            let winner = only_winner(&answers, 403, "M_FORBIDDEN");
            let users = &alice.get(path).await.ok()["users"];
            assert_eq!(*users, json!({ heir(winner): 100, alice.id(): 0 }));
        })
        .await;
}

/// One is banned while joining many times.
#[tokio::test]
async fn nobody_joins_after_a_ban() {
    let course = Course::new(TestServer::builder()).await;
    let (alice, bob) = (course.server.user("alice").await, course.server.user("bob").await);
    let (mut joined, mut kept_out) = (0, 0);
    course
        .for_each_seed(async |_| {
            let room = alice.create_public_room().await;
            let ban = alice.post(["rooms", &room, "ban"]).json(json!({ "user_id": bob.id() }));
            let joins = (1..CALLERS).map(|_| bob.post(["rooms", &room, "join"]));
            let answers = course.race([ban].into_iter().chain(joins).collect()).await;
            answers[0].ok();
            let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
            refused.iter().for_each(|answer| drop(answer.refused(403, "M_FORBIDDEN")));
            let refused = refused.len();
            joined += CALLERS - 1 - refused;
            kept_out += refused;
            let steps = steps(&alice, &room, bob.id()).await;
            let expected: &[_] = if refused == CALLERS - 1 { &["ban"] } else { &["join", "ban"] };
            assert_eq!(steps, expected, "{refused} were refused");
        })
        .await;
    println!("{joined} joined before the ban, {kept_out} came too late");
}

/// The memberships that a user had in a room, in order.
async fn steps(alice: &Client, room: &str, user: &str) -> Vec<Value> {
    let page = alice.get(["rooms", room, "messages"]).query("dir", "f").query("limit", "100");
    let page = page.await.ok();
    let events = page["chunk"].as_array().unwrap().iter();
    let own = events.filter(|event| event["type"] == "m.room.member" && event["state_key"] == user);
    own.map(|event| event["content"]["membership"].clone()).collect()
}
