//! What relates to an event: asked for by itself, and told with the event.

use serde_json::{Value, json};
use tertulia_testkit::{Call, Client, TestServer};

/// The beginning of the paths of the newer endpoints.
const V1: &str = "/_matrix/client/v1";

async fn two() -> (TestServer, Client, Client, String) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    (server, alice, bob, room)
}

fn encoded(id: &str) -> String {
    id.replace('$', "%24").replace('!', "%21").replace(':', "%3A").replace('/', "%2F")
}

fn relations(client: &Client, room: &str, event: &str, rest: &str) -> Call {
    let path = format!("{V1}/rooms/{}/relations/{}{rest}", encoded(room), encoded(event));
    client.get(path.as_str())
}

async fn relate(client: &Client, room: &str, rel_type: &str, to: &str, body: &str) -> String {
    let content = json!({
        "msgtype": "m.text", "body": body,
        "m.new_content": { "msgtype": "m.text", "body": body },
        "m.relates_to": { "rel_type": rel_type, "event_id": to },
    });
    client.send_event(room, "m.room.message", content).await
}

fn reaction(to: &str, key: &str) -> Value {
    json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": to, "key": key } })
}

async fn react(client: &Client, room: &str, to: &str, key: &str) -> String {
    client.send_event(room, "m.reaction", reaction(to, key)).await
}

async fn redact(client: &Client, room: &str, event: &str) {
    let transaction = client.transaction();
    client.put(["rooms", room, "redact", event, &transaction]).json(json!({})).await.ok();
}

async fn ignore(client: &Client, other: &Client) {
    let list = json!({ "ignored_users": { other.id(): {} } });
    let path = ["user", client.id(), "account_data", "m.ignored_user_list"];
    client.put(path).json(list).await.ok();
}

