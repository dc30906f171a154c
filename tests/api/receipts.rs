//! Receipts and read markers.

use serde_json::{Value, json};
use tertulia_testkit::{Client, Path, TestServer};

struct Scene {
    alice: Client,
    carol: Client,
    room: String,
    event: String,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = alice.create_room_with(&[&bob]).await;
        let event = bob.send(&room, "hello").await;
        Self { alice, carol: server.user("carol").await, room, event }
    }

    fn receipt(&self, kind: &str, event: &str) -> Path {
        ["rooms", &self.room, "receipt", kind, event].into()
    }

    async fn fully_read(&self) -> Value {
        let path = ["user", self.alice.id(), "rooms", &self.room, "account_data", "m.fully_read"];
        self.alice.get(path).await.json()["event_id"].take()
    }
}

#[tokio::test]
async fn receipts_of_every_kind_are_taken() {
    let scene = Scene::new().await;
    for kind in ["m.read", "m.read.private", "m.fully_read"] {
        // Some clients send no body at all.
        for _ in 0..2 {
            let given = scene.alice.post(scene.receipt(kind, &scene.event)).await;
            assert_eq!(given.ok(), json!({}));
        }
    }
    assert_eq!(scene.fully_read().await, scene.event.as_str());
    let main = json!({ "thread_id": "main" });
    scene.alice.post(scene.receipt("m.read", &scene.event)).json(main).await.ok();
}

#[tokio::test]
async fn a_receipt_for_a_thread_is_about_an_event_of_it() {
    let scene = Scene::new().await;
    let relation = json!({ "rel_type": "m.thread", "event_id": scene.event });
    let content = json!({ "msgtype": "m.text", "body": "b", "m.relates_to": relation });
    let reply = scene.alice.send_event(&scene.room, "m.room.message", content).await;
    let give = |kind: &str, event: &str, thread: Value| {
        let call = scene.alice.post(scene.receipt(kind, event));
        call.json(json!({ "thread_id": thread }))
    };
    give("m.read", &reply, json!(scene.event)).await.ok();
    give("m.read.private", &reply, json!(scene.event)).await.ok();
    give("m.read", &reply, json!("main")).await.refused(400, "M_INVALID_PARAM");
    give("m.read", &scene.event, json!(reply)).await.refused(400, "M_INVALID_PARAM");
    give("m.fully_read", &reply, json!(scene.event)).await.refused(400, "M_INVALID_PARAM");
    for nonsense in [json!(7), json!(""), json!("nonsense")] {
        let refused = give("m.read", &reply, nonsense).await;
        assert_eq!(refused.status, 400, "{}", refused.json());
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_read() {
    let scene = Scene::new().await;
    let give = |client: &Client, path: Path| client.post(path);
    for kind in ["m.read", "m.read.private", "m.fully_read"] {
        let path = scene.receipt(kind, "$none");
        give(&scene.alice, path).await.refused(404, "M_NOT_FOUND");
        let path = scene.receipt(kind, &scene.event);
        give(&scene.carol, path).await.refused(403, "M_FORBIDDEN");
    }
    let path = scene.receipt("m.nonsense", &scene.event);
    give(&scene.alice, path).await.refused(400, "M_INVALID_PARAM");
    let path = scene.receipt("m.read", "nonsense");
    give(&scene.alice, path).await.refused(400, "M_INVALID_PARAM");
    assert!(scene.fully_read().await.is_null());
}

#[tokio::test]
async fn read_markers_are_set_together() {
    let scene = Scene::new().await;
    let path = || ["rooms", &scene.room, "read_markers"];
    let mark = |body: Value| scene.alice.post(path()).json(body);
    assert_eq!(mark(json!({})).await.ok(), json!({}));
    assert!(scene.fully_read().await.is_null());
    let all = json!({
        "m.fully_read": scene.event,
        "m.read": scene.event,
        "m.read.private": scene.event,
    });
    mark(all.clone()).await.ok();
    assert_eq!(scene.fully_read().await, scene.event.as_str());
    mark(json!({ "m.fully_read": "$none" })).await.refused(404, "M_NOT_FOUND");
    mark(json!({ "m.read": "$none" })).await.refused(404, "M_NOT_FOUND");
    mark(json!({ "m.read": 7 })).await.refused(400, "M_BAD_JSON");
    scene.carol.post(path()).json(all).await.refused(403, "M_FORBIDDEN");
    assert_eq!(scene.fully_read().await, scene.event.as_str());
}
