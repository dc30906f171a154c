//! Requests, as their pages show them, and as stock clients make and answer them.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn page(user: &Client, page: &'static str) -> Value {
    user.own(Method::GET, ["requests", page]).await.ok()
}

/// The newest request of a page.
async fn newest(user: &Client, of: &'static str) -> Value {
    page(user, of).await["requests"][0].clone()
}

/// What a request shows but what no test can know, with its time and ID checked.
fn shown(mut request: Value) -> Value {
    let fields = request.as_object_mut().unwrap();
    assert!(fields.remove("asked").unwrap().as_u64() > Some(0));
    let ended = fields.remove("ended").map(|ended| ended.as_u64().unwrap());
    assert_eq!(ended.is_some(), fields["state"] != "waiting");
    fields.remove("id").unwrap().as_str().unwrap().parse::<u64>().unwrap();
    request
}

async fn answer(user: &Client, request: &Value, how: &str) {
    let id = request["id"].as_str().unwrap();
    user.own(Method::POST, ["requests", id, how]).await.ok();
}

async fn refused(user: &Client, request: &Value, how: &str) {
    let id = request["id"].as_str().unwrap();
    user.own(Method::POST, ["requests", id, how]).await.refused(404, "M_NOT_FOUND");
}

async fn call_me(user: &Client, name: &str) {
    let name = json!({ "displayname": name });
    user.put(["profile", user.id(), "displayname"]).json(name).await.ok();
    let picture = json!({ "avatar_url": format!("mxc://example.org/{}", &user.id()[1..4]) });
    user.put(["profile", user.id(), "avatar_url"]).json(picture).await.ok();
}

/// Two who have names and pictures.
async fn two(server: &TestServer) -> (Client, Client) {
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    call_me(&alice, "Alice").await;
    call_me(&bob, "Bob").await;
    (alice, bob)
}

async fn ask(user: &Client, other: &Client) -> Value {
    let wish = json!({ "user": other.id(), "reason": "from work" });
    user.own(Method::POST, ["friends"]).json(wish).await.ok()["room_id"].clone()
}

async fn group(owner: &Client, members: &[&Client]) -> String {
    let members: Vec<_> = members.iter().map(|user| user.id()).collect();
    let avatar = "mxc://example.org/tea";
    let wish = json!({ "name": "Tea", "members": members, "avatar_url": avatar });
    let made = owner.own(Method::POST, ["groups"]).json(wish).await.ok();
    made["room_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_friend_request_is_shown_by_one_call_to_both() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    let room = ask(&alice, &bob).await;
    let received = newest(&bob, "received").await;
    let of_alice = json!({
        "kind": "friend", "room_id": room, "user_id": alice.id(), "displayname": "Alice",
        "avatar_url": "mxc://example.org/ali", "reason": "from work", "state": "waiting",
        "unread": true,
    });
    assert_eq!(shown(received.clone()), of_alice);
    let sent = newest(&alice, "sent").await;
    let of_bob = json!({
        "kind": "friend", "room_id": room, "user_id": bob.id(), "displayname": "Bob",
        "avatar_url": "mxc://example.org/bob", "reason": "from work", "state": "waiting",
        "unread": false,
    });
    assert_eq!(shown(sent.clone()), of_bob);
    for (user, request, how) in [
        (&alice, &received, "accept"),
        (&alice, &sent, "refuse"),
        (&bob, &received, "withdraw"),
        (&server.user("carol").await, &received, "accept"),
    ] {
        refused(user, request, how).await;
    }
    answer(&bob, &received, "accept").await;
    let status = alice.own(Method::GET, ["friends", bob.id()]).await.ok();
    assert_eq!(status, json!({ "status": "friend", "room_id": room }));
    for (user, of) in [(&alice, "sent"), (&bob, "received")] {
        assert_eq!(newest(user, of).await["state"], "accepted");
    }
    refused(&bob, &received, "accept").await;
}

#[tokio::test]
async fn whoever_asked_learns_of_a_refusal_only_that_it_does_not_wait() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    ask(&alice, &bob).await;
    answer(&bob, &newest(&bob, "received").await, "refuse").await;
    let refused = shown(newest(&alice, "sent").await);
    assert_eq!(refused["state"], "void");
    let room = ask(&alice, &bob).await;
    bob.leave(room.as_str().unwrap()).await;
    assert_eq!(shown(newest(&alice, "sent").await), refused, "by a stock client");
    let states: Vec<_> = page(&bob, "received").await["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["state"].clone())
        .collect();
    assert_eq!(states, ["refused", "refused"]);
}

#[tokio::test]
async fn an_invitation_into_a_group_says_which_and_by_whom() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    let tea = group(&alice, &[&bob]).await;
    let received = newest(&bob, "received").await;
    let expected = json!({
        "kind": "group", "room_id": tea, "room_name": "Tea",
        "room_avatar_url": "mxc://example.org/tea", "user_id": alice.id(),
        "displayname": "Alice", "avatar_url": "mxc://example.org/ali", "state": "waiting",
        "unread": true,
    });
    assert_eq!(shown(received.clone()), expected);
    answer(&bob, &received, "refuse").await;
    assert_eq!(newest(&alice, "sent").await["state"], "void");
    // As a stock client asks again, and another answers.
    let invite = json!({ "user_id": bob.id(), "reason": "do come" });
    alice.post(["rooms", &tea, "invite"]).json(invite).await.ok();
    assert_eq!(newest(&bob, "received").await["reason"], "do come");
    bob.join(&tea).await;
    assert_eq!(newest(&bob, "received").await["state"], "accepted");
    assert_eq!(newest(&alice, "sent").await["state"], "accepted");
}

