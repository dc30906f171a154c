use serde_json::json;
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{
    PasswordCost, Registration, Settings, User,
    testing::{public_room, raw, server_where},
};

async fn open() -> Homeserver {
    let settings =
        Settings { allow_guests: true, password_cost: PasswordCost::LEAST, ..Settings::default() };
    let server = Homeserver::builder("x").unwrap().settings(settings);
    server.start(MemoryEngine::default()).await.unwrap()
}

async fn guest(server: &Homeserver) -> (Session, AccessToken) {
    server.register_guest(NewDevice::default()).await.unwrap()
}

#[tokio::test]
async fn guests_come_only_where_they_may() {
    let closed = server_where(Registration::Open).await;
    let refused = closed.register_guest(NewDevice::default()).await;
    assert!(matches!(refused, Err(Error::NoGuests)));
    let server = open().await;
    let (session, token) = guest(&server).await;
    assert!(session.standing().guest);
    assert!(server.authenticate(token.reveal()).await.unwrap().standing().guest);
    let login = server.login(session.id().as_str(), "", NewDevice::default()).await;
    assert!(matches!(login, Err(Error::WrongPassword)));
}

#[tokio::test]
async fn a_guest_joins_rooms_that_let_guests_in() {
    let server = open().await;
    let (alice, _) = server.register("alice").await.unwrap();
    let room = public_room(&alice, "12").await;
    let (session, _) = guest(&server).await;
    for (access, welcome) in [
        (json!({ "guest_access": "forbidden" }), false),
        (json!({}), false),
        (json!({ "guest_access": 7 }), false),
        (json!({ "guest_access": "can_join" }), true),
    ] {
        room.set_state("m.room.guest_access".into(), "", raw(&access)).await.unwrap();
        let joined = session.room(room.id()).join(None).await;
        assert_eq!(joined.is_ok(), welcome, "{access}: {joined:?}");
        assert!(welcome || matches!(joined, Err(Error::GuestsForbidden)));
    }
    let member: &User = &alice;
    assert_eq!(member.room(room.id()).joined_members().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_guest_becomes_a_member_once_and_keeps_the_name() {
    let server = open().await;
    let (session, token) = guest(&server).await;
    let name = session.id().localpart();
    for wrong in [None, Some("other")] {
        let refused = server.guest(token.reveal(), wrong).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))));
    }
    let found = server.guest(token.reveal(), Some(name)).await.unwrap();
    let password = Secret::new("bananas");
    let (member, _) =
        found.become_member(Some(&password), None, NewDevice::default()).await.unwrap();
    assert_eq!((member.id(), member.standing()), (session.id(), Standing::default()));
    server.login(name, "bananas", NewDevice::default()).await.unwrap();
    let again = found.become_member(Some(&password), None, NewDevice::default()).await;
    assert!(matches!(again, Err(Error::Forbidden(_))));
    let refused = server.guest(token.reveal(), Some(name)).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "a member is no guest");
}
