use ruma::events::TimelineEventType;
use serde_json::json;

use super::*;
use crate::{
    Room,
    events::{Admitted, admit_tests::Scene, load_head},
    testing::{public_room, raw, server, user},
};

/// A small deterministic source of choices.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state).unwrap() % sides
    }
}

async fn relate(room: &Room, rel_type: &str, to: &OwnedEventId) -> Result<OwnedEventId> {
    let content = json!({
        "body": "b", "m.new_content": {},
        "m.relates_to": { "rel_type": rel_type, "event_id": to, "key": "+" },
    });
    room.send(TimelineEventType::RoomMessage, raw(&content), None).await
}

/// Every event of the room that was not redacted, with its row.
async fn timeline(room: &Room, head: &Head, view: &View, core: &Core) -> Vec<(Place, Pdu)> {
    let prefix = (room.id().to_owned(),);
    let rows = view.scan(&TIMELINE, &prefix, Direction::Forward, 10_000).await.unwrap();
    let mut events = Vec::new();
    for ((_, stretch, place), row) in rows {
        if row.redacted_by.is_none() {
            let pdu = core.local::<EventCache>().load(view, &head.rules, &row.event).await.unwrap();
            events.push(((stretch, place), pdu));
        }
    }
    events
}

/// What relates to `parent`, found by looking at every event.
fn naive(parent: &Pdu, events: &[(Place, Pdu)]) -> Related {
    let mut related = Related::default();
    for (place, pdu) in events {
        let Some(child) = Child::new(pdu, *place) else { continue };
        let is_child = child.relation.event_id == *parent.event_id();
        if !is_child || !child.relation.counts(pdu, parent) {
            continue;
        }
        match child.relation.kind() {
            RelationKind::Replace => {
                let edit = edit_of(*place, child.row(true));
                let older = related.edit.take().filter(|known| recency(known) > recency(&edit));
                related.edit = Some(older.unwrap_or(edit));
            }
            RelationKind::Thread => {
                let count = related.thread.map_or(0, |thread| thread.count) + 1;
                related.thread = Some(thread_of(*place, child.row(true), count));
            }
            RelationKind::Reference => related.references += 1,
            RelationKind::Other | RelationKind::Annotation => {}
        }
    }
    related
}

/// Random relations and redactions, then what is noted beside what looking at every event gives.
async fn check(seed: u64) {
    let (server, mut roll) = (server().await, dice(seed));
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "11").await;
    let theirs = bob.room(room.id());
    theirs.join(None).await.unwrap();
    let mut sent = vec![room.send_text("0").await.unwrap(), theirs.send_text("1").await.unwrap()];
    for _ in 0..60 {
        let by = if roll(2) == 0 { &room } else { &theirs };
        let target = sent[roll(sent.len())].clone();
        if roll(5) == 0 {
            room.redact(&target, None, None).await.unwrap();
            continue;
        }
        let kinds = ["m.thread", "m.replace", "m.reference", "m.annotation", "org.example"];
        // Some are refused, as annotating the same twice.
        sent.extend(relate(by, kinds[roll(5)], &target).await.ok());
    }
    let (core, view) = (&server.core, server.core.store.view().await.unwrap());
    let head = load_head(&view, room.id()).await.unwrap();
    let events = timeline(&room, &head, &view, core).await;
    let mut threads = Vec::new();
    for id in &sent {
        let parent = core.local::<EventCache>().load(&view, &head.rules, id).await.unwrap();
        let meta = view.get(&EVENT_META, &(room.id().to_owned(), id.clone())).await.unwrap();
        let Verdict::Timeline { stretch, ordinal } = meta.unwrap().verdict else { panic!() };
        let row = view.get(&TIMELINE, &(room.id().to_owned(), stretch, ordinal)).await.unwrap();
        let noted = row.unwrap().related.unwrap_or_default();
        assert_eq!(noted, naive(&parent, &events), "seed {seed}");
        threads.extend(noted.thread.map(|thread| (thread.place, id.clone())));
        let children = children_from(&view, &head, id, None, None, Direction::Forward, 100).await;
        let indexed: Vec<_> = children.unwrap().into_iter().map(|(_, row)| row.event).collect();
        let related = events.iter().filter(|(place, pdu)| {
            Child::new(pdu, *place).is_some_and(|child| child.relation.event_id == *id)
        });
        let expected: Vec<_> = related.map(|(_, pdu)| pdu.event_id().clone()).collect();
        assert_eq!(indexed, expected, "seed {seed}");
    }
    let prefix = (room.id().to_owned(),);
    let listed = view.scan(&THREADS, &prefix, Direction::Forward, 1_000).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|((_, _, at), (root,))| (at, root)).collect();
    threads.sort_by_key(|(place, _)| *place);
    assert_eq!(listed, threads, "seed {seed}");
}

#[tokio::test]
async fn what_is_noted_is_what_looking_at_every_event_gives() {
    for seed in 1..=12 {
        check(seed * 7_919).await;
    }
}

#[test]
fn annotations_are_alike_by_type_and_key_and_all_of_a_thread_are() {
    let relation = |rel_type: &str, key: Option<&str>| Relation {
        rel_type: rel_type.to_owned(),
        event_id: ruma::owned_event_id!("$p"),
        key: key.map(str::to_owned),
    };
    let annotation = |kind, key| likeness(kind, &relation("m.annotation", Some(key)));
    assert_eq!(annotation("m.reaction", "+"), annotation("m.reaction", "+"));
    assert_ne!(annotation("m.reaction", "+"), annotation("m.reaction", "-"));
    assert_ne!(annotation("m.reaction", "+"), annotation("org.example", "+"));
    let thread = |kind| likeness(kind, &relation("m.thread", None));
    assert_eq!(thread("m.room.message"), thread("m.sticker"));
    let head = Head::new(ruma::owned_room_id!("!r:x"), crate::schema::RoomHead::of_version("11"));
    let root = ruma::owned_event_id!("$p");
    let key = part_in_thread(&head.unwrap(), &root, ruma::owned_user_id!("@a:x"));
    assert_eq!(key.3, thread("m.room.message"));
}

#[tokio::test]
async fn what_came_before_its_parent_is_noted_once_that_comes() {
    let scene = Scene::new("11").await;
    let tips = scene.tips().await;
    let sender = ruma::owned_user_id!("@bob:y");
    let draft = |content| Draft::message(sender.clone(), TimelineEventType::RoomMessage, content);
    let parent = scene.build(&tips, draft(raw(&json!({ "body": "first" })))).await;
    let mut children = Vec::new();
    for rel_type in ["m.thread", "m.replace", "m.reference"] {
        let relation = json!({ "rel_type": rel_type, "event_id": parent.event_id() });
        let content = json!({ "m.new_content": {}, "m.relates_to": relation });
        children.push(scene.build(&tips, draft(raw(&content))).await);
    }
    for pdu in children.iter().chain([&parent]) {
        assert_eq!(scene.admit(pdu.clone()).await, Admitted::Accepted);
    }
    let view = scene.server.core.store.view().await.unwrap();
    let head = scene.head().await;
    let events = timeline(&scene.room, &head, &view, &scene.server.core).await;
    let (place, _) = events.iter().find(|(_, pdu)| pdu.event_id() == parent.event_id()).unwrap();
    let row = view.get(&TIMELINE, &(scene.room.id().to_owned(), place.0, place.1)).await.unwrap();
    let noted = row.unwrap().related.unwrap();
    assert_eq!(noted, naive(&parent, &events));
    assert_eq!((noted.thread.unwrap().count, noted.references), (1, 1));
    assert!(noted.edit.is_some());
}
