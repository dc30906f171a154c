mod law;

use ruma::{RoomVersionId, room_alias_id, room_id};
use serde_json::json;

use super::*;
use crate::testing::{public_room, raw, server, user};

async fn resolves_to(server: &Homeserver, alias: &RoomAliasId) -> Option<OwnedRoomId> {
    server.resolve_alias(alias).await.ok().map(|(room, _)| room)
}

fn new_room(user: &User) -> NewRoom {
    NewRoom::new(user.id().to_owned(), RoomVersionId::V12)
}

#[tokio::test]
async fn an_alias_stands_for_one_room() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let (room, other) = (public_room(&alice, "12").await, public_room(&alice, "11").await);
    let alias = room_alias_id!("#a:x");
    let refused = bob.create_alias(alias, room.id()).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "only members name a room");
    bob.room(room.id()).join(None).await.unwrap();
    bob.create_alias(alias, room.id()).await.unwrap();
    let found = server.resolve_alias(alias).await.unwrap();
    assert_eq!(found, (room.id().to_owned(), vec![server.name().to_owned()]));
    for taken in [room.id(), other.id()] {
        let refused = alice.create_alias(alias, taken).await.unwrap_err();
        assert!(matches!(refused, Error::AliasInUse(_)));
    }
    assert_eq!(room.aliases().await.unwrap(), [alias]);
    assert!(other.aliases().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_alias_is_this_servers_and_stands_for_a_room_that_is_there() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let refused = alice.create_alias(room_alias_id!("#a:y"), room.id()).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)));
    let refused = alice.create_alias(room_alias_id!("#a:x"), room_id!("!b:x")).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound(_)));
    for alias in [room_alias_id!("#a:x"), room_alias_id!("#a:y")] {
        let refused = server.resolve_alias(alias).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound(_)));
    }
}

#[tokio::test]
async fn an_alias_is_deleted_by_its_maker_or_by_who_rules_the_room() {
    let server = server().await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(&server, name));
    let room = public_room(&alice, "12").await;
    bob.room(room.id()).join(None).await.unwrap();
    carol.room(room.id()).join(None).await.unwrap();
    let alias = room_alias_id!("#a:x");
    for maker in [&bob, &alice] {
        bob.create_alias(alias, room.id()).await.unwrap();
        let refused = carol.delete_alias(alias).await.unwrap_err();
        assert!(matches!(refused, Error::Forbidden(_)));
        maker.delete_alias(alias).await.unwrap();
        assert_eq!(resolves_to(&server, alias).await, None);
        assert!(room.aliases().await.unwrap().is_empty());
        let refused = maker.delete_alias(alias).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound(_)));
    }
}

#[tokio::test]
async fn a_deleted_alias_disappears_from_the_rooms_own_list() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let (main, other) = (room_alias_id!("#main:x"), room_alias_id!("#other:x"));
    for alias in [main, other] {
        alice.create_alias(alias, room.id()).await.unwrap();
    }
    let kind = StateEventType::RoomCanonicalAlias;
    let content = json!({ "alias": main, "alt_aliases": [other] });
    room.set_state(kind.clone(), "", raw(&content)).await.unwrap();
    alice.delete_alias(other).await.unwrap();
    let left = room.state_event(&kind, "").await.unwrap();
    assert_eq!(left.content().get(), r##"{"alias":"#main:x","alt_aliases":[]}"##);
    alice.delete_alias(main).await.unwrap();
    let left = room.state_event(&kind, "").await.unwrap();
    assert_eq!(left.content().get(), r#"{"alt_aliases":[]}"#);
}

#[tokio::test]
async fn members_list_aliases_and_others_only_where_anyone_may_read() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let of_bob = bob.room(room.id());
    assert!(matches!(of_bob.aliases().await.unwrap_err(), Error::Forbidden(_)));
    assert!(matches!(bob.room(room_id!("!b:x")).aliases().await, Err(Error::Forbidden(_))));
    let readable = json!({ "history_visibility": "world_readable" });
    let kind = StateEventType::RoomHistoryVisibility;
    room.set_state(kind, "", raw(&readable)).await.unwrap();
    assert!(of_bob.aliases().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_room_is_joined_by_its_alias() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let alias = room_alias_id!("#a:x");
    alice.create_alias(alias, room.id()).await.unwrap();
    let joined = bob.join(alias.into(), None).await.unwrap();
    assert_eq!(joined.id(), room.id());
    assert_eq!(bob.join(room.id().into(), None).await.unwrap().id(), room.id());
    assert_eq!(room.joined_members().await.unwrap().len(), 2);
    for alias in [room_alias_id!("#b:x"), room_alias_id!("#a:y")] {
        let refused = bob.join(alias.into(), None).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound(_)));
    }
}

