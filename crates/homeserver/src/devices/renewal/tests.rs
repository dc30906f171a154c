use std::time::Duration;

use futures_util::future::join_all;
use tertulia_storage::{Direction, MemoryEngine};

use super::*;
use crate::{NewAccount, NewDevice, PasswordCost, Secret, Session, Settings, testing::DrivenClock};

const HOUR: u64 = 60 * 60_000;

async fn start() -> (Homeserver, DrivenClock) {
    let clock = DrivenClock::default();
    let settings = Settings { password_cost: PasswordCost::LEAST, ..Settings::default() };
    let builder = Homeserver::builder("example.org").unwrap().settings(settings);
    let server = builder.clock(clock.clone()).start(MemoryEngine::default()).await.unwrap();
    let account = NewAccount { password: Some(Secret::new("bananas")), .."alice".into() };
    server.create_user(account).await.unwrap();
    (server, clock)
}

async fn log_in(server: &Homeserver, renewable: bool) -> (Session, AccessToken) {
    let device = NewDevice { id: Some("PHONE".into()), renewable, ..NewDevice::default() };
    server.login("alice", "bananas", device).await.unwrap()
}

async fn refresh(server: &Homeserver, token: &AccessToken) -> Result<AccessToken> {
    server.refresh(token.renewal().unwrap().refresh_token.reveal()).await
}

/// Whether each of these tokens proves a session. Asking is using them.
async fn good<'a>(
    server: &Homeserver,
    tokens: impl IntoIterator<Item = &'a AccessToken>,
) -> Vec<bool> {
    let mut good = Vec::new();
    for token in tokens {
        good.push(server.authenticate(token.reveal()).await.is_ok());
    }
    good
}

/// How many rows of tokens there are: those that do not expire, that do, and that refresh.
async fn rows(server: &Homeserver) -> [usize; 3] {
    let view = server.core.store.view().await.unwrap();
    let all = (Direction::Forward, usize::MAX);
    [
        view.scan(&crate::schema::TOKENS, &(), all.0, all.1).await.unwrap().len(),
        view.scan(&EXPIRING_TOKENS, &(), all.0, all.1).await.unwrap().len(),
        view.scan(&REFRESH_TOKENS, &(), all.0, all.1).await.unwrap().len(),
    ]
}

#[tokio::test]
async fn only_who_can_renew_a_session_gets_a_token_that_expires() {
    let (server, clock) = start().await;
    let (_, lasting) = log_in(&server, false).await;
    assert_eq!(lasting.renewal(), None);
    clock.advance(1_000 * HOUR);
    assert_eq!(good(&server, [&lasting]).await, [true]);
    let (session, token) = log_in(&server, true).await;
    assert_eq!(token.renewal().unwrap().lifetime, Duration::from_secs(3_600));
    assert_eq!(rows(&server).await, [0, 1, 1]);
    clock.advance(HOUR - 1);
    assert_eq!(good(&server, [&token]).await, [true]);
    clock.advance(1);
    let expired = server.authenticate(token.reveal()).await;
    assert!(matches!(expired, Err(Error::ExpiredToken)));
    assert!(session.is_valid().await.unwrap(), "the session goes on");
}

#[tokio::test]
async fn a_refresh_goes_on_with_the_session_on_its_device() {
    let (server, clock) = start().await;
    let (session, first) = log_in(&server, true).await;
    clock.advance(2 * HOUR);
    let second = refresh(&server, &first).await.unwrap();
    let renewed = server.authenticate(second.reveal()).await.unwrap();
    assert_eq!((renewed.id(), renewed.device()), (session.id(), session.device()));
    assert_eq!(rows(&server).await, [0, 1, 1], "of the tokens before nothing is left");
    clock.advance(HOUR);
    assert!(matches!(server.authenticate(second.reveal()).await, Err(Error::ExpiredToken)));
    let third = refresh(&server, &second).await.unwrap();
    assert_eq!(good(&server, [&third, &second, &first]).await, [true, false, false]);
}

