//! What requests promise, through the library.

mod law;

use ruma::UserId;
use serde_json::{Value, json};

use super::*;
use crate::{
    Friendship, Homeserver, Joined, NewGroup, Room, Settings,
    schema::OPEN_REQUESTS,
    testing::{DrivenClock, raw, server},
};

async fn users<const N: usize>(server: &Homeserver, names: [&str; N]) -> [User; N] {
    let mut users = Vec::new();
    for name in names {
        users.push(server.create_user(name).await.unwrap());
    }
    users.try_into().unwrap()
}

/// The requests of a page, as text.
async fn page(user: &User, of: RequestBox) -> Vec<String> {
    let page = user.requests().list(of, None, 50).await.unwrap();
    let text = |request: Request| {
        let reason = request.reason.map(|reason| format!(" \"{reason}\"")).unwrap_or_default();
        let name = request.user_id.localpart().to_owned();
        format!("{:?} {name} {:?}{reason}", request.kind, request.state)
    };
    page.requests.into_iter().map(text).collect()
}

async fn received(user: &User) -> Vec<String> {
    page(user, RequestBox::Received).await
}

async fn sent(user: &User) -> Vec<String> {
    page(user, RequestBox::Sent).await
}

/// The ID of the newest request received.
async fn newest(user: &User) -> String {
    let page = user.requests().list(RequestBox::Received, None, 1).await.unwrap();
    page.requests[0].id.clone()
}

/// Received, unread and sent, as the account data tells clients.
async fn counts(user: &User) -> (u64, u64, u64) {
    let told = user.account_data(None, "org.tertulia.requests").await.unwrap();
    let told: Value = serde_json::from_str(told.get()).unwrap();
    let number = |key: &str| told[key].as_u64().unwrap();
    (number("received"), number("unread"), number("sent"))
}

async fn group(owner: &User, members: &[&UserId]) -> Room {
    let members = members.iter().map(|user| (*user).to_owned()).collect();
    let wish = NewGroup { name: Some("Tea".to_owned()), members, ..NewGroup::default() };
    owner.groups().create(wish).await.unwrap()
}

#[tokio::test]
async fn a_friend_request_stands_on_both_pages_until_it_is_answered() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    alice.friends().request(bob.id(), Some("we met".to_owned())).await.unwrap();
    assert_eq!(received(&bob).await, ["Friend alice Waiting \"we met\""]);
    assert_eq!(sent(&alice).await, ["Friend bob Waiting \"we met\""]);
    assert_eq!((counts(&alice).await, counts(&bob).await), ((0, 0, 1), (1, 1, 0)));
    bob.requests().refuse(&newest(&bob).await).await.unwrap();
    assert_eq!(received(&bob).await, ["Friend alice Refused \"we met\""]);
    assert_eq!(sent(&alice).await, ["Friend bob Void \"we met\""], "not why it does not wait");
    assert_eq!((counts(&alice).await, counts(&bob).await), ((0, 0, 0), (0, 0, 0)));
    alice.friends().request(bob.id(), None).await.unwrap();
    bob.requests().accept(&newest(&bob).await).await.unwrap();
    assert!(alice.friends().status(bob.id()).await.unwrap().is_friend());
    assert_eq!(sent(&alice).await[0], "Friend bob Accepted");
    let again = bob.requests().accept(&newest(&bob).await).await.unwrap_err();
    assert!(matches!(again, Error::NotFound("request")));
}

#[tokio::test]
async fn what_stock_clients_do_shows_and_answers() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    let tea = group(&alice, &[bob.id(), carol.id()]).await;
    assert_eq!(received(&bob).await, ["Group alice Waiting"]);
    let page = bob.requests().list(RequestBox::Received, None, 50).await.unwrap();
    assert_eq!(page.requests[0].room_name.as_deref(), Some("Tea"));
    bob.room(tea.id()).join(None).await.unwrap();
    tea.kick(carol.id(), None).await.unwrap();
    assert_eq!(received(&bob).await, ["Group alice Accepted"]);
    assert_eq!(received(&carol).await, ["Group alice Withdrawn"]);
    assert_eq!(sent(&alice).await, ["Group carol Withdrawn", "Group bob Accepted"]);
    // A new nickname answers nothing.
    assert_eq!((counts(&alice).await, counts(&carol).await), ((0, 0, 0), (0, 0, 0)));
}

