//! Favourites by our own API, and as a client writes bookmarks by account data, step by step.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

use crate::{
    people::{client, log_in, open_server, register},
    secrets::PASSWORD,
};

const INDEX: &str = "org.matrix.msc4438.bookmarks.index";

async fn two() -> (TestServer, Client, Client) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    (server, alice, bob)
}

async fn list(client: &Client, query: &str) -> Value {
    client.get(format!("/_tertulia/client/v1/favourites{query}")).await.ok()
}

async fn ids(client: &Client, query: &str) -> Vec<String> {
    let page = list(client, query).await;
    let favourites = page["favourites"].as_array().expect("a list");
    favourites.iter().map(|kept| kept["id"].as_str().expect("an ID").to_owned()).collect()
}

async fn keep(client: &Client, room: &str, event: &str) -> Value {
    let message = json!({ "room_id": room, "event_id": event });
    client.own(Method::POST, ["favourites"]).json(message).await.ok()
}

/// A client that knows bookmarks as MSC4438 has them, and nothing of our API.
struct Stock<'a>(&'a Client);

impl Stock<'_> {
    fn path(&self, kind: &str) -> String {
        format!("/_matrix/client/v3/user/{}/account_data/{kind}", self.0.id())
    }

    async fn put(&self, kind: &str, content: Value) {
        self.0.put(self.path(kind)).json(content).await.ok();
    }

    async fn get(&self, kind: &str) -> Value {
        self.0.get(self.path(kind)).await.ok()
    }

    /// The first half of adding a bookmark.
    async fn write_item(&self, id: &str, room: &str, event: &str, ts: u64) {
        let item = json!({
            "version": 1, "bookmark_id": id, "uri": format!("matrix:roomid/{room}/e/{event}"),
            "room_id": room, "event_id": event, "event_ts": 1, "bookmarked_ts": ts,
            "msgtype": "m.text", "body_preview": "a note",
        });
        self.put(&format!("org.matrix.msc4438.bookmark.{id}"), item).await;
    }

    /// The second half, upon the index as this client has it.
    async fn write_index(&self, mut index: Value, id: &str) {
        let ids = index["bookmark_ids"].as_array_mut().expect("a list");
        ids.retain(|known| known != id);
        ids.insert(0, id.into());
        index["revision"] = (index["revision"].as_u64().expect("a number") + 1).into();
        self.put(INDEX, index).await;
    }
}

fn empty_index() -> Value {
    json!({ "version": 1, "revision": 0, "updated_ts": 1, "bookmark_ids": [] })
}

/// What a sync tells of bookmarks: types and contents.
fn told(update: &Value) -> Vec<(String, Value)> {
    let events = update["account_data"]["events"].as_array().cloned().unwrap_or_default();
    let events = events.into_iter().map(|event| {
        let kind = event["type"].as_str().expect("a type").to_owned();
        (kind, event["content"].clone())
    });
    events.filter(|(kind, _)| kind.contains("bookmark")).collect()
}