#[tokio::test]
async fn a_refresh_token_lasts_until_a_new_token_is_used() {
    let (server, _) = start().await;
    let (_, first) = log_in(&server, true).await;
    let lost = refresh(&server, &first).await.unwrap();
    let second = refresh(&server, &first).await.unwrap();
    assert_eq!(good(&server, [&first]).await, [true], "nothing new was used");
    assert_eq!(good(&server, [&second, &first, &lost]).await, [true, false, false]);
    for dead in [&first, &lost] {
        assert!(matches!(refresh(&server, dead).await, Err(Error::UnknownToken)));
    }
}

#[tokio::test]
async fn to_use_the_new_refresh_token_ends_the_old_one_too() {
    let (server, _) = start().await;
    let (_, first) = log_in(&server, true).await;
    let second = refresh(&server, &first).await.unwrap();
    let third = refresh(&server, &second).await.unwrap();
    assert!(matches!(refresh(&server, &first).await, Err(Error::UnknownToken)));
    assert_eq!(good(&server, [&first, &second]).await, [false, true]);
    assert_eq!(good(&server, [&third, &second]).await, [true, false]);
}

#[tokio::test]
async fn what_is_offered_is_bounded() {
    let (server, _) = start().await;
    let (_, first) = log_in(&server, true).await;
    let mut offered = Vec::new();
    for _ in 0..10 {
        offered.push(refresh(&server, &first).await.unwrap());
        assert!(rows(&server).await[1] <= 1 + OFFERS);
    }
    assert_eq!(good(&server, &offered[..10 - OFFERS]).await, [false; 10 - OFFERS]);
    assert_eq!(good(&server, &offered[10 - OFFERS..]).await, [true, false]);
}

#[tokio::test]
async fn who_races_with_one_refresh_token_gets_one_session() {
    let (server, _) = start().await;
    let (_, first) = log_in(&server, true).await;
    let refreshed = join_all((0..64).map(|_| refresh(&server, &first))).await;
    let tokens: Vec<_> = refreshed.into_iter().map(Result::unwrap).collect();
    let used = join_all(tokens.iter().map(|token| server.authenticate(token.reveal()))).await;
    assert_eq!(used.iter().filter(|used| used.is_ok()).count(), 1);
    let renewed = join_all(tokens.iter().map(|token| refresh(&server, token))).await;
    assert_eq!(renewed.iter().filter(|renewed| renewed.is_ok()).count(), 1);
    assert!(matches!(refresh(&server, &first).await, Err(Error::UnknownToken)));
}

#[tokio::test]
async fn many_requests_may_use_a_new_token_first() {
    let (server, _) = start().await;
    let (_, first) = log_in(&server, true).await;
    let second = refresh(&server, &first).await.unwrap();
    let used = join_all((0..64).map(|_| server.authenticate(second.reveal()))).await;
    assert!(used.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_end_of_a_session_ends_all_its_tokens() {
    let (server, _) = start().await;
    for renewable in [true, false] {
        let (_, first) = log_in(&server, true).await;
        let offered = refresh(&server, &first).await.unwrap();
        let (session, anew) = log_in(&server, renewable).await;
        assert_eq!(good(&server, [&first, &offered]).await, [false, false]);
        assert!(matches!(refresh(&server, &first).await, Err(Error::UnknownToken)));
        assert_eq!(good(&server, [&anew]).await, [true]);
        session.logout().await.unwrap();
        assert_eq!(rows(&server).await, [0, 0, 0]);
    }
}

#[tokio::test]
async fn no_other_token_refreshes() {
    let (server, _) = start().await;
    let (session, token) = log_in(&server, true).await;
    let guessed = token::mint(session.id(), &*server.core.random);
    for text in ["", "nonsense", token.reveal(), guessed.reveal()] {
        assert!(matches!(server.refresh(text).await, Err(Error::UnknownToken)), "{text}");
    }
    let refresh_token = &token.renewal().unwrap().refresh_token;
    let used = server.authenticate(refresh_token.reveal()).await;
    assert!(matches!(used, Err(Error::UnknownToken)), "a refresh token is no access token");
}
