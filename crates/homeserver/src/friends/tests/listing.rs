//! The list of friends.

use ruma::presence::PresenceState;

use super::*;
use crate::ProfileField;

async fn names(user: &User, limit: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = user.friends().list(after.as_deref(), limit).await.unwrap();
        assert!(page.friends.len() <= limit);
        names.extend(page.friends.iter().map(|friend| friend.user_id.localpart().to_owned()));
        match page.next {
            Some(next) => after = Some(next),
            None => return names,
        }
    }
}

#[tokio::test]
async fn friends_are_listed_with_all_that_a_list_shows() {
    let server = server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    let room = befriend(&alice, &bob).await;
    alice.friends().request(carol.id(), None).await.unwrap();
    bob.set_profile_field(ProfileField::DISPLAY_NAME, json!("Bob")).await.unwrap();
    bob.set_presence(PresenceState::Online, Some("here".to_owned())).await.unwrap();
    for body in ["one", "two"] {
        bob.room(&room).send_text(body).await.unwrap();
    }
    let page = alice.friends().list(None, 50).await.unwrap();
    let [friend] = &page.friends[..] else { panic!("{page:?}") };
    assert_eq!((&*friend.user_id, &friend.room_id), (bob.id(), &room));
    assert_eq!((friend.displayname.as_deref(), &friend.avatar_url), (Some("Bob"), &None));
    assert_eq!(friend.presence.state, PresenceState::Online);
    assert_eq!(friend.presence.status.as_deref(), Some("here"));
    assert_eq!(friend.unread.notification_count, 2);
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn pages_of_every_size_tell_each_friend_once() {
    let server = server().await;
    let [alice] = people(&server, ["alice"]).await;
    let mut expected = Vec::new();
    for n in 0..23 {
        let name = format!("f{n:02}");
        let [other] = people(&server, [&*name]).await;
        match n % 4 {
            0 => drop(alice.friends().request(other.id(), None).await.unwrap()),
            1 => {
                // In two rooms at once.
                stock_request(&other, &alice, Preset::PrivateChat).await;
                befriend(&other, &alice).await;
            }
            2 => {
                befriend(&alice, &other).await;
                other.friends().delete(alice.id()).await.unwrap();
            }
            _ => drop(befriend(&alice, &other).await),
        }
        if n % 2 == 1 {
            expected.push(name);
        }
    }
    for limit in [1, 2, 3, 7, 11, 50] {
        assert_eq!(names(&alice, limit).await, expected, "{limit} at a time");
    }
}
