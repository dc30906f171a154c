//! The threads of a room, and the events of a moment.

use std::time::Duration;

use serde_json::{Value, json};
use tertulia_testkit::{Call, Client, TestServer};

async fn two() -> (TestServer, Client, Client, String) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    (server, alice, bob, room)
}

fn in_room(client: &Client, room: &str, rest: &str) -> Call {
    let room = room.replace('!', "%21").replace(':', "%3A");
    client.get(format!("/_matrix/client/v1/rooms/{room}/{rest}").as_str())
}

async fn answer(client: &Client, room: &str, root: &str, body: &str) -> String {
    let relation = json!({ "rel_type": "m.thread", "event_id": root });
    let content = json!({ "msgtype": "m.text", "body": body, "m.relates_to": relation });
    client.send_event(room, "m.room.message", content).await
}

async fn redact(client: &Client, room: &str, event: &str) {
    let transaction = client.transaction();
    client.put(["rooms", room, "redact", event, &transaction]).json(json!({})).await.ok();
}

fn ids(page: &Value) -> Vec<&str> {
    let events = page["chunk"].as_array().expect("a list of events");
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn threads_are_listed_by_their_newest_event() {
    let (_, alice, bob, room) = two().await;
    let (one, two) = (alice.send(&room, "1").await, bob.send(&room, "2").await);
    alice.send(&room, "no thread").await;
    answer(&alice, &room, &one, "a").await;
    let newest = answer(&alice, &room, &two, "b").await;
    let list = async || in_room(&bob, &room, "threads").await.ok();
    assert_eq!(ids(&list().await), [&two, &one]);
    let told = list().await["chunk"][0]["unsigned"]["m.relations"]["m.thread"].clone();
    assert_eq!(told["latest_event"]["event_id"], newest.as_str());
    let late = answer(&bob, &room, &one, "c").await;
    assert_eq!(ids(&list().await), [&one, &two]);
    redact(&alice, &room, &late).await;
    assert_eq!(ids(&list().await), [&two, &one]);
    redact(&alice, &room, &newest).await;
    assert_eq!(ids(&list().await), [&one]);
    assert!(list().await.get("next_batch").is_none());
}

#[tokio::test]
async fn one_may_ask_for_the_threads_one_took_part_in() {
    let (server, alice, bob, room) = two().await;
    let carol = server.user("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let (one, two) = (alice.send(&room, "1").await, alice.send(&room, "2").await);
    answer(&alice, &room, &one, "a").await;
    let mine = answer(&bob, &room, &two, "b").await;
    let list = async |client: &Client, expected: &[&String]| {
        let page = in_room(client, &room, "threads").query("include", "participated").await.ok();
        assert_eq!(ids(&page), expected);
    };
    list(&alice, &[&two, &one]).await;
    list(&bob, &[&two]).await;
    list(&carol, &[]).await;
    redact(&bob, &room, &mine).await;
    list(&bob, &[]).await;
    let wrong = in_room(&bob, &room, "threads").query("include", "none");
    wrong.await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn threads_are_told_page_by_page() {
    let (_, alice, _, room) = two().await;
    let mut roots = Vec::new();
    for n in 0..5 {
        let root = alice.send(&room, &n.to_string()).await;
        answer(&alice, &room, &root, "a").await;
        roots.insert(0, root);
    }
    for limit in [1, 2, 5, 100] {
        let (mut all, mut from) = (Vec::new(), None::<String>);
        loop {
            let call = in_room(&alice, &room, "threads").query("limit", &limit.to_string());
            let page = match &from {
                Some(from) => call.query("from", from).await.ok(),
                None => call.await.ok(),
            };
            all.extend(ids(&page).into_iter().map(str::to_owned));
            from = page["next_batch"].as_str().map(str::to_owned);
            if from.is_none() {
                break;
            }
        }
        assert_eq!(all, roots, "limit {limit}");
    }
    let wrong = in_room(&alice, &room, "threads").query("from", "nonsense");
    wrong.await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn an_ignored_root_is_told_without_what_it_said() {
    let (server, alice, bob, room) = two().await;
    let root = bob.send(&room, "root").await;
    answer(&alice, &room, &root, "a").await;
    let list = json!({ "ignored_users": { bob.id(): {} } });
    alice.put(["user", alice.id(), "account_data", "m.ignored_user_list"]).json(list).await.ok();
    let page = in_room(&alice, &room, "threads").await.ok();
    assert_eq!(page["chunk"][0]["content"], json!({}));
    let carol = server.user("carol").await;
    in_room(&carol, &room, "threads").await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn the_closest_event_of_a_time_is_found_either_way() {
    let (server, alice, bob, room) = two().await;
    let mut sent = Vec::new();
    for n in 0..40 {
        server.clock().advance(Duration::from_secs(10));
        let event = alice.send(&room, &n.to_string()).await;
        let told = bob.get(["rooms", &room, "event", &event]).await.ok();
        sent.push((told["origin_server_ts"].as_i64().unwrap(), event));
    }
    let at = async |ts: i64, direction: &str| {
        let call = in_room(&bob, &room, "timestamp_to_event").query("ts", &ts.to_string());
        call.query("dir", direction).await
    };
    let check = async |ts: i64, direction: &str, expected: &(i64, String)| {
        let found = at(ts, direction).await.ok();
        let expected = json!({ "event_id": expected.1, "origin_server_ts": expected.0 });
        assert_eq!(found, expected, "{ts} {direction}");
    };
    for window in sent.windows(2) {
        check(window[0].0, "f", &window[0]).await;
        check(window[0].0, "b", &window[0]).await;
        check(window[0].0 + 1, "f", &window[1]).await;
        check(window[1].0 - 1, "b", &window[0]).await;
    }
    check(sent[39].0 + 1_000_000, "b", &sent[39]).await;
    at(sent[39].0 + 1, "f").await.refused(404, "M_NOT_FOUND");
    at(0, "b").await.refused(404, "M_NOT_FOUND");
    at(0, "f").await.ok();
    let carol = server.user("carol").await;
    let call = in_room(&carol, &room, "timestamp_to_event").query("ts", "0").query("dir", "f");
    call.await.refused(403, "M_FORBIDDEN");
    in_room(&bob, &room, "timestamp_to_event")
        .query("dir", "f")
        .await
        .refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn nobody_finds_the_time_of_what_they_may_not_see() {
    let (server, alice, _, room) = two().await;
    let visibility = json!({ "history_visibility": "joined" });
    alice.set_state(&room, "m.room.history_visibility", "", visibility).await;
    for n in 0..600 {
        server.clock().advance(Duration::from_millis(10));
        alice.send(&room, &n.to_string()).await;
    }
    let carol = server.user("carol").await;
    server.clock().advance(Duration::from_secs(60));
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let found = in_room(&carol, &room, "timestamp_to_event").query("ts", "0").query("dir", "f");
    let found = found.await.ok();
    carol.get(["rooms", &room, "event", found["event_id"].as_str().unwrap()]).await.ok();
    let join = carol.get(["rooms", &room, "state", "m.room.member", carol.id()]);
    let join = join.query("format", "event").await.ok();
    assert!(found["origin_server_ts"].as_i64() <= join["origin_server_ts"].as_i64());
}
