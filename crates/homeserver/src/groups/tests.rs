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
