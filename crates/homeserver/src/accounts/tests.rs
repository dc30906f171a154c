use futures_util::future::join_all;
use ruma::{device_id, user_id};

use super::*;
use crate::{Registration, testing::server_where};

fn with_password(name: &str, password: &str) -> NewAccount {
    NewAccount { password: Some(Secret::new(password)), ..name.into() }
}

#[tokio::test]
async fn who_registers_is_logged_in() {
    let server = server_where(Registration::Open).await;
    let (session, token) = server.register("alice").await.unwrap();
    assert_eq!(session.id(), "@alice:example.org");
    let found = server.authenticate(token.reveal()).await.unwrap();
    assert_eq!((found.id(), found.device()), (session.id(), session.device()));
    assert!(!found.is_admin().await.unwrap());
}

#[tokio::test]
async fn a_user_may_be_made_without_a_session() {
    let server = server_where(Registration::Open).await;
    let account = NewAccount { admin: true, ..with_password("root", "s3cret") };
    let root = server.create_user(account).await.unwrap();
    assert!(root.devices().await.unwrap().is_empty());
    assert!(root.is_admin().await.unwrap());
    server.login("root", "s3cret", NewDevice::default()).await.unwrap();
}

#[tokio::test]
async fn the_display_name_is_there_with_the_account() {
    let server = server_where(Registration::Open).await;
    let named = |name: &str, shown: &str| {
        let display_name = Some(shown.to_owned());
        NewAccount { display_name, ..name.into() }
    };
    let before = server.core.store.settled();
    let (alice, _) = server.register(named("alice", "Alice 爱丽丝")).await.unwrap();
    assert_eq!(alice.profile().await.unwrap()["displayname"], "Alice 爱丽丝");
    assert_eq!(server.core.store.settled(), before.next(), "it is one commit with one entry");
    let nameless = server.create_user(named("bob", "")).await.unwrap();
    assert!(nameless.profile().await.unwrap().is_empty());
    for bad in ["a\r\nb", "\u{202e}x", "\u{200b}", &"x".repeat(257)] {
        assert!(server.register(named("carol", bad)).await.is_err(), "{bad:?}");
    }
    assert!(server.available("carol").await.is_ok());
}

#[tokio::test]
async fn who_gives_no_name_gets_one() {
    let server = server_where(Registration::Open).await;
    let (first, _) = server.register(NewAccount::default()).await.unwrap();
    let (second, _) = server.register(NewAccount::default()).await.unwrap();
    assert_ne!(first.id(), second.id());
    assert_eq!(first.id().localpart().len(), 12);
}

#[tokio::test]
async fn the_first_device_is_the_one_asked_for() {
    let server = server_where(Registration::Open).await;
    let device = NewDevice {
        id: Some(device_id!("PHONE").to_owned()),
        display_name: Some("my phone".to_owned()),
        renewable: false,
    };
    let account = NewAccount { device, .."alice".into() };
    let (session, _) = server.register(account).await.unwrap();
    assert_eq!(session.device(), "PHONE");
    let device = session.find_device(device_id!("PHONE")).await.unwrap();
    assert_eq!(device.display_name.as_deref(), Some("my phone"));
}

#[tokio::test]
async fn a_device_without_a_name_gets_one() {
    let server = server_where(Registration::Open).await;
    for (name, id) in [("alice", None), ("bob", Some(device_id!("").to_owned()))] {
        let device = NewDevice { id, ..NewDevice::default() };
        let account = NewAccount { device, ..name.into() };
        let (session, _) = server.register(account).await.unwrap();
        assert_eq!(session.device().as_str().len(), 10, "{name}");
    }
}

#[tokio::test]
async fn a_name_is_given_once() {
    let server = server_where(Registration::Open).await;
    assert_eq!(server.available("alice").await.unwrap(), user_id!("@alice:example.org"));
    server.register("alice").await.unwrap();
    for name in ["alice", "Alice", "ALICE"] {
        assert!(matches!(server.register(name).await, Err(Error::UserNameTaken)), "{name}");
        assert!(matches!(server.create_user(name).await, Err(Error::UserNameTaken)), "{name}");
        assert!(matches!(server.available(name).await, Err(Error::UserNameTaken)), "{name}");
    }
}

#[tokio::test]
async fn of_64_who_want_a_name_one_gets_it() {
    let server = server_where(Registration::Open).await;
    let callers = join_all((0..64).map(|_| server.register("alice"))).await;
    let (won, lost): (Vec<_>, Vec<_>) = callers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 63));
    assert!(lost.iter().all(|lost| matches!(lost, Err(Error::UserNameTaken))));
    let (session, token) = won.into_iter().next().unwrap().unwrap();
    assert!(server.authenticate(token.reveal()).await.is_ok());
    assert_eq!(session.devices().await.unwrap().len(), 1);
}

#[tokio::test]
async fn bad_names_and_passwords_make_no_account() {
    let server = server_where(Registration::Open).await;
    for name in ["", "a b", "@alice:example.org"] {
        assert!(matches!(server.register(name).await, Err(Error::InvalidUserName(_))), "{name}");
    }
    for password in ["", &"x".repeat(513)] {
        let refused = server.register(with_password("alice", password)).await;
        assert!(matches!(refused, Err(Error::WeakPassword(_))), "{password:?}");
    }
    assert!(server.available("alice").await.is_ok());
}

#[tokio::test]
async fn bad_devices_make_no_account() {
    let server = server_where(Registration::Open).await;
    let long = "x".repeat(256);
    for device in [
        NewDevice { id: Some(long.as_str().into()), ..NewDevice::default() },
        NewDevice { display_name: Some(long.clone()), ..NewDevice::default() },
    ] {
        let account = NewAccount { device, .."alice".into() };
        assert!(matches!(server.register(account).await, Err(Error::Invalid(_))));
    }
    assert!(server.available("alice").await.is_ok());
}

#[tokio::test]
async fn the_owner_decides_how_one_registers() {
    let tokens = Registration::Tokens(vec![Secret::new("letmein"), Secret::new("metoo")]);
    for (registration, expected) in [
        (Registration::Open, Some([Stage::Dummy])),
        (tokens.clone(), Some([Stage::RegistrationToken])),
        (Registration::Closed, None),
    ] {
        let server = server_where(registration).await;
        match (server.registration_flows(), expected) {
            (Ok(flows), Some(expected)) => assert_eq!(flows, [expected.as_slice()]),
            (Err(Error::RegistrationClosed), None) => {}
            (flows, expected) => panic!("{flows:?} instead of {expected:?}"),
        }
    }
    let server = server_where(tokens).await;
    assert!(server.allows_registration(&Secret::new("letmein")));
    assert!(server.allows_registration(&Secret::new("metoo")));
    assert!(!server.allows_registration(&Secret::new("letme")));
    assert!(!server.allows_registration(&Secret::new("")));
    let open = server_where(Registration::Open).await;
    assert!(!open.allows_registration(&Secret::new("letmein")), "open registration has no tokens");
}

#[tokio::test]
async fn a_nonce_is_spent_once() {
    let server = server_where(Registration::Open).await;
    let nonce = server.nonce();
    assert_ne!(nonce, server.nonce());
    assert!(server.spend_nonce(&nonce));
    assert!(!server.spend_nonce(&nonce));
}
