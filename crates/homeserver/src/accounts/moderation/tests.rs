use ruma::{RoomId, UserId, user_id};
use serde_json::json;

use super::*;
use crate::{
    Homeserver, NewAccount, NewDevice, NewFile, NewGroup, NewRoom, ProfileField, Registration,
    Remains, Secret, Session, Standing, User,
    testing::{public_room, raw, server_where},
};

async fn register(server: &Homeserver, name: &str, admin: bool) -> Session {
    let password = Some(Secret::new("bananas"));
    let device = NewDevice { renewable: true, ..NewDevice::default() };
    let account = NewAccount { password, admin, device, ..name.into() };
    server.register(account).await.unwrap().0
}

/// A server, an administrator, and Bob.
async fn setting() -> (Homeserver, Session, Session) {
    let server = server_where(Registration::Open).await;
    let root = register(&server, "root", true).await;
    let bob = register(&server, "bob", false).await;
    (server, root, bob)
}

const BOTH: [Restriction; 2] = [Restriction::Lock, Restriction::Suspension];

#[tokio::test]
async fn a_restriction_is_set_told_and_taken_back() {
    let (_, root, bob) = setting().await;
    for what in BOTH {
        for holds in [true, true, false, false] {
            root.restrict(bob.id(), what, holds).await.unwrap();
            for other in BOTH {
                let told = root.is_restricted(bob.id(), other).await.unwrap();
                assert_eq!(told, holds && other == what, "{what:?} {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_holds_already_is_not_told_again() {
    let (server, root, bob) = setting().await;
    let settled = || server.core.store.settled().get();
    for what in BOTH {
        let before = settled();
        for holds in [true, true, false, false] {
            root.restrict(bob.id(), what, holds).await.unwrap();
        }
        assert_eq!(settled(), before + 2, "{what:?}");
    }
}

#[tokio::test]
async fn only_administrators_restrict_and_learn_of_it() {
    let (_, root, bob) = setting().await;
    for target in [root.id(), bob.id(), user_id!("@nobody:example.org"), user_id!("@a:elsewhere")] {
        for what in BOTH {
            let set = bob.restrict(target, what, true).await;
            assert!(matches!(set, Err(Error::Forbidden(_))), "{target}");
            let asked = bob.is_restricted(target, what).await;
            assert!(matches!(asked, Err(Error::Forbidden(_))), "{target}");
        }
    }
}

#[tokio::test]
async fn administrators_do_not_restrict_each_other_or_themselves() {
    let (server, root, _) = setting().await;
    let other = register(&server, "other", true).await;
    for target in [root.id(), other.id()] {
        let set = root.restrict(target, Restriction::Lock, true).await;
        assert!(matches!(set, Err(Error::Forbidden(_))), "{target}");
    }
    assert!(!root.is_restricted(root.id(), Restriction::Lock).await.unwrap());
    let asked = root.is_restricted(other.id(), Restriction::Lock).await;
    assert!(matches!(asked, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn who_is_not_here_is_not_restricted() {
    let (_, root, bob) = setting().await;
    bob.deactivate(Remains::Keep).await.unwrap();
    for gone in [bob.id(), user_id!("@nobody:example.org")] {
        let set = root.restrict(gone, Restriction::Lock, true).await;
        assert!(matches!(set, Err(Error::NotFound("user"))), "{gone}");
        let asked = root.is_restricted(gone, Restriction::Lock).await;
        assert!(matches!(asked, Err(Error::NotFound("user"))), "{gone}");
    }
    let foreign = root.restrict(user_id!("@a:elsewhere"), Restriction::Lock, true).await;
    assert!(matches!(foreign, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_session_knows_how_its_user_stands() {
    let (server, root, bob) = setting().await;
    let device = || NewDevice { renewable: true, ..NewDevice::default() };
    let (session, token) = server.login("bob", "bananas", device()).await.unwrap();
    assert_eq!(session.standing(), Standing::default());
    root.restrict(bob.id(), Restriction::Suspension, true).await.unwrap();
    let standing = server.authenticate(token.reveal()).await.unwrap().standing();
    assert_eq!(standing, Standing { suspended: true, ..Standing::default() });
    let (session, _) = server.login("bob", "bananas", device()).await.unwrap();
    assert!(session.standing().suspended, "one may log in meanwhile");
    root.restrict(bob.id(), Restriction::Lock, true).await.unwrap();
    let standing = server.authenticate(token.reveal()).await.unwrap().standing();
    assert_eq!(
        standing,
        Standing { locked: true, suspended: true, guest: false },
        "the session goes on"
    );
}

#[tokio::test]
async fn a_locked_user_gets_no_new_session_or_token() {
    let (server, root, bob) = setting().await;
    let device = || NewDevice { renewable: true, ..NewDevice::default() };
    let (_, token) = server.login("bob", "bananas", device()).await.unwrap();
    let pass = bob.login_token().await.unwrap();
    root.restrict(bob.id(), Restriction::Lock, true).await.unwrap();
    let login = server.login("bob", "bananas", device()).await;
    assert!(matches!(login, Err(Error::Locked)));
    assert!(matches!(server.login("bob", "x", device()).await, Err(Error::WrongPassword)));
    let login = server.login_with_token(pass.token.reveal(), device()).await;
    assert!(matches!(login, Err(Error::Locked)));
    let refresh_token = &token.renewal().unwrap().refresh_token;
    assert!(matches!(server.refresh(refresh_token.reveal()).await, Err(Error::Locked)));
    root.restrict(bob.id(), Restriction::Lock, false).await.unwrap();
    server.refresh(refresh_token.reveal()).await.unwrap();
    server.login_with_token(pass.token.reveal(), device()).await.unwrap();
}

#[tokio::test]
async fn devices_are_told_to_their_user_and_to_administrators() {
    let (_, root, bob) = setting().await;
    for asker in [&root, &bob] {
        assert_eq!(asker.devices_of(bob.id()).await.unwrap().len(), 1);
    }
    assert!(matches!(bob.devices_of(root.id()).await, Err(Error::Forbidden(_))));
    let nobody = root.devices_of(user_id!("@nobody:example.org")).await;
    assert!(matches!(nobody, Err(Error::NotFound("user"))));
}

/// What `bob` gets to hear who tries everything that is closed to the suspended, in `room` and elsewhere.
async fn tries(bob: &User, room: &RoomId, alice: &UserId) -> Vec<(&'static str, Result<()>)> {
    let here = bob.room(room);
    let label = || crate::Label { content_type: None, name: None };
    let new = NewRoom::new(bob.id().to_owned(), ruma::RoomVersionId::V11);
    let version = ruma::RoomVersionId::V12;
    let name = ProfileField::DISPLAY_NAME;
    vec![
        ("create", bob.create_room(new).await.map(drop)),
        ("group", bob.groups().create(NewGroup::default()).await.map(drop)),
        ("join", here.join(None).await),
        ("knock", here.knock(None).await),
        ("invite", here.invite(alice, None, false).await),
        ("kick", here.kick(alice, None).await),
        ("ban", here.ban(alice, None).await),
        ("unban", here.unban(alice, None).await),
        ("upgrade", here.upgrade(&version, Vec::new()).await.map(drop)),
        ("send", here.send_text("x").await.map(drop)),
        ("react", here.react(ruma::event_id!("$e"), "x").await.map(drop)),
        ("image", here.send_image(NewFile::from_bytes("a.png", "x")).await.map(drop)),
        ("state", here.set_state("m.room.topic".into(), "", raw(&json!({}))).await.map(drop)),
        ("type", here.typing(true).await),
        ("dissolve", bob.groups().dissolve(room).await),
        ("profile", bob.set_profile_field(name.clone(), "x".into()).await),
        ("no profile", bob.delete_profile_field(name).await),
        ("alias", bob.create_alias(ruma::room_alias_id!("#a:example.org"), room).await),
        ("publish", here.set_visibility(crate::Visibility::Public).await),
        ("upload", bob.upload(label()).await.map(drop)),
        ("reserve", bob.reserve_media().await.map(drop)),
        ("upload to", bob.upload_to(bob.id().server_name(), "id", label()).await.map(drop)),
        ("befriend", bob.friends().request(alice, None).await.map(drop)),
        ("accept", bob.friends().accept(alice).await.map(drop)),
    ]
}

#[tokio::test]
async fn one_who_is_suspended_does_not_speak_or_meet_others_by_any_call() {
    let (server, root, bob) = setting().await;
    let alice = register(&server, "alice", false).await;
    let mine = public_room(&bob, "11").await;
    let said = mine.send_text("mine").await.unwrap();
    let theirs = root.room(mine.id());
    theirs.join(None).await.unwrap();
    let other = theirs.send_text("another's").await.unwrap();
    alice.friends().request(bob.id(), None).await.unwrap();
    root.restrict(bob.id(), Restriction::Suspension, true).await.unwrap();
    let bob = server.user("bob").await.unwrap();
    for (what, tried) in tries(&bob, mine.id(), alice.id()).await {
        assert!(matches!(tried, Err(Error::Suspended)), "{what}: {tried:?}");
    }
    let room = bob.room(mine.id());
    let taken = room.redact(&other, None, None).await;
    assert!(matches!(taken, Err(Error::Suspended)), "{taken:?}");
    room.redact(&said, None, None).await.unwrap();
    room.typing(false).await.unwrap();
    bob.friends().refuse(alice.id()).await.unwrap();
    room.leave(None).await.unwrap();
    root.restrict(bob.id(), Restriction::Suspension, false).await.unwrap();
    let bob = server.user("bob").await.unwrap();
    bob.room(mine.id()).join(None).await.unwrap();
    bob.room(mine.id()).send_text("back").await.unwrap();
}
