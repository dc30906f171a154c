//! Making rooms, coming into them and going, and who is there.

use http::Method;
use serde_json::json;
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = story.user("alice").await;
    let bob = story.user("bob").await;
    let room = made(&alice, &bob).await;
    bob.post(["join", "#ours:example.org"]).json(json!({ "reason": "why not" })).await.ok();
    people(&alice, &room).await;
    aliases(&story, &alice, &room).await;
    refusals(&alice, &bob, &room).await;
    memberships(&alice, &bob, &room).await;
    knocking(&alice, &bob).await;
}

/// A room with everything.
async fn made(alice: &Client, bob: &Client) -> String {
    let wishes = json!({
        "preset": "public_chat",
        "visibility": "public",
        "room_alias_name": "ours",
        "name": "Ours",
        "topic": "everything",
        "invite": [bob.id()],
        "is_direct": false,
        "initial_state": [
            { "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": "world_readable" } },
            { "type": "m.room.encryption", "state_key": "", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
        ],
        "power_level_content_override": { "events_default": 0 },
    });
    alice.create_room(wishes).await
}

async fn people(alice: &Client, room: &str) {
    alice.get(["joined_rooms"]).await.ok();
    alice.get(["rooms", room, "joined_members"]).await.ok();
    alice.get(["rooms", room, "members"]).query("not_membership", "leave").await.ok();
}

async fn aliases(story: &Story, alice: &Client, room: &str) {
    let alias = ["directory", "room", "#second:example.org"];
    alice.put(alias).json(json!({ "room_id": room })).await.ok();
    assert_eq!(alice.put(alias).json(json!({ "room_id": room })).await.status, 409);
    story.call(Method::GET, alias).await.ok();
    alice.get(["rooms", room, "aliases"]).await.ok();
    alice.delete(alias).await.ok();
    story.call(Method::GET, alias).await.refused(404, "M_NOT_FOUND");
    alice
        .put(["directory", "room", "nonsense"])
        .json(json!({ "room_id": room }))
        .await
        .refused(400, "M_INVALID_PARAM");
}

async fn refusals(alice: &Client, bob: &Client, room: &str) {
    let version = json!({ "room_version": "none" });
    alice.post(["createRoom"]).json(version).await.refused(400, "M_UNSUPPORTED_ROOM_VERSION");
    let taken = json!({ "room_alias_name": "ours" });
    alice.post(["createRoom"]).json(taken).await.refused(400, "M_ROOM_IN_USE");
    let body = json!({ "user_id": alice.id() });
    for act in ["kick", "ban", "invite"] {
        bob.post(["rooms", room, act]).json(body.clone()).await.refused(403, "M_FORBIDDEN");
    }
    let private = alice.create_room(json!({})).await;
    for what in ["members", "joined_members", "state", "aliases"] {
        bob.get(["rooms", &private, what]).await.refused(403, "M_FORBIDDEN");
    }
    bob.post(["rooms", &private, "join"]).await.refused(403, "M_FORBIDDEN");
}

async fn memberships(alice: &Client, bob: &Client, room: &str) {
    let body = json!({ "user_id": bob.id(), "reason": "because" });
    alice.post(["rooms", room, "kick"]).json(body.clone()).await.ok();
    bob.post(["rooms", room, "join"]).json(json!({ "reason": "again" })).await.ok();
    alice.post(["rooms", room, "ban"]).json(body.clone()).await.ok();
    alice.post(["rooms", room, "unban"]).json(body.clone()).await.ok();
    alice.post(["rooms", room, "invite"]).json(body).await.ok();
    bob.post(["rooms", room, "join"]).await.ok();
    bob.post(["rooms", room, "leave"]).json(json!({ "reason": "enough" })).await.ok();
    bob.post(["rooms", room, "forget"]).await.ok();
}

async fn knocking(alice: &Client, bob: &Client) {
    let knock = json!({ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } });
    let room = alice.create_room(json!({ "name": "closed", "initial_state": [knock] })).await;
    bob.post(["knock", &room]).json(json!({ "reason": "please" })).await.ok();
    bob.sync(None).await;
    alice.invite(&room, bob).await;
    bob.sync(None).await;
    bob.join(&room).await;
}
