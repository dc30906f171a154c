use futures_util::TryStreamExt as _;

use super::*;
use crate::{EventFilter, TimelineToken};

/// The words of a part of history.
async fn words(history: History) -> Vec<String> {
    let events: Vec<ClientEvent> = history.try_collect().await.unwrap();
    events.iter().filter_map(ClientEvent::body).collect()
}

async fn said(room: &Room, words: std::ops::Range<usize>) {
    for word in words {
        room.send_text(&word.to_string()).await.unwrap();
    }
}

fn numbers(range: impl Iterator<Item = usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn it_goes_both_ways_over_many_pages() {
    let Chat { alice, bob, .. } = chat().await;
    said(&alice, 0..10).await;
    assert_eq!(words(bob.history()).await, numbers((0..10).rev()));
    assert_eq!(words(bob.history().forward()).await, numbers(0..10));
    // It is the whole timeline, state included.
    let all: Vec<_> = alice.history().try_collect().await.unwrap();
    assert_eq!(all.last().unwrap().kind().to_string(), "m.room.create");
}

#[tokio::test]
async fn it_goes_on_behind_any_event() {
    let Chat { alice, .. } = chat().await;
    said(&alice, 0..7).await;
    for most in 1..7 {
        let mut begun = alice.history();
        assert_eq!(begun.token(), None);
        for _ in 0..most {
            begun.try_next().await.unwrap();
        }
        // Tokens are kept as texts.
        let token: TimelineToken = begun.token().unwrap().to_string().parse().unwrap();
        assert_eq!(words(alice.history().from(token)).await, numbers((0..7 - most).rev()));
        let newer = words(alice.history().forward().from(token)).await;
        assert_eq!(newer, numbers(7 - most..7));
    }
}

#[tokio::test]
async fn what_happens_later_comes_behind_the_end() {
    let Chat { alice, .. } = chat().await;
    said(&alice, 0..3).await;
    let mut history = alice.history().forward();
    while history.try_next().await.unwrap().is_some() {}
    let token = history.token().unwrap();
    assert_eq!(words(alice.history().forward().from(token)).await, numbers(0..0));
    said(&alice, 3..9).await;
    assert_eq!(words(alice.history().forward().from(token)).await, numbers(3..9));
    assert_eq!(alice.history().from(token).token(), Some(token));
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let Chat { alice, .. } = chat().await;
    alice.send_event("org.example.rare", &json!({})).await.unwrap();
    said(&alice, 0..20).await;
    let rare = alice.history().only(EventFilter::of_types(&["org.example.rare"]));
    let rare: Vec<_> = rare.try_collect().await.unwrap();
    assert_eq!(rare.len(), 1);
}

#[tokio::test]
async fn those_outside_are_told_nothing() {
    let Chat { server, alice, .. } = chat().await;
    let mut history = user(&server, "mallory").room(alice.id()).history();
    assert!(matches!(history.try_next().await, Err(Error::Forbidden(_))));
    assert!(history.try_next().await.unwrap().is_none());
    assert!(format!("{history:?}").starts_with("History"));
}
