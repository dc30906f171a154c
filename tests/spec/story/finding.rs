//! Finding rooms and people: the directories, spaces and previews.

use http::Method;
use serde_json::json;
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = story.user("alice").await;
    let bob = story.user("bob").await;
    let (room, space) = (public_room(&alice).await, space(&alice).await);
    let child = json!({ "via": ["example.org"], "order": "a", "suggested": true });
    alice.set_state(&space, "m.space.child", &room, child).await;
    directory(&story, &bob, &room).await;
    outside(&story, &bob, &room, &space).await;
    people(&alice, &bob).await;
}

async fn public_room(alice: &Client) -> String {
    let wishes = json!({
        "visibility": "public",
        "room_alias_name": "tea",
        "name": "Tea",
        "topic": "what to drink",
        "initial_state": [
            { "type": "m.room.avatar", "content": { "url": "mxc://example.org/tea" } },
            { "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
        ],
    });
    alice.create_room(wishes).await
}

async fn space(alice: &Client) -> String {
    let creation = json!({ "type": "m.space" });
    alice.create_room(json!({ "visibility": "public", "creation_content": creation })).await
}

async fn directory(story: &Story, bob: &Client, room: &str) {
    let visibility = ["directory", "list", "room", room];
    story.call(Method::GET, visibility).await.ok();
    let unknown = ["directory", "list", "room", "!none:example.org"];
    story.call(Method::GET, unknown).await.refused(404, "M_NOT_FOUND");
    bob.put(visibility).json(json!({ "visibility": "private" })).await.refused(403, "M_FORBIDDEN");
    let admin = story.user("carol").await;
    let own = admin.create_public_room().await;
    admin.put(["directory", "list", "room", &own]).json(json!({})).await.ok();
    let first = story.call(Method::GET, ["publicRooms"]).query("limit", "1").await.ok();
    let next = first["next_batch"].as_str().expect("there is more than one room");
    story.call(Method::GET, ["publicRooms"]).query("since", next).await.ok();
    let filter = json!({ "generic_search_term": "tea", "room_types": [null] });
    let found = bob.post(["publicRooms"]).json(json!({ "filter": filter, "limit": 5 })).await.ok();
    assert_eq!(found["chunk"][0]["room_id"], room);
}

async fn outside(story: &Story, bob: &Client, room: &str, space: &str) {
    let hierarchy = |room: &str| format!("/_matrix/client/v1/rooms/{room}/hierarchy");
    let first = bob.get(hierarchy(space)).query("limit", "1").await.ok();
    let next = first["next_batch"].as_str().expect("there is a child");
    bob.get(hierarchy(space)).query("from", next).await.ok();
    bob.get(hierarchy(space)).query("from", "x").await.refused(400, "M_INVALID_PARAM");
    bob.get(hierarchy("!none:example.org")).await.refused(403, "M_FORBIDDEN");
    let summary = |room: &str| format!("/_matrix/client/v1/room_summary/{room}");
    bob.get(summary(room)).await.ok();
    story.call(Method::GET, summary(room)).await.ok();
    bob.get(summary("!none:example.org")).await.refused(404, "M_NOT_FOUND");
}

async fn people(alice: &Client, bob: &Client) {
    let path = ["profile", alice.id(), "avatar_url"];
    alice.put(path).json(json!({ "avatar_url": "mxc://example.org/a" })).await.ok();
    let body = json!({ "search_term": "ali", "limit": 5 });
    let found = bob.post(["user_directory", "search"]).json(body).await.ok();
    assert_eq!(found["results"][0]["user_id"], alice.id());
    alice.create_room_with(&[bob]).await;
    let mutual = || bob.get("/_matrix/client/v1/mutual_rooms");
    mutual().query("user_id", alice.id()).await.ok();
    mutual().query("user_id", bob.id()).await.refused(400, "M_INVALID_PARAM");
    bob.get(["thirdparty", "protocols"]).await.ok();
}
