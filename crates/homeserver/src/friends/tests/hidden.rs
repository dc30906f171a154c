//! Those who do not want to hear from somebody do not, and nobody can tell.

use tertulia_protocol::RequestState;

use super::*;
use crate::{MembershipKind, NewDevice, RequestBox, Session, SyncRequest, testing::server_where};

async fn session(server: &Homeserver, name: &str) -> Session {
    server.register(name).await.unwrap().0
}

/// The rooms that a client of the user is told of, by section.
async fn told(
    session: &Session,
    since: Option<crate::SyncToken>,
) -> (Vec<String>, crate::SyncToken) {
    let update = session.sync(SyncRequest { since, ..SyncRequest::default() }).await.unwrap();
    let json = serde_json::to_value(&update).unwrap();
    let mut told = Vec::new();
    for section in ["join", "invite", "leave", "knock"] {
        let rooms = json["rooms"][section].as_object().unwrap();
        // An empty section only says that there is nothing.
        let rooms = rooms
            .values()
            .filter(|room| room["timeline"]["events"] != json!([]) || section == "invite");
        told.extend(rooms.map(|_| section.to_owned()));
    }
    (told, update.next_batch)
}

async fn hide(user: &User, asker: &User, how: &str) {
    match how {
        "ignored" => {
            let list = raw(&json!({ "ignored_users": { asker.id().as_str(): {} } }));
            user.set_account_data(None, "m.ignored_user_list", list).await.unwrap();
        }
        "friends" => user.friends().set_contact_policy(ContactPolicy::Friends).await.unwrap(),
        "friends_of_friends" => {
            user.friends().set_contact_policy(ContactPolicy::FriendsOfFriends).await.unwrap();
        }
        _ => {}
    }
}

#[tokio::test]
async fn who_does_not_want_to_hear_of_a_request_does_not_and_it_seems_to_wait() {
    for how in ["", "ignored", "friends", "friends_of_friends"] {
        let server = server().await;
        let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
        hide(&bob, &alice, how).await;
        let (_, start) = told(&bob, None).await;
        let asked = alice.friends().request(bob.id(), None).await.unwrap();
        let room = alice.room(asked.room().unwrap());
        assert_eq!(member(&room, &bob).await["membership"], "invite", "{how}");
        let is_told = how.is_empty();
        let expected = if is_told { "asked asking" } else { "asked stranger" };
        check_both(&alice, &bob, expected).await;
        let invites: &[&str] = if is_told { &["invite"] } else { &[] };
        let (seen, next) = told(&bob, Some(start)).await;
        assert_eq!(seen, invites, "{how}");
        assert_eq!(told(&bob, None).await.0, invites, "{how} to a new client");
        // To ask again is no other than before.
        assert_eq!(alice.friends().request(bob.id(), None).await.unwrap(), asked);
        if how == "ignored" {
            continue;
        }
        alice.friends().withdraw(bob.id()).await.unwrap();
        let ends: &[&str] = if is_told { &["leave"] } else { &[] };
        assert_eq!(told(&bob, Some(next)).await.0, ends, "{how} when it is taken back");
    }
}

#[tokio::test]
async fn who_asks_one_whose_request_they_did_not_hear_accepts_it() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    hide(&bob, &alice, "friends").await;
    let asked = alice.friends().request(bob.id(), None).await.unwrap();
    let known = bob.friends().request(alice.id(), None).await.unwrap();
    assert_eq!(known, Friend(asked.room().unwrap().clone()));
    check_both(&alice, &bob, "friend friend").await;
    // A friend may invite, to whatever room.
    let group = alice.create_room(NewRoom::new(alice.id().to_owned(), RoomVersionId::V12)).await;
    let group = group.unwrap();
    group.invite(bob.id(), None, false).await.unwrap();
    assert_eq!(unwelcome(&server, &bob, &group).await, (MembershipKind::Invite, false));
}

/// What a user is to a room, and whether it was kept from them.
async fn unwelcome(server: &Homeserver, user: &User, room: &Room) -> (MembershipKind, bool) {
    let view = server.core.store.view().await.unwrap();
    let key = (user.id().to_owned(), room.id().to_owned());
    let row = view.get(&MEMBERSHIPS, &key).await.unwrap().unwrap();
    (row.kind, row.unwelcome)
}

