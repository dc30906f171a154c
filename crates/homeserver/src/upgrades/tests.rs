//! What replacing a room promises, through the library.

use futures_util::future::join_all;
use ruma::{RoomAliasId, events::StateEventType};
use serde_json::{Value, json};
use tertulia_protocol::{InitialState, NewRoom};
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{
    Visibility,
    testing::{public_room, raw, server, user},
};

const NAMES: [&str; 2] = ["#one:x", "#two:x"];

fn version(name: &str) -> RoomVersionId {
    name.try_into().unwrap()
}

async fn server_on(engine: &MemoryEngine) -> Homeserver {
    Homeserver::start("x", engine.clone()).await.unwrap()
}

/// A room of alice's with a name, two aliases, of which one is its main one, and a banned user.
async fn old_room(alice: &User, of: &str) -> Room {
    let room = public_room(alice, of).await;
    for name in NAMES {
        alice.create_alias(&RoomAliasId::parse(name).unwrap(), room.id()).await.unwrap();
    }
    let state = [
        (StateEventType::RoomName, json!({ "name": "Pub" })),
        (StateEventType::RoomCanonicalAlias, json!({ "alias": NAMES[0], "alt_aliases": ["#f:y"] })),
    ];
    for (kind, content) in state {
        room.set_state(kind, "", raw(&content)).await.unwrap();
    }
    let banned = ruma::user_id!("@spam:x");
    room.set_visibility(Visibility::Public).await.unwrap();
    room.ban(banned, Some("spam".to_owned())).await.unwrap();
    room
}

async fn state(room: &Room, kind: StateEventType, key: &str) -> Value {
    let event = room.state_event(&kind, key).await;
    event.map_or(Value::Null, |event| serde_json::from_str(event.content().get()).unwrap())
}

