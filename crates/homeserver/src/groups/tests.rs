//! What groups promise, through the library.

use ruma::UserId;
use tertulia_protocol::Role;

use super::*;
use crate::{
    Error,
    testing::{public_room, server, user},
};

/// The members of all pages of so many, as text.
async fn pages(groups: &Groups, group: &crate::Room, limit: usize) -> Vec<Vec<String>> {
    let (mut pages, mut from) = (Vec::new(), None::<ruma::OwnedUserId>);
    loop {
        let page = groups.members(group.id(), from.as_deref(), limit).await.unwrap();
        let text = |member: &GroupMember| {
            let invited = if member.invited { " invited" } else { "" };
            format!("{} {:?}{invited}", member.user_id.localpart(), member.role)
        };
        pages.push(page.members.iter().map(text).collect());
        from = page.next;
        if from.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn members_are_paged_by_their_ids_and_have_roles() {
    let server = server().await;
    let alice = user(&server, "alice");
    let group = public_room(&alice, "11").await;
    for name in ["dave", "bob", "carol"] {
        user(&server, name).room(group.id()).join(None).await.unwrap();
    }
    group.invite(<&UserId>::try_from("@erin:x").unwrap(), None, false).await.unwrap();
    user(&server, "carol").room(group.id()).leave(None).await.unwrap();
    let all = [["alice Owner", "bob Member", "dave Member", "erin Member invited"]];
    assert_eq!(pages(&alice.groups(), &group, 50).await, all);
    let two = [["alice Owner", "bob Member"], ["dave Member", "erin Member invited"]];
    assert_eq!(pages(&alice.groups(), &group, 2).await, two);
    assert_eq!(pages(&alice.groups(), &group, 0).await.len(), 4, "a page has one at least");
}

#[tokio::test]
async fn the_members_are_told_to_members_only() {
    let server = server().await;
    let group = public_room(&user(&server, "alice"), "11").await;
    let bob = user(&server, "bob");
    let refused = |error| matches!(error, Error::Forbidden(_));
    assert!(refused(bob.groups().members(group.id(), None, 50).await.unwrap_err()));
    let nowhere = ruma::room_id!("!nowhere:x");
    assert!(refused(bob.groups().members(nowhere, None, 50).await.unwrap_err()));
    bob.room(group.id()).join(None).await.unwrap();
    bob.groups().members(group.id(), None, 50).await.unwrap();
    bob.room(group.id()).leave(None).await.unwrap();
    assert!(refused(bob.groups().members(group.id(), None, 50).await.unwrap_err()));
}

#[tokio::test]
async fn the_creator_of_a_new_room_is_an_owner_without_being_named() {
    let server = server().await;
    let alice = user(&server, "alice");
    let group = public_room(&alice, "12").await;
    let page = alice.groups().members(group.id(), None, 50).await.unwrap();
    assert_eq!(page.members[0].role, Role::Owner);
}

/// What everyone is in a group.
async fn roles(groups: &Groups, group: &crate::Room) -> String {
    pages(groups, group, 50).await.concat().join(", ")
}

/// A group of alice, bob and carol, all of whom have joined.
async fn group_of_three(
    server: &crate::Homeserver,
    public: bool,
) -> (Vec<crate::User>, crate::Room) {
    let users: Vec<_> = ["alice", "bob", "carol"].map(|name| user(server, name)).into();
    let wish = NewGroup { name: Some("Tea".to_owned()), public, ..NewGroup::default() };
    let group = users[0].groups().create(wish).await.unwrap();
    for user in &users[1..] {
        group.invite(user.id(), None, false).await.unwrap();
        user.room(group.id()).join(None).await.unwrap();
    }
    (users, group)
}

#[tokio::test]
async fn nothing_is_made_of_a_wish_that_cannot_be_met() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| server.create_user(name));
    let (alice, bob) = (alice.await.unwrap(), bob.await.unwrap());
    let text = |text: &str| Some(text.to_owned());
    let with = |members: &[&str]| NewGroup {
        members: members.iter().map(|&id| UserId::parse(id).unwrap().to_owned()).collect(),
        ..NewGroup::default()
    };
    let refusal = async |wish| alice.groups().create(wish).await.unwrap_err();
    let nobody = refusal(with(&[bob.id().as_str(), "@nobody:x"])).await;
    assert!(matches!(nobody, Error::NotFound("user")), "{nobody:?}");
    let foreign = refusal(with(&["@nobody:y"])).await;
    assert!(matches!(foreign, Error::Forbidden(_)), "{foreign:?}");
    for evil in ["a\u{202e}b", "a\0", "\u{200b}\u{2060}"] {
        let name = refusal(NewGroup { name: text(evil), ..NewGroup::default() }).await;
        assert!(matches!(name, Error::UnfitName(_)), "{evil:?}: {name:?}");
        let topic = refusal(NewGroup { topic: text(evil), ..NewGroup::default() }).await;
        assert!(matches!(topic, Error::UnfitName(_)), "{evil:?}: {topic:?}");
    }
    for url in ["javascript:1", "", "mxc://x", "https://x/a"] {
        let wish = NewGroup { avatar_url: Some(url.into()), ..NewGroup::default() };
        let picture = refusal(wish).await;
        assert!(matches!(picture, Error::Invalid(_)), "{url}: {picture:?}");
    }
    assert!(alice.joined_rooms().await.unwrap().is_empty());
    let wish = NewGroup {
        name: text(""),
        topic: text("Tea\nand cake"),
        avatar_url: Some("mxc://x/tea".into()),
        ..with(&[bob.id().as_str()])
    };
    alice.groups().create(wish).await.unwrap();
}

