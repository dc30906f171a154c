//! How present people are, what they complain about, and rooms that are replaced.

use serde_json::json;

use super::Story;
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let (alice, bob) = (story.user("alice").await, story.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    let event = bob.send(&room, "rude").await;
    let present = json!({ "presence": "online", "status_msg": "reading" });
    bob.put(["presence", bob.id(), "status"]).json(present).await.ok();
    alice.get(["presence", bob.id(), "status"]).await.ok();
    alice.get(["presence", "@nobody:example.org", "status"]).await;
    alice.sync(None).await;
    let why = || json!({ "reason": "rude" });
    alice.post(["rooms", &room, "report", &event]).json(why()).await.ok();
    alice.post(["rooms", &room, "report", "$none"]).json(why()).await.refused(404, "M_NOT_FOUND");
    alice.post(["rooms", &room, "report"]).json(why()).await.ok();
    alice.post(["users", bob.id(), "report"]).json(why()).await.ok();
    let upgrade = json!({ "new_version": "12" });
    bob.post(["rooms", &room, "upgrade"]).json(upgrade.clone()).await.refused(403, "M_FORBIDDEN");
    alice.post(["rooms", &room, "upgrade"]).json(upgrade).await.ok();
}
