//! Syncing with everything that an update can hold.

use serde_json::json;
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let (alice, bob) = (story.user("alice").await, story.user("bob").await);
    let ours = alice.create_room_with(&[&bob]).await;
    let left = bob.create_room_with(&[&alice]).await;
    let begun = alice.sync(None).await;
    let since = begun["next_batch"].as_str().unwrap();
    for number in 0..15 {
        bob.send(&ours, &format!("message {number}")).await;
    }
    alice.leave(&left).await;
    let named = json!({ "name": "come", "invite": [alice.id()], "is_direct": true });
    bob.create_room(named).await;
    bob.put(["rooms", &ours, "typing", bob.id()]).json(json!({ "typing": true })).await.ok();
    bob.put(["profile", bob.id(), "displayname"]).json(json!({ "displayname": "Bob" })).await.ok();
    ways(&alice, since).await;
    alice.get(["sync"]).query("since", "nonsense").await;
    alice.get(["sync"]).query("filter", "nonsense").await;
}

/// The same update, asked for in all ways.
async fn ways(alice: &Client, since: &str) {
    let lazy = r#"{"room":{"state":{"lazy_load_members":true},"timeline":{"limit":3,"unread_thread_notifications":true}}}"#;
    let left = r#"{"room":{"include_leave":true}}"#;
    for since in [None, Some(since)] {
        for (name, value) in [
            ("timeout", "0"),
            ("filter", lazy),
            ("filter", left),
            ("full_state", "true"),
            ("use_state_after", "true"),
            ("set_presence", "offline"),
        ] {
            let call = alice.get(["sync"]).query(name, value);
            match since {
                Some(since) => call.query("since", since).await.ok(),
                None => call.await.ok(),
            };
        }
    }
}
