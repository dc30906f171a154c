use ruma::{RoomVersionId, events::StateEventType};
use serde_json::{Value, json};

use super::*;
use crate::{
    Homeserver, InitialState, NewRoom, Preset, User,
    testing::{raw, server, user},
};

/// A space, or another room, that says by `join_rules` who may join.
async fn make(creator: &User, name: &str, kind: Option<&str>, join_rules: Value) -> Room {
    let mut room = NewRoom::new(creator.id().to_owned(), RoomVersionId::V12);
    room.preset = Preset::PublicChat;
    room.name = Some(name.to_owned());
    if let Some(kind) = kind {
        room.creation_content.insert("type".to_owned(), kind.into());
    }
    room.initial_state.push(InitialState {
        kind: StateEventType::RoomJoinRules,
        state_key: String::new(),
        content: raw(&join_rules),
    });
    creator.create_room(room).await.unwrap()
}

fn public() -> Value {
    json!({ "join_rule": "public" })
}

async fn space(creator: &User, name: &str) -> Room {
    make(creator, name, Some("m.space"), public()).await
}

async fn room(creator: &User, name: &str) -> Room {
    make(creator, name, None, public()).await
}

/// Names `child` as the child of `parent`, which comes at `order` among the others.
async fn add(parent: &Room, child: &Room, order: &str) {
    name_child(parent, child.id().as_str(), json!({ "via": ["x"], "order": order })).await;
}

async fn name_child(parent: &Room, child: &str, content: Value) {
    let kind = StateEventType::SpaceChild;
    parent.set_state(kind, child, raw(&content)).await.unwrap();
}

fn names(page: &HierarchyPage) -> Vec<String> {
    let name = |room: &SpaceRoom| room.summary.summary.name.clone().unwrap_or_default();
    page.rooms.iter().map(name).collect()
}

async fn walk(user: &User, root: &Room, query: HierarchyQuery) -> Result<HierarchyPage> {
    user.room(root.id()).hierarchy(&query).await
}

async fn all(user: &User, root: &Room) -> HierarchyPage {
    walk(user, root, HierarchyQuery::default()).await.unwrap()
}

struct Scene {
    _server: Homeserver,
    alice: User,
    bob: User,
    root: Room,
}

/// A space of this shape: root (a, inner (b, c), d).
async fn scene() -> Scene {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let (root, inner) = (space(&alice, "root").await, space(&alice, "inner").await);
    for (parent, order, name) in
        [(&root, "1", "a"), (&root, "3", "d"), (&inner, "1", "b"), (&inner, "2", "c")]
    {
        add(parent, &room(&alice, name).await, order).await;
    }
    add(&root, &inner, "2").await;
    Scene { _server: server, alice, bob, root }
}

#[tokio::test]
async fn a_space_is_told_depth_first_in_the_order_of_its_children() {
    let Scene { alice, bob, root, .. } = &scene().await;
    for user in [alice, bob] {
        let page = all(user, root).await;
        assert_eq!(names(&page), ["root", "a", "inner", "b", "c", "d"]);
        let children: Vec<_> = page.rooms.iter().map(|room| room.children_state.len()).collect();
        assert_eq!(children, [3, 0, 2, 0, 0, 0]);
        assert_eq!(page.next_batch, None);
    }
}

#[tokio::test]
async fn a_walk_goes_no_deeper_than_asked_for() {
    let Scene { alice, root, .. } = &scene().await;
    for (depth, expected) in [
        (0, vec!["root"]),
        (1, vec!["root", "a", "inner", "d"]),
        (2, vec!["root", "a", "inner", "b", "c", "d"]),
        (u64::MAX, vec!["root", "a", "inner", "b", "c", "d"]),
    ] {
        let query = HierarchyQuery { max_depth: Some(depth), ..HierarchyQuery::default() };
        assert_eq!(names(&walk(alice, root, query).await.unwrap()), expected, "{depth}");
    }
}

