//! Whose invites a user wants to hear of: the account data `org.tertulia.contact_policy`.
//!
//! It is asked in the commit that places an invite, as all it depends on may be another later; and once more where somebody
//! asks again whose friend request was not told.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tertulia_protocol::{ContactPolicy, Friendship};
use tertulia_storage::{Direction, View};

use super::direct::{Counted, friendship, friendships};
use crate::{
    Result,
    schema::{ACCOUNT_DATA, DIRECT, DirectBy, Scope},
};

/// How many direct rooms of each of two users are looked at for a friend whom they have in common.
const LOOK: usize = 5_000;

/// How many whom both know are looked at for one who is the friend of both.
const COMMON: usize = 100;

/// Whether `user` is to be told of an invite by `asker`. Whom the user has asked may ask.
pub(crate) async fn admits(view: &View, user: &UserId, asker: &UserId) -> Result<bool> {
    let policy = contact_policy(view, user).await?;
    if policy == ContactPolicy::Anyone {
        return Ok(true);
    }
    let known = friendship(view, user, asker, Counted::Told).await?;
    if matches!(known, Friendship::Friend(_) | Friendship::Asked(_)) {
        return Ok(true);
    }
    Ok(policy == ContactPolicy::FriendsOfFriends && have_friend(view, user, asker).await?)
}

/// Who may write to `user`.
pub(crate) async fn contact_policy(view: &View, user: &UserId) -> Result<ContactPolicy> {
    let key = (user.to_owned(), Scope::Global, ContactPolicy::KIND.to_owned());
    let datum = view.get(&ACCOUNT_DATA, &key).await?;
    Ok(datum.map(|datum| ContactPolicy::read(&datum.content)).unwrap_or_default())
}

/// Whether the two have a friend in common. What the asker lists in their own `m.direct` makes nobody
/// their friend: anyone may list anything.
async fn have_friend(view: &View, user: &UserId, asker: &UserId) -> Result<bool> {
    let mine = known_to(view, user, &DirectBy::ALL).await?;
    let theirs = known_to(view, asker, &[DirectBy::Invite]).await?;
    let common: BTreeSet<_> = mine.keys().filter(|other| theirs.contains_key(*other)).collect();
    let common: Vec<_> = common.into_iter().take(COMMON).collect();
    let friends_of = async |user: &UserId, rooms: &BTreeMap<OwnedUserId, Vec<OwnedRoomId>>| {
        let rooms = common
            .iter()
            .flat_map(|other| rooms[*other].iter().map(|room| ((*other).clone(), room.clone())));
        friendships(view, user, rooms.collect(), Counted::Told).await
    };
    let mine = friends_of(user, &mine).await?;
    let theirs = friends_of(asker, &theirs).await?;
    let both = |(other, friendship): (&OwnedUserId, &Friendship<_>)| {
        friendship.is_friend() && theirs.get(other).is_some_and(Friendship::is_friend)
    };
    Ok(mine.iter().any(both))
}

/// With whom a user has direct rooms, and which.
async fn known_to(
    view: &View,
    user: &UserId,
    by: &[DirectBy],
) -> Result<BTreeMap<OwnedUserId, Vec<OwnedRoomId>>> {
    let rows = view.scan(&DIRECT, &(user.to_owned(),), Direction::Forward, LOOK).await?;
    let mut known: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((_, other, room, made), ()) in rows {
        if by.contains(&made) {
            known.entry(other).or_default().push(room);
        }
    }
    Ok(known)
}
