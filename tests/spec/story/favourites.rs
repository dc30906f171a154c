//! Favourites: messages that are kept, found again and dropped.

use http::Method;
use serde_json::json;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = story.user("alice").await;
    let room = alice.create_room(json!({ "name": "Notes" })).await;
    let event = alice.send(&room, "remember the tea").await;
    let keep = json!({ "room_id": room, "event_id": event });
    let kept = alice.own(Method::POST, ["favourites"]).json(keep).await.ok();
    let id = kept["id"].as_str().expect("an ID");
    let list = |query: &str| alice.get(format!("/_tertulia/client/v1/favourites{query}"));
    for query in ["", "?kind=text&words=tea", "?limit=1"] {
        assert_eq!(list(query).await.ok()["favourites"][0]["id"], id, "{query}");
    }
    assert_eq!(list("?kind=image").await.ok()["favourites"], json!([]));
    list("?kind=tea").await.refused(400, "M_INVALID_PARAM");
    alice.own(Method::GET, ["favourites", id]).await.ok();
    alice.own(Method::DELETE, ["favourites", id]).await.ok();
    alice.own(Method::DELETE, ["favourites", id]).await.refused(404, "M_NOT_FOUND");
    let unseen = json!({ "room_id": room, "event_id": "$unseen" });
    let keep = alice.own(Method::POST, ["favourites"]).json(unseen);
    keep.await.refused(404, "M_NOT_FOUND");
}
