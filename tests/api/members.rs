//! Who is in a room.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn three() -> (Client, Client, Client) {
    let server = TestServer::start().await;
    (server.user("alice").await, server.user("bob").await, server.user("carol").await)
}

/// Whom an answer of `/members` names, and what they are.
fn named(answer: &Value) -> Vec<(String, String)> {
    let chunk = answer["chunk"].as_array().unwrap();
    let named = chunk.iter().map(|event| {
        assert_eq!(event["type"], "m.room.member");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&event["state_key"]), text(&event["content"]["membership"]))
    });
    let mut named: Vec<_> = named.collect();
    named.sort();
    named
}

fn pairs(expected: &[(&Client, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(who, what)| (who.id().to_owned(), (*what).to_owned())).collect()
}

#[tokio::test]
async fn members_are_told_by_what_they_are() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_room(json!({ "invite": [bob.id(), carol.id()] })).await;
    bob.join(&room).await;
    let members = async |name: &str, value: &str| {
        named(&alice.get(["rooms", &room, "members"]).query(name, value).await.ok())
    };
    let all = pairs(&[(&alice, "join"), (&bob, "join"), (&carol, "invite")]);
    assert_eq!(named(&alice.get(["rooms", &room, "members"]).await.ok()), all);
    assert_eq!(members("membership", "join").await, all[..2]);
    assert_eq!(members("membership", "ban").await, []);
    assert_eq!(members("not_membership", "join").await, all[2..]);
    assert_eq!(members("not_membership", "ban").await, all);
    let both = alice.get(["rooms", &room, "members"]);
    let both = both.query("membership", "invite").query("not_membership", "invite");
    assert_eq!(named(&both.await.ok()), all, "either is enough");
}

#[tokio::test]
async fn joined_members_show_their_names() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_room_with(&[&bob]).await;
    alice.invite(&room, &carol).await;
    let face = json!({ "membership": "join", "displayname": "Bobby", "avatar_url": "mxc://x/y" });
    bob.set_state(&room, "m.room.member", bob.id(), face).await;
    let told = alice.get(["rooms", &room, "joined_members"]).await.ok();
    let bobby = json!({ "display_name": "Bobby", "avatar_url": "mxc://x/y" });
    assert_eq!(told["joined"][bob.id()], bobby);
    let joined = told["joined"].as_object().unwrap();
    assert_eq!(joined.len(), 2);
    assert_eq!(joined[alice.id()], json!({ "display_name": null, "avatar_url": null }));
}

#[tokio::test]
async fn strangers_are_not_told_who_is_there() {
    let (alice, bob, _) = three().await;
    let room = alice.create_room(json!({})).await;
    bob.get(["rooms", &room, "members"]).await.refused(403, "M_FORBIDDEN");
    bob.get(["rooms", &room, "joined_members"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn one_who_left_is_told_who_was_there_then() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_room_with(&[&bob]).await;
    bob.leave(&room).await;
    alice.invite(&room, &carol).await;
    let told = named(&bob.get(["rooms", &room, "members"]).await.ok());
    assert_eq!(told, pairs(&[(&alice, "join"), (&bob, "leave")]));
    bob.get(["rooms", &room, "joined_members"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn members_of_an_earlier_time_are_told() {
    let (alice, bob, _) = three().await;
    let room = alice.create_public_room().await;
    let page = alice.get(["rooms", &room, "messages"]).query("dir", "b").query("limit", "1");
    let before = page.await.ok()["start"].as_str().unwrap().to_owned();
    bob.join(&room).await;
    let then = alice.get(["rooms", &room, "members"]).query("at", &before).await.ok();
    assert_eq!(named(&then), pairs(&[(&alice, "join")]));
    let nonsense = alice.get(["rooms", &room, "members"]).query("at", "nonsense").await;
    nonsense.refused(400, "M_INVALID_PARAM");
}