#[tokio::test]
async fn who_knocks_is_let_in_or_not_by_those_who_may() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    let tea = group(&alice, &[]).await;
    for user in [&bob, &carol] {
        let asked = user.groups().join(tea.id().into(), Some("thirst".to_owned())).await.unwrap();
        assert!(matches!(asked, Joined::Asked(_)));
    }
    assert_eq!(
        received(&alice).await,
        ["Knock carol Waiting \"thirst\"", "Knock bob Waiting \"thirst\"",]
    );
    alice.requests().refuse(&newest(&alice).await).await.unwrap();
    assert_eq!(sent(&carol).await, ["Knock carol Void \"thirst\""]);
    let page = alice.requests().list(RequestBox::Received, None, 50).await.unwrap();
    alice.requests().accept(&page.requests[1].id).await.unwrap();
    assert_eq!(sent(&bob).await, ["Knock bob Accepted \"thirst\""]);
    assert_eq!(received(&bob).await, ["Group alice Waiting"], "that is how one is let in");
}

#[tokio::test]
async fn a_request_is_taken_back_by_who_asks() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    let page = alice.requests().list(RequestBox::Sent, None, 50).await.unwrap();
    alice.requests().withdraw(&page.requests[0].id).await.unwrap();
    assert_eq!(received(&bob).await, ["Friend alice Withdrawn"]);
    assert_eq!(counts(&bob).await, (0, 0, 0));
}

#[tokio::test]
async fn what_was_looked_at_is_not_unread_and_what_is_over_can_go() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    bob.requests().mark_seen().await.unwrap();
    assert_eq!(counts(&bob).await, (1, 0, 0));
    carol.friends().request(bob.id(), None).await.unwrap();
    let page = bob.requests().list(RequestBox::Received, None, 50).await.unwrap();
    let unread: Vec<_> = page.requests.iter().map(|request| request.unread).collect();
    assert_eq!((unread, page.counts.unread), (vec![true, false], 1));
    let [new, old] = [0, 1].map(|n| page.requests[n].id.clone());
    let waits = bob.requests().dismiss(&old).await.unwrap_err();
    assert!(matches!(waits, Error::NotFound("request")));
    bob.requests().refuse(&old).await.unwrap();
    bob.requests().refuse(&new).await.unwrap();
    assert_eq!(counts(&bob).await, (0, 0, 0));
    bob.requests().dismiss(&old).await.unwrap();
    assert_eq!(received(&bob).await, ["Friend carol Refused"]);
}

async fn ignore(user: &User, ignored: &[&str]) {
    let ignored: serde_json::Map<_, _> =
        ignored.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    let list = raw(&json!({ "ignored_users": ignored }));
    user.set_account_data(None, "m.ignored_user_list", list).await.unwrap();
}

#[tokio::test]
async fn whom_one_ignores_one_does_not_hear_and_they_see_it_wait() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    ignore(&bob, &["@alice:x"]).await;
    carol.friends().request(bob.id(), None).await.unwrap();
    bob.requests().mark_seen().await.unwrap();
    alice.friends().request(bob.id(), Some("hear me".to_owned())).await.unwrap();
    assert_eq!(received(&bob).await, ["Friend carol Waiting"]);
    assert_eq!(sent(&alice).await, ["Friend bob Waiting \"hear me\""]);
    assert_eq!(counts(&bob).await, (1, 0, 0));
    ignore(&bob, &["@carol:x"]).await;
    assert_eq!(received(&bob).await, ["Friend alice Waiting \"hear me\""]);
    assert_eq!(counts(&bob).await, (1, 1, 0));
    ignore(&bob, &[]).await;
    assert_eq!(received(&bob).await, ["Friend alice Waiting \"hear me\"", "Friend carol Waiting"]);
    assert_eq!(counts(&bob).await, (2, 1, 0));
    bob.requests().accept(&newest(&bob).await).await.unwrap();
    assert_eq!(sent(&alice).await, ["Friend bob Accepted \"hear me\""]);
    ignore(&bob, &["@alice:x"]).await;
    assert_eq!(received(&bob).await[0], "Friend alice Accepted \"hear me\"", "that is over");
}