#[tokio::test]
async fn a_knock_stands_with_those_who_may_answer_it() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    let carol = server.user("carol").await;
    let tea = group(&alice, &[&carol]).await;
    carol.join(&tea).await;
    let knock = bob.post(["knock", &tea]).json(json!({ "reason": "thirst" }));
    knock.await.ok();
    let received = newest(&alice, "received").await;
    assert_eq!((&received["kind"], &received["user_id"]), (&json!("knock"), &json!(bob.id())));
    assert_eq!((&received["room_name"], &received["reason"]), (&json!("Tea"), &json!("thirst")));
    let sent = newest(&bob, "sent").await;
    assert_eq!((&sent["kind"], &sent["room_name"]), (&json!("knock"), &json!("Tea")));
    answer(&bob, &sent, "withdraw").await;
    assert_eq!(newest(&alice, "received").await["state"], "withdrawn");
    bob.post(["knock", &tea]).json(json!({})).await.ok();
    answer(&alice, &newest(&alice, "received").await, "accept").await;
    assert_eq!(newest(&bob, "sent").await["state"], "accepted");
    bob.join(&tea).await;
    let received = page(&carol, "received").await;
    assert!(
        received["requests"].as_array().unwrap().iter().all(|request| request["kind"] != "knock")
    );
}

/// The counts that a sync tells, if it does.
fn told(update: &Value) -> Option<Value> {
    let events = update["account_data"]["events"].as_array()?;
    let event = events.iter().find(|event| event["type"] == "org.tertulia.requests")?;
    Some(event["content"].clone())
}

#[tokio::test]
async fn every_sync_tells_how_many_wait() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    let counts =
        |received, unread, sent| json!({ "received": received, "unread": unread, "sent": sent });
    let mut since = String::new();
    let mut next = async || {
        let from = Some(&*since).filter(|since| !since.is_empty());
        let update = bob.sync(from).await;
        since = update["next_batch"].as_str().unwrap().to_owned();
        told(&update)
    };
    assert_eq!(next().await, None);
    ask(&alice, &bob).await;
    assert_eq!(next().await, Some(counts(1, 1, 0)));
    assert_eq!(page(&bob, "received").await["counts"], counts(1, 1, 0));
    bob.own(Method::POST, ["requests", "seen"]).await.ok();
    assert_eq!(next().await, Some(counts(1, 0, 0)));
    assert_eq!(newest(&bob, "received").await["unread"], false);
    bob.own(Method::POST, ["requests", "seen"]).await.ok();
    assert_eq!(next().await, None, "nothing is new");
    answer(&bob, &newest(&bob, "received").await, "refuse").await;
    assert_eq!(next().await, Some(counts(0, 0, 0)));
    assert_eq!(told(&alice.sync(None).await), Some(counts(0, 0, 0)));
}

#[tokio::test]
async fn pages_are_newest_first_and_follow_each_other() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(group(&alice, &[&bob]).await);
    }
    rooms.reverse();
    let (mut seen, mut from) = (Vec::new(), None::<String>);
    loop {
        let call = alice.own(Method::GET, ["requests", "sent"]).query("limit", "2");
        let call = match &from {
            Some(from) => call.query("from", from),
            None => call,
        };
        let page = call.await.ok();
        let requests = page["requests"].as_array().unwrap();
        assert!(requests.len() <= 2);
        seen.extend(requests.iter().map(|one| one["room_id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => from = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, rooms);
    let odd = alice.own(Method::GET, ["requests", "sent"]).query("from", "odd");
    odd.await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_is_over_can_be_dismissed_by_each_for_themself() {
    let server = TestServer::start().await;
    let (alice, bob) = two(&server).await;
    ask(&alice, &bob).await;
    let request = newest(&bob, "received").await;
    let id = request["id"].as_str().unwrap().to_owned();
    let dismiss = |user: &Client| user.own(Method::DELETE, ["requests", &*id]);
    dismiss(&bob).await.refused(404, "M_NOT_FOUND");
    answer(&bob, &request, "refuse").await;
    dismiss(&bob).await.ok();
    dismiss(&bob).await.refused(404, "M_NOT_FOUND");
    assert_eq!(page(&bob, "received").await["requests"], json!([]));
    assert_eq!(newest(&alice, "sent").await["state"], "void");
    dismiss(&alice).await.ok();
    assert_eq!(page(&alice, "sent").await["requests"], json!([]));
    let odd = alice.own(Method::DELETE, ["requests", "odd"]);
    odd.await.refused(400, "M_INVALID_PARAM");
}
