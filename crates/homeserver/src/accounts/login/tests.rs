use futures_util::future::join;
use ruma::device_id;

use super::*;
use crate::{NewAccount, Registration, Secret, testing::server_where};

async fn server_with_alice() -> (Homeserver, User) {
    let server = server_where(Registration::Open).await;
    let account = NewAccount { password: Some(Secret::new("bananas")), .."alice".into() };
    let alice = server.create_user(account).await.unwrap();
    (server, alice)
}

async fn log_in(server: &Homeserver, user: &str, password: &str) -> Result<Session> {
    Ok(server.login(user, password, NewDevice::default()).await?.0)
}

fn on(device: &str) -> NewDevice {
    NewDevice { id: Some(device.into()), ..NewDevice::default() }
}

#[tokio::test]
async fn the_right_password_opens_a_session() {
    let (server, alice) = server_with_alice().await;
    for user in ["alice", "Alice", "@alice:example.org", "@ALICE:example.org"] {
        let session = log_in(&server, user, "bananas").await.unwrap();
        assert_eq!(session.id(), alice.id(), "{user}");
    }
    assert_eq!(alice.devices().await.unwrap().len(), 4, "each session has its own device");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let (server, _) = server_with_alice().await;
    server.create_user("nopassword").await.unwrap();
    for (user, password) in [
        ("alice", "apples"),
        ("alice", ""),
        ("bob", "bananas"),
        ("nopassword", ""),
        ("@alice:example.com", "bananas"),
        ("not a name", "bananas"),
        ("", "bananas"),
    ] {
        let refused = log_in(&server, user, password).await;
        assert!(matches!(refused, Err(Error::WrongPassword)), "{user:?} {password:?}");
    }
}

#[tokio::test]
async fn a_known_device_gets_a_new_session_and_keeps_its_name() {
    let (server, alice) = server_with_alice().await;
    let device = NewDevice { display_name: Some("first".to_owned()), ..on("PHONE") };
    let (first, _) = server.login("alice", "bananas", device).await.unwrap();
    let device = NewDevice { display_name: Some("second".to_owned()), ..on("PHONE") };
    let (second, token) = server.login("alice", "bananas", device).await.unwrap();
    assert!(!first.is_valid().await.unwrap());
    assert!(second.is_valid().await.unwrap());
    assert!(server.authenticate(token.reveal()).await.is_ok());
    let devices = alice.devices().await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].display_name.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old_one() {
    let (server, alice) = server_with_alice().await;
    alice.set_password("cherries", OtherSessions::Keep).await.unwrap();
    assert!(matches!(log_in(&server, "alice", "bananas").await, Err(Error::WrongPassword)));
    assert!(log_in(&server, "alice", "cherries").await.is_ok());
    let refused = alice.set_password("", OtherSessions::Keep).await;
    assert!(matches!(refused, Err(Error::WeakPassword(_))));
    let refused = alice.set_password("cherry", OtherSessions::Keep).await;
    assert!(matches!(refused, Err(Error::ShortPassword(8))));
    assert!(log_in(&server, "alice", "cherries").await.is_ok());
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_it_should() {
    let (server, alice) = server_with_alice().await;
    let (mine, password) = (device_id!("MINE").to_owned(), "ripe bananas");
    alice.set_password(password, OtherSessions::Keep).await.unwrap();
    for (others, expected) in [
        (OtherSessions::Keep, [true, true]),
        (OtherSessions::EndExcept(mine.clone()), [true, false]),
        (OtherSessions::End, [false, false]),
    ] {
        let (own, _) = server.login("alice", password, on("MINE")).await.unwrap();
        let (other, _) = server.login("alice", password, on("OTHER")).await.unwrap();
        alice.set_password(password, others.clone()).await.unwrap();
        let go_on = [own.is_valid().await.unwrap(), other.is_valid().await.unwrap()];
        assert_eq!(go_on, expected, "{others:?}");
    }
}

#[tokio::test]
async fn a_new_password_ends_more_sessions_than_one_commit_holds() {
    let (server, alice) = server_with_alice().await;
    for number in 0..250 {
        let opening = Opening::new(&server.core, alice.id(), on(&format!("D{number}"))).unwrap();
        let checked = server.check_account("alice", "bananas").await.unwrap();
        server.core.store.write(Login { checked, opening }).await.unwrap();
    }
    assert_eq!(alice.devices().await.unwrap().len(), 250);
    alice.set_password("cherries", OtherSessions::EndExcept("D7".into())).await.unwrap();
    let left = alice.devices().await.unwrap();
    assert_eq!(left.iter().map(|device| device.id.as_str()).collect::<Vec<_>>(), ["D7"]);
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_opens_nothing() {
    let (server, alice) = server_with_alice().await;
    let checked = server.check_account("alice", "bananas").await.unwrap();
    alice.set_password("cherries", OtherSessions::End).await.unwrap();
    let opening = Opening::new(&server.core, alice.id(), NewDevice::default()).unwrap();
    let refused = server.core.store.write(Login { checked, opening }).await;
    assert!(matches!(refused, Err(Error::WrongPassword)));
}

#[tokio::test]
async fn after_a_change_no_session_of_the_old_password_is_left() {
    for _ in 0..20 {
        let (server, alice) = server_with_alice().await;
        let login = server.login("alice", "bananas", NewDevice::default());
        let change = alice.set_password("cherries", OtherSessions::End);
        let (login, change) = join(login, change).await;
        change.unwrap();
        if let Ok((session, _)) = login {
            assert!(!session.is_valid().await.unwrap());
        }
        assert!(alice.devices().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_administrator_resets_a_password() {
    let (server, alice) = server_with_alice().await;
    let session = log_in(&server, "alice", "bananas").await.unwrap();
    server.reset_password("alice", "cherries").await.unwrap();
    assert!(!session.is_valid().await.unwrap());
    assert!(log_in(&server, "@alice:example.org", "cherries").await.is_ok());
    let unknown = server.reset_password("bob", "cherries").await;
    assert!(matches!(unknown, Err(Error::NotFound("user"))));
    drop(alice);
}

#[tokio::test]
async fn an_account_is_not_guessed_at_for_ever() {
    let (server, _) = server_with_alice().await;
    for user in ["alice", "nobody"] {
        for _ in 0..server.settings().wrong_passwords.unwrap().get() {
            let refused = log_in(&server, user, "apples").await;
            assert!(matches!(refused, Err(Error::WrongPassword)), "{user}");
        }
        assert!(matches!(log_in(&server, user, "apples").await, Err(Error::Busy)), "{user}");
    }
    let right = log_in(&server, "alice", "bananas").await;
    assert!(matches!(right, Err(Error::Busy)), "or it could be told from a wrong one");
    let account = NewAccount { password: Some(Secret::new("bananas")), .."bob".into() };
    server.create_user(account).await.unwrap();
    log_in(&server, "bob", "bananas").await.unwrap();
}