#[tokio::test]
async fn messages_are_kept_listed_by_kind_room_and_words_and_dropped() {
    let (_server, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let other = alice.create_room(json!({ "name": "Other" })).await;
    let text = alice.send(&room, "meet at the fountain").await;
    let image = json!({ "msgtype": "m.image", "body": "fountain.png", "url": "mxc://x/a" });
    let image = alice.send_event(&room, "m.room.message", image).await;
    let file = json!({ "msgtype": "m.file", "body": "plan.pdf", "url": "mxc://x/b" });
    let file = alice.send_event(&other, "m.room.message", file).await;
    let mut kept = Vec::new();
    for (room, event) in [(&room, &text), (&room, &image), (&other, &file)] {
        kept.insert(0, keep(&alice, room, event).await["id"].as_str().unwrap().to_owned());
    }
    let [file, image, text] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(ids(&alice, "").await, kept);
    assert_eq!(ids(&alice, "?kind=text").await, std::slice::from_ref(text));
    assert_eq!(ids(&alice, "?kind=image").await, std::slice::from_ref(image));
    assert_eq!(ids(&alice, "?kind=file").await, std::slice::from_ref(file));
    assert_eq!(ids(&alice, "?kind=video").await, [""; 0]);
    assert_eq!(ids(&alice, &format!("?room_id={other}")).await, std::slice::from_ref(file));
    assert_eq!(ids(&alice, "?words=Fount").await, [image.clone(), text.clone()]);
    assert_eq!(ids(&alice, "?words=fountain%20meet").await, std::slice::from_ref(text));
    let first = list(&alice, "?limit=2").await;
    assert_eq!(first["favourites"][0]["room_name"], "Other");
    let next = first["next"].as_str().expect("there is more");
    assert_eq!(ids(&alice, &format!("?limit=2&from={next}")).await, std::slice::from_ref(text));
    alice.get("/_tertulia/client/v1/favourites?from=odd").await.refused(400, "M_INVALID_PARAM");

    alice.own(Method::DELETE, ["favourites", image]).await.ok();
    assert_eq!(ids(&alice, "").await, [file.clone(), text.clone()]);
    assert_eq!(ids(&bob, "").await, [""; 0]);
    bob.own(Method::GET, ["favourites", text]).await.refused(404, "M_NOT_FOUND");
    let hidden = json!({ "room_id": other, "event_id": "$none" });
    let refused = bob.own(Method::POST, ["favourites"]).json(hidden).await;
    refused.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_stock_client_sees_in_its_sync_what_our_api_keeps_and_drops() {
    let (_server, alice, _bob) = two().await;
    let room = alice.create_room(json!({})).await;
    let event = alice.send(&room, "kept").await;
    let before = alice.sync(None).await;
    let since = before["next_batch"].as_str().expect("a token");
    let kept = keep(&alice, &room, &event).await;
    let id = kept["id"].as_str().unwrap();
    let update = alice.sync(Some(since)).await;
    let [(kind, item), (index_kind, index)] = &told(&update)[..] else { panic!("{update}") };
    assert_eq!(*kind, format!("org.matrix.msc4438.bookmark.{id}"));
    assert_eq!((&item["bookmark_id"], &item["event_id"]), (&json!(id), &json!(event)));
    assert_eq!((index_kind.as_str(), &index["bookmark_ids"]), (INDEX, &json!([id])));
    assert_eq!(told(&alice.sync(None).await).len(), 2, "a new client is told as much");

    let since = update["next_batch"].as_str().expect("a token");
    alice.own(Method::DELETE, ["favourites", id]).await.ok();
    let update = alice.sync(Some(since)).await;
    let [(_, item), (_, next)] = &told(&update)[..] else { panic!("{update}") };
    assert_eq!((&item["deleted"], &item["event_id"]), (&json!(true), &json!(event)));
    assert!(item.get("body_preview").is_none(), "what was dropped tells nothing: {item}");
    assert_eq!(next["bookmark_ids"], json!([]));
    assert!(next["revision"].as_u64() > index["revision"].as_u64());
}

#[tokio::test]
async fn bookmarks_that_clients_write_step_by_step_are_favourites() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let room = alice.create_room(json!({})).await;
    let (one, two) = (alice.send(&room, "one").await, alice.send(&room, "two").await);
    let phone = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let (desk, phone) = (Stock(&alice), Stock(&phone));
    alice.get(desk.path(INDEX)).await.refused(404, "M_NOT_FOUND");
    // One device is interrupted between item and index, the other overtakes it.
    desk.write_item("desk", &room, &one, 10).await;
    assert_eq!(ids(&alice, "").await, ["desk"]);
    phone.write_item("phone", &room, &two, 20).await;
    phone.write_index(empty_index(), "phone").await;
    assert_eq!(ids(&alice, "").await, ["phone", "desk"]);
    assert_eq!(phone.get(INDEX).await["bookmark_ids"], json!(["desk", "phone"]));
    // The first one goes on with what it had read before.
    desk.write_index(empty_index(), "desk").await;
    assert_eq!(desk.get(INDEX).await["bookmark_ids"], json!(["phone", "desk"]));
    assert_eq!(ids(&alice, "").await, ["phone", "desk"]);
    let kept = alice.own(Method::GET, ["favourites", "desk"]).await.ok();
    assert_eq!(kept["message"]["content"]["body"], "one");
    assert_eq!(keep(&alice, &room, &one).await["id"], "desk", "it is kept already");

    // Removed as the proposal has it: first from the index, then the item.
    desk.put(INDEX, empty_index()).await;
    assert_eq!(ids(&alice, "").await, ["phone", "desk"]);
    let mut item = desk.get("org.matrix.msc4438.bookmark.desk").await;
    item["deleted"] = true.into();
    desk.put("org.matrix.msc4438.bookmark.desk", item).await;
    assert_eq!(ids(&alice, "").await, ["phone"]);
    phone.put("org.matrix.msc4438.bookmark.phone", json!({})).await;
    assert_eq!(ids(&alice, "").await, [""; 0]);
}

#[tokio::test]
async fn what_was_redacted_is_blank_and_what_one_lost_access_to_is_not() {
    let (_server, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let (stays, goes) = (alice.send(&room, "stays").await, alice.send(&room, "goes").await);
    let stays = keep(&bob, &room, &stays).await["id"].clone();
    keep(&bob, &room, &goes).await;
    let transaction = alice.transaction();
    let redact = ["rooms", &room, "redact", &goes, &transaction];
    alice.put(redact).json(json!({})).await.ok();
    bob.leave(&room).await;
    let page = list(&bob, "").await;
    let [gone, there] = &page["favourites"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!(
        (&gone["redacted"], &gone["message"], &gone["preview"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    assert_eq!((&there["id"], &there["message"]["content"]["body"]), (&stays, &json!("stays")));
}
