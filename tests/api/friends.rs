//! Friends, as our own endpoints and stock clients see each other's.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Call, Client, TestServer};

/// What `other` is to `user`.
async fn status(user: &Client, other: &Client) -> Value {
    user.own(Method::GET, ["friends", other.id()]).await.ok()["status"].clone()
}

async fn check(one: &Client, other: &Client, expected: [&str; 2]) {
    assert_eq!([status(one, other).await, status(other, one).await], expected);
}

fn ask(user: &Client, other: &Client) -> Call {
    user.own(Method::POST, ["friends"]).json(json!({ "user": other.id(), "reason": "from work" }))
}

fn done(user: &Client, other: &Client, what: &str) -> Call {
    user.own(Method::POST, ["friends", other.id(), what])
}

/// The friends that a user's list shows.
async fn listed(user: &Client) -> Value {
    user.own(Method::GET, ["friends"]).await.ok()["friends"].clone()
}

/// Waits until a user's `m.direct` is this.
async fn directs(user: &Client, expected: Value) {
    let call = || user.get(["user", user.id(), "account_data", "m.direct"]);
    for _ in 0..10_000 {
        let answer = call().await;
        if answer.status == 200 && answer.json() == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it is {:?}", call().await.body);
}

/// What a stock client does to begin a direct chat.
async fn stock_ask(user: &Client, other: &Client) -> String {
    let wish = json!({
        "preset": "trusted_private_chat", "is_direct": true, "invite": [other.id()],
    });
    user.create_room(wish).await
}

#[tokio::test]
async fn what_stock_clients_do_is_seen_as_what_it_means() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    check(&alice, &bob, ["stranger", "stranger"]).await;
    let room = stock_ask(&alice, &bob).await;
    check(&alice, &bob, ["asked", "asking"]).await;
    bob.leave(&room).await;
    check(&alice, &bob, ["stranger", "stranger"]).await;
    let again = json!({ "user_id": bob.id(), "reason": "please" });
    alice.post(["rooms", &room, "invite"]).json(again).await.ok();
    check(&alice, &bob, ["asked", "asking"]).await;
    bob.join(&room).await;
    check(&alice, &bob, ["friend", "friend"]).await;
    assert_eq!(listed(&alice).await[0]["room_id"], room);
    directs(&alice, json!({ bob.id(): [room] })).await;
    directs(&bob, json!({ alice.id(): [room] })).await;
    bob.leave(&room).await;
    check(&alice, &bob, ["stranger", "stranger"]).await;
    assert_eq!(listed(&alice).await, json!([]));
    directs(&bob, json!({})).await;
}

#[tokio::test]
async fn what_our_endpoints_do_is_seen_by_stock_clients() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let first = ask(&alice, &bob).await.ok();
    let room = first["room_id"].as_str().unwrap();
    let told = bob.sync(None).await;
    let events = told["rooms"]["invite"][room]["invite_state"]["events"].as_array().unwrap();
    let invite = events.iter().find(|event| event["state_key"] == bob.id()).unwrap();
    assert_eq!(invite["content"]["is_direct"], true);
    assert_eq!(invite["content"]["reason"], "from work");
    done(&bob, &alice, "refuse").await.ok();
    let left = alice.get(["rooms", room, "state", "m.room.member", bob.id()]).await.ok();
    assert_eq!(left, json!({ "membership": "leave" }));
    ask(&alice, &bob).await.ok();
    bob.join(room).await;
    check(&alice, &bob, ["friend", "friend"]).await;
    directs(&bob, json!({ alice.id(): [room] })).await;
    bob.send(room, "hello").await;
    let friends = listed(&alice).await;
    assert_eq!(friends[0]["unread"]["notification_count"], 1);
    assert_eq!(friends[0]["presence"], "online");
    alice.own(Method::DELETE, ["friends", bob.id()]).await.ok();
    let joined = alice.get(["joined_rooms"]).await.ok();
    assert_eq!(joined["joined_rooms"], json!([]));
    directs(&alice, json!({})).await;
    let seen = bob.get(["rooms", room, "state", "m.room.member", alice.id()]).await.ok();
    assert_eq!(seen["membership"], "leave");
}

