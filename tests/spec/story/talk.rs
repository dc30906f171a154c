//! Events: sent, redacted, read, received and answered.

use serde_json::json;
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let (alice, bob) = (story.user("alice").await, story.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    let first = alice.send(&room, "first").await;
    let last = sent(&alice, &bob, &room, &first).await;
    read(&alice, &room, &first).await;
    related(&bob, &room, &first).await;
    older(&bob, &room, &first).await;
    state(&alice, &room).await;
    receipts(&bob, &room, &last).await;
    let typing = json!({ "typing": true, "timeout": 30_000 });
    bob.put(["rooms", &room, "typing", bob.id()]).json(typing).await.ok();
    alice.sync(None).await;
    alice.get(["notifications"]).query("limit", "3").await.ok();
    alice.get(["notifications"]).query("only", "highlight").await.ok();
}

async fn sent(alice: &Client, bob: &Client, room: &str, first: &str) -> String {
    let reaction =
        json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": first, "key": "👍" } });
    bob.send_event(room, "m.reaction", reaction).await;
    let edit = json!({
        "msgtype": "m.text", "body": "* edited",
        "m.new_content": { "msgtype": "m.text", "body": "edited" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": first },
    });
    alice.send_event(room, "m.room.message", edit).await;
    let answer = json!({
        "msgtype": "m.text", "body": "in a thread",
        "m.mentions": { "user_ids": [alice.id()] },
        "m.relates_to": { "rel_type": "m.thread", "event_id": first },
    });
    let answer = bob.send_event(room, "m.room.message", answer).await;
    let regretted = bob.send(room, "regretted").await;
    let path = ["rooms", room, "redact", &regretted, "t"];
    bob.put(path).json(json!({ "reason": "a mistake" })).await.ok();
    alice.get(["rooms", room, "event", &regretted]).await.ok();
    let missing = alice.put(["rooms", room, "redact", "$none", "t2"]).json(json!({}));
    missing.await;
    answer
}

async fn read(alice: &Client, room: &str, first: &str) {
    alice.get(["rooms", room, "event", first]).await.ok();
    alice.get(["rooms", room, "event", "$none"]).await.refused(404, "M_NOT_FOUND");
    alice.get(["rooms", room, "context", first]).query("limit", "4").await.ok();
    for dir in ["b", "f"] {
        let filter = r#"{"lazy_load_members":true,"limit":5}"#;
        let page = alice.get(["rooms", room, "messages"]).query("dir", dir).query("limit", "5");
        page.query("filter", filter).await.ok();
    }
    alice.get(["rooms", room, "messages"]).await.refused(400, "M_MISSING_PARAM");
}

async fn related(bob: &Client, room: &str, first: &str) {
    let path = |rest: &str| format!("/_matrix/client/v1/rooms/{room}/{rest}");
    for rest in ["", "/m.thread", "/m.thread/m.room.message"] {
        let children = bob.get(path(&format!("relations/{first}{rest}")));
        children.query("recurse", "true").query("limit", "1").await.ok();
    }
    bob.get(path("relations/$none")).await.refused(404, "M_NOT_FOUND");
    bob.get(path("threads")).query("include", "participated").await.ok();
    bob.get(path("threads")).query("from", "x").await.refused(400, "M_INVALID_PARAM");
    let moment = || bob.get(path("timestamp_to_event")).query("ts", "1");
    moment().query("dir", "f").await.ok();
    moment().query("dir", "b").await.refused(404, "M_NOT_FOUND");
}

/// What older clients ask for.
async fn older(bob: &Client, room: &str, first: &str) {
    let all = bob.get(["initialSync"]).query("limit", "3").query("archived", "true").await.ok();
    let end = all["end"].as_str().expect("a token");
    bob.get(["events"]).query("from", end).await.ok();
    bob.get(["events", first]).await.ok();
    let room_now = bob.get(["rooms", room, "initialSync"]).await.ok();
    let start = room_now["messages"]["start"].as_str().expect("a token");
    bob.get(["events"]).query("room_id", room).query("from", start).await.ok();
}

async fn state(alice: &Client, room: &str) {
    alice.set_state(room, "m.room.topic", "", json!({ "topic": "new" })).await;
    alice.set_state(room, "org.test.thing", "key", json!({ "n": 1 })).await;
    alice.get(["rooms", room, "state"]).await.ok();
    let slot = ["rooms", room, "state", "org.test.thing", "key"];
    alice.get(slot).await.ok();
    alice.get(slot).query("format", "event").await.ok();
    alice.get(["rooms", room, "state", "org.test.none", ""]).await.refused(404, "M_NOT_FOUND");
}

async fn receipts(bob: &Client, room: &str, last: &str) {
    for kind in ["m.read", "m.read.private", "m.fully_read"] {
        bob.post(["rooms", room, "receipt", kind, last]).json(json!({})).await.ok();
    }
    let threaded = json!({ "thread_id": "main" });
    bob.post(["rooms", room, "receipt", "m.read", last]).json(threaded).await;
    let marks = json!({ "m.fully_read": last, "m.read": last, "m.read.private": last });
    bob.post(["rooms", room, "read_markers"]).json(marks).await.ok();
}