#[tokio::test]
async fn a_room_has_its_alias_from_the_start() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let alias = room_alias_id!("#a:x");
    let room = alice.create_room_with_alias(alias, new_room(&alice)).await.unwrap();
    assert_eq!(resolves_to(&server, alias).await.as_deref(), Some(room.id()));
    let named = room.state_event(&StateEventType::RoomCanonicalAlias, "").await.unwrap();
    assert_eq!(named.content().get(), r##"{"alias":"#a:x"}"##);

    let refused = bob.create_room_with_alias(alias, new_room(&bob)).await.unwrap_err();
    assert!(matches!(refused, Error::RoomInUse(_)));
    let remote = room_alias_id!("#a:y");
    let refused = bob.create_room_with_alias(remote, new_room(&bob)).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)));
}

#[tokio::test]
async fn an_alias_is_free_again_when_its_room_could_not_be_made() {
    let server = server().await;
    let alice = user(&server, "alice");
    let alias = room_alias_id!("#a:x");
    let unknown = RoomVersionId::try_from("org.example.unknown").unwrap();
    let room = NewRoom::new(alice.id().to_owned(), unknown);
    let refused = alice.create_room_with_alias(alias, room).await.unwrap_err();
    assert!(matches!(refused, Error::UnsupportedRoomVersion));
    alice.create_room_with_alias(alias, new_room(&alice)).await.unwrap();
}

#[tokio::test]
async fn a_claim_that_a_crash_left_is_void_after_a_while() {
    let server = server().await;
    let alice = user(&server, "alice");
    let alias = room_alias_id!("#a:x");
    let claim = async |room: Option<&RoomId>, created| {
        let row = AliasRow { room: room.map(ToOwned::to_owned), ..alice.alias_row(None) };
        alice.claim(alias, AliasRow { created, ..row }).await
    };
    claim(None, 1_000).await.unwrap();
    assert_eq!(resolves_to(&server, alias).await, None);
    claim(None, 1_000 + CLAIM_LASTS).await.unwrap_err();
    let room = room_id!("!a:x");
    claim(Some(room), 1_001 + CLAIM_LASTS).await.unwrap();
    claim(None, u64::MAX / 2).await.unwrap_err();
    assert_eq!(resolves_to(&server, alias).await.as_deref(), Some(room));
}

#[tokio::test]
async fn a_room_names_only_aliases_that_stand_for_it() {
    let server = server().await;
    let alice = user(&server, "alice");
    let (room, other) = (public_room(&alice, "12").await, public_room(&alice, "12").await);
    alice.create_alias(room_alias_id!("#mine:x"), room.id()).await.unwrap();
    alice.create_alias(room_alias_id!("#others:x"), other.id()).await.unwrap();
    let check = async |content: serde_json::Value| room.check_canonical_alias(&raw(&content)).await;
    check(json!({})).await.unwrap();
    check(json!({ "alias": null, "alt_aliases": null })).await.unwrap();
    check(json!({ "alias": "", "alt_aliases": ["#mine:x"] })).await.unwrap();
    check(json!({ "alias": "#mine:x", "alt_aliases": ["#mine:x"] })).await.unwrap();
    for bad in [
        json!({ "alias": "#others:x" }),
        json!({ "alias": "#none:x" }),
        json!({ "alias": "#mine:x", "alt_aliases": ["#mine:y"] }),
    ] {
        assert!(matches!(check(bad).await.unwrap_err(), Error::BadAlias(_)));
    }
    for invalid in [json!({ "alias": "mine" }), json!({ "alt_aliases": [7] })] {
        assert!(matches!(check(invalid).await.unwrap_err(), Error::Invalid(_)));
    }
    // What a room names already it may go on naming.
    let content = raw(&json!({ "alias": "#mine:x" }));
    room.set_state(StateEventType::RoomCanonicalAlias, "", content).await.unwrap();
    alice.delete_alias(room_alias_id!("#mine:x")).await.unwrap();
    check(json!({ "alias": "#mine:x" })).await.unwrap_err();
}

#[test]
fn an_alias_is_taken_out_wherever_it_stands() {
    let check = |content: serde_json::Value, expected: Option<serde_json::Value>| {
        let left = without(&raw(&content), room_alias_id!("#a:x"));
        let left = left.map(|left| serde_json::from_str(left.get()).unwrap());
        assert_eq!(left, expected, "{content}");
    };
    check(json!({}), None);
    check(json!({ "alias": "#b:x", "alt_aliases": ["#c:x"] }), None);
    check(json!({ "alias": "#a:x", "more": 1 }), Some(json!({ "more": 1 })));
    check(json!({ "alt_aliases": ["#b:x", "#a:x"] }), Some(json!({ "alt_aliases": ["#b:x"] })));
    check(json!({ "alias": 7, "alt_aliases": "#a:x" }), None);
}
