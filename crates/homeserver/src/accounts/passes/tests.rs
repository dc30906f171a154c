use futures_util::future::join_all;

use super::*;
use crate::{NewAccount, OtherSessions, Registration, Remains, testing::server_where};

async fn server_with_alice() -> (Homeserver, Session) {
    let server = server_where(Registration::Open).await;
    let account = NewAccount { password: Some(Secret::new("bananas")), .."alice".into() };
    let (session, _) = server.register(account).await.unwrap();
    (server, session)
}

async fn log_in(server: &Homeserver, token: &Secret) -> Result<Session> {
    Ok(server.login_with_token(token.reveal(), NewDevice::default()).await?.0)
}

fn is_wrong(login: Result<Session>) -> bool {
    matches!(login, Err(Error::WrongLoginToken))
}

#[tokio::test]
async fn a_login_token_opens_one_session_of_its_user() {
    let (server, alice) = server_with_alice().await;
    let pass = alice.login_token().await.unwrap();
    assert_eq!(pass.lifetime, Duration::from_secs(120));
    let session = log_in(&server, &pass.token).await.unwrap();
    assert_eq!(session.id(), alice.id());
    assert_ne!(session.device(), alice.device());
    assert!(is_wrong(log_in(&server, &pass.token).await), "it was used");
}

#[tokio::test]
async fn of_those_who_race_with_a_login_token_one_wins() {
    let (server, alice) = server_with_alice().await;
    let pass = alice.login_token().await.unwrap();
    let logins = join_all((0..64).map(|_| log_in(&server, &pass.token))).await;
    assert_eq!(logins.iter().filter(|login| login.is_ok()).count(), 1);
    assert_eq!(alice.devices().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_pass_serves_for_its_purpose_only() {
    let (server, alice) = server_with_alice().await;
    let (login, openid) =
        (alice.login_token().await.unwrap().token, alice.openid_token().await.unwrap().token);
    assert!(is_wrong(log_in(&server, &openid).await));
    for token in [&login, &openid] {
        assert!(matches!(server.authenticate(token.reveal()).await, Err(Error::UnknownToken)));
    }
    assert!(matches!(server.openid_user(login.reveal()).await, Err(Error::UnknownToken)));
    for _ in 0..2 {
        assert_eq!(server.openid_user(openid.reveal()).await.unwrap(), alice.id());
    }
}

#[tokio::test]
async fn nonsense_is_no_pass() {
    let (server, _) = server_with_alice().await;
    for text in ["", "nonsense", "tertulia.YWxpY2U.AAAA"] {
        assert!(is_wrong(log_in(&server, &Secret::new(text)).await));
        assert!(matches!(server.openid_user(text).await, Err(Error::UnknownToken)));
    }
}

#[tokio::test]
async fn passes_are_bounded() {
    let (server, alice) = server_with_alice().await;
    for _ in 0..3 * MOST {
        alice.login_token().await.unwrap();
    }
    let view = server.core.store.view().await.unwrap();
    let rows = view.scan(&LOGIN_TOKENS, &(), Direction::Forward, usize::MAX).await.unwrap();
    assert_eq!(rows.len(), MOST);
}

#[tokio::test]
async fn the_end_of_all_sessions_takes_login_tokens_back() {
    let (server, alice) = server_with_alice().await;
    let pass = alice.login_token().await.unwrap();
    alice.set_password("ripe apples", OtherSessions::Keep).await.unwrap();
    log_in(&server, &pass.token).await.unwrap();
    let pass = alice.login_token().await.unwrap();
    alice.set_password("ripe pears", OtherSessions::End).await.unwrap();
    assert!(is_wrong(log_in(&server, &pass.token).await));
}

#[tokio::test]
async fn a_closed_account_has_no_passes() {
    let (server, alice) = server_with_alice().await;
    let (login, openid) =
        (alice.login_token().await.unwrap().token, alice.openid_token().await.unwrap().token);
    alice.deactivate(Remains::Keep).await.unwrap();
    assert!(matches!(log_in(&server, &login).await, Err(Error::Deactivated)));
    assert!(matches!(server.openid_user(openid.reveal()).await, Err(Error::UnknownToken)));
    assert!(matches!(alice.login_token().await, Err(Error::Deactivated)));
}
