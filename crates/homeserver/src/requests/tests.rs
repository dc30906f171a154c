//! What requests promise, through the library.

use ruma::UserId;
use serde_json::{Value, json};

use super::*;
use crate::{
    Homeserver, Joined, NewGroup, Room,
    testing::{raw, server},
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

#[tokio::test]
async fn whom_one_ignores_one_does_not_hear_and_they_see_it_wait() {
    let server = server().await;
    let [alice, bob] = users(&server, ["alice", "bob"]).await;
    let ignored = raw(&json!({ "ignored_users": { "@alice:x": {} } }));
    bob.set_account_data(None, "m.ignored_user_list", ignored).await.unwrap();
    alice.friends().request(bob.id(), None).await.unwrap();
    assert_eq!(received(&bob).await, [""; 0]);
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
