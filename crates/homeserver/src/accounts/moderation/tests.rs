use ruma::user_id;

use super::*;
use crate::{
    Homeserver, NewAccount, NewDevice, Registration, Remains, Secret, Session, Standing,
    testing::server_where,
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
