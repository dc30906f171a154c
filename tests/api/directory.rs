//! Aliases of rooms.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

struct Scene {
    server: TestServer,
    alice: Client,
    bob: Client,
    room: String,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = alice.create_public_room().await;
        Self { server, alice, bob, room }
    }

    async fn create(&self, client: &Client, alias: &str) -> tertulia_testkit::Answered {
        let body = json!({ "room_id": self.room });
        client.put(["directory", "room", alias]).json(body).await
    }
}

#[tokio::test]
async fn an_alias_is_made_found_and_deleted() {
    let scene = Scene::new().await;
    let path = ["directory", "room", "#a:example.org"];
    assert_eq!(scene.create(&scene.alice, "#a:example.org").await.ok(), json!({}));
    let expected = json!({ "room_id": scene.room, "servers": ["example.org"] });
    // Resolving needs no session.
    assert_eq!(scene.server.call(Method::GET, path).await.ok(), expected);
    assert_eq!(scene.alice.get(path).await.ok(), expected);
    assert_eq!(scene.alice.delete(path).await.ok(), json!({}));
    scene.alice.get(path).await.refused(404, "M_NOT_FOUND");
    scene.alice.delete(path).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn an_alias_is_made_once_for_a_room_that_is_there() {
    let scene = Scene::new().await;
    scene.bob.join(&scene.room).await;
    scene.create(&scene.bob, "#a:example.org").await.ok();
    scene.create(&scene.alice, "#a:example.org").await.refused(409, "M_UNKNOWN");
    scene.create(&scene.alice, "#a:elsewhere.org").await.refused(400, "M_INVALID_PARAM");
    scene.create(&scene.alice, "nonsense").await.refused(400, "M_INVALID_PARAM");
    let path = ["directory", "room", "#b:example.org"];
    let unknown = json!({ "room_id": "!none:example.org" });
    scene.alice.put(path).json(unknown).await.refused(404, "M_NOT_FOUND");
    scene.alice.put(path).json(json!({})).await.refused(400, "M_BAD_JSON");
    scene.server.call(Method::PUT, path).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_room_gets_its_aliases_from_its_members() {
    let scene = Scene::new().await;
    let path = ["directory", "room", "#a:example.org"];
    scene.create(&scene.bob, "#a:example.org").await.refused(403, "M_FORBIDDEN");
    scene.alice.get(path).await.refused(404, "M_NOT_FOUND");
    scene.alice.invite(&scene.room, &scene.bob).await;
    scene.create(&scene.bob, "#a:example.org").await.refused(403, "M_FORBIDDEN");
    scene.bob.join(&scene.room).await;
    scene.create(&scene.bob, "#a:example.org").await.ok();
    scene.bob.leave(&scene.room).await;
    scene.create(&scene.bob, "#b:example.org").await.refused(403, "M_FORBIDDEN");
    // What one gave while one was there stays.
    scene.alice.get(path).await.ok();
}

#[tokio::test]
async fn what_is_no_alias_is_not_looked_for() {
    let scene = Scene::new().await;
    scene.alice.get(["directory", "room", "nonsense"]).await.refused(400, "M_INVALID_PARAM");
    scene.alice.get(["directory", "room", "#a:elsewhere.org"]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn an_alias_is_deleted_by_its_maker_or_by_who_rules_the_room() {
    let scene = Scene::new().await;
    let carol = scene.server.user("carol").await;
    let path = ["directory", "room", "#a:example.org"];
    scene.bob.join(&scene.room).await;
    for ruler in [&scene.bob, &scene.alice] {
        scene.create(&scene.bob, "#a:example.org").await.ok();
        carol.delete(path).await.refused(403, "M_FORBIDDEN");
        ruler.delete(path).await.ok();
    }
}

#[tokio::test]
async fn members_list_the_aliases() {
    let scene = Scene::new().await;
    let list = ["rooms", &scene.room, "aliases"];
    assert_eq!(scene.alice.get(list).await.ok(), json!({ "aliases": [] }));
    for alias in ["#b:example.org", "#a:example.org"] {
        scene.create(&scene.alice, alias).await.ok();
    }
    let both = json!({ "aliases": ["#a:example.org", "#b:example.org"] });
    assert_eq!(scene.alice.get(list).await.ok(), both);
    scene.bob.get(list).await.refused(403, "M_FORBIDDEN");
    let readable = json!({ "history_visibility": "world_readable" });
    scene.alice.set_state(&scene.room, "m.room.history_visibility", "", readable).await;
    assert_eq!(scene.bob.get(list).await.ok(), both);
}

#[tokio::test]
async fn a_room_is_joined_by_alias_or_id() {
    let scene = Scene::new().await;
    scene.create(&scene.alice, "#a:example.org").await.ok();
    for name in ["#a:example.org", &scene.room] {
        let joined = scene.bob.post(["join", name]).await.ok();
        assert_eq!(joined, json!({ "room_id": scene.room }));
        scene.bob.leave(&scene.room).await;
    }
    scene.bob.post(["join", "#none:example.org"]).await.refused(404, "M_NOT_FOUND");
    scene.bob.post(["join", "#a:elsewhere.org"]).await.refused(404, "M_NOT_FOUND");
    scene.bob.post(["join", "nonsense"]).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_room_is_made_with_its_alias() {
    let scene = Scene::new().await;
    let body = || json!({ "room_alias_name": "new" });
    scene.server.clock().advance(Duration::from_secs(1));
    let room = scene.alice.create_room(body()).await;
    let found = scene.alice.get(["directory", "room", "#new:example.org"]).await.ok();
    assert_eq!(found["room_id"], room.as_str());
    let path = ["rooms", &room, "state", "m.room.canonical_alias", ""];
    assert_eq!(scene.alice.get(path).await.ok(), json!({ "alias": "#new:example.org" }));
    scene.bob.post(["createRoom"]).json(body()).await.refused(400, "M_ROOM_IN_USE");
    let wrong = json!({ "room_alias_name": "with\0nul" });
    scene.bob.post(["createRoom"]).json(wrong).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_room_names_only_aliases_that_stand_for_it() {
    let scene = Scene::new().await;
    let path = ["rooms", &scene.room, "state", "m.room.canonical_alias", ""];
    let set = |content: Value| scene.alice.put(path).json(content);
    set(json!({ "alias": "#a:example.org" })).await.refused(400, "M_BAD_ALIAS");
    set(json!({ "alt_aliases": ["#a:example.org"] })).await.refused(400, "M_BAD_ALIAS");
    set(json!({ "alias": "nonsense" })).await.refused(400, "M_INVALID_PARAM");
    for none in [json!({}), json!({ "alias": "" }), json!({ "alias": null, "alt_aliases": null })] {
        set(none).await.ok();
    }
    scene.create(&scene.alice, "#a:example.org").await.ok();
    set(json!({ "alias": "#a:example.org", "alt_aliases": ["#a:example.org"] })).await.ok();
    // With the alias goes the mention of it.
    scene.alice.delete(["directory", "room", "#a:example.org"]).await.ok();
    assert_eq!(scene.alice.get(path).await.ok(), json!({ "alt_aliases": [] }));
}
