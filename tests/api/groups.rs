//! Groups, as clients of our own API make them.

use http::Method;
use serde_json::json;
use tertulia_testkit::TestServer;

#[tokio::test]
async fn nothing_is_made_of_a_wish_that_cannot_be_met() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for (wish, status, code) in [
        (json!({ "members": ["@nobody:example.org"] }), 404, "M_NOT_FOUND"),
        (json!({ "members": ["@nobody:elsewhere.org"] }), 403, "M_FORBIDDEN"),
        (json!({ "avatar_url": "javascript:1" }), 400, "M_INVALID_PARAM"),
        (json!({ "name": "a\u{202e}b\0" }), 400, "M_INVALID_PARAM"),
        (json!({ "name": "\u{200b}" }), 400, "M_INVALID_PARAM"),
        (json!({ "topic": "a\u{202e}b" }), 400, "M_INVALID_PARAM"),
    ] {
        alice.own(Method::POST, ["groups"]).json(wish).await.refused(status, code);
    }
    let joined = alice.get(["joined_rooms"]).await.ok();
    assert_eq!(joined["joined_rooms"], json!([]));
    let wish = json!({ "name": "Tea", "topic": "Tea\nand cake", "avatar_url": "mxc://x/tea" });
    alice.own(Method::POST, ["groups"]).json(wish).await.ok();
}

#[tokio::test]
async fn the_only_owner_hands_a_group_over_before_leaving_it() {
    let server = TestServer::start().await;
    let [alice, bob] = [server.user("alice").await, server.user("bob").await];
    let wish = json!({ "members": [bob.id()] });
    let group = alice.own(Method::POST, ["groups"]).json(wish).await.ok();
    let group = group["room_id"].as_str().unwrap();
    bob.join(group).await;
    let leave = ["groups", group, "leave"];
    let refused = alice.own(Method::POST, leave).await.refused(403, "M_FORBIDDEN");
    assert_eq!(refused["error"], "not allowed: a group needs an owner; hand it over first");
    let to = json!({ "user_id": bob.id() });
    alice.own(Method::POST, ["groups", group, "hand_over"]).json(to).await.ok();
    alice.own(Method::POST, leave).await.ok();
    let members = bob.own(Method::GET, ["groups", group, "members"]).await.ok();
    assert_eq!(members["members"].as_array().unwrap().len(), 1);
    assert_eq!(members["members"][0]["role"], "owner");
    // What Matrix lets everybody do stays so.
    alice.own(Method::POST, leave).await.ok();
    bob.leave(group).await;
}
