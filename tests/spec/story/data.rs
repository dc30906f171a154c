//! What a user keeps on the server: account data, tags, filters, push rules.

use serde_json::{Value, json};
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = story.user("alice").await;
    let room = alice.create_room(json!({ "name": "ours" })).await;
    account_data(&alice, &room).await;
    tags(&alice, &room).await;
    filters(&alice, &room).await;
    push_rules(&alice, &room).await;
    alice.sync(None).await;
}

async fn account_data(alice: &Client, room: &str) {
    let me = alice.id();
    alice.put(["user", me, "account_data", "m.direct"]).json(json!({ me: [room] })).await.ok();
    alice.get(["user", me, "account_data", "m.direct"]).await.ok();
    alice.get(["user", me, "account_data", "m.none"]).await.refused(404, "M_NOT_FOUND");
    let of_server = alice.put(["user", me, "account_data", "m.push_rules"]).json(json!({}));
    of_server.await.refused(405, "M_BAD_JSON");
    let others = alice.get(["user", "@bob:example.org", "account_data", "m.direct"]);
    others.await.refused(403, "M_FORBIDDEN");
    let of_room = ["user", me, "rooms", room, "account_data", "m.marked_unread"];
    alice.put(of_room).json(json!({ "unread": true })).await.ok();
    alice.get(of_room).await.ok();
}

async fn tags(alice: &Client, room: &str) {
    let tag = |name: &'static str| ["user", alice.id(), "rooms", room, "tags", name];
    alice.put(tag("m.favourite")).json(json!({ "order": 0.25 })).await.ok();
    alice.put(tag("u.work")).json(json!({})).await.ok();
    alice.get(["user", alice.id(), "rooms", room, "tags"]).await.ok();
    alice.delete(tag("u.work")).await.ok();
}

async fn filters(alice: &Client, room: &str) {
    let filter = json!({
        "event_format": "client",
        "presence": { "types": ["m.presence"], "not_senders": ["@bob:example.org"] },
        "account_data": { "limit": 10 },
        "room": {
            "rooms": [room],
            "include_leave": true,
            "timeline": { "limit": 3, "lazy_load_members": true, "contains_url": false },
            "state": { "types": ["m.room.*"], "not_types": ["m.room.topic"] },
            "ephemeral": { "not_rooms": ["!other:example.org"] },
        },
    });
    let made = alice.post(["user", alice.id(), "filter"]).json(filter).await.ok();
    let id = made["filter_id"].as_str().unwrap();
    alice.get(["user", alice.id(), "filter", id]).await.ok();
    alice.get(["user", alice.id(), "filter", "none"]).await.refused(404, "M_NOT_FOUND");
    alice.get(["sync"]).query("filter", id).await.ok();
}

async fn push_rules(alice: &Client, room: &str) {
    let contains = json!({ "kind": "event_match", "key": "content.body", "pattern": "cake" });
    let notify = json!(["notify", { "set_tweak": "sound", "value": "default" }]);
    let rules: [(&str, &str, Value); 5] = [
        ("override", "cake", json!({ "conditions": [contains], "actions": notify })),
        (
            "underride",
            "few",
            json!({ "conditions": [{ "kind": "room_member_count", "is": "<5" }], "actions": [] }),
        ),
        ("sender", "@bob:example.org", json!({ "actions": notify })),
        ("room", room, json!({ "actions": [] })),
        ("content", "word", json!({ "pattern": "alice*", "actions": notify })),
    ];
    for (kind, id, rule) in rules {
        let path = ["pushrules", "global", kind, id];
        alice.put(path).json(rule).await.ok();
        alice.get(path).await.ok();
    }
    rule_parts(alice).await;
    alice.get("/_matrix/client/v3/pushrules/").await.ok();
    alice.get("/_matrix/client/v3/pushrules/global/").await.ok();
    alice.delete(["pushrules", "global", "override", "cake"]).await.ok();
    alice.delete(["pushrules", "global", "override", "cake"]).await.refused(404, "M_NOT_FOUND");
}

async fn rule_parts(alice: &Client) {
    for id in ["cake", ".m.rule.master", ".m.rule.is_user_mention"] {
        let part = |part: &'static str| ["pushrules", "global", "override", id, part];
        alice.put(part("enabled")).json(json!({ "enabled": false })).await.ok();
        alice.get(part("enabled")).await.ok();
        alice.put(part("actions")).json(json!({ "actions": ["notify"] })).await.ok();
        alice.get(part("actions")).await.ok();
        alice.get(["pushrules", "global", "override", id]).await.ok();
    }
}
