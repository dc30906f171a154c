//! What older clients ask for instead of syncing, and looking on at rooms one is not in.

use std::time::Duration;

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn two() -> (TestServer, Client, Client) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    (server, alice, bob)
}

/// A room of `owner` that everybody may read.
async fn open_room(owner: &Client) -> String {
    let room = owner.create_public_room().await;
    let visibility = json!({ "history_visibility": "world_readable" });
    owner.set_state(&room, "m.room.history_visibility", "", visibility).await;
    room
}

/// The path of these segments below the newest version.
fn path(segments: &[&str]) -> String {
    let segments = segments
        .iter()
        .map(|segment| segment.replace('!', "%21").replace('$', "%24").replace(':', "%3A"));
    format!("/_matrix/client/v3/{}", segments.collect::<Vec<_>>().join("/"))
}

fn bodies(chunk: &Value) -> Vec<&str> {
    let events = chunk.as_array().expect("a list of events");
    events.iter().filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[tokio::test]
async fn everybody_may_look_into_a_room_that_is_open_to_the_world() {
    let (_, alice, bob) = two().await;
    let room = open_room(&alice).await;
    let event = alice.send(&room, "hello").await;
    for segments in [
        vec!["rooms", &room, "state"],
        vec!["rooms", &room, "state", "m.room.create", ""],
        vec!["rooms", &room, "members"],
        vec!["rooms", &room, "event", &event],
        vec!["rooms", &room, "context", &event],
        vec!["rooms", &room, "initialSync"],
    ] {
        bob.get(path(&segments)).await.ok();
    }
    let messages = bob.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    assert_eq!(bodies(&messages["chunk"]), ["hello"]);
    bob.get(["rooms", &room, "joined_members"]).await.refused(403, "M_FORBIDDEN");
    let closed = alice.create_public_room().await;
    for segments in [
        vec!["rooms", &closed, "state"],
        vec!["rooms", &closed, "members"],
        vec!["rooms", &closed, "initialSync"],
    ] {
        bob.get(path(&segments)).await.refused(403, "M_FORBIDDEN");
    }
    let listen = bob.get(["events"]).query("room_id", &closed);
    listen.await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_room_is_told_as_it_is() {
    let (_, alice, bob) = two().await;
    let room = open_room(&alice).await;
    for n in 0..30 {
        alice.send(&room, &n.to_string()).await;
    }
    let data = json!({ "a": 1 });
    alice.put(["user", alice.id(), "rooms", &room, "account_data", "org.a"]).json(data).await.ok();
    let told = alice.get(["rooms", &room, "initialSync"]).await.ok();
    assert_eq!(told["membership"], "join");
    assert_eq!(told["visibility"], "private");
    assert_eq!(told["account_data"], json!([{ "type": "org.a", "content": { "a": 1 } }]));
    let messages = bodies(&told["messages"]["chunk"]);
    assert_eq!((messages.len(), messages[0], messages[19]), (20, "10", "29"));
    let older = alice.get(["rooms", &room, "messages"]).query("dir", "b").query("limit", "1");
    let older = older.query("from", told["messages"]["start"].as_str().unwrap()).await.ok();
    assert_eq!(bodies(&older["chunk"]), ["9"]);
    let state = alice.get(["rooms", &room, "state"]).await.ok();
    assert_eq!(told["state"].as_array().unwrap().len(), state.as_array().unwrap().len());
    let short = open_room(&alice).await;
    let told = alice.get(["rooms", &short, "initialSync"]).await.ok();
    let older = alice.get(["rooms", &short, "messages"]).query("dir", "b").query("limit", "9");
    let older = older.query("from", told["messages"]["start"].as_str().unwrap()).await.ok();
    assert_eq!((&older["chunk"], older.get("end")), (&json!([]), None));
    let outside = bob.get(["rooms", &room, "initialSync"]).await.ok();
    assert!(outside.get("membership").is_none());
    assert_eq!(outside["messages"]["chunk"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn an_older_client_is_told_everything_at_first() {
    let (_, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let left = alice.create_room_with(&[&bob]).await;
    bob.leave(&left).await;
    let invited = alice.create_room(json!({ "invite": [bob.id()] })).await;
    alice.send(&room, "one").await;
    alice.send(&room, "two").await;
    let find = |told: &Value, room: &str| {
        let rooms = told["rooms"].as_array().unwrap();
        rooms.iter().find(|it| it["room_id"] == room).cloned()
    };
    let told = bob.get(["initialSync"]).query("limit", "1").await.ok();
    let mine = find(&told, &room).unwrap();
    assert_eq!(
        (&mine["membership"], bodies(&mine["messages"]["chunk"])),
        (&json!("join"), vec!["two"])
    );
    assert_eq!(find(&told, &invited).unwrap()["membership"], "invite");
    assert!(find(&told, &left).is_none());
    assert_eq!(told["presence"], json!([]));
    let told = bob.get(["initialSync"]).query("archived", "true").await.ok();
    assert_eq!(find(&told, &left).unwrap()["membership"], "leave");
    bob.get(["initialSync"]).query("limit", "x").await.refused(400, "M_INVALID_PARAM");
    // From there on, the event stream tells what happens.
    alice.send(&room, "three").await;
    let from = told["end"].as_str().unwrap();
    let stream = bob.get(["events"]).query("from", from).await.ok();
    assert_eq!(bodies(&stream["chunk"]), ["three"]);
    assert_eq!(stream["chunk"][0]["room_id"], room.as_str());
    assert_eq!(stream["start"], from);
    let end = stream["end"].as_str().unwrap();
    let stream = bob.get(["events"]).query("from", end).await.ok();
    assert_eq!(stream["chunk"], json!([]));
    let stream = bob.get(["events"]).await.ok();
    assert_eq!(stream["chunk"], json!([]));
    bob.get(["events"]).query("from", "nonsense").await.refused(400, "M_INVALID_PARAM");
    let says = json!({ "presence": "online", "status_msg": "here" });
    alice.put(["presence", alice.id(), "status"]).json(says).await.ok();
    let typing = json!({ "typing": true, "timeout": 60_000 });
    alice.put(["rooms", &room, "typing", alice.id()]).json(typing).await.ok();
    let stream = bob.get(["events"]).query("from", stream["end"].as_str().unwrap()).await.ok();
    let of = |kind: &str| {
        stream["chunk"].as_array().unwrap().iter().find(|event| event["type"] == kind).unwrap()
    };
    assert_eq!(of("m.typing")["room_id"], room.as_str());
    assert_eq!(of("m.typing")["content"]["user_ids"], json!([alice.id()]));
    assert_eq!(of("m.presence")["content"]["user_id"], alice.id());
    assert_eq!(of("m.presence")["content"]["status_msg"], "here");
}

#[tokio::test]
async fn an_event_is_found_without_its_room() {
    let (server, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let event = alice.send(&room, "here").await;
    let told = bob.get(["events", &event]).await.ok();
    assert_eq!((&told["room_id"], &told["event_id"]), (&json!(room), &json!(event)));
    let carol = server.user("carol").await;
    carol.get(["events", &event]).await.refused(404, "M_NOT_FOUND");
    carol.get(["events", "$nothing"]).await.refused(404, "M_NOT_FOUND");
    carol.get(["events", "nothing"]).await.refused(400, "M_INVALID_PARAM");
    // The first event of a room of this version does not name it.
    let state = alice.get(["rooms", &room, "state", "m.room.create", ""]).query("format", "event");
    let create = state.await.ok()["event_id"].as_str().unwrap().to_owned();
    assert_eq!(alice.get(["events", &create]).await.ok()["room_id"], room.as_str());
}

#[tokio::test]
async fn one_may_wait_for_what_happens_in_an_open_room() {
    let (server, alice, bob) = two().await;
    let room = open_room(&alice).await;
    let now = bob.get(["events"]).query("room_id", &room).await.ok();
    assert_eq!(now["chunk"], json!([]));
    let from = now["end"].as_str().unwrap().to_owned();
    let listen = bob.get(["events"]).query("room_id", &room).query("from", &from);
    let waiting = tokio::spawn(async move { listen.query("timeout", "30000").await.ok() });
    server.clock().sleepers(1).await;
    alice.send(&room, "now").await;
    let told = waiting.await.unwrap();
    assert_eq!(bodies(&told["chunk"]), ["now"]);
    let listen = bob.get(["events"]).query("room_id", &room);
    let listen = listen.query("from", told["end"].as_str().unwrap()).query("timeout", "1000");
    let waiting = tokio::spawn(async move { listen.await.ok() });
    server.clock().sleepers(1).await;
    server.clock().advance(Duration::from_secs(2));
    assert_eq!(waiting.await.unwrap()["chunk"], json!([]));
}
