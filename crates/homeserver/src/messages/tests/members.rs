use super::*;
use crate::{MembershipKind, Role};

#[tokio::test]
async fn members_are_told_with_what_they_are_and_may_do() {
    let Chat { server, alice, bob, .. } = chat().await;
    bob.user().set_nickname(Some("Bobby")).await.unwrap_err();
    let carol = server.create_user("carol").await.unwrap();
    carol.set_nickname(Some("Carola")).await.unwrap();
    alice.invite(carol.id(), None, false).await.unwrap();
    let gone = user(&server, "d").room(alice.id());
    gone.join(None).await.unwrap();
    gone.leave(None).await.unwrap();

    let members = bob.members().await.unwrap();
    let told: Vec<_> = members
        .iter()
        .map(|member| (member.user.localpart(), member.membership, member.role))
        .collect();
    assert_eq!(
        told,
        [
            ("alice", MembershipKind::Join, Role::Owner),
            ("bob", MembershipKind::Join, Role::Member),
            ("carol", MembershipKind::Invite, Role::Member),
        ]
    );
    assert_eq!(members[2].displayname.as_deref(), Some("Carola"));
    assert_eq!(members[2].avatar_url, None);
}

#[tokio::test]
async fn those_who_are_out_are_told_of_no_members() {
    let Chat { server, alice, bob, .. } = chat().await;
    bob.leave(None).await.unwrap();
    let nowhere = user(&server, "mallory").room(ruma::room_id!("!nowhere:x"));
    for outside in [bob, user(&server, "mallory").room(alice.id()), nowhere] {
        let refused = outside.members().await.unwrap_err();
        assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    }
}
