use futures_util::future::join_all;
use ruma::device_id;

use super::*;
use crate::{NewAccount, Registration, Secret, testing::server_where};

async fn server_with_alice() -> Homeserver {
    let server = server_where(Registration::Open).await;
    let account = NewAccount { password: Some(Secret::new("bananas")), .."alice".into() };
    server.create_user(account).await.unwrap();
    server
}

async fn log_in(server: &Homeserver, device: &str) -> (Session, AccessToken) {
    let display_name = Some(device.to_lowercase());
    let device = NewDevice { id: Some(device.into()), display_name, renewable: false };
    server.login("alice", "bananas", device).await.unwrap()
}

async fn ids(user: &User) -> Vec<String> {
    user.devices().await.unwrap().into_iter().map(|device| device.id.to_string()).collect()
}

#[tokio::test]
async fn a_token_proves_its_session_and_no_other() {
    let server = server_with_alice().await;
    let (_, phone) = log_in(&server, "PHONE").await;
    let (_, laptop) = log_in(&server, "LAPTOP").await;
    for (token, device) in [(&phone, "PHONE"), (&laptop, "LAPTOP")] {
        let session = server.authenticate(token.reveal()).await.unwrap();
        assert_eq!(
            (session.id().as_str(), session.device().as_str()),
            ("@alice:example.org", device)
        );
    }
    let user = UserId::parse("@alice:example.org").unwrap();
    let forged = AccessToken::mint(&user, &*server.core.random, None);
    for token in [forged.reveal(), "", "nonsense"] {
        assert!(matches!(server.authenticate(token).await, Err(Error::UnknownToken)), "{token}");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_its_device() {
    let server = server_with_alice().await;
    let (phone, token) = log_in(&server, "PHONE").await;
    let (laptop, _) = log_in(&server, "LAPTOP").await;
    phone.logout().await.unwrap();
    assert!(!phone.is_valid().await.unwrap());
    assert!(matches!(server.authenticate(token.reveal()).await, Err(Error::UnknownToken)));
    assert!(laptop.is_valid().await.unwrap());
    assert_eq!(ids(&laptop).await, ["LAPTOP"]);
    phone.logout().await.unwrap();
}

#[tokio::test]
async fn who_waits_for_the_session_is_woken_when_it_ends() {
    let server = server_with_alice().await;
    let (phone, _) = log_in(&server, "PHONE").await;
    let mut watch = server.core.store.watch([phone.topic()]);
    phone.logout().await.unwrap();
    watch.changed().await;
    assert!(!phone.is_valid().await.unwrap());
}

#[tokio::test]
async fn logging_out_everywhere_leaves_nothing() {
    let server = server_with_alice().await;
    let (phone, _) = log_in(&server, "PHONE").await;
    let (laptop, _) = log_in(&server, "LAPTOP").await;
    phone.logout_all().await.unwrap();
    assert!(!phone.is_valid().await.unwrap());
    assert!(!laptop.is_valid().await.unwrap());
    assert!(ids(&phone).await.is_empty());
}

#[tokio::test]
async fn devices_are_listed_named_and_forgotten() {
    let server = server_with_alice().await;
    let (session, _) = log_in(&server, "B").await;
    let (gone, _) = log_in(&server, "A").await;
    assert_eq!(ids(&session).await, ["A", "B"]);
    session.rename_device(device_id!("A"), "the old one".to_owned()).await.unwrap();
    let device = session.find_device(device_id!("A")).await.unwrap();
    assert_eq!(device.display_name.as_deref(), Some("the old one"));
    assert!(gone.is_valid().await.unwrap(), "another name ends no session");
    session.delete_devices(vec!["A".into(), "NEVER".into()]).await.unwrap();
    assert!(!gone.is_valid().await.unwrap());
    assert_eq!(ids(&session).await, ["B"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = server_with_alice().await;
    let (session, _) = log_in(&server, "A").await;
    let (other, _) = server.register("bob").await.unwrap();
    for user in [&*session, &*other] {
        let unknown = device_id!("NEVER");
        assert!(matches!(user.find_device(unknown).await, Err(Error::NotFound("device"))));
        let renamed = user.rename_device(unknown, "x".to_owned()).await;
        assert!(matches!(renamed, Err(Error::NotFound("device"))));
    }
    let others = other.find_device(device_id!("A")).await;
    assert!(matches!(others, Err(Error::NotFound("device"))), "devices are their user's own");
}

#[tokio::test]
async fn names_of_devices_are_bounded() {
    let server = server_with_alice().await;
    let (session, _) = log_in(&server, "A").await;
    let renamed = session.rename_device(device_id!("A"), "x".repeat(256)).await;
    assert!(matches!(renamed, Err(Error::Invalid(_))));
    session.rename_device(device_id!("A"), "x".repeat(255)).await.unwrap();
}

#[tokio::test]
async fn many_logins_on_one_device_leave_one_session() {
    let server = server_with_alice().await;
    let sessions = join_all((0..16).map(|_| log_in(&server, "PHONE"))).await;
    let mut valid = 0;
    for (session, _) in &sessions {
        valid += usize::from(session.is_valid().await.unwrap());
    }
    assert_eq!(valid, 1);
    assert_eq!(ids(&sessions[0].0).await, ["PHONE"]);
}

#[tokio::test]
async fn a_user_may_have_more_devices_than_a_page() {
    let server = server_with_alice().await;
    let (session, _) = log_in(&server, "FIRST").await;
    for number in 0..2 * PAGE {
        log_in(&server, &format!("D{number:03}")).await;
    }
    let ids = ids(&session).await;
    assert_eq!(ids.len(), 2 * PAGE + 1);
    assert!(ids.is_sorted());
    session.logout_all().await.unwrap();
    assert!(session.devices().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_device_tells_when_and_where_it_was_last_seen() {
    let server = server_with_alice().await;
    let (session, _) = log_in(&server, "PHONE").await;
    let device = session.find_device(session.device()).await.unwrap();
    assert_eq!((device.last_seen, device.last_seen_from), (None, None));
    session.seen_from("192.0.2.1".parse().unwrap());
    session.seen_from("192.0.2.2".parse().unwrap());
    let device = session.find_device(session.device()).await.unwrap();
    assert_eq!(device.last_seen_from.as_deref(), Some("192.0.2.2"));
    assert!(device.last_seen.is_some());
    assert_eq!(session.devices().await.unwrap(), [device]);
}

#[tokio::test]
async fn when_a_device_was_last_seen_outlives_memory() {
    let server = server_with_alice().await;
    let (session, _) = log_in(&server, "PHONE").await;
    session.seen_from("192.0.2.1".parse().unwrap());
    let key = (session.id().to_owned(), session.device().to_owned());
    let store = &server.core.store;
    let read = async || store.view().await.unwrap().get(&LAST_SEEN, &key).await.unwrap();
    while read().await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(read().await.unwrap().from, "192.0.2.1");
    session.logout().await.unwrap();
    assert_eq!(read().await, None);
}

#[tokio::test]
async fn nothing_stored_shows_a_token_or_a_password() {
    let server = server_with_alice().await;
    let (session, token) = log_in(&server, "PHONE").await;
    let view = server.core.store.view().await.unwrap();
    let key = (session.id().to_owned(), session.device().to_owned());
    let row = view.get(&DEVICES, &key).await.unwrap().unwrap();
    assert_eq!(row.token, token.hash());
    let shown = format!("{session:?} {row:?}");
    assert!(!shown.contains(token.reveal()));
    let account = users::account(&view, session.id()).await.unwrap().unwrap();
    let kept = account.password.unwrap();
    assert!(kept.starts_with("$argon2id$") && !kept.contains("bananas"), "{kept}");
}
