//! The public room directory.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Answered, Client, TestServer};

const LIST: &str = "/_matrix/client/v3/publicRooms";

async fn publish(client: &Client, room: &str, visibility: &str) -> Answered {
    let path = ["directory", "list", "room", room];
    client.put(path).json(json!({ "visibility": visibility })).await
}

async fn find(client: &Client, body: Value) -> Value {
    client.post(LIST).json(body).await.ok()
}

/// The names of the rooms in an answer.
#[track_caller]
fn names(answer: &Value) -> Vec<&str> {
    let rooms = answer["chunk"].as_array().unwrap().iter();
    rooms.map(|room| room["name"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_room_that_is_made_public_is_listed_with_what_it_tells_of_itself() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let wish = json!({
        "visibility": "public",
        "room_alias_name": "tea",
        "name": "Tea",
        "topic": "Drinks",
        "creation_content": { "type": "m.space" },
        "initial_state": [
            { "type": "m.room.avatar", "content": { "url": "mxc://example.org/a" } },
            {
                "type": "m.room.history_visibility",
                "content": { "history_visibility": "world_readable" },
            },
        ],
    });
    let room = alice.create_room(wish).await;
    alice.create_room(json!({ "visibility": "private", "preset": "public_chat" })).await;
    let expected = json!({
        "chunk": [{
            "room_id": room,
            "num_joined_members": 1,
            "canonical_alias": "#tea:example.org",
            "name": "Tea",
            "topic": "Drinks",
            "avatar_url": "mxc://example.org/a",
            "join_rule": "public",
            "room_type": "m.space",
            "world_readable": true,
            "guest_can_join": false,
        }],
        "total_room_count_estimate": 1,
    });
    for path in [LIST, "/_matrix/client/r0/publicRooms"] {
        assert_eq!(server.call(Method::GET, path).await.ok(), expected);
        assert_eq!(alice.post(path).json(json!({})).await.ok(), expected);
    }
}

#[tokio::test]
async fn the_visibility_of_a_room_is_set_and_told() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_public_room().await;
    let path = ["directory", "list", "room", &room];
    let told = async || server.call(Method::GET, path).await.ok()["visibility"].clone();
    assert_eq!(told().await, "private");
    assert_eq!(publish(&alice, &room, "public").await.ok(), json!({}));
    assert_eq!(told().await, "public");
    publish(&alice, &room, "private").await.ok();
    assert_eq!(told().await, "private");
    // Who says nothing means this.
    alice.put(path).json(json!({})).await.ok();
    assert_eq!(told().await, "public");
    publish(&bob, &room, "private").await.refused(403, "M_FORBIDDEN");
    publish(&alice, &room, "hidden").await.refused(400, "M_BAD_JSON");
    publish(&alice, "!none:example.org", "public").await.refused(404, "M_NOT_FOUND");
    publish(&alice, "nonsense", "public").await.refused(400, "M_INVALID_PARAM");
    server.call(Method::PUT, path).json(json!({})).await.refused(401, "M_MISSING_TOKEN");
    let unknown = ["directory", "list", "room", "!none:example.org"];
    server.call(Method::GET, unknown).await.refused(404, "M_NOT_FOUND");
    assert_eq!(told().await, "public");
}

#[tokio::test]
async fn rooms_are_found_by_words_and_types() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for (name, kind) in [("Tea", Some("m.space")), ("Teapots", None), ("Cake", Some("org.x"))] {
        let creation = kind.map_or(json!({}), |kind| json!({ "type": kind }));
        let wish = json!({ "visibility": "public", "name": name, "creation_content": creation });
        alice.create_room(wish).await;
    }
    for (filter, mut expected) in [
        (json!({}), vec!["Tea", "Teapots", "Cake"]),
        (json!({ "generic_search_term": "TEA" }), vec!["Tea", "Teapots"]),
        (json!({ "generic_search_term": "tea", "room_types": [null] }), vec!["Teapots"]),
        (json!({ "room_types": [null, "m.space"] }), vec!["Tea", "Teapots"]),
        (json!({ "room_types": ["org.x"] }), vec!["Cake"]),
        (json!({ "room_types": ["org.y"] }), vec![]),
        // A list of no types is not the same as no list.
        (json!({ "room_types": [] }), vec![]),
    ] {
        let answer = find(&alice, json!({ "filter": filter })).await;
        let mut found = names(&answer);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
        assert_eq!(answer["total_room_count_estimate"], 3);
    }
}

#[tokio::test]
async fn the_list_is_read_in_pages() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    for name in ["small", "large"] {
        let room = alice.create_room(json!({ "visibility": "public", "name": name })).await;
        if name == "large" {
            bob.join(&room).await;
        }
    }
    let get = async |since: &Value| {
        let call = server.call(Method::GET, LIST).query("limit", "1");
        call.query("since", since.as_str().unwrap()).await.ok()
    };
    let first = server.call(Method::GET, LIST).query("limit", "1").await.ok();
    assert_eq!((names(&first), &first["prev_batch"]), (vec!["large"], &Value::Null));
    let second = get(&first["next_batch"]).await;
    assert_eq!((names(&second), &second["next_batch"]), (vec!["small"], &Value::Null));
    assert_eq!(names(&get(&second["prev_batch"]).await), ["large"]);
    let posted = json!({ "limit": 1, "since": first["next_batch"] });
    assert_eq!(find(&alice, posted).await, second);
    let wrong = server.call(Method::GET, LIST).query("since", "nonsense").await;
    wrong.refused(400, "M_INVALID_PARAM");
    server.call(Method::GET, LIST).query("limit", "-1").await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn other_servers_and_networks_are_not_listed() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.create_room(json!({ "visibility": "public" })).await;
    for (name, listed) in [("example.org", true), ("elsewhere.org", false)] {
        let got = server.call(Method::GET, LIST).query("server", name).await;
        let posted = alice.post(LIST).query("server", name).json(json!({})).await;
        for answer in [got, posted] {
            if listed {
                assert_eq!(names(&answer.ok()).len(), 1);
            } else {
                answer.refused(403, "M_FORBIDDEN");
            }
        }
    }
    let bridged = json!({ "third_party_instance_id": "irc" });
    assert_eq!(names(&find(&alice, bridged).await).len(), 0);
    let all = json!({ "include_all_networks": true });
    assert_eq!(names(&find(&alice, all).await).len(), 1);
}

#[tokio::test]
async fn an_operator_can_keep_the_list_for_users() {
    let server = TestServer::builder().settings(|settings| settings.directory.open = false);
    let server = server.start().await;
    let alice = server.user("alice").await;
    server.call(Method::GET, LIST).await.refused(401, "M_MISSING_TOKEN");
    let call = server.call(Method::GET, LIST).token("nonsense");
    call.await.refused(401, "M_UNKNOWN_TOKEN");
    assert_eq!(names(&alice.get(LIST).await.ok()).len(), 0);
    server.call(Method::POST, LIST).json(json!({})).await.refused(401, "M_MISSING_TOKEN");
}