#[tokio::test]
async fn answers_tell_what_has_become_of_the_two() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let asked = ask(&alice, &bob).await.ok();
    assert_eq!(asked["status"], "asked");
    assert_eq!(ask(&alice, &bob).await.ok(), asked, "asking twice is one request");
    done(&alice, &bob, "accept").await.refused(404, "M_NOT_FOUND");
    done(&bob, &alice, "withdraw").await.refused(404, "M_NOT_FOUND");
    done(&alice, &bob, "withdraw").await.ok();
    done(&bob, &alice, "accept").await.refused(404, "M_NOT_FOUND");
    ask(&alice, &bob).await.ok();
    let friends = ask(&bob, &alice).await.ok();
    assert_eq!(friends, json!({ "status": "friend", "room_id": asked["room_id"] }));
    assert_eq!(ask(&alice, &bob).await.ok(), friends);
    assert_eq!(done(&bob, &alice, "accept").await.ok(), friends);
    let delete = alice.own(Method::DELETE, ["friends", bob.id()]);
    delete.await.ok();
    let delete = alice.own(Method::DELETE, ["friends", bob.id()]);
    delete.await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn those_who_cannot_be_friends_are_refused() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let ask = |user: &str| alice.own(Method::POST, ["friends"]).json(json!({ "user": user }));
    ask("alice").await.refused(403, "M_FORBIDDEN");
    ask("@bob:elsewhere.org").await.refused(403, "M_FORBIDDEN");
    for nobody in ["nobody", "@nobody:example.org", "no body", ""] {
        ask(nobody).await.refused(404, "M_NOT_FOUND");
    }
    let block = json!({ "default_action": "block" });
    let kind = "m.invite_permission_config";
    bob.put(["user", bob.id(), "account_data", kind]).json(block).await.ok();
    ask("bob").await.refused(403, "M_INVITE_BLOCKED");
    server
        .homeserver()
        .user("bob")
        .await
        .unwrap()
        .deactivate(tertulia::Remains::Keep)
        .await
        .unwrap();
    ask("bob").await.refused(404, "M_NOT_FOUND");
    alice.own(Method::GET, ["friends", "@bob:elsewhere.org"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn who_does_not_want_to_hear_of_strangers_says_so_in_account_data() {
    for who in ["friends", "friends_of_friends"] {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let kind = "org.tertulia.contact_policy";
        let path = ["user", bob.id(), "account_data", kind];
        bob.put(path).json(json!({ "who": who })).await.ok();
        let since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
        assert_eq!(ask(&alice, &bob).await.ok()["status"], "asked");
        let room = alice.create_room(json!({ "invite": [bob.id()] })).await;
        check(&alice, &bob, ["asked", "stranger"]).await;
        for since in [None, Some(&*since)] {
            assert_eq!(bob.sync(since).await["rooms"]["invite"], json!({}), "{who}");
        }
        let first = bob.get("/_matrix/client/v3/initialSync").await.ok();
        assert_eq!(first["rooms"], json!([]));
        let member = alice.get(["rooms", &room, "state", "m.room.member", bob.id()]).await.ok();
        assert_eq!(member["membership"], "invite");
        // What one does oneself is one's own.
        ask(&bob, &alice).await.ok();
        check(&alice, &bob, ["friend", "friend"]).await;
        let room = alice.create_room(json!({ "invite": [bob.id()] })).await;
        assert!(bob.sync(None).await["rooms"]["invite"][&room].is_object());
    }
}

#[tokio::test]
async fn a_device_that_was_not_told_of_a_room_does_not_take_it_out() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let room = stock_ask(&alice, &bob).await;
    bob.join(&room).await;
    // Until it is there; to look at it as bob's device would be to be told.
    let user = server.homeserver().user("bob").await.unwrap();
    while user.account_data(None, "m.direct").await.is_err() {
        tokio::task::yield_now().await;
    }
    let path = ["user", bob.id(), "account_data", "m.direct"];
    bob.put(path).json(json!({ "@carol:elsewhere.org": ["!r:elsewhere.org"] })).await.ok();
    let merged = json!({ "@carol:elsewhere.org": ["!r:elsewhere.org"], alice.id(): [room] });
    let update = bob.sync(Some(&since)).await;
    let events = update["account_data"]["events"].as_array().unwrap();
    let direct = events.iter().find(|event| event["type"] == "m.direct").unwrap();
    assert_eq!(direct["content"], merged);
    // Now it knows, and no write that was made before is on its way.
    bob.sync(Some(update["next_batch"].as_str().unwrap())).await;
    server.clock().advance(Duration::from_secs(10));
    bob.put(path).json(json!({})).await.ok();
    directs(&bob, json!({})).await;
    check(&alice, &bob, ["friend", "friend"]).await;
}

#[tokio::test]
async fn friends_are_listed_in_pages() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for n in 0..7 {
        let other = server.user(&format!("friend{n}")).await;
        ask(&alice, &other).await.ok();
        done(&other, &alice, "accept").await.ok();
    }
    let (mut names, mut from) = (Vec::new(), None::<String>);
    loop {
        let page = alice.own(Method::GET, ["friends"]).query("limit", "3");
        let page = match &from {
            Some(from) => page.query("from", from),
            None => page,
        };
        let page = page.await.ok();
        let friends = page["friends"].as_array().unwrap();
        assert!(friends.len() <= 3);
        names.extend(friends.iter().map(|friend| friend["user_id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => from = Some(next.to_owned()),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).map(|n| format!("@friend{n}:example.org")).collect();
    assert_eq!(names, expected);
}
