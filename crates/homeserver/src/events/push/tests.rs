use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId, events::TimelineEventType};
use serde_json::json;
use tertulia_storage::View;

use super::*;
use crate::{
    Homeserver, Room,
    events::load_head,
    testing::{public_room, raw, server, user},
};

/// What blocks hold: by class, sender and thread how many events, and those that mention somebody.
type Sums = (BTreeMap<(u8, OwnedUserId, Option<OwnedEventId>), u32>, Vec<OwnedEventId>);

async fn view(server: &Homeserver) -> View {
    server.core.store.view().await.unwrap()
}

/// The blocks of a room, which are runs of rows that follow each other, and what they hold; beside
/// it what their rows say.
async fn sums(server: &Homeserver, room: &Room) -> (Sums, Sums) {
    let view = view(server).await;
    let head = load_head(&view, room.id()).await.unwrap();
    let prefix = (room.id().to_owned(), head.row.stretch);
    let rows = view.scan(&TIMELINE, &prefix, Direction::Forward, usize::MAX).await.unwrap();
    let blocks = view.scan(&PUSH_BLOCKS, &prefix, Direction::Forward, usize::MAX).await.unwrap();
    let size = usize::try_from(BLOCK).unwrap();
    assert_eq!(blocks.len(), rows.len() / size);
    assert_eq!(usize::try_from(head.row.unblocked).unwrap(), rows.len() % size);
    let (mut held, mut expected) = (Sums::default(), Sums::default());
    for (((.., last), block), run) in blocks.into_iter().zip(rows.chunks_exact(size)) {
        let at = |index: usize| run[index].0.2.position().unwrap();
        assert_eq!((block.from, last), (at(0), at(size - 1)));
        for tally in block.tallies {
            let key = (tally.class, tally.sender, tally.thread);
            *held.0.entry(key).or_default() += tally.count;
        }
        held.1.extend(block.mentioning.into_iter().map(|mention| mention.event));
        for (_, row) in run {
            let mut push = row.push.clone().unwrap();
            if row.redacted_by.is_some() {
                push = redacted(push);
            }
            match mentions_somebody(&push) {
                true => expected.1.push(row.event.clone()),
                false => {
                    let key = (push.class, push.sender, push.thread);
                    *expected.0.entry(key).or_default() += 1;
                }
            }
        }
    }
    (held, expected)
}

#[tokio::test]
async fn blocks_sum_up_runs_of_the_timeline_as_redactions_left_them() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "11").await;
    bob.room(room.id()).join(None).await.unwrap();
    let mut said = Vec::new();
    for n in 0..30 {
        let who = if n % 3 == 0 { &alice } else { &bob };
        let mut content = json!({ "msgtype": "m.text", "body": "tea" });
        if n % 5 == 0 {
            content["m.mentions"] = json!({ "user_ids": ["@alice:x"] });
        }
        if n % 7 == 6 {
            content["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": said[n - 5] });
        }
        let kind = TimelineEventType::RoomMessage;
        said.push(who.room(room.id()).send(kind, raw(&content), None).await.unwrap());
        let (held, expected) = sums(&server, &room).await;
        assert_eq!(held, expected);
        if n % 4 == 3 {
            for redacted in [n / 2, n, n - 1] {
                room.redact(&said[redacted], None, None).await.unwrap();
                let (held, expected) = sums(&server, &room).await;
                assert_eq!(held, expected, "{n} {redacted}");
            }
        }
    }
    let (held, _) = sums(&server, &room).await;
    assert!(held.0.len() > 5 && held.1.len() > 1, "{held:?}");
}

#[tokio::test]
async fn a_row_says_what_push_rules_see() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let root = room.send_text("tea").await.unwrap();
    let content = json!({
        "m.mentions": { "user_ids": ["@bob:x", "@eve:elsewhere"], "room": true },
        "m.relates_to": { "rel_type": "m.thread", "event_id": root },
    });
    let event = room.send(TimelineEventType::RoomMessage, raw(&content), None).await.unwrap();
    let view = view(&server).await;
    let prefix = (room.id().to_owned(), 0_u32);
    let rows = view.scan(&TIMELINE, &prefix, Direction::Backward, 1).await.unwrap();
    let (_, row) = rows.into_iter().next().unwrap();
    assert_eq!(row.event, event);
    let bob = UserId::parse("@bob:x").unwrap().to_owned();
    let expected = PushRow {
        class: 1,
        sender: alice.id().to_owned(),
        thread: Some(root),
        mentions: vec![bob],
        mentions_many: false,
        mentions_room: true,
    };
    assert_eq!(row.push, Some(expected));
}
