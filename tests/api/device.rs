//! A user's devices.

use serde_json::{Value, json};
use tertulia_testkit::{Answered, Client};

use crate::{
    people::{challenged, client, is_logged_in, log_in, open_server, owner, register},
    secrets::{PASSWORD, WRONG_PASSWORD},
};

async fn ids(client: &Client) -> Vec<String> {
    let answer: Value = client.get(["devices"]).await.ok();
    let devices = answer["devices"].as_array().unwrap();
    devices.iter().map(|device| device["device_id"].as_str().unwrap().to_owned()).collect()
}

fn sorted<const N: usize>(clients: [&Client; N]) -> Vec<String> {
    let mut ids: Vec<_> = clients.iter().map(|client| client.device().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn devices_are_listed_and_shown() {
    let server = open_server().await;
    let (first, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let second = client(&server, &log_in(&server, "alice", PASSWORD).await);
    assert_eq!(ids(&first).await, sorted([&first, &second]));
    let shown = first.get(["devices", second.device()]).await.ok();
    assert_eq!(shown["device_id"], second.device());
    first.get(["devices", "NEVER"]).await.refused(404, "M_NOT_FOUND");
    first.get(["devices", bob.device()]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn what_is_not_known_of_a_device_is_left_out() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let shown = alice.get(["devices", alice.device()]).await.ok();
    assert_eq!(shown, json!({ "device_id": alice.device() }));
    assert_eq!(alice.get(["devices"]).await.ok(), json!({ "devices": [shown] }));
}

#[tokio::test]
async fn devices_get_names() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let path = ["devices", alice.device()];
    let name = json!({ "display_name": "my 📱" });
    assert_eq!(alice.put(path).json(name.clone()).await.ok(), json!({}));
    assert_eq!(alice.get(path).await.ok()["display_name"], "my 📱");
    alice.put(path).json(json!({})).await.ok();
    assert_eq!(alice.get(path).await.ok()["display_name"], "my 📱", "nothing was changed");
    for body in [name, json!({})] {
        alice.put(["devices", "NEVER"]).json(body).await.refused(404, "M_NOT_FOUND");
    }
    let long = json!({ "display_name": "x".repeat(256) });
    alice.put(path).json(long).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_owner_forgets_a_device() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let lost = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let path = ["devices", lost.device()];
    let session = challenged(&alice.delete(path).json(json!({})).await);
    let body = json!({ "auth": owner(&alice, PASSWORD, Some(&session)) });
    assert_eq!(alice.delete(path).json(body).await.ok(), json!({}));
    assert!(!is_logged_in(&lost).await);
    assert_eq!(ids(&alice).await, sorted([&alice]));
}

#[tokio::test]
async fn a_request_without_a_body_is_asked_for_proof() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    challenged(&alice.delete(["devices", alice.device()]).await);
}

#[tokio::test]
async fn what_is_gone_may_be_forgotten_again() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let body = json!({ "auth": owner(&alice, PASSWORD, None) });
    alice.delete(["devices", "NEVER"]).json(body).await.ok();
}

#[tokio::test]
async fn only_the_owner_forgets_a_device() {
    let server = open_server().await;
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let delete =
        async |auth| alice.delete(["devices", alice.device()]).json(json!({ "auth": auth })).await;
    // One may try again with the right password, but not as somebody else.
    delete(owner(&alice, WRONG_PASSWORD, None)).await.refused(401, "M_FORBIDDEN");
    delete(owner(&bob, PASSWORD, None)).await.refused(403, "M_FORBIDDEN");
    let body = json!({ "auth": owner(&bob, PASSWORD, None) });
    bob.delete(["devices", alice.device()]).json(body).await.ok();
    assert!(is_logged_in(&alice).await, "devices are their user's own");
}

#[tokio::test]
async fn a_proof_for_one_device_does_not_forget_another() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let other = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let session = challenged(&alice.delete(["devices", other.device()]).await);
    let body = json!({ "auth": owner(&alice, PASSWORD, Some(&session)) });
    alice.delete(["devices", other.device()]).json(body.clone()).await.ok();
    let again = alice.delete(["devices", alice.device()]).json(body).await;
    again.refused(401, "M_FORBIDDEN");
    assert!(is_logged_in(&alice).await, "the proof was used up");
}

#[tokio::test]
async fn nobody_uses_up_the_session_that_somebody_else_opened() {
    let server = open_server().await;
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let lost = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let path = ["devices", lost.device()];
    let session = challenged(&alice.delete(path).await);
    let delete = async |by: &Client, session: &str| {
        by.delete(path).json(json!({ "auth": owner(by, PASSWORD, Some(session)) })).await
    };
    let (taken, unknown) = (delete(&bob, &session).await, delete(&bob, "invented").await);
    let told = |answer: &Answered| {
        let body = answer.refused(401, "M_FORBIDDEN");
        (body["error"].clone(), body["completed"].clone())
    };
    assert_eq!(told(&taken), told(&unknown));
    delete(&alice, &session).await.ok();
    assert!(!is_logged_in(&lost).await);
}

#[tokio::test]
async fn several_devices_are_forgotten_at_once() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let second = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let third = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let mut body = json!({ "devices": [second.device(), third.device(), "NEVER"] });
    let session = challenged(&alice.post(["delete_devices"]).json(body.clone()).await);
    body["auth"] = owner(&alice, PASSWORD, Some(&session));
    assert_eq!(alice.post(["delete_devices"]).json(body).await.ok(), json!({}));
    assert_eq!(ids(&alice).await, sorted([&alice]));
    assert!(!is_logged_in(&second).await);
    assert!(!is_logged_in(&third).await);
    alice.post(["delete_devices"]).json(json!({})).await.refused(400, "M_BAD_JSON");
}