#[tokio::test]
async fn what_is_answered_while_nobody_hears_of_it_stays_unheard() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    ignore(&bob, &["@alice:x"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    alice.friends().withdraw(bob.id()).await.unwrap();
    ignore(&bob, &[]).await;
    assert_eq!(received(&bob).await, [""; 0]);
    assert_eq!(sent(&alice).await, ["Friend bob Withdrawn"]);
    // The other kind of account data that says so.
    let kind = "m.invite_permission_config";
    for (config, expected) in [
        (json!({ "ignored_users": ["@alice:x"] }), &[][..]),
        (json!({}), &["Friend alice Waiting"]),
        (json!({ "ignored_users": ["@alice:x"] }), &[]),
    ] {
        bob.set_account_data(None, kind, raw(&config)).await.unwrap();
        alice.friends().request(bob.id(), None).await.unwrap();
        assert_eq!(received(&bob).await, expected, "{config}");
        let page = bob.requests().list(RequestBox::Received, None, 1).await.unwrap();
        assert_eq!(page.counts.received, expected.len() as u64);
    }
}

#[tokio::test]
async fn more_than_one_commit_bears_come_onto_the_page_and_go() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    ignore(&bob, &["@alice:x"]).await;
    for _ in 0..120 {
        group(&alice, &[bob.id()]).await;
    }
    let many = async || {
        let page = bob.requests().list(RequestBox::Received, None, 200).await.unwrap();
        (page.requests.len(), page.counts.received)
    };
    assert_eq!(many().await, (0, 0));
    ignore(&bob, &[]).await;
    assert_eq!(many().await, (120, 120));
    ignore(&bob, &["@alice:x"]).await;
    assert_eq!(many().await, (0, 0));
}

#[tokio::test]
async fn another_who_asks_the_same_asks_anew() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    let tea = group(&alice, &[carol.id()]).await;
    carol.room(tea.id()).join(None).await.unwrap();
    alice.groups().set_role(tea.id(), carol.id(), tertulia_protocol::Role::Admin).await.unwrap();
    ignore(&bob, &["@alice:x"]).await;
    tea.invite(bob.id(), None, false).await.unwrap();
    assert_eq!(received(&bob).await, [""; 0]);
    carol.room(tea.id()).invite(bob.id(), None, false).await.unwrap();
    assert_eq!(received(&bob).await, ["Group carol Waiting"]);
    assert_eq!(sent(&carol).await, ["Group bob Waiting"]);
    assert_eq!(sent(&alice).await[0], "Group bob Void");
    assert_eq!((counts(&alice).await.2, counts(&carol).await.2), (0, 1));
}

#[tokio::test]
async fn what_comes_while_one_looks_is_unread() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    let up_to = server.core.store.settled();
    carol.friends().request(bob.id(), None).await.unwrap();
    server.core.store.write(See { user: bob.id().to_owned(), up_to }).await.unwrap();
    assert_eq!(counts(&bob).await, (2, 1, 0));
    let page = bob.requests().list(RequestBox::Received, None, 50).await.unwrap();
    let unread: Vec<_> = page.requests.iter().map(|request| request.unread).collect();
    assert_eq!(unread, [true, false]);
    bob.requests().mark_seen().await.unwrap();
    assert_eq!(counts(&bob).await, (2, 0, 0));
}

#[tokio::test]
async fn who_leaves_the_room_asks_nobody_to_be_a_friend_there() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    let tea = group(&alice, &[bob.id()]).await;
    let status = alice.friends().status(bob.id()).await.unwrap();
    alice.room(status.room().unwrap()).leave(None).await.unwrap();
    tea.leave(None).await.unwrap();
    assert_eq!(received(&bob).await, ["Group alice Waiting", "Friend alice Withdrawn"]);
    assert_eq!(sent(&alice).await, ["Group bob Waiting", "Friend bob Withdrawn"]);
    assert_eq!(counts(&bob).await, (1, 1, 0));
    assert_eq!(bob.friends().status(alice.id()).await.unwrap(), Friendship::Stranger);
}

