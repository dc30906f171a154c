//! Requests of each kind, on the pages of those who ask and who are asked.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

/// The ID of the newest request of a page.
async fn newest(user: &Client, page: &'static str) -> String {
    let page = user.own(Method::GET, ["requests", page]).query("limit", "1").await.ok();
    page["requests"][0]["id"].as_str().expect("a request").to_owned()
}

/// What has become of the requests of a page.
async fn states(user: &Client, page: &'static str) -> Vec<Value> {
    let page = user.own(Method::GET, ["requests", page]).await.ok();
    let requests = page["requests"].as_array().expect("a list");
    requests.iter().map(|request| request["state"].clone()).collect()
}

async fn answer(user: &Client, page: &'static str, how: &str) {
    let id = newest(user, page).await;
    user.own(Method::POST, ["requests", &*id, how]).await.ok();
}

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let (alice, bob) = (story.user("alice").await, story.user("bob").await);
    let ask =
        || alice.own(Method::POST, ["friends"]).json(json!({ "user": "bob", "reason": "work" }));
    ask().await.ok();
    answer(&bob, "received", "refuse").await;
    ask().await.ok();
    answer(&alice, "sent", "withdraw").await;
    ask().await.ok();
    answer(&bob, "received", "accept").await;
    let states_of_bob = states(&bob, "received").await;
    assert_eq!(states_of_bob, ["accepted", "withdrawn", "refused"]);
    assert_eq!(states(&alice, "sent").await, ["accepted", "withdrawn", "void"]);
    let tea = json!({ "name": "Tea", "members": [bob.id()] });
    let group = alice.own(Method::POST, ["groups"]).json(tea).await.ok();
    answer(&bob, "received", "accept").await;
    let carol = story.user("carol").await;
    let knock = json!({ "group": group["room_id"], "reason": "thirst" });
    carol.own(Method::POST, ["groups", "join"]).json(knock).await.ok();
    alice.own(Method::POST, ["requests", "seen"]).await.ok();
    answer(&alice, "received", "accept").await;
    let over = newest(&alice, "received").await;
    alice.own(Method::DELETE, ["requests", &*over]).await.ok();
    assert_eq!(states(&alice, "received").await, [Value::Null; 0]);
}
