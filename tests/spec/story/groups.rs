//! Groups, from their beginning to their end.

use http::Method;
use serde_json::json;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = story.user("alice").await;
    let bob = story.user("bob").await;
    let wish = json!({ "name": "Tea", "topic": "what to drink", "members": [bob.id()] });
    let group = alice.own(Method::POST, ["groups"]).json(wish).await.ok();
    let group = group["room_id"].as_str().expect("a room");
    let join = json!({ "group": group, "reason": "thirst" });
    bob.own(Method::POST, ["groups", "join"]).json(join.clone()).await.ok();
    let carol = story.user("carol").await;
    carol.own(Method::POST, ["groups", "join"]).json(join).await.ok();
    alice.own(Method::GET, ["groups", group, "members"]).await.ok();
    alice.send(group, "hello").await;
    for list in ["chats", "groups"] {
        let page = bob.own(Method::GET, [list]).await.ok();
        assert_eq!(page["chats"][0]["last_message"]["text"], "hello");
    }
    bob.own(Method::GET, ["chats", group]).await.ok();
    let role = ["groups", group, "members", bob.id(), "role"];
    alice.own(Method::PUT, role).json(json!({ "role": "admin" })).await.ok();
    bob.own(Method::PUT, role).json(json!({ "role": "owner" })).await.refused(403, "M_FORBIDDEN");
    let quiet = ["groups", group, "announcements"];
    alice.own(Method::PUT, quiet).json(json!({ "only": true })).await.ok();
    let to = json!({ "user_id": bob.id() });
    alice.own(Method::POST, ["groups", group, "hand_over"]).json(to).await.ok();
    let end = ["groups", group, "dissolve"];
    alice.own(Method::POST, end).await.refused(403, "M_FORBIDDEN");
    alice.own(Method::POST, ["groups", group, "leave"]).await.ok();
    bob.own(Method::POST, end).await.ok();
    let joined = alice.get(["joined_rooms"]).await.ok();
    assert_eq!(joined["joined_rooms"], json!([]));
}
