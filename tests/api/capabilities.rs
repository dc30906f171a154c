//! What a server says it can do.

use serde_json::json;
use tertulia_testkit::TestServer;

#[tokio::test]
async fn all_room_versions_are_stable_and_one_is_the_default() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let body = alice.get(["capabilities"]).await.ok();
    let versions = &body["capabilities"]["m.room_versions"];
    assert_eq!(versions["default"], "12");
    for version in 1..=12 {
        assert_eq!(versions["available"][version.to_string()], "stable", "{version}");
    }
}

#[tokio::test]
async fn the_default_room_version_is_the_owners_choice() {
    let server = TestServer::builder()
        .settings(|settings| settings.default_room_version = ruma::RoomVersionId::V10)
        .start()
        .await;
    let alice = server.user("alice").await;
    let body = alice.get(["capabilities"]).await.ok();
    assert_eq!(body["capabilities"]["m.room_versions"]["default"], "10");
    let room = alice.create_room(json!({})).await;
    let create = alice.get(["rooms", &room, "state", "m.room.create", ""]).await.ok();
    assert_eq!(create["room_version"], "10");
}

#[tokio::test]
async fn every_capability_is_told_even_at_its_default() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let body = alice.get(["capabilities"]).await.ok();
    for (capability, enabled) in [
        ("m.change_password", true),
        ("m.profile_fields", true),
        ("m.set_displayname", true),
        ("m.set_avatar_url", true),
        ("m.3pid_changes", false),
        ("m.get_login_token", true),
    ] {
        assert_eq!(body["capabilities"][capability], json!({ "enabled": enabled }), "{capability}");
    }
}
