//! Friends: asked, refused, asked again, taken back, accepted and let go.

use http::Method;
use serde_json::json;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let (alice, bob) = (story.user("alice").await, story.user("bob").await);
    let with = |user: &'static str, done| ["friends", user, done];
    let (to_alice, to_bob) = ("@alice:example.org", "@bob:example.org");
    let ask =
        || alice.own(Method::POST, ["friends"]).json(json!({ "user": "bob", "reason": "work" }));
    let asked = ask().await.ok();
    assert_eq!(asked["status"], "asked");
    let known = bob.own(Method::GET, ["friends", to_alice]).await.ok();
    assert_eq!((&known["status"], &known["room_id"]), (&json!("asking"), &asked["room_id"]));
    bob.own(Method::POST, with(to_alice, "refuse")).await.ok();
    bob.own(Method::POST, with(to_alice, "accept")).await.refused(404, "M_NOT_FOUND");
    assert_eq!(ask().await.ok(), asked);
    alice.own(Method::POST, with(to_bob, "withdraw")).await.ok();
    ask().await.ok();
    bob.own(Method::POST, with(to_alice, "accept")).await.ok();
    let name = json!({ "displayname": "Bob" });
    bob.put(["profile", bob.id(), "displayname"]).json(name).await.ok();
    let status = json!({ "presence": "online", "status_msg": "here" });
    bob.put(["presence", bob.id(), "status"]).json(status).await.ok();
    let found = alice.own(Method::GET, ["people"]).query("words", "bo").await.ok();
    assert_eq!(found["people"][0]["status"], "friend");
    let friends = alice.own(Method::GET, ["friends"]).query("limit", "1").await.ok();
    assert_eq!(friends["friends"][0]["displayname"], "Bob");
    alice.own(Method::DELETE, ["friends", to_bob]).await.ok();
    let friends = bob.own(Method::GET, ["friends"]).await.ok();
    assert_eq!(friends["friends"], json!([]));
}
