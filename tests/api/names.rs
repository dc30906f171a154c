//! Names that clients choose: however long they are, and whatever is in them, there is an answer.

use serde_json::{Value, json};
use tertulia_testkit::{Client, Path, TestServer};

/// A user in a room with an event.
struct Scene {
    alice: Client,
    room: String,
    event: String,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let alice = server.user("alice").await;
        let room = alice.create_public_room().await;
        let event = alice.send(&room, "here").await;
        Self { alice, room, event }
    }

    /// What has `name` in its path, and a body for it.
    fn puts(&self, name: &str) -> Vec<(Path, Value)> {
        let (room, me) = (self.room.as_str(), self.alice.id());
        let (event, in_sigil) = (format!("${name}"), format!("#{name}:example.org"));
        let content = || json!({});
        vec![
            (["rooms", room, "send", "m.test", name].into(), content()),
            (["rooms", room, "send", name, "t"].into(), content()),
            (["rooms", room, "send", name, name].into(), content()),
            (["rooms", room, "redact", &self.event, name].into(), content()),
            (["rooms", room, "redact", &event, name].into(), content()),
            (["rooms", room, "state", "m.test", name].into(), content()),
            (["rooms", room, "state", name, ""].into(), content()),
            (["rooms", room, "state", name, name].into(), content()),
            (["user", me, "account_data", name].into(), content()),
            (["user", me, "rooms", room, "account_data", name].into(), content()),
            (["user", me, "rooms", room, "tags", name].into(), content()),
            (["profile", me, name].into(), json!({ name: "value" })),
            (["devices", name].into(), json!({ "display_name": name })),
            (["directory", "room", &in_sigil].into(), json!({ "room_id": room })),
            (["pushrules", "global", "override", name].into(), {
                json!({ "actions": [], "conditions": [] })
            }),
            (["pushrules", "global", "room", name].into(), json!({ "actions": [] })),
            (["rooms", room, "typing", name].into(), json!({ "typing": true, "timeout": 1 })),
        ]
    }

    fn gets(&self, name: &str) -> Vec<Path> {
        let (room, me) = (self.room.as_str(), self.alice.id());
        let (event, alias) = (format!("${name}"), format!("#{name}:example.org"));
        let (user, other) = (format!("@{name}:example.org"), format!("!{name}:example.org"));
        vec![
            ["rooms", room, "state", name, name].into(),
            ["rooms", room, "event", &event].into(),
            ["rooms", room, "context", &event].into(),
            ["rooms", &other, "state"].into(),
            ["rooms", name, "messages"].into(),
            ["user", me, "account_data", name].into(),
            ["user", me, "rooms", room, "account_data", name].into(),
            ["user", me, "rooms", &other, "tags"].into(),
            ["user", me, "filter", name].into(),
            ["profile", &user].into(),
            ["profile", me, name].into(),
            ["devices", name].into(),
            ["directory", "room", &alias].into(),
            ["pushrules", "global", "override", name].into(),
        ]
    }

    fn posts(&self, name: &str) -> Vec<(Path, Value)> {
        let room = self.room.as_str();
        let (user, event) = (format!("@{name}:example.org"), format!("${name}"));
        let other = format!("!{name}:example.org");
        let initial = json!([{ "type": name, "state_key": name, "content": {} }]);
        let login = json!({
            "type": "m.login.password", "user": "alice", "password": "x", "device_id": name,
        });
        vec![
            (["login"].into(), login),
            (["rooms", room, "invite"].into(), json!({ "user_id": user })),
            (["rooms", room, "ban"].into(), json!({ "user_id": user })),
            (["rooms", room, "receipt", "m.read", &event].into(), json!({})),
            (
                ["rooms", room, "receipt", "m.read", &self.event].into(),
                json!({ "thread_id": name }),
            ),
            (["rooms", room, "read_markers"].into(), json!({ "m.fully_read": event })),
            (["rooms", &other, "leave"].into(), json!({})),
            (["rooms", &other, "forget"].into(), json!({})),
            (["join", &other].into(), json!({})),
            (["createRoom"].into(), json!({ "room_alias_name": name })),
            (["createRoom"].into(), json!({ "room_version": name })),
            (["createRoom"].into(), json!({ "invite": [user] })),
            (["createRoom"].into(), json!({ "initial_state": initial })),
        ]
    }
}

#[tokio::test]
async fn no_name_is_too_long_or_too_odd_for_an_answer() {
    let scene = Scene::new().await;
    let check = |path: Path, status: u16| assert!(status < 500, "{status}: {path:?}");
    for letter in ["n", "\0", "é", "/"] {
        for length in [1, 100, 127, 200, 255, 256, 500, 1_000, 1_100, 3_000] {
            let name = letter.repeat(length);
            for (path, body) in scene.puts(&name) {
                let answer = scene.alice.put(path.clone()).json(body).await;
                check(path, answer.status.as_u16());
            }
            for (path, body) in scene.posts(&name) {
                let answer = scene.alice.post(path.clone()).json(body).await;
                check(path, answer.status.as_u16());
            }
            for path in scene.gets(&name) {
                let answer = scene.alice.get(path.clone()).await;
                check(path, answer.status.as_u16());
            }
        }
    }
    scene.alice.sync(None).await;
}

#[tokio::test]
async fn a_transaction_id_has_at_most_255_bytes() {
    let Scene { alice, room, event } = Scene::new().await;
    for name in ["t".repeat(255), "é".repeat(127)] {
        let send = async || {
            let call = alice.put(["rooms", &room, "send", "m.test", &name]);
            call.json(json!({})).await.ok()["event_id"].clone()
        };
        assert_eq!(send().await, send().await, "a retried one is known");
    }
    for name in ["t".repeat(256), "é".repeat(128), "t".repeat(1_000), "t".repeat(5_000)] {
        let send = alice.put(["rooms", &room, "send", "m.test", &name]);
        send.json(json!({})).await.refused(400, "M_INVALID_PARAM");
        let redact = alice.put(["rooms", &room, "redact", &event, &name]);
        redact.json(json!({})).await.refused(400, "M_INVALID_PARAM");
    }
    assert_eq!(alice.get(["rooms", &room, "event", &event]).await.ok()["content"]["body"], "here");
}
