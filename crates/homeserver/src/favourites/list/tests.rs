use ruma::{owned_event_id, owned_room_id, room_id, user_id};
use serde_json::json;

use super::*;
use crate::{
    User,
    testing::{raw, server, user},
};

#[test]
fn a_token_reads_as_it_was_written_and_nothing_else_reads() {
    for id in ["a", "1.2.3", "", "ü/."] {
        for names in BookmarkNames::ALL {
            let place = Place { at: Descending(7), key: BookmarkKey { names, id: id.to_owned() } };
            assert_eq!(Place::parse(&place.token()).unwrap(), place);
        }
    }
    for odd in ["", "7", "7.0", "x.0.a", "7.2.a", "-1.0.a", "7.x.a"] {
        assert!(matches!(Place::parse(odd), Err(Error::Invalid(_))), "{odd}");
    }
}

#[test]
fn the_beginning_of_a_word_is_the_beginning_of_its_keys() {
    let key = |word: &str| {
        let list = FavouriteList::Word(word.to_owned());
        let key = BookmarkKey { names: BookmarkNames::Stable, id: "b".to_owned() };
        (user_id!("@a:x").to_owned(), list, Descending(1_u64), key).encode()
    };
    let beginning = Beginning(user_id!("@a:x"), "he").encode();
    for (word, is_one) in [("he", true), ("hello", true), ("h", false), ("ha", false)] {
        assert_eq!(key(word).starts_with(&beginning), is_one, "{word}");
    }
    assert!(Beginning::decode(&beginning).is_err());
}

#[test]
fn rows_fit_that_have_all_that_is_asked_for() {
    let row = FavouriteRow {
        at: 1,
        room: owned_room_id!("!r:x"),
        event: owned_event_id!("$e"),
        edit: None,
        kind: MessageKind::File as u8,
        words: ["hello", "world"].map(str::to_owned).to_vec(),
        listed: true,
    };
    let check = |kind, room: Option<&str>, words: &str, expected: bool| {
        let room = room.map(|room| room.try_into().unwrap());
        let words = Some(words.to_owned());
        let query = FavouritesQuery { kind, room, words, ..FavouritesQuery::default() };
        assert_eq!(Fits::of(&query).has(&row), expected, "{query:?}");
    };
    check(None, None, "", true);
    check(Some(MessageKind::File), Some("!r:x"), "Wor hell", true);
    check(Some(MessageKind::Text), None, "", false);
    check(None, Some("!s:x"), "", false);
    check(None, None, "hello you", false);
    check(None, None, "ello", false);
}

/// A user who keeps messages of every kind, room and with words of their own.
async fn keeper(count: u64) -> User {
    let alice = user(&server().await, "alice");
    let kinds = ["m.text", "m.image", "m.file"];
    for n in 0..count {
        let room = if n % 5 == 0 { "!five:x" } else { "!room:x" };
        let id = format!("n{n:04}");
        let item = json!({
            "version": 1, "bookmark_id": id, "uri": "matrix:roomid/r/e/e", "room_id": room,
            "event_id": format!("$e{n}"), "event_ts": 1, "bookmarked_ts": 1_000 + n,
            "msgtype": kinds[usize::try_from(n % 3).unwrap()],
            "body_preview": format!("common number{n}"),
        });
        let kind = format!("org.matrix.msc4438.bookmark.{id}");
        alice.set_account_data(None, &kind, raw(&item)).await.unwrap();
    }
    alice
}

/// All pages of a query: the numbers of what is listed, and how many pages there were.
async fn pages(alice: &User, mut query: FavouritesQuery) -> (Vec<u64>, usize) {
    let (mut numbers, mut pages) = (Vec::new(), 0);
    loop {
        let page = alice.favourites().list(&query).await.unwrap();
        assert!(page.favourites.len() <= query.limit.clamp(1, PAGE));
        numbers.extend(page.favourites.iter().map(|kept| kept.kept - 1_000));
        pages += 1;
        match page.next {
            Some(next) => query.from = Some(next),
            None => return (numbers, pages),
        }
    }
}

#[tokio::test]
async fn every_list_has_all_that_fit_newest_first_on_pages() {
    let alice = keeper(700).await;
    let all: Vec<_> = (0..700_u64).rev().collect();
    let check = async |query: FavouritesQuery, fits: &dyn Fn(u64) -> bool| {
        let expected: Vec<_> = all.iter().copied().filter(|n| fits(*n)).collect();
        for limit in [7, 100] {
            let query = FavouritesQuery { limit, ..query.clone() };
            let (listed, count) = pages(&alice, query.clone()).await;
            assert_eq!(listed, expected, "{query:?}");
            assert_eq!(count, expected.len().div_ceil(limit).max(1), "{query:?}");
        }
    };
    let asks = FavouritesQuery::default;
    let words = |words: &str| FavouritesQuery { words: Some(words.to_owned()), ..asks() };
    let image = Some(MessageKind::Image);
    let five = Some(room_id!("!five:x").to_owned());
    check(asks(), &|_| true).await;
    check(FavouritesQuery { kind: image, ..asks() }, &|n| n % 3 == 1).await;
    check(FavouritesQuery { kind: Some(MessageKind::Video), ..asks() }, &|_| false).await;
    check(FavouritesQuery { room: five.clone(), ..asks() }, &|n| n % 5 == 0).await;
    let both = FavouritesQuery { kind: image, room: five, ..asks() };
    check(both.clone(), &|n| n % 15 == 10).await;
    check(words("Number12"), &|n| n == 12 || n / 10 == 12).await;
    check(words("number12 common"), &|n| n == 12 || n / 10 == 12).await;
    check(words("common"), &|_| true).await;
    check(words("comm numb"), &|_| true).await;
    check(words("nothing"), &|_| false).await;
    check(words("..."), &|_| false).await;
    check(words("  "), &|_| true).await;
    let few = FavouritesQuery { words: Some("number1".to_owned()), ..both.clone() };
    check(few, &|n| n % 15 == 10 && n.to_string().starts_with('1')).await;
    let many = FavouritesQuery { words: Some("common".to_owned()), ..both };
    check(many, &|n| n % 15 == 10).await;
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_and_says_where_to_go_on() {
    let alice = keeper(LOOKED as u64 + 300).await;
    let five = Some(room_id!("!five:x").to_owned());
    // All have the word, and none in the room is of the kind.
    let query = FavouritesQuery {
        words: Some("comm number0".to_owned()),
        limit: 5,
        ..FavouritesQuery::default()
    };
    assert_eq!(pages(&alice, query).await, (vec![0], 1), "what few have is found at once");
    let query = FavouritesQuery {
        words: Some("number".to_owned()),
        kind: Some(MessageKind::Video),
        room: five,
        limit: 5,
        ..FavouritesQuery::default()
    };
    assert_eq!(pages(&alice, query).await, (vec![], 1));
    let odd = FavouritesQuery { from: Some("odd".to_owned()), ..FavouritesQuery::default() };
    assert!(matches!(alice.favourites().list(&odd).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn one_sees_ones_own_favourites_alone() {
    let alice = keeper(3).await;
    let bob = User::new(alice.core.clone(), user_id!("@bob:x").to_owned());
    assert_eq!(pages(&bob, FavouritesQuery::default()).await, (vec![], 1));
    assert!(matches!(bob.favourites().get("n0001").await, Err(Error::NotFound(_))));
    assert!(matches!(bob.favourites().drop("n0001").await, Err(Error::NotFound(_))));
    alice.favourites().get("n0001").await.unwrap();
}