#[tokio::test]
async fn friends_of_friends_are_heard_if_they_may_be() {
    let server = server().await;
    let [alice, bob, carol, dave] = people(&server, ["alice", "bob", "carol", "dave"]).await;
    befriend(&alice, &bob).await;
    befriend(&bob, &carol).await;
    let invited = async |by: &User| {
        let room =
            by.create_room(NewRoom::new(by.id().to_owned(), RoomVersionId::V12)).await.unwrap();
        room.invite(alice.id(), None, false).await.unwrap();
        !unwelcome(&server, &alice, &room).await.1
    };
    let check = async |policy, expected: [bool; 3]| {
        alice.friends().set_contact_policy(policy).await.unwrap();
        assert_eq!(alice.friends().contact_policy().await.unwrap(), policy);
        for (by, expected) in [&bob, &carol, &dave].into_iter().zip(expected) {
            assert_eq!(invited(by).await, expected, "{policy:?} {by:?}");
        }
    };
    check(ContactPolicy::Anyone, [true, true, true]).await;
    check(ContactPolicy::FriendsOfFriends, [true, true, false]).await;
    check(ContactPolicy::Friends, [true, false, false]).await;
    // To call a room that bob is in direct makes nobody his friend.
    let public = crate::testing::public_room(&bob, "12").await;
    dave.room(public.id()).join(None).await.unwrap();
    let claim = raw(&json!({ bob.id().as_str(): [public.id()] }));
    dave.set_account_data(None, "m.direct", claim).await.unwrap();
    crate::testing::listed(&server).await;
    assert!(dave.friends().status(bob.id()).await.unwrap().is_friend());
    check(ContactPolicy::FriendsOfFriends, [true, true, false]).await;
}

#[tokio::test]
async fn whom_one_has_asked_may_invite_meanwhile() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    hide(&alice, &bob, "friends").await;
    alice.friends().request(bob.id(), None).await.unwrap();
    let room = stock_request(&bob, &alice, Preset::TrustedPrivateChat).await;
    assert_eq!(unwelcome(&server, &alice, &room).await, (MembershipKind::Invite, false));
    check_both(&alice, &bob, "asking asking").await;
}

#[tokio::test]
async fn to_ask_again_is_heard_where_the_policy_lets_it_be_heard_by_now() {
    let server = server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    hide(&bob, &carol, "friends_of_friends").await;
    let asked = carol.friends().request(bob.id(), None).await.unwrap();
    assert_eq!(carol.friends().request(bob.id(), None).await.unwrap(), asked);
    check_both(&carol, &bob, "asked stranger").await;
    befriend(&alice, &bob).await;
    befriend(&alice, &carol).await;
    let again = carol.friends().request(bob.id(), Some("of alice's".to_owned())).await.unwrap();
    assert_eq!(again, asked);
    check_both(&carol, &bob, "asked asking").await;
    let waiting = async |user: &User, page| {
        let rows = user.requests().list(page, None, 9).await.unwrap().requests;
        let waiting = rows.into_iter().filter(|row| row.state == RequestState::Waiting);
        waiting.map(|row| row.reason).collect::<Vec<_>>()
    };
    let told = [Some("of alice's".to_owned())];
    assert_eq!(waiting(&bob, RequestBox::Received).await, told);
    assert_eq!(waiting(&carol, RequestBox::Sent).await, told);
    assert_eq!(carol.friends().request(bob.id(), None).await.unwrap(), asked, "told once");
    assert_eq!(waiting(&bob, RequestBox::Received).await, told);
    bob.friends().accept(carol.id()).await.unwrap();
    check_both(&carol, &bob, "friend friend").await;
}

#[tokio::test]
async fn guests_ask_nobody() {
    let server = server_where(crate::Registration::Open).await;
    let [bob] = people(&server, ["bob"]).await;
    let guest = server.register_guest(NewDevice::default()).await;
    let Ok((guest, _)) = guest else { return };
    let asked = guest.friends().request(bob.id(), None).await;
    assert!(matches!(asked, Err(Error::GuestsForbidden)), "{asked:?}");
}
