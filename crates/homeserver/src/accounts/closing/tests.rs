use ruma::OwnedEventId;
use serde_json::{Value, json};

use super::*;
use crate::{
    Homeserver, NewAccount, NewDevice, OtherSessions, ProfileField, Registration, Room, Secret,
    Session,
    schema::LOG,
    testing::{carried, public_room, server_where},
};

async fn server_with_alice() -> (Homeserver, Session) {
    let server = server_where(Registration::Open).await;
    let account = NewAccount { password: Some(Secret::new("bananas")), .."alice".into() };
    let (alice, _) = server.register(account).await.unwrap();
    alice.set_profile_field(ProfileField::DISPLAY_NAME, json!("Alice")).await.unwrap();
    (server, alice)
}

#[tokio::test]
async fn a_closed_account_is_closed_to_everyone() {
    let (server, alice) = server_with_alice().await;
    alice.deactivate(Remains::Keep).await.unwrap();
    assert!(!alice.is_valid().await.unwrap());
    for password in ["bananas", "wrong"] {
        let refused = server.login("alice", password, NewDevice::default()).await;
        assert!(matches!(refused, Err(Error::Deactivated)), "{password}");
    }
    let field = ProfileField::DISPLAY_NAME;
    assert!(matches!(server.user("alice").await, Err(Error::Deactivated)));
    assert!(matches!(alice.set_profile_field(field, json!("A")).await, Err(Error::Deactivated)));
    let refused = alice.set_password("new password", OtherSessions::Keep).await;
    assert!(matches!(refused, Err(Error::Deactivated)));
    assert!(matches!(
        server.reset_password("alice", "new password").await,
        Err(Error::Deactivated)
    ));
}

#[tokio::test]
async fn the_name_of_a_closed_account_stays_taken() {
    let (server, alice) = server_with_alice().await;
    alice.deactivate(Remains::Erase).await.unwrap();
    assert!(matches!(server.register("alice").await, Err(Error::UserNameTaken)));
    assert!(matches!(server.available("alice").await, Err(Error::UserNameTaken)));
}

#[tokio::test]
async fn the_profile_goes_if_that_was_asked_for() {
    for (remains, expected) in [(Remains::Keep, 1), (Remains::Erase, 0)] {
        let (server, alice) = server_with_alice().await;
        alice.deactivate(remains).await.unwrap();
        let profile = server.profile(alice.id()).await.unwrap();
        assert_eq!(profile.len(), expected, "{remains:?}");
        let account = users::account(&server.core.store.view().await.unwrap(), alice.id()).await;
        let account = account.unwrap().unwrap();
        assert_eq!(account.erased, remains == Remains::Erase);
        assert_eq!(account.password, None);
    }
}

#[tokio::test]
async fn closing_is_told_once() {
    let (server, alice) = server_with_alice().await;
    alice.deactivate(Remains::Keep).await.unwrap();
    alice.deactivate(Remains::Keep).await.unwrap();
    let view = server.core.store.view().await.unwrap();
    let log = view.scan(&LOG, &(), tertulia_storage::Direction::Forward, 100).await.unwrap();
    let closed = Entry::Deactivated { user: alice.id().to_owned() };
    assert_eq!(log.iter().filter(|(_, entry)| *entry == closed).count(), 1);
}

#[tokio::test]
async fn an_administrator_no_more() {
    let server = server_where(Registration::Open).await;
    let account = NewAccount { admin: true, .."root".into() };
    let root = server.create_user(account).await.unwrap();
    assert!(root.is_admin().await.unwrap());
    root.deactivate(Remains::Keep).await.unwrap();
    assert!(!root.is_admin().await.unwrap());
}

/// Alice's words in a room, as one hears them who comes in now.
async fn heard(alice: &Session, room: &Room, said: &OwnedEventId) -> Value {
    let server = Homeserver { core: alice.core.clone() };
    let theirs = server.create_user("bob").await.unwrap().room(room.id());
    theirs.join(None).await.unwrap();
    serde_json::from_str(theirs.event(said).await.unwrap().content().get()).unwrap()
}

#[tokio::test]
async fn an_erasure_that_nobody_waited_for_is_learned_from_the_log() {
    let (server, alice) = server_with_alice().await;
    let room = public_room(&alice, "12").await;
    let said = room.send_text("secret").await.unwrap();
    let (user, remains) = (alice.id().to_owned(), Remains::Erase);
    server.core.store.write(Deactivate { user, remains, at: 1 }).await.unwrap();
    carried(&server).await;
    assert_eq!(heard(&alice, &room, &said).await, json!({}));
}

#[tokio::test]
async fn an_account_that_is_closed_already_is_not_erased_later() {
    let (_server, alice) = server_with_alice().await;
    let room = public_room(&alice, "12").await;
    let said = room.send_text("no secret").await.unwrap();
    alice.deactivate(Remains::Keep).await.unwrap();
    alice.deactivate(Remains::Erase).await.unwrap();
    assert_eq!(heard(&alice, &room, &said).await["body"], "no secret");
}