/// Everything about the two rooms is as it is to be.
async fn check_replaced(old: &Room, new: &Room) {
    use StateEventType as Type;
    let tombstone = state(old, Type::RoomTombstone, "").await;
    assert_eq!(tombstone["replacement_room"], new.id().as_str());
    let levels = state(old, Type::RoomPowerLevels, "").await;
    assert_eq!((&levels["events_default"], &levels["invite"]), (&json!(50), &json!(50)));
    let left = json!({ "alt_aliases": ["#f:y"] });
    assert_eq!(state(old, Type::RoomCanonicalAlias, "").await, left);
    assert_eq!(state(new, Type::RoomCanonicalAlias, "").await, json!({ "alias": NAMES[0] }));
    assert_eq!(state(new, Type::RoomName, "").await, json!({ "name": "Pub" }));
    let banned = state(new, Type::RoomMember, "@spam:x").await;
    assert_eq!(banned, json!({ "membership": "ban", "reason": "spam" }));
    assert_eq!(new.aliases().await.unwrap(), NAMES);
    assert_eq!(old.aliases().await.unwrap().len(), 0);
    let members = new.joined_members().await.unwrap();
    assert_eq!(members.iter().map(|member| &*member.user).collect::<Vec<_>>(), [new.user().id()]);
    let server = Homeserver { core: new.user().core.clone() };
    let shown =
        [server.visibility(old.id()).await.unwrap(), server.visibility(new.id()).await.unwrap()];
    assert_eq!(shown, [Visibility::Private, Visibility::Public]);
    assert!(begun_upgrades(&server).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_room_of_every_version_is_replaced_with_all_it_has() {
    let server = server().await;
    let alice = user(&server, "alice");
    for of in 1..=12 {
        let old = old_room(&alice, &of.to_string()).await;
        let new =
            old.upgrade(&version(if of % 2 == 0 { "12" } else { "11" }), vec![]).await.unwrap();
        check_replaced(&old, &new).await;
        for name in NAMES {
            alice.delete_alias(&RoomAliasId::parse(name).unwrap()).await.unwrap();
        }
    }
}

/// How far an upgrade comes before the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Intended,
    Made,
    Told,
    Moved,
    Listed,
    Carried,
}

/// Takes the steps of an upgrade up to one of them.
async fn upgrade_until(old: &Room, to: &str, last: Step) {
    let Intended::UnderWay(row) = old.intend_upgrade(&version(to), vec![]).await.unwrap() else {
        panic!("nothing was replaced yet");
    };
    let core = &old.user().core;
    let aliases: BTreeSet<_> =
        NAMES.iter().map(|name| RoomAliasId::parse(*name).unwrap().to_owned()).collect();
    if last >= Step::Made {
        let new = old.make_replacement(&row, |alias| aliases.contains(alias)).await.unwrap();
        if last >= Step::Told {
            old.end_replaced(new.id(), aliases.clone()).await.unwrap();
        }
        if last >= Step::Moved {
            move_aliases(core, &aliases, old.id(), new.id()).await.unwrap();
        }
        if last >= Step::Listed {
            old.give_place_to(&new).await.unwrap();
        }
        if last >= Step::Carried {
            carry_settings(old.user(), old.id(), new.id()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_upgrade_goes_on_wherever_the_server_stopped() {
    let steps = [Step::Intended, Step::Made, Step::Told, Step::Moved, Step::Listed, Step::Carried];
    for (to, last) in ["11", "12"].into_iter().flat_map(|to| steps.map(|step| (to, step))) {
        let engine = MemoryEngine::default();
        let server = server_on(&engine).await;
        let old = old_room(&user(&server, "alice"), "10").await;
        upgrade_until(&old, to, last).await;
        server.shutdown().await;
        let server = server_on(&engine.reopen()).await;
        server.go_on_upgrading().await.unwrap();
        let old = user(&server, "alice").room(old.id());
        // To ask once more tells what has become of it.
        let new = old.upgrade(&version(to), vec![]).await.unwrap();
        check_replaced(&old, &new).await;
    }
}

#[tokio::test]
async fn of_many_upgrades_at_once_there_is_one() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let mut wishes = NewRoom::new(alice.id().to_owned(), version("11"));
    let levels = json!({ "users": { "@alice:x": 100, "@bob:x": 100 } });
    wishes.initial_state = vec![InitialState {
        kind: StateEventType::RoomPowerLevels,
        state_key: String::new(),
        content: raw(&levels),
    }];
    wishes.invite = vec![bob.id().to_owned()];
    let old = alice.create_room(wishes).await.unwrap();
    let theirs = bob.room(old.id());
    theirs.join(None).await.unwrap();
    let callers = (0..16).map(|n| {
        let room = if n % 2 == 0 { &old } else { &theirs };
        async move { room.upgrade(&version("12"), vec![]).await }
    });
    let mut made = BTreeSet::new();
    for outcome in join_all(callers).await {
        match outcome {
            Ok(room) => drop(made.insert(room.id().to_owned())),
            Err(Error::Forbidden(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(made.len(), 1);
    let joined = [&alice, &bob].map(|user| user.joined_rooms());
    let joined = join_all(joined).await.into_iter().map(|rooms| rooms.unwrap().len());
    assert_eq!(joined.sum::<usize>(), 3, "no room was made in vain");
}

#[tokio::test]
async fn who_may_not_end_a_room_leaves_no_trace() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let old = public_room(&alice, "11").await;
    let theirs = bob.room(old.id());
    let refused = theirs.upgrade(&version("11"), vec![]).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused:?}");
    theirs.join(None).await.unwrap();
    let refused = theirs.upgrade(&version("11"), vec![]).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused:?}");
    assert_eq!(bob.joined_rooms().await.unwrap().len(), 1);
    assert!(begun_upgrades(&server).await.unwrap().is_empty());
    let unknown = old.upgrade(&version("org.example.1"), vec![]).await.unwrap_err();
    assert!(matches!(unknown, Error::UnsupportedRoomVersion));
    let nowhere = alice.room(ruma::room_id!("!none:x")).upgrade(&version("11"), vec![]).await;
    assert!(matches!(nowhere, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn who_loses_the_right_meanwhile_replaces_nothing() {
    let server = server().await;
    let alice = user(&server, "alice");
    let old = old_room(&alice, "11").await;
    upgrade_until(&old, "12", Step::Made).await;
    old.leave(None).await.unwrap();
    server.go_on_upgrading().await.unwrap();
    assert!(begun_upgrades(&server).await.unwrap().is_empty());
    let first = RoomAliasId::parse(NAMES[0]).unwrap();
    assert_eq!(server.resolve_alias(&first).await.unwrap().0, old.id());
}

#[tokio::test]
async fn settings_follow_only_where_both_rooms_say_so() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let old = public_room(&alice, "11").await;
    bob.room(old.id()).join(None).await.unwrap();
    let tag = ruma::events::tag::TagInfo::new();
    bob.set_tag(old.id(), "u.mine", &tag).await.unwrap();
    // Anybody may claim to replace a room.
    let mut claims = NewRoom::new(alice.id().to_owned(), version("12"));
    let content = json!({ "predecessor": { "room_id": old.id() } });
    claims.creation_content = content.as_object().unwrap().clone();
    claims.preset = tertulia_protocol::Preset::PublicChat;
    let claimed = alice.create_room(claims).await.unwrap();
    bob.room(claimed.id()).join(None).await.unwrap();
    assert!(bob.tags(claimed.id()).await.unwrap().is_empty());
    let new = old.upgrade(&version("12"), vec![]).await.unwrap();
    bob.room(new.id()).join(None).await.unwrap();
    assert_eq!(bob.tags(new.id()).await.unwrap().len(), 1);
    // What was decided about the new room stays so.
    bob.remove_tag(new.id(), "u.mine").await.unwrap();
    bob.room(new.id()).leave(None).await.unwrap();
    bob.room(new.id()).join(None).await.unwrap();
    assert!(bob.tags(new.id()).await.unwrap().is_empty());
}
