//! People who have a look without a name and a password.

use http::Method;
use serde_json::json;
use tertulia::{PasswordCost, Registration};
use tertulia_testkit::{Client, TestServer};

use crate::{
    people::{client, is_logged_in, log_in, open_server, post},
    secrets::PASSWORD,
};

async fn server() -> TestServer {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration = Registration::Open;
        settings.allow_guests = true;
        settings.password_cost = PasswordCost::LEAST;
    });
    builder.start().await
}

async fn guest(server: &TestServer) -> Client {
    let call = server.call(Method::POST, "/_matrix/client/v3/register").query("kind", "guest");
    client(server, &call.json(json!({})).await)
}

#[tokio::test]
async fn guests_are_off_unless_they_are_wanted() {
    let server = open_server().await;
    let call = server.call(Method::POST, "/_matrix/client/v3/register").query("kind", "guest");
    call.json(json!({})).await.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[tokio::test]
async fn a_guest_is_told_so() {
    let server = server().await;
    let guest = guest(&server).await;
    let told = guest.get(["account", "whoami"]).await.ok();
    assert_eq!(told["is_guest"], true);
    assert_eq!(
        (&told["user_id"], &told["device_id"]),
        (&json!(guest.id()), &json!(guest.device()))
    );
}

#[tokio::test]
async fn a_guest_may_do_little() {
    let server = server().await;
    let alice = server.user("alice").await;
    let closed = alice.create_public_room().await;
    let open = alice.create_public_room().await;
    let access = |access: &str| json!({ "guest_access": access });
    alice.set_state(&closed, "m.room.guest_access", "", access("forbidden")).await;
    alice.set_state(&open, "m.room.guest_access", "", access("can_join")).await;
    let guest = guest(&server).await;
    let code = "M_GUEST_ACCESS_FORBIDDEN";
    guest.post(["join", &closed]).json(json!({})).await.refused(403, code);
    guest.join(&open).await;
    guest.send(&open, "hello").await;
    guest.sync(None).await;
    let name = guest.put(["profile", guest.id(), "displayname"]);
    name.json(json!({ "displayname": "curious" })).await.ok();
    let picture = guest.put(["profile", guest.id(), "avatar_url"]);
    picture.json(json!({ "avatar_url": "mxc://a/b" })).await.refused(403, code);
    let invite = json!({ "user_id": alice.id() });
    guest.post(["createRoom"]).json(json!({})).await.refused(403, code);
    guest.post(["rooms", &open, "invite"]).json(invite).await.refused(403, code);
    guest.post(["knock", &closed]).json(json!({})).await.refused(403, code);
    guest.get(["profile", alice.id()]).await;
    guest.leave(&open).await;
}

#[tokio::test]
async fn a_guest_learns_that_the_room_was_closed_to_guests() {
    let server = server().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    let access = |access: &str| json!({ "guest_access": access });
    alice.set_state(&room, "m.room.guest_access", "", access("can_join")).await;
    let guest = guest(&server).await;
    guest.join(&room).await;
    let before = guest.sync(None).await;
    alice.set_state(&room, "m.room.guest_access", "", access("forbidden")).await;
    let mut since = before["next_batch"].as_str().unwrap().to_owned();
    let left = loop {
        let call = guest.get(["sync"]).query("timeout", "10000").query("since", &since);
        let told = call.await.ok();
        if let Some(left) = told["rooms"]["leave"].get(&room) {
            break left.clone();
        }
        since = told["next_batch"].as_str().unwrap().to_owned();
    };
    let last = left["timeline"]["events"].as_array().unwrap().last().unwrap();
    assert_eq!(last["content"], json!({ "membership": "leave" }));
    assert_eq!(last["sender"], guest.id());
    guest.post(["join", &room]).json(json!({})).await.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[tokio::test]
async fn a_guest_becomes_a_member() {
    let server = server().await;
    let guest = guest(&server).await;
    let name = guest.id().strip_prefix('@').unwrap().split_once(':').unwrap().0.to_owned();
    let body = |name: &str, token: &str| {
        json!({
            "auth": { "type": "m.login.dummy" },
            "username": name,
            "password": PASSWORD,
            "guest_access_token": token,
        })
    };
    post(&server, "register", body("other", guest.token())).await.refused(403, "M_FORBIDDEN");
    post(&server, "register", body(&name, "nonsense")).await.refused(401, "M_UNKNOWN_TOKEN");
    let mut weak = body(&name, guest.token());
    weak["password"] = json!("seven77");
    post(&server, "register", weak).await.refused(400, "M_WEAK_PASSWORD");
    let member = client(&server, &post(&server, "register", body(&name, guest.token())).await);
    assert_eq!(member.id(), guest.id());
    assert!(is_logged_in(&member).await);
    let told = member.get(["account", "whoami"]).await.ok();
    assert_eq!(told.get("is_guest"), None);
    member.create_room(json!({})).await;
    log_in(&server, &name, PASSWORD).await.ok();
    post(&server, "register", body(&name, guest.token())).await.refused(403, "M_FORBIDDEN");
}
