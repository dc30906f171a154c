//! Locking and suspending accounts, and what administrators may know.

use http::Method;
use serde_json::json;
use tertulia::{NewAccount, Secret};
use tertulia_testkit::{Answered, Client, TestServer};

use crate::{
    people::{client, log_in, open_server, register},
    secrets::PASSWORD,
};

/// An administrator.
async fn administrator(server: &TestServer, name: &str) -> Client {
    let password = Some(Secret::new(PASSWORD));
    let account = NewAccount { password, admin: true, ..name.into() };
    server.homeserver().create_user(account).await.unwrap();
    client(server, &log_in(server, name, PASSWORD).await)
}

async fn set(server: &TestServer, by: &Client, what: &str, user: &str, holds: bool) -> Answered {
    let path = format!("/_matrix/client/v1/admin/{what}/{user}");
    let key = if what == "lock" { "locked" } else { "suspended" };
    server.call(Method::PUT, path).token(by.token()).json(json!({ key: holds })).await
}

async fn ask(server: &TestServer, by: &Client, what: &str, user: &str) -> Answered {
    let path = format!("/_matrix/client/v1/admin/{what}/{user}");
    server.call(Method::GET, path).token(by.token()).await
}

#[tokio::test]
async fn administrators_lock_and_suspend_and_others_do_not() {
    let server = open_server().await;
    let root = administrator(&server, "root").await;
    let [alice, bob] = [register(&server, "alice").await, register(&server, "bob").await];
    for (what, key) in [("lock", "locked"), ("suspend", "suspended")] {
        for holds in [true, false] {
            let done = set(&server, &root, what, bob.id(), holds).await.ok();
            assert_eq!(done, json!({ key: holds }));
            let told = ask(&server, &root, what, bob.id()).await.ok();
            assert_eq!(told, json!({ key: holds }));
        }
        for target in [bob.id(), root.id(), "@nobody:example.org", "@a:elsewhere.org"] {
            set(&server, &alice, what, target, true).await.refused(403, "M_FORBIDDEN");
            ask(&server, &alice, what, target).await.refused(403, "M_FORBIDDEN");
        }
        set(&server, &root, what, root.id(), true).await.refused(403, "M_FORBIDDEN");
        let nobody = "@nobody:example.org";
        set(&server, &root, what, nobody, true).await.refused(404, "M_NOT_FOUND");
        ask(&server, &root, what, nobody).await.refused(404, "M_NOT_FOUND");
        let foreign = "@a:elsewhere.org";
        set(&server, &root, what, foreign, true).await.refused(400, "M_INVALID_PARAM");
        ask(&server, &root, what, foreign).await.refused(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn a_locked_user_can_but_log_out() {
    let server = open_server().await;
    let root = administrator(&server, "root").await;
    let bob = register(&server, "bob").await;
    let room = bob.create_room(json!({})).await;
    set(&server, &root, "lock", bob.id(), true).await.ok();
    for path in ["sync", "account/whoami", &format!("rooms/{room}/state")] {
        let refused =
            bob.get(format!("/_matrix/client/v3/{path}")).await.refused(401, "M_USER_LOCKED");
        assert_eq!(refused["soft_logout"], true);
    }
    bob.get(["profile", bob.id()]).await.ok();
    log_in(&server, "bob", PASSWORD).await.refused(401, "M_USER_LOCKED");
    set(&server, &root, "lock", bob.id(), false).await.ok();
    bob.get(["account", "whoami"]).await.ok();
    set(&server, &root, "lock", bob.id(), true).await.ok();
    bob.post(["logout"]).await.ok();
    bob.post(["logout"]).await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn a_suspended_user_reads_leaves_and_takes_back_but_does_not_speak() {
    let server = open_server().await;
    let root = administrator(&server, "root").await;
    let [alice, bob] = [register(&server, "alice").await, register(&server, "bob").await];
    let room = alice.create_room_with(&[&bob]).await;
    let own = bob.send(&room, "mine").await;
    let other = bob.create_room(json!({})).await;
    set(&server, &root, "suspend", bob.id(), true).await.ok();
    let bob = client(&server, &log_in(&server, "bob", PASSWORD).await);
    bob.get(["sync"]).await.ok();
    bob.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    let text = json!({ "msgtype": "m.text", "body": "x" });
    for call in [
        bob.put(["rooms", &room, "send", "m.room.message", "1"]).json(text),
        bob.put(["rooms", &other, "state", "m.room.topic"]).json(json!({ "topic": "x" })),
        bob.put(["profile", bob.id(), "displayname"]).json(json!({ "displayname": "x" })),
        bob.post(["createRoom"]).json(json!({})),
        bob.post(["rooms", &other, "invite"]).json(json!({ "user_id": alice.id() })),
        bob.post(["join", &room]).json(json!({})),
        bob.own(Method::POST, ["friends"]).json(json!({ "user": "alice" })),
        bob.own(Method::POST, ["groups"]).json(json!({ "name": "x" })),
        bob.own(Method::POST, ["groups", "join"]).json(json!({ "group": room })),
        bob.own(Method::POST, ["groups", &other, "dissolve"]),
    ] {
        call.await.refused(403, "M_USER_SUSPENDED");
    }
    bob.put(["rooms", &room, "redact", &own, "2"]).json(json!({})).await.ok();
    let theirs = alice.send(&room, "hers").await;
    let taken = bob.put(["rooms", &room, "redact", &theirs, "3"]).json(json!({}));
    taken.await.refused(403, "M_USER_SUSPENDED");
    bob.post(["rooms", &room, "leave"]).json(json!({})).await.ok();
    bob.post(["logout"]).await.ok();
}

#[tokio::test]
async fn only_administrators_are_told_that_they_moderate() {
    let server = open_server().await;
    let root = administrator(&server, "root").await;
    let bob = register(&server, "bob").await;
    let told = root.get(["capabilities"]).await.ok();
    let expected = json!({ "lock": true, "suspend": true });
    assert_eq!(told["capabilities"]["m.account_moderation"], expected);
    let told = bob.get(["capabilities"]).await.ok();
    assert_eq!(told["capabilities"].get("m.account_moderation"), None);
}

#[tokio::test]
async fn whois_tells_users_about_themselves_and_administrators_about_all() {
    let server = open_server().await;
    let root = administrator(&server, "root").await;
    let bob = register(&server, "bob").await;
    for asker in [&root, &bob] {
        let told = asker.get(["admin", "whois", bob.id()]).await.ok();
        assert_eq!(told["user_id"], bob.id());
        let devices = told["devices"].as_object().unwrap();
        assert_eq!(devices.keys().collect::<Vec<_>>(), [bob.device()]);
        assert!(devices[bob.device()]["sessions"][0]["connections"].is_array());
    }
    bob.get(["admin", "whois", root.id()]).await.refused(403, "M_FORBIDDEN");
    root.get(["admin", "whois", "@nobody:example.org"]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn who_is_locked_is_found_by_nobody_and_who_is_suspended_by_everybody() {
    let server = open_server().await;
    let root = administrator(&server, "root").await;
    let bob = server.user("bob").await;
    bob.create_public_room().await;
    let finds_bob = async || {
        let search = root.post(["user_directory", "search"]);
        let found = search.json(json!({ "search_term": "bob" })).await.ok();
        !found["results"].as_array().unwrap().is_empty()
    };
    for (what, holds, found) in [
        ("suspend", true, true),
        ("lock", true, false),
        ("suspend", false, false),
        ("lock", false, true),
    ] {
        set(&server, &root, what, bob.id(), holds).await.ok();
        assert_eq!(finds_bob().await, found, "{what} {holds}");
    }
}
