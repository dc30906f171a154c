//! Sending the same message many times.

use serde_json::json;
use tertulia_testkit::{Answered, TestServer};

use crate::schedule::{CALLERS, Course};

#[tokio::test]
async fn one_event_is_made_for_a_transaction_id() {
    let course = Course::new(TestServer::builder()).await;
    let alice = course.server.user("alice").await;
    let room = alice.create_room(json!({})).await;
    course
        .for_each_seed(async |seed| {
            let transaction = format!("t{seed}");
            let path = ["rooms", &room, "send", "m.room.message", &transaction];
            // Each says something else, so that it is seen whose words were sent.
            let send = |n| {
                alice.put(path).json(json!({ "msgtype": "m.text", "body": format!("{seed}/{n}") }))
            };
            let answers = course.race((0..CALLERS).map(send).collect()).await;
            let event = |answer: &Answered| answer.ok()["event_id"].clone();
            let first = event(&answers[0]);
            assert!(answers.iter().all(|answer| event(answer) == first));
            let page =
                alice.get(["rooms", &room, "messages"]).query("dir", "b").query("limit", "2");
            let page = page.await.ok();
            assert_eq!(page["chunk"][0]["event_id"], first);
            assert_ne!(page["chunk"][1]["unsigned"]["transaction_id"], transaction.as_str());
        })
        .await;
}