#[tokio::test]
async fn owners_give_roles_and_admins_do_not_make_owners() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    let [alice, bob, carol] = [0, 1, 2].map(|n| users[n].clone());
    alice.groups().set_role(group.id(), bob.id(), Role::Admin).await.unwrap();
    assert_eq!(roles(&bob.groups(), &group).await, "alice Owner, bob Admin, carol Member");
    let refused = |error| matches!(error, Error::Refused(_));
    let greedy = bob.groups().set_role(group.id(), carol.id(), Role::Owner).await;
    assert!(refused(greedy.unwrap_err()));
    let greedy = carol.groups().set_role(group.id(), carol.id(), Role::Admin).await;
    assert!(refused(greedy.unwrap_err()));
    let dave = user(&server, "dave");
    let stranger = alice.groups().set_role(group.id(), dave.id(), Role::Admin).await;
    assert!(matches!(stranger.unwrap_err(), Error::NotFound("member")));
    let before = roles(&alice.groups(), &group).await;
    alice.groups().set_role(group.id(), bob.id(), Role::Admin).await.unwrap();
    assert_eq!(roles(&alice.groups(), &group).await, before, "what is so stays so");
}

#[tokio::test]
async fn a_group_keeps_an_owner_who_may_hand_it_over() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    let [alice, bob] = [0, 1].map(|n| users[n].clone());
    let last = alice.groups().set_role(group.id(), alice.id(), Role::Member).await;
    assert!(matches!(last.unwrap_err(), Error::Forbidden(_)));
    assert!(roles(&alice.groups(), &group).await.starts_with("alice Owner"), "nothing was written");
    alice.groups().hand_over(group.id(), bob.id()).await.unwrap();
    assert_eq!(roles(&bob.groups(), &group).await, "alice Admin, bob Owner, carol Member");
    bob.groups().set_role(group.id(), alice.id(), Role::Owner).await.unwrap();
    bob.groups().set_role(group.id(), bob.id(), Role::Member).await.unwrap();
    assert_eq!(roles(&bob.groups(), &group).await, "alice Owner, bob Member, carol Member");
}

#[tokio::test]
async fn the_only_owner_leaves_when_the_group_has_another_or_nobody() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    let [alice, bob, carol] = [0, 1, 2].map(|n| users[n].clone());
    let last = alice.groups().leave(group.id()).await.unwrap_err();
    assert!(matches!(&last, Error::Forbidden(words) if words.contains("needs an owner")), "{last}");
    let all = "alice Owner, bob Member, carol Member";
    assert_eq!(roles(&alice.groups(), &group).await, all, "nothing was written");
    carol.groups().leave(group.id()).await.unwrap();
    carol.groups().leave(group.id()).await.unwrap();
    alice.groups().hand_over(group.id(), bob.id()).await.unwrap();
    alice.groups().leave(group.id()).await.unwrap();
    assert_eq!(roles(&bob.groups(), &group).await, "bob Owner");
    let dave = user(&server, "dave");
    let stranger = dave.groups().leave(group.id()).await.unwrap_err();
    assert!(matches!(stranger, Error::Forbidden(_)));
    group.invite(dave.id(), None, false).await.unwrap_err();
    bob.room(group.id()).invite(dave.id(), None, false).await.unwrap();
    bob.groups().leave(group.id()).await.unwrap();
    dave.groups().leave(group.id()).await.unwrap();
    assert_eq!(left_in(&server, &group).await, [""; 0]);
}

#[tokio::test]
async fn members_leave_a_group_that_has_lost_its_owner() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    group.leave(None).await.unwrap();
    users[1].groups().leave(group.id()).await.unwrap();
    assert_eq!(roles(&users[2].groups(), &group).await, "carol Member");
}

