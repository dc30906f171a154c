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
