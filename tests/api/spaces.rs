//! Walking spaces, and what rooms tell those who are not in them.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Answered, Call, Client, TestServer};

fn hierarchy(client: &Client, room: &str) -> Call {
    client.get(format!("/_matrix/client/v1/rooms/{room}/hierarchy"))
}

fn summary_path(room: &str) -> String {
    format!("/_matrix/client/v1/room_summary/{}", room.replace('#', "%23"))
}

async fn space_with(client: &Client, children: &[&str]) -> String {
    let creation = json!({ "type": "m.space" });
    let wish = json!({ "preset": "public_chat", "name": "S", "creation_content": creation });
    let space = client.create_room(wish).await;
    for child in children {
        client.set_state(&space, "m.space.child", child, json!({ "via": ["example.org"] })).await;
    }
    space
}

#[tokio::test]
async fn a_space_tells_its_rooms_and_which_children_it_names() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let wish = json!({
        "name": "R", "topic": "T", "preset": "public_chat", "room_version": "11",
        "initial_state": [
            { "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
        ],
    });
    let room = alice.create_room(wish).await;
    let space = space_with(&alice, &[&room]).await;
    let mut told = hierarchy(&bob, &space).await.ok();
    let child = &mut told["rooms"][0]["children_state"][0];
    assert!(child["origin_server_ts"].take().is_u64());
    let children_state = json!([{
        "type": "m.space.child", "state_key": room, "sender": alice.id(),
        "content": { "via": ["example.org"] }, "origin_server_ts": null,
    }]);
    let expected = json!({ "rooms": [
        {
            "room_id": space, "name": "S", "room_type": "m.space", "num_joined_members": 1,
            "join_rule": "public", "world_readable": false, "guest_can_join": false,
            "room_version": "12", "children_state": children_state,
        },
        {
            "room_id": room, "name": "R", "topic": "T", "num_joined_members": 1,
            "join_rule": "public", "world_readable": false, "guest_can_join": false,
            "room_version": "11", "encryption": "m.megolm.v1.aes-sha2", "children_state": [],
        },
    ] });
    assert_eq!(told, expected);
    let old = format!("/_matrix/client/unstable/org.matrix.msc2946/rooms/{space}/hierarchy");
    assert_eq!(bob.get(old).await.ok()["rooms"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_walk_is_paged_and_bounded() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    let space = space_with(&alice, &[&room]).await;
    let first = hierarchy(&alice, &space).query("limit", "1").await.ok();
    assert_eq!(first["rooms"].as_array().unwrap().len(), 1);
    let next = first["next_batch"].as_str().unwrap();
    let second = hierarchy(&alice, &space).query("from", next).await.ok();
    assert_eq!(second["rooms"][0]["room_id"], room.as_str());
    assert_eq!(second["next_batch"], Value::Null);
    let shallow = hierarchy(&alice, &space).query("max_depth", "0").await.ok();
    assert_eq!(shallow["rooms"].as_array().unwrap().len(), 1);
    let suggested = hierarchy(&alice, &space).query("suggested_only", "true").await.ok();
    assert_eq!(suggested["rooms"][0]["children_state"], json!([]));
    for (name, value) in [
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "many"),
        ("max_depth", "-1"),
        ("from", "nonsense"),
        ("suggested_only", "perhaps"),
    ] {
        let call = hierarchy(&alice, &space).query(name, value);
        call.await.refused(400, "M_INVALID_PARAM");
    }
    let changed = hierarchy(&alice, &space).query("from", next).query("max_depth", "1");
    changed.await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_closed_space_is_walked_by_its_members_only() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room(json!({ "creation_content": { "type": "m.space" } })).await;
    hierarchy(&bob, &room).await.refused(403, "M_FORBIDDEN");
    hierarchy(&bob, "!none:example.org").await.refused(403, "M_FORBIDDEN");
    hierarchy(&bob, "nonsense").await.refused(400, "M_INVALID_PARAM");
    let path = format!("/_matrix/client/v1/rooms/{room}/hierarchy");
    server.call(Method::GET, path).await.refused(401, "M_MISSING_TOKEN");
    alice.invite(&room, &bob).await;
    hierarchy(&bob, &room).await.ok();
}

async fn summary(client: &Client, room: &str) -> Answered {
    client.get(summary_path(room)).await
}

#[tokio::test]
async fn a_room_is_summarised_by_its_id_or_alias() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let wish = json!({
        "name": "R", "topic": "T", "preset": "public_chat", "room_alias_name": "r",
        "initial_state": [{ "type": "m.room.avatar", "content": { "url": "mxc://example.org/a" } }],
    });
    let room = alice.create_room(wish).await;
    let expected = |membership: Option<&str>| {
        let mut expected = json!({
            "room_id": room, "name": "R", "topic": "T", "canonical_alias": "#r:example.org",
            "avatar_url": "mxc://example.org/a", "num_joined_members": 1, "join_rule": "public",
            "world_readable": false, "guest_can_join": false, "room_version": "12",
        });
        if let Some(membership) = membership {
            expected["membership"] = membership.into();
        }
        expected
    };
    for name in [&room, "#r:example.org"] {
        assert_eq!(summary(&alice, name).await.ok(), expected(Some("join")));
        assert_eq!(summary(&bob, name).await.ok(), expected(Some("leave")));
        let anonymous = server.call(Method::GET, summary_path(name)).query("via", "example.org");
        assert_eq!(anonymous.await.ok(), expected(None));
    }
    for old in ["rooms/{}/summary", "summary/{}"] {
        let path =
            format!("/_matrix/client/unstable/im.nheko.summary/{}", old.replace("{}", &room));
        assert_eq!(bob.get(path).await.ok(), expected(Some("leave")));
    }
    let wrong = server.call(Method::GET, summary_path(&room)).token("nonsense");
    wrong.await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn rooms_are_summarised_for_those_who_may_know_of_them() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let rules = async |rule: Value| {
        let state = json!([{ "type": "m.room.join_rules", "content": rule }]);
        alice.create_room(json!({ "initial_state": state })).await
    };
    let hall = alice.create_public_room().await;
    let condition = json!({ "type": "m.room_membership", "room_id": hall });
    let knock = rules(json!({ "join_rule": "knock" })).await;
    let club = rules(json!({ "join_rule": "restricted", "allow": [condition] })).await;
    let closed = alice.create_room(json!({})).await;
    let anonymous = async |room: &str| server.call(Method::GET, summary_path(room)).await;
    anonymous(&knock).await.ok();
    summary(&bob, &knock).await.ok();
    for hidden in [&*club, &*closed, "!none:example.org", "#none:example.org"] {
        anonymous(hidden).await.refused(404, "M_NOT_FOUND");
        summary(&bob, hidden).await.refused(404, "M_NOT_FOUND");
    }
    bob.join(&hall).await;
    let told = summary(&bob, &club).await.ok();
    assert_eq!(
        (&told["join_rule"], &told["allowed_room_ids"]),
        (&"restricted".into(), &json!([hall]))
    );
    alice.invite(&closed, &bob).await;
    assert_eq!(summary(&bob, &closed).await.ok()["membership"], "invite");
    anonymous(&closed).await.refused(404, "M_NOT_FOUND");
    anonymous("nonsense").await.refused(400, "M_INVALID_PARAM");
}
