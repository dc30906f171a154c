use serde_json::{Value, json};
use tertulia_storage::Direction;

use super::*;
use crate::{
    Homeserver, Room,
    testing::{public_room, raw, server, user},
};

/// The media IDs that events show, and the events.
async fn shown(server: &Homeserver) -> Vec<(String, OwnedEventId)> {
    let view = server.core.store.view().await.unwrap();
    let rows = view.scan(&MEDIA_EVENTS, &(), Direction::Forward, 1_000).await.unwrap();
    rows.into_iter().map(|((_, id, event), _)| (id, event)).collect()
}

async fn send(room: &Room, content: &Value) -> OwnedEventId {
    room.send("m.room.message".into(), raw(content), None).await.unwrap()
}

#[tokio::test]
async fn it_is_known_which_events_show_a_file() {
    let server = server().await;
    let room = public_room(&user(&server, "alice"), "12").await;
    send(&room, &json!({ "body": "no file" })).await;
    assert_eq!(shown(&server).await, []);
    let picture = json!({
        "body": "", "url": "mxc://x/b", "info": { "thumbnail_url": "mxc://y/a" },
    });
    let (one, two) = (send(&room, &picture).await, send(&room, &picture).await);
    let mut expected = vec![
        ("b".to_owned(), one.clone()),
        ("b".to_owned(), two.clone()),
        ("a".to_owned(), one),
        ("a".to_owned(), two),
    ];
    let mut found = shown(&server).await;
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_redacted_event_shows_only_what_is_left_of_it() {
    let server = server().await;
    let room = public_room(&user(&server, "alice"), "12").await;
    let sent = send(&room, &json!({ "url": "mxc://x/a" })).await;
    let kept = send(&room, &json!({ "url": "mxc://x/a" })).await;
    room.redact(&sent, None, None).await.unwrap();
    assert_eq!(shown(&server).await, [("a".to_owned(), kept)]);
}

#[tokio::test]
async fn a_removed_room_shows_nothing() {
    let server = server().await;
    let alice = user(&server, "alice");
    let (gone, stays) = (public_room(&alice, "12").await, public_room(&alice, "12").await);
    for n in 0..150 {
        let uri = |part: &str| format!("mxc://x/{part}{n}");
        let content = json!({
            "url": uri("a"), "file": { "url": uri("b") }, "avatar_url": uri("c"),
            "info": { "thumbnail_url": uri("d"), "thumbnail_file": { "url": uri("e") } },
        });
        send(&gone, &content).await;
    }
    let kept = send(&stays, &json!({ "url": "mxc://x/a0" })).await;
    assert_eq!(shown(&server).await.len(), 751);
    server.remove_room(gone.id()).await.unwrap();
    assert_eq!(shown(&server).await, [("a0".to_owned(), kept)]);
}