fn ids(chunk: &Value) -> Vec<&str> {
    let events = chunk.as_array().expect("a list of events");
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

/// What is told with an event by `/event`.
async fn bundle(client: &Client, room: &str, event: &str) -> Value {
    let event = client.get(["rooms", room, "event", event]).await.ok();
    event["unsigned"]["m.relations"].clone()
}

#[tokio::test]
async fn children_are_told_newest_first_by_kind_and_type() {
    let (_, alice, bob, room) = two().await;
    let root = alice.send(&room, "root").await;
    let thread = relate(&bob, &room, "m.thread", &root, "in the thread").await;
    let liked = react(&bob, &room, &root, "+").await;
    let edit = relate(&alice, &room, "m.replace", &root, "edited").await;
    let other = relate(&bob, &room, "org.example", &root, "whatever").await;
    let check = async |rest: &str, expected: &[&String]| {
        let page = relations(&bob, &room, &root, rest).await.ok();
        assert_eq!(ids(&page["chunk"]), expected, "{rest}");
        assert!(page.get("recursion_depth").is_none() && page.get("next_batch").is_none());
        assert!(page.get("prev_batch").is_none());
    };
    check("", &[&other, &edit, &liked, &thread]).await;
    check("/m.thread", &[&thread]).await;
    check("/m.annotation", &[&liked]).await;
    check("/m.annotation/m.reaction", &[&liked]).await;
    check("/m.annotation/m.room.message", &[]).await;
    check("/org.example", &[&other]).await;
    check("/org.example.none", &[]).await;
    let forward = relations(&bob, &room, &root, "").query("dir", "f").await.ok();
    assert_eq!(ids(&forward["chunk"]), [&thread, &liked, &edit, &other]);
    let unstable = format!("/_matrix/client/unstable/rooms/{room}/relations/{root}");
    let old = bob.get(encoded_path(&unstable).as_str()).await.ok();
    assert_eq!(ids(&old["chunk"]).len(), 4);
}

fn encoded_path(path: &str) -> String {
    path.replace('$', "%24").replace('!', "%21").replace(':', "%3A")
}

#[tokio::test]
async fn children_are_told_page_by_page_both_ways() {
    let (_, alice, _, room) = two().await;
    let root = alice.send(&room, "root").await;
    let mut sent = Vec::new();
    for n in 0..7 {
        sent.push(relate(&alice, &room, "m.thread", &root, &n.to_string()).await);
        alice.send(&room, "between").await;
    }
    for recurse in ["false", "true"] {
        for (direction, limit) in [("b", 1), ("b", 3), ("b", 7), ("f", 2), ("f", 7), ("f", 100)] {
            let (mut all, mut from) = (Vec::new(), None::<String>);
            loop {
                let call = relations(&alice, &room, &root, "/m.thread").query("dir", direction);
                let call = call.query("limit", &limit.to_string()).query("recurse", recurse);
                let page = match &from {
                    Some(from) => call.query("from", from).await.ok(),
                    None => call.await.ok(),
                };
                assert_eq!(page["prev_batch"].as_str(), from.as_deref());
                all.extend(ids(&page["chunk"]).into_iter().map(str::to_owned));
                assert!(ids(&page["chunk"]).len() <= limit);
                from = page["next_batch"].as_str().map(str::to_owned);
                if from.is_none() {
                    break;
                }
            }
            if direction == "b" {
                all.reverse();
            }
            assert_eq!(all, sent, "{direction} {limit} {recurse}");
        }
    }
}

#[tokio::test]
async fn a_page_stops_where_the_client_says() {
    let (_, alice, _, room) = two().await;
    let root = alice.send(&room, "root").await;
    let first = relate(&alice, &room, "m.thread", &root, "1").await;
    let between = alice.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let second = relate(&alice, &room, "m.thread", &root, "2").await;
    for recurse in ["false", "true"] {
        let call = || relations(&alice, &room, &root, "").query("recurse", recurse);
        let newer = call().query("to", &between).await.ok();
        assert_eq!(ids(&newer["chunk"]), [&second]);
        let older = call().query("from", &between).await.ok();
        assert_eq!(ids(&older["chunk"]), [&first]);
        let ahead = call().query("from", &between).query("dir", "f").await.ok();
        assert_eq!(ids(&ahead["chunk"]), [&second]);
        let behind = call().query("to", &between).query("dir", "f").await.ok();
        assert_eq!(ids(&behind["chunk"]), [&first]);
    }
    relations(&alice, &room, &root, "")
        .query("from", "nonsense")
        .await
        .refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn recursion_follows_three_relations_and_filters_what_it_found() {
    let (_, alice, bob, room) = two().await;
    let root = alice.send(&room, "root").await;
    let one = relate(&bob, &room, "m.thread", &root, "1").await;
    let two = relate(&bob, &room, "m.reference", &one, "2").await;
    let three = relate(&bob, &room, "m.reference", &two, "3").await;
    relate(&bob, &room, "m.reference", &three, "4").await;
    let liked = react(&alice, &room, &one, "+").await;
    let late = relate(&bob, &room, "m.thread", &root, "5").await;
    let page = relations(&alice, &room, &root, "").query("recurse", "true").await.ok();
    assert_eq!(ids(&page["chunk"]), [&late, &liked, &three, &two, &one]);
    assert_eq!(page["recursion_depth"], 3);
    let page = relations(&alice, &room, &root, "/m.thread").query("recurse", "true").await.ok();
    assert_eq!(ids(&page["chunk"]), [&late, &one]);
    let page = relations(&alice, &room, &root, "/m.reference").query("recurse", "true").await.ok();
    assert_eq!(ids(&page["chunk"]), [&three, &two]);
    let page = relations(&alice, &room, &root, "/m.annotation").query("recurse", "true").await.ok();
    assert_eq!(ids(&page["chunk"]), [&liked]);
    let page = relations(&alice, &room, &root, "/m.reference").await.ok();
    assert_eq!(ids(&page["chunk"]), [""; 0]);
}

#[tokio::test]
async fn nobody_is_told_what_relates_to_what_they_may_not_see() {
    let (server, alice, bob, room) = two().await;
    let root = alice.send(&room, "root").await;
    relate(&alice, &room, "m.thread", &root, "in").await;
    let carol = server.user("carol").await;
    relations(&carol, &room, &root, "").await.refused(404, "M_NOT_FOUND");
    relations(&bob, &room, "$nothing", "").await.refused(404, "M_NOT_FOUND");
    let elsewhere = alice.create_room(json!({})).await;
    relations(&alice, &elsewhere, &root, "").await.refused(404, "M_NOT_FOUND");
    bob.leave(&room).await;
    relate(&alice, &room, "m.thread", &root, "after").await;
    relate(&alice, &room, "m.replace", &root, "after").await;
    let page = relations(&bob, &room, &root, "").await.ok();
    assert_eq!(ids(&page["chunk"]).len(), 1);
    let told = bundle(&bob, &room, &root).await;
    assert!(told.get("m.replace").is_none());
    assert_eq!(told["m.thread"]["latest_event"]["content"]["body"], "in");
}

#[tokio::test]
async fn a_redacted_child_is_none_any_more() {
    let (_, alice, bob, room) = two().await;
    let root = alice.send(&room, "root").await;
    let thread = relate(&bob, &room, "m.thread", &root, "thread").await;
    let edit = relate(&alice, &room, "m.replace", &root, "edit").await;
    let reference = relate(&alice, &room, "m.reference", &root, "reference").await;
    for event in [&thread, &edit, &reference] {
        redact(&alice, &room, event).await;
    }
    let page = relations(&alice, &room, &root, "").await.ok();
    assert_eq!(page["chunk"], json!([]));
    assert_eq!(bundle(&bob, &room, &root).await, Value::Null);
}

#[tokio::test]
async fn the_most_recent_valid_edit_is_told_with_an_event() {
    let (server, alice, bob, room) = two().await;
    let root = alice.send(&room, "one").await;
    let first = relate(&alice, &room, "m.replace", &root, "two").await;
    relate(&bob, &room, "m.replace", &root, "not mine").await;
    relate(&alice, &room, "m.replace", &first, "an edit of an edit").await;
    assert_eq!(bundle(&bob, &room, &root).await["m.replace"]["event_id"], first.as_str());
    assert_eq!(bundle(&bob, &room, &first).await, Value::Null);
    server.clock().advance(std::time::Duration::from_secs(1));
    let second = relate(&alice, &room, "m.replace", &root, "three").await;
    let told = bundle(&bob, &room, &root).await;
    assert_eq!(told["m.replace"]["event_id"], second.as_str());
    assert_eq!(told["m.replace"]["content"]["m.new_content"]["body"], "three");
    assert_eq!(told["m.replace"]["room_id"], room.as_str());
    redact(&alice, &room, &second).await;
    assert_eq!(bundle(&bob, &room, &root).await["m.replace"]["event_id"], first.as_str());
    redact(&alice, &room, &root).await;
    assert_eq!(bundle(&bob, &room, &root).await, Value::Null);
}

#[tokio::test]
async fn the_server_keeps_the_order_of_edits_by_their_time() {
    let (server, alice, _, room) = two().await;
    let root = alice.send(&room, "one").await;
    let mut edits = Vec::new();
    for n in 0..4 {
        edits.push(relate(&alice, &room, "m.replace", &root, &n.to_string()).await);
    }
    // All were sent in the same millisecond.
    edits.sort();
    assert_eq!(bundle(&alice, &room, &root).await["m.replace"]["event_id"], edits[3].as_str());
    server.clock().advance(std::time::Duration::from_secs(1));
    let last = relate(&alice, &room, "m.replace", &root, "last").await;
    assert_eq!(bundle(&alice, &room, &root).await["m.replace"]["event_id"], last.as_str());
}

#[tokio::test]
async fn a_thread_is_summed_up_at_its_root() {
    let (server, alice, bob, room) = two().await;
    let carol = server.user("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let root = alice.send(&room, "root").await;
    relate(&bob, &room, "m.thread", &root, "1").await;
    let second = relate(&bob, &room, "m.thread", &root, "2").await;
    relate(&bob, &room, "m.replace", &second, "2, edited").await;
    let told = bundle(&bob, &room, &root).await["m.thread"].clone();
    assert_eq!(told["count"], 2);
    assert_eq!(told["current_user_participated"], true);
    assert_eq!(told["latest_event"]["event_id"], second.as_str());
    assert!(told["latest_event"]["unsigned"]["transaction_id"].is_string());
    let inner = &told["latest_event"]["unsigned"]["m.relations"]["m.replace"];
    assert_eq!(inner["content"]["m.new_content"]["body"], "2, edited");
    let told = |client| {
        let (room, root) = (room.clone(), root.clone());
        async move { bundle(client, &room, &root).await["m.thread"].clone() }
    };
    assert_eq!(told(&alice).await["current_user_participated"], true);
    assert_eq!(told(&carol).await["current_user_participated"], false);
    let mine = relate(&carol, &room, "m.thread", &root, "3").await;
    assert_eq!(told(&carol).await["current_user_participated"], true);
    redact(&carol, &room, &mine).await;
    let after = told(&carol).await;
    assert_eq!(after["current_user_participated"], false);
    assert_eq!((&after["count"], &after["latest_event"]["event_id"]), (&json!(2), &json!(second)));
}

#[tokio::test]
async fn what_ignored_users_say_does_not_count() {
    let (_, alice, bob, room) = two().await;
    let root = alice.send(&room, "root").await;
    let mine = relate(&alice, &room, "m.thread", &root, "1").await;
    relate(&bob, &room, "m.thread", &root, "2").await;
    relate(&bob, &room, "m.reference", &root, "3").await;
    ignore(&alice, &bob).await;
    let told = bundle(&alice, &room, &root).await;
    assert_eq!(told["m.thread"]["count"], 1);
    assert_eq!(told["m.thread"]["latest_event"]["event_id"], mine.as_str());
    assert!(told.get("m.reference").is_none());
    let page = relations(&alice, &room, &root, "").await.ok();
    assert_eq!(ids(&page["chunk"]), [&mine]);
}

#[tokio::test]
async fn references_are_named() {
    let (_, alice, bob, room) = two().await;
    let root = alice.send(&room, "poll").await;
    let one = relate(&alice, &room, "m.reference", &root, "yes").await;
    let two = relate(&bob, &room, "m.reference", &root, "no").await;
    let expected = json!({ "chunk": [{ "event_id": one }, { "event_id": two }] });
    assert_eq!(bundle(&bob, &room, &root).await, json!({ "m.reference": expected }));
}

#[tokio::test]
async fn bundles_are_told_wherever_the_event_is() {
    let (_, alice, bob, room) = two().await;
    let since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    alice.send(&room, "before").await;
    let root = alice.send(&room, "root").await;
    let edit = relate(&alice, &room, "m.replace", &root, "edited").await;
    let find = |events: &Value| {
        let events = events.as_array().unwrap();
        let event = events.iter().find(|event| event["event_id"] == root.as_str()).unwrap();
        event["unsigned"]["m.relations"]["m.replace"]["event_id"].clone()
    };
    let messages = bob.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    assert_eq!(find(&messages["chunk"]), edit.as_str());
    let context = bob.get(["rooms", &room, "context", &root]).await.ok();
    assert_eq!(find(&json!([context["event"]])), edit.as_str());
    let beside = bob.get(["rooms", &room, "context", &edit]).await.ok();
    assert_eq!(find(&beside["events_before"]), edit.as_str());
    let sync = async |limit: u32| {
        let filter = json!({ "room": { "timeline": { "limit": limit } } }).to_string();
        let call = bob.get(["sync"]).query("filter", &filter).query("since", &since);
        let update = call.await.ok();
        update["rooms"]["join"][&room]["timeline"].clone()
    };
    let limited = sync(2).await;
    assert_eq!(limited["limited"], true);
    assert_eq!(find(&limited["events"]), edit.as_str());
    // Who is told all of it puts it together.
    assert_eq!(find(&sync(10).await["events"]), Value::Null);
}

#[tokio::test]
async fn the_same_annotation_is_taken_once() {
    let (_, alice, bob, room) = two().await;
    let (event, other) = (alice.send(&room, "hi").await, alice.send(&room, "ho").await);
    let liked = react(&bob, &room, &event, "+").await;
    let again = || {
        let path = ["rooms", &room, "send", "m.reaction", &bob.transaction()].map(str::to_owned);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let path: [&str; 5] = path.try_into().unwrap();
        bob.put(path).json(reaction(&event, "+"))
    };
    again().await.refused(400, "M_DUPLICATE_ANNOTATION");
    react(&bob, &room, &event, "-").await;
    react(&bob, &room, &other, "+").await;
    react(&alice, &room, &event, "+").await;
    bob.send_event(&room, "org.example.reaction", reaction(&event, "+")).await;
    redact(&bob, &room, &liked).await;
    again().await.ok();
    again().await.refused(400, "M_DUPLICATE_ANNOTATION");
}

#[tokio::test]
async fn a_retried_annotation_is_the_same_one() {
    let (_, alice, _, room) = two().await;
    let event = alice.send(&room, "hi").await;
    let path = ["rooms", &room, "send", "m.reaction", "again"];
    let first = alice.put(path).json(reaction(&event, "+")).await.ok();
    assert_eq!(alice.put(path).json(reaction(&event, "+")).await.ok(), first);
}

#[tokio::test]
async fn a_thread_does_not_begin_in_another() {
    let (_, alice, _, room) = two().await;
    let root = alice.send(&room, "root").await;
    let reply = json!({ "body": "r", "m.relates_to": { "m.in_reply_to": { "event_id": root } } });
    let reply = alice.send_event(&room, "m.room.message", reply).await;
    let inside = relate(&alice, &room, "m.thread", &root, "in").await;
    let liked = react(&alice, &room, &root, "+").await;
    for event in [&inside, &liked] {
        let content = json!({
            "body": "b", "m.relates_to": { "rel_type": "m.thread", "event_id": event },
        });
        let path = ["rooms", &room, "send", "m.room.message", &alice.transaction()];
        alice.put(path).json(content).await.refused(400, "M_UNKNOWN");
    }
    relate(&alice, &room, "m.thread", &reply, "a reply is no child").await;
}

#[tokio::test]
async fn odd_relations_are_only_events() {
    let (_, alice, _, room) = two().await;
    let root = alice.send(&room, "root").await;
    let long = format!("${}", "\0".repeat(250));
    for relation in [
        json!(7),
        json!({ "rel_type": "m.thread" }),
        json!({ "rel_type": "m.thread", "event_id": 7 }),
        json!({ "rel_type": "m.thread", "event_id": long }),
        json!({ "rel_type": 7, "event_id": root }),
        json!({ "rel_type": "m.annotation", "event_id": "$unknown", "key": "+" }),
    ] {
        let content = json!({ "body": "b", "m.relates_to": relation });
        alice.send_event(&room, "m.room.message", content).await;
    }
    assert_eq!(bundle(&alice, &room, &root).await, Value::Null);
    let page = relations(&alice, &room, &root, "").await.ok();
    assert_eq!(page["chunk"], json!([]));
}
