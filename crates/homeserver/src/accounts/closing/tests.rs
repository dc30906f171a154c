use serde_json::json;

use super::*;
use crate::{
    Homeserver, NewAccount, NewDevice, OtherSessions, ProfileField, Registration, Secret, Session,
    schema::LOG, testing::server_where,
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
    let refused = alice.set_password("new", OtherSessions::Keep).await;
    assert!(matches!(refused, Err(Error::Deactivated)));
    assert!(matches!(server.reset_password("alice", "new").await, Err(Error::Deactivated)));
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
