//! What one may know before one is known.

use http::Method;
use ruma::{
    api::client::discovery::discover_support::{Contact, ContactRole},
    serde::Base64,
};
use serde_json::json;
use tertulia_testkit::TestServer;

#[tokio::test]
async fn versions_are_told_to_everybody() {
    let server = TestServer::start().await;
    let versions = server.call(Method::GET, "/_matrix/client/versions").await.ok();
    let told: Vec<_> = versions["versions"].as_array().unwrap().iter().collect();
    for version in ["r0.6.1", "v1.1", "v1.11", "v1.19"] {
        assert!(told.contains(&&json!(version)), "{version}");
    }
    let features = json!({
        "org.matrix.msc4155": true,
        "org.matrix.msc4380": true,
        "uk.half-shot.msc2666.query_mutual_rooms": true,
    });
    assert_eq!(versions["unstable_features"], features);
}

#[tokio::test]
async fn versions_are_told_to_one_whose_session_has_ended() {
    let server = TestServer::start().await;
    server.call(Method::GET, "/_matrix/client/versions").token("ended").await.ok();
}

#[tokio::test]
async fn a_server_says_where_it_is_if_its_operator_does() {
    let server = TestServer::builder()
        .options(|options| {
            options.public_base_url = Some("https://matrix.example.org".to_owned());
            options.delegated_server = Some("matrix.example.org:443".try_into().unwrap());
        })
        .start()
        .await;
    let client = server.call(Method::GET, "/.well-known/matrix/client").await;
    assert_eq!(
        client.ok(),
        json!({ "m.homeserver": { "base_url": "https://matrix.example.org" } })
    );
    assert_eq!(client.headers["access-control-allow-origin"], "*");
    let federation = server.call(Method::GET, "/.well-known/matrix/server").await;
    assert_eq!(federation.ok(), json!({ "m.server": "matrix.example.org:443" }));
}

#[tokio::test]
async fn a_server_whose_operator_does_not_say_where_it_is_does_not_guess() {
    let server = TestServer::start().await;
    for path in ["/.well-known/matrix/client", "/.well-known/matrix/server"] {
        server.call(Method::GET, path).await.refused(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn what_is_not_served_is_not_recognised() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.get("/_matrix/client/v3/nonsense").await.refused(404, "M_UNRECOGNIZED");
    alice.get("/_matrix/client/v3/createRoom").await.refused(405, "M_UNRECOGNIZED");
}

/// Every endpoint that asks who one is, by method and path.
const PRIVATE: [(Method, &str); 22] = [
    (Method::GET, "capabilities"),
    (Method::POST, "createRoom"),
    (Method::GET, "joined_rooms"),
    (Method::POST, "join/!r:example.org"),
    (Method::POST, "rooms/!r:example.org/join"),
    (Method::POST, "rooms/!r:example.org/invite"),
    (Method::POST, "rooms/!r:example.org/leave"),
    (Method::POST, "rooms/!r:example.org/forget"),
    (Method::POST, "rooms/!r:example.org/kick"),
    (Method::POST, "rooms/!r:example.org/ban"),
    (Method::POST, "rooms/!r:example.org/unban"),
    (Method::GET, "rooms/!r:example.org/state"),
    (Method::GET, "rooms/!r:example.org/state/m.room.name"),
    (Method::PUT, "rooms/!r:example.org/state/m.room.name/"),
    (Method::PUT, "rooms/!r:example.org/state/m.custom/key"),
    (Method::PUT, "rooms/!r:example.org/send/m.room.message/t"),
    (Method::PUT, "rooms/!r:example.org/redact/$e/t"),
    (Method::GET, "rooms/!r:example.org/event/$e"),
    (Method::GET, "rooms/!r:example.org/context/$e"),
    (Method::GET, "rooms/!r:example.org/messages"),
    (Method::GET, "rooms/!r:example.org/members"),
    (Method::GET, "rooms/!r:example.org/joined_members"),
];

#[tokio::test]
async fn who_is_nobody_is_told_nothing() {
    let server = TestServer::start().await;
    for (method, path) in PRIVATE {
        for version in ["v3", "r0"] {
            let path = format!("/_matrix/client/{version}/{path}");
            let anonymous = server.call(method.clone(), path.as_str()).await;
            anonymous.refused(401, "M_MISSING_TOKEN");
            let former = server.call(method.clone(), path.as_str()).query("access_token", "no");
            let refusal = former.await.refused(401, "M_UNKNOWN_TOKEN");
            assert_ne!(refusal["soft_logout"], true, "{path}");
        }
    }
}

#[tokio::test]
async fn a_server_says_whom_to_turn_to_if_its_operator_does() {
    let silent = TestServer::start().await;
    let server = TestServer::builder()
        .options(|options| {
            options.support.page = Some("https://example.org/help".to_owned());
            let admin = ruma::owned_user_id!("@admin:example.org");
            let contact = Contact::with_matrix_id(ContactRole::Admin, admin);
            options.support.contacts = vec![contact];
            options.policy_server_key = Some(Base64::parse("AAAA").unwrap());
        })
        .start()
        .await;
    let support = json!({
        "contacts": [{ "role": "m.role.admin", "matrix_id": "@admin:example.org" }],
        "support_page": "https://example.org/help",
    });
    let key = json!({ "public_keys": { "ed25519": "AAAA" } });
    for (part, told) in [("support", support), ("policy_server", key)] {
        let path = format!("/.well-known/matrix/{part}");
        silent.call(Method::GET, path.clone()).await.refused(404, "M_NOT_FOUND");
        assert_eq!(server.call(Method::GET, path).await.ok(), told);
    }
}