#[tokio::test]
async fn pages_tell_every_room_once() {
    let Scene { alice, root, .. } = &scene().await;
    let whole = all(alice, root).await;
    for limit in 1..=6 {
        let (mut told, mut from) = (Vec::new(), None);
        loop {
            let query = HierarchyQuery { limit: Some(limit), from, ..HierarchyQuery::default() };
            let page = walk(alice, root, query).await.unwrap();
            assert!(page.rooms.len() as u64 <= limit && !page.rooms.is_empty());
            told.extend(names(&page));
            from = page.next_batch;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(told, names(&whole), "{limit}");
    }
}

#[tokio::test]
async fn a_token_belongs_to_one_walk() {
    let Scene { alice, root, .. } = &scene().await;
    let query = HierarchyQuery { limit: Some(1), ..HierarchyQuery::default() };
    let from = walk(alice, root, query.clone()).await.unwrap().next_batch;
    let query = HierarchyQuery { from, ..query };
    for wrong in [
        HierarchyQuery { max_depth: Some(1), ..query.clone() },
        HierarchyQuery { suggested_only: true, ..query.clone() },
        HierarchyQuery { limit: Some(0), ..HierarchyQuery::default() },
        HierarchyQuery { from: Some(String::new()), ..query.clone() },
        HierarchyQuery { from: Some("+1_50_0".to_owned()), ..query.clone() },
        HierarchyQuery { from: Some("é".to_owned()), ..query.clone() },
    ] {
        let refused = walk(alice, root, wrong.clone()).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{wrong:?}");
    }
    let beyond = HierarchyQuery { from: Some("900_50_0".to_owned()), ..query };
    assert_eq!(walk(alice, root, beyond).await.unwrap().rooms.len(), 0);
}

#[tokio::test]
async fn only_suggested_children_count_if_asked_for() {
    let Scene { alice, root, .. } = &scene().await;
    let suggested = room(alice, "s").await;
    let content = json!({ "via": ["x"], "suggested": true });
    name_child(root, suggested.id().as_str(), content).await;
    let query = HierarchyQuery { suggested_only: true, ..HierarchyQuery::default() };
    let page = walk(alice, root, query).await.unwrap();
    assert_eq!(names(&page), ["root", "s"]);
    assert_eq!(page.rooms[0].children_state.len(), 1);
}

#[tokio::test]
async fn circles_have_an_end_and_what_is_not_here_is_passed_over() {
    let server = server().await;
    let alice = user(&server, "alice");
    let (one, two) = (space(&alice, "one").await, space(&alice, "two").await);
    add(&one, &two, "1").await;
    add(&two, &one, "1").await;
    add(&one, &one, "2").await;
    name_child(&one, "!elsewhere:y", json!({ "via": ["y"] })).await;
    name_child(&one, "nonsense", json!({ "via": ["y"] })).await;
    let page = all(&alice, &one).await;
    assert_eq!(names(&page), ["one", "two"]);
    assert_eq!(page.rooms[0].children_state.len(), 3, "what is not here is named all the same");
}

#[tokio::test]
async fn a_child_that_was_taken_back_is_none() {
    let Scene { alice, root, .. } = &scene().await;
    let (emptied, redacted) = (room(alice, "e").await, room(alice, "r").await);
    add(root, &emptied, "1").await;
    add(root, &redacted, "1").await;
    name_child(root, emptied.id().as_str(), json!({})).await;
    let kind = StateEventType::SpaceChild;
    let event = root.state_event(&kind, redacted.id().as_str()).await.unwrap();
    root.redact(event.id(), None, None).await.unwrap();
    assert_eq!(names(&all(alice, root).await), ["root", "a", "inner", "b", "c", "d"]);
}

#[tokio::test]
async fn only_rooms_are_told_that_the_user_may_know_of() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let root = space(&alice, "root").await;
    let club = make(&alice, "club", None, json!({ "join_rule": "invite" })).await;
    let condition = json!({ "type": "m.room_membership", "room_id": club.id() });
    for (name, rules) in [
        ("invite", json!({ "join_rule": "invite" })),
        ("knock", json!({ "join_rule": "knock" })),
        ("either", json!({ "join_rule": "knock_restricted", "allow": [] })),
        ("members", json!({ "join_rule": "restricted", "allow": [condition] })),
        ("public", public()),
    ] {
        add(&root, &make(&alice, name, None, rules).await, name).await;
    }
    let readable = make(&alice, "readable", None, json!({ "join_rule": "invite" })).await;
    let content = raw(&json!({ "history_visibility": "world_readable" }));
    let kind = StateEventType::RoomHistoryVisibility;
    readable.set_state(kind, "", content).await.unwrap();
    add(&root, &readable, "readable").await;
    add(&root, &club, "x").await;
    let told = async |user: &User| names(&all(user, &root).await)[1..].join(" ");
    assert_eq!(told(&alice).await, "either invite knock members public readable club");
    assert_eq!(told(&bob).await, "either knock public readable");
    club.invite(bob.id(), None, false).await.unwrap();
    assert_eq!(told(&bob).await, "either knock public readable club");
    bob.room(club.id()).join(None).await.unwrap();
    assert_eq!(told(&bob).await, "either knock members public readable club");
}

#[tokio::test]
async fn who_may_not_look_into_the_space_is_refused() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let closed = make(&alice, "closed", Some("m.space"), json!({ "join_rule": "invite" })).await;
    let open = space(&alice, "open").await;
    assert_eq!(names(&all(&alice, &closed).await), ["closed"]);
    assert_eq!(names(&all(&bob, &open).await), ["open"]);
    open.ban(bob.id(), None).await.unwrap();
    let nowhere = alice.room(ruma::room_id!("!none:x"));
    for room in [&closed, &open, &nowhere] {
        let refused = walk(&bob, room, HierarchyQuery::default()).await.unwrap_err();
        assert!(matches!(refused, Error::Forbidden(_)));
    }
}

#[tokio::test]
async fn a_page_holds_so_many_rooms_and_no_more() {
    let server = server().await;
    let alice = user(&server, "alice");
    let root = space(&alice, "root").await;
    for number in 0..PAGE {
        add(&root, &room(&alice, "child").await, &format!("{number:02}")).await;
    }
    for limit in [None, Some(u64::MAX)] {
        let query = HierarchyQuery { limit, ..HierarchyQuery::default() };
        let page = walk(&alice, &root, query).await.unwrap();
        assert_eq!(page.rooms.len(), PAGE);
        let rest = HierarchyQuery { from: page.next_batch, ..HierarchyQuery::default() };
        assert_eq!(walk(&alice, &root, rest).await.unwrap().rooms.len(), 1);
    }
}
