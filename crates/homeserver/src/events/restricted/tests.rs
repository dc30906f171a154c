use ruma::{RoomVersionId, events::StateEventType};
use serde_json::{Value, json};
use tertulia_protocol::{InitialState, NewRoom, Preset};

use crate::{
    Error, Homeserver, Room,
    core::User,
    testing::{public_room, raw, server, user},
};

/// Alice's club, and a room of hers for those in the club.
struct Scene {
    server: Homeserver,
    club: Room,
    room: Room,
}

impl Scene {
    async fn new(version: &str, rule: &str) -> Self {
        let server = server().await;
        let alice = user(&server, "alice");
        let club = public_room(&alice, version).await;
        let room = restricted(&alice, version, rule, &club, json!({})).await;
        Self { server, club, room }
    }

    fn user(&self, name: &str) -> User {
        user(&self.server, name)
    }

    async fn member(&self, name: &str) -> User {
        let user = self.user(name);
        user.room(self.club.id()).join(None).await.unwrap();
        user
    }
}

async fn restricted(creator: &User, version: &str, rule: &str, club: &Room, levels: Value) -> Room {
    let version = RoomVersionId::try_from(version).unwrap();
    let allow = json!([
        { "type": "m.room_membership", "room_id": "!elsewhere:y" },
        { "type": "m.room_membership", "room_id": club.id() },
    ]);
    let Value::Object(power_levels) = levels else { panic!("not an object") };
    let rules = InitialState {
        kind: StateEventType::RoomJoinRules,
        state_key: String::new(),
        content: raw(&json!({ "join_rule": rule, "allow": allow })),
    };
    let wishes = NewRoom {
        preset: Preset::PublicChat,
        initial_state: vec![rules],
        power_levels,
        ..NewRoom::new(creator.id().to_owned(), version)
    };
    creator.create_room(wishes).await.unwrap()
}

async fn joins(user: &User, room: &Room) -> bool {
    match user.room(room.id()).join(None).await {
        Ok(()) => true,
        Err(Error::Forbidden(_) | Error::Refused(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Who answered for `user`.
async fn authoriser(user: &User, room: &Room) -> Value {
    let key = user.id().as_str();
    let event = room.state_event(&StateEventType::RoomMember, key).await.unwrap();
    let content: Value = serde_json::from_str(event.content().get()).unwrap();
    content["join_authorised_via_users_server"].clone()
}

#[tokio::test]
async fn members_of_an_allowed_room_come_in() {
    for (rule, versions) in [("restricted", 8..=12), ("knock_restricted", 10..=12)] {
        for version in versions {
            let scene = Scene::new(&version.to_string(), rule).await;
            let (bob, carol) = (scene.member("bob").await, scene.user("carol"));
            assert!(joins(&bob, &scene.room).await, "{rule}, version {version}");
            assert!(!joins(&carol, &scene.room).await, "{rule}, version {version}");
            assert_eq!(authoriser(&bob, &scene.room).await, "@alice:x");
        }
    }
}

#[tokio::test]
async fn who_left_the_allowed_room_stays_outside() {
    let scene = Scene::new("11", "restricted").await;
    let bob = scene.member("bob").await;
    bob.room(scene.club.id()).leave(None).await.unwrap();
    let refusal = bob.room(scene.room.id()).join(None).await;
    assert!(matches!(refusal, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn who_was_invited_comes_in_without_anybodys_word() {
    let scene = Scene::new("11", "restricted").await;
    let carol = scene.user("carol");
    scene.room.invite(carol.id(), None, false).await.unwrap();
    assert!(joins(&carol, &scene.room).await);
    assert_eq!(authoriser(&carol, &scene.room).await, Value::Null);
}

#[tokio::test]
async fn who_is_banned_stays_outside() {
    let scene = Scene::new("11", "restricted").await;
    let bob = scene.member("bob").await;
    scene.room.ban(bob.id(), None).await.unwrap();
    assert!(!joins(&bob, &scene.room).await);
}

#[tokio::test]
async fn without_anybody_who_may_invite_nobody_comes_in() {
    let scene = Scene::new("11", "restricted").await;
    let (bob, carol) = (scene.member("bob").await, scene.member("carol").await);
    assert!(joins(&bob, &scene.room).await);
    scene.room.leave(None).await.unwrap();
    assert!(!joins(&carol, &scene.room).await, "bob has no power to invite");
}

#[tokio::test]
async fn where_everyone_may_invite_the_first_who_is_there_answers() {
    let scene = Scene::new("11", "restricted").await;
    let levels = json!({ "invite": 0 });
    let alice = scene.user("alice");
    let room = restricted(&alice, "11", "restricted", &scene.club, levels).await;
    let (carol, bob, dave) =
        (scene.member("carol").await, scene.member("bob").await, scene.member("dave").await);
    assert!(joins(&carol, &room).await && joins(&bob, &room).await);
    room.leave(None).await.unwrap();
    assert!(joins(&dave, &room).await);
    assert_eq!(authoriser(&dave, &bob.room(room.id())).await, "@bob:x");
}

#[tokio::test]
async fn a_member_event_sent_as_state_follows_the_same_rules() {
    let scene = Scene::new("11", "restricted").await;
    let (bob, carol) = (scene.member("bob").await, scene.user("carol"));
    let send = async |user: &User, name: &str| {
        let claim = json!({ "membership": "join", "join_authorised_via_users_server": "@alice:x",
            "displayname": name });
        let room = user.room(scene.room.id());
        room.set_state(StateEventType::RoomMember, user.id().as_str(), raw(&claim)).await
    };
    assert!(matches!(send(&carol, "c").await, Err(Error::Forbidden(_))));
    send(&bob, "b").await.unwrap();
    assert_eq!(authoriser(&bob, &scene.room).await, "@alice:x");
    send(&bob, "bobby").await.unwrap();
    assert_eq!(authoriser(&bob, &scene.room).await, Value::Null, "who is in needs nobody");
}