#[tokio::test]
async fn those_who_close_their_account_neither_ask_nor_are_asked() {
    let server = server().await;
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    carol.friends().request(alice.id(), None).await.unwrap();
    group(&carol, &[alice.id()]).await;
    server.remove_user(alice.id()).await.unwrap();
    assert_eq!(received(&bob).await, ["Friend alice Withdrawn"]);
    assert_eq!(sent(&carol).await, ["Group alice Void", "Friend alice Void"]);
    assert_eq!((counts(&bob).await, counts(&carol).await), ((0, 0, 0), (0, 0, 0)));
    let view = server.core.store.view().await.unwrap();
    assert!(view.scan(&OPEN_REQUESTS, &(), Direction::Forward, 1).await.unwrap().is_empty());
    let left = view.scan(&REQUESTS, &(alice.id().to_owned(),), Direction::Forward, 1).await;
    assert!(left.unwrap().is_empty());
}

#[tokio::test]
async fn how_a_room_is_called_later_is_not_told_those_who_are_not_in_it() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    let tea = group(&alice, &[bob.id()]).await;
    let name = async |name: &str| {
        tea.set_state("m.room.name".into(), "", raw(&json!({ "name": name }))).await.unwrap();
    };
    let told = async || {
        let page = bob.requests().list(RequestBox::Received, None, 1).await.unwrap();
        page.requests[0].room_name.clone().unwrap()
    };
    assert_eq!(told().await, "Tea");
    name("Coffee").await;
    assert_eq!(told().await, "Coffee");
    bob.requests().refuse(&newest(&bob).await).await.unwrap();
    name("Wine").await;
    assert_eq!(told().await, "Tea", "as it was when bob was asked");
}

#[tokio::test]
async fn what_is_over_is_forgotten_after_as_long_as_the_owner_says() {
    const DAY: u64 = 24 * 60 * 60 * 1_000;
    let clock = DrivenClock::default();
    let settings = Settings {
        housekeeping: false,
        requests_kept: std::time::Duration::from_millis(90 * DAY),
        ..Settings::default()
    };
    let server = Homeserver::builder("x").unwrap().settings(settings).clock(clock.clone());
    let server = server.start(tertulia_storage::MemoryEngine::default()).await.unwrap();
    let [alice, bob, carol] = users(&server, ["alice", "bob", "carol"]).await;
    alice.friends().request(bob.id(), None).await.unwrap();
    carol.friends().request(bob.id(), None).await.unwrap();
    clock.advance(DAY);
    bob.requests().refuse(&newest(&bob).await).await.unwrap();
    let keep_house = async || {
        for _ in 0..24 {
            server.keep_house().await.unwrap();
        }
    };
    // A clock that was set wrong by less than a day makes nothing go early.
    clock.advance(91 * DAY - 1);
    keep_house().await;
    assert_eq!(received(&bob).await, ["Friend carol Refused", "Friend alice Waiting"]);
    clock.advance(1);
    keep_house().await;
    assert_eq!(received(&bob).await, ["Friend alice Waiting"]);
    assert_eq!(sent(&carol).await, [""; 0]);
    assert_eq!(sent(&alice).await, ["Friend bob Waiting"]);
}

#[tokio::test]
async fn only_the_server_says_how_many_wait() {
    let server = server().await;
    let [alice] = users(&server, ["alice"]).await;
    let lie = alice.set_account_data(None, "org.tertulia.requests", raw(&json!({}))).await;
    assert!(matches!(lie.unwrap_err(), Error::SetByServer(_)));
    let odd = alice.requests().list(RequestBox::Sent, Some("odd"), 5).await.unwrap_err();
    assert!(matches!(odd, Error::Invalid(_)));
}

#[tokio::test]
async fn pages_follow_each_other() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    for _ in 0..5 {
        group(&alice, &[bob.id()]).await;
    }
    let (mut seen, mut from) = (0, None);
    loop {
        let page = bob.requests().list(RequestBox::Received, from.as_deref(), 2).await.unwrap();
        seen += page.requests.len();
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(seen, 5);
}
