//! Reporting rooms, events and users.

use serde_json::json;
use tertulia::Reported;
use tertulia_testkit::TestServer;

#[tokio::test]
async fn rooms_events_and_users_are_reported_and_admins_are_told() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_public_room().await;
    let event = alice.send(&room, "spam").await;
    let reason = json!({ "reason": "this makes me sad" });
    bob.post(["rooms", &room, "report"]).json(reason.clone()).await.ok();
    bob.post(["users", alice.id(), "report"]).json(reason.clone()).await.ok();
    let about = ["rooms", &room, "report", &event];
    bob.post(about).json(reason.clone()).await.refused(404, "M_NOT_FOUND");
    bob.join(&room).await;
    // The score was part of the specification once.
    let old = json!({ "reason": "this makes me sad", "score": -100 });
    bob.post(about).json(old).await.ok();
    bob.post(about).json(json!({})).await.ok();
    let reports = server.homeserver().reports(None, 10).await.unwrap();
    assert_eq!(reports.len(), 4);
    assert!(reports.iter().all(|report| report.by == bob.id()));
    assert_eq!(reports.iter().filter(|report| report.reason == "this makes me sad").count(), 3);
    let users = reports.iter().filter(|report| matches!(report.about, Reported::User(_)));
    assert_eq!(users.count(), 1);
}

#[tokio::test]
async fn what_there_is_not_cannot_be_reported() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    let reason = json!({ "reason": "" });
    alice
        .post(["rooms", "!none:example.org", "report"])
        .json(reason.clone())
        .await
        .refused(404, "M_NOT_FOUND");
    alice
        .post(["rooms", &room, "report", "$none"])
        .json(reason.clone())
        .await
        .refused(404, "M_NOT_FOUND");
    alice
        .post(["users", "@none:example.org", "report"])
        .json(reason.clone())
        .await
        .refused(404, "M_NOT_FOUND");
    let nobody = ["users", "nobody", "report"];
    alice.post(nobody).json(reason.clone()).await.refused(400, "M_INVALID_PARAM");
    // Only of an event one need not say why.
    for none in [json!({}), json!({ "reason": null })] {
        alice.post(["rooms", &room, "report"]).json(none.clone()).await.refused(400, "M_BAD_JSON");
        alice.post(["users", alice.id(), "report"]).json(none).await.refused(400, "M_BAD_JSON");
    }
    let wrong = json!({ "reason": 7 });
    alice.post(["rooms", &room, "report"]).json(wrong.clone()).await.refused(400, "M_BAD_JSON");
    alice.post(["users", alice.id(), "report"]).json(wrong).await.refused(400, "M_BAD_JSON");
}