#[tokio::test]
async fn creators_of_new_versions_stay_owners() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let group = public_room(&alice, "12").await;
    bob.room(group.id()).join(None).await.unwrap();
    let refused = alice.groups().hand_over(group.id(), bob.id()).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)));
    let refused = alice.groups().set_role(group.id(), alice.id(), Role::Admin).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)));
    alice.groups().set_role(group.id(), bob.id(), Role::Owner).await.unwrap();
    assert_eq!(roles(&bob.groups(), &group).await, "alice Owner, bob Owner");
}

#[tokio::test]
async fn where_only_some_speak_members_are_refused() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    users[0].groups().set_announcements_only(group.id(), true).await.unwrap();
    let said = users[1].room(group.id()).send_text("hello").await;
    assert!(matches!(said.unwrap_err(), Error::Refused(_)));
    users[0].room(group.id()).send_text("hello").await.unwrap();
    let refused = users[1].groups().set_announcements_only(group.id(), false).await;
    assert!(matches!(refused.unwrap_err(), Error::Refused(_)));
    users[0].groups().set_announcements_only(group.id(), false).await.unwrap();
    users[1].room(group.id()).send_text("hello").await.unwrap();
}

#[tokio::test]
async fn who_is_not_let_in_asks() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    let dave = user(&server, "dave");
    let reason = || Some("thirst".to_owned());
    let asked = dave.groups().join(group.id().into(), reason()).await.unwrap();
    assert_eq!(asked, Joined::Asked(group.id().to_owned()));
    users[0].room(group.id()).invite(dave.id(), None, false).await.unwrap();
    let joined = dave.groups().join(group.id().into(), None).await.unwrap();
    assert_eq!(joined, Joined::In(group.id().to_owned()));
    group.ban(dave.id(), None).await.unwrap();
    assert!(matches!(
        dave.groups().join(group.id().into(), None).await.unwrap_err(),
        Error::Refused(_)
    ));
    let (_, open) = group_of_three(&server, true).await;
    let erin = user(&server, "erin").groups().join(open.id().into(), None).await.unwrap();
    assert_eq!(erin, Joined::In(open.id().to_owned()));
}

/// Everyone who is in the group, is invited to it or has asked to be let in.
async fn left_in(server: &crate::Homeserver, group: &crate::Room) -> Vec<String> {
    use crate::schema::MembershipKind::{Ban, Leave};
    let view = server.core.store.view().await.unwrap();
    let head = crate::events::load_head(&view, group.id()).await.unwrap();
    let rows = crate::events::members(&view, &head, None, 1_000).await.unwrap();
    let left = rows.into_iter().filter(|(_, row)| !matches!(row.kind, Leave | Ban));
    left.map(|(user, _)| user.to_string()).collect()
}

#[tokio::test]
async fn when_a_group_ends_everyone_is_out_and_nobody_comes_in() {
    let server = server().await;
    let (users, group) = group_of_three(&server, true).await;
    let dave = user(&server, "dave");
    users[0].room(group.id()).invite(dave.id(), None, false).await.unwrap();
    let refused = users[1].groups().dissolve(group.id()).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)));
    users[0].groups().dissolve(group.id()).await.unwrap();
    assert_eq!(left_in(&server, &group).await, [""; 0]);
    assert!(dave.groups().join(group.id().into(), None).await.is_err());
    let page = server.public_rooms(&crate::PublicRoomsQuery::default()).await.unwrap();
    assert!(page.chunk.is_empty());
    let again = users[0].groups().dissolve(group.id()).await.unwrap_err();
    assert!(matches!(again, Error::Forbidden(_)));
}

#[tokio::test]
async fn an_end_that_was_interrupted_goes_on() {
    let server = server().await;
    let (users, group) = group_of_three(&server, false).await;
    let begun = create::Note { group: group.id().to_owned(), by: Some(users[0].id().to_owned()) };
    server.core.store.write(begun).await.unwrap();
    group.kick(users[1].id(), None).await.unwrap();
    server.go_on_dissolving().await.unwrap();
    assert_eq!(left_in(&server, &group).await, [""; 0]);
    let gone =
        create::Note { group: ruma::owned_room_id!("!gone:x"), by: Some(users[0].id().to_owned()) };
    server.core.store.write(gone).await.unwrap();
    server.go_on_dissolving().await.unwrap();
    let view = server.core.store.view().await.unwrap();
    let rows =
        view.scan(&crate::schema::DISSOLVED_GROUPS, &(), tertulia_storage::Direction::Forward, 9);
    assert_eq!(rows.await.unwrap(), []);
}
