//! The list of friends, in pages.

use std::ops::Bound;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Serialize;
use tertulia_protocol::Friendship;
use tertulia_storage::{Direction, Json, View};

use super::Friends;
use crate::{
    Presence, Result, UnreadCounts,
    events::{Counted, direct_rooms, friendships},
    presence::presence_of_many,
    schema::{DIRECT, DirectBy, MEMBERSHIPS, PROFILES},
    unread::unread_of,
};

/// How many friends a page has at most.
const MOST: usize = 200;
/// How many direct rooms are looked at for a page, as there are those that are nobody's any more.
const LOOK: usize = 2_000;

/// A friend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Friend {
    /// Who.
    pub user_id: OwnedUserId,
    /// The name of their profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// The picture of their profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// The room for the two.
    pub room_id: OwnedRoomId,
    /// How present they are.
    #[serde(flatten)]
    pub presence: Presence,
    /// What the user has not read in the room.
    pub unread: UnreadCounts,
}

/// Some of a user's friends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FriendsPage {
    /// In the order of their IDs.
    pub friends: Vec<Friend>,
    /// After whom to go on; none where there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<OwnedUserId>,
}

impl Friends {
    /// Up to `limit` of the user's friends, 200 at most, whose IDs come after `after`. There may be fewer though more
    /// follow: `next` says so.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage) if they cannot be read.
    pub async fn list(&self, after: Option<&UserId>, limit: usize) -> Result<FriendsPage> {
        let (view, me) = (self.user.core.store.view().await?, &self.user.id);
        let limit = limit.clamp(1, MOST);
        let (mut found, mut last, mut looked) = (Vec::new(), after.map(ToOwned::to_owned), 0);
        loop {
            let wanted = DirectBy::ALL.len() * (limit - found.len()) + 1;
            let rooms = rooms_after(&view, me, last.as_deref(), wanted).await?;
            let is_end = rooms.len() < wanted;
            looked += rooms.len();
            let rooms = whole(&view, me, rooms, is_end).await?;
            for (other, known) in friendships(&view, me, rooms, Counted::Told).await? {
                if found.len() == limit {
                    return self.page(&view, found, last).await;
                }
                if let Friendship::Friend(room) = known {
                    found.push((other.clone(), room));
                }
                last = Some(other);
            }
            if is_end || looked >= LOOK {
                return self.page(&view, found, last.filter(|_| !is_end)).await;
            }
        }
    }

    /// A page of those who were found.
    async fn page(
        &self,
        view: &View,
        found: Vec<(OwnedUserId, OwnedRoomId)>,
        next: Option<OwnedUserId>,
    ) -> Result<FriendsPage> {
        let (core, me) = (&self.user.core, &self.user.id);
        let keys: Vec<_> = found.iter().map(|(_, room)| (me.clone(), room.clone())).collect();
        let mine = view.get_many(&MEMBERSHIPS, &keys).await?;
        let rows = found.into_iter().zip(mine);
        let rows = rows.filter_map(|((user, room), me)| Some((user, (room, me?))));
        let (users, rooms): (Vec<_>, Vec<_>) = rows.unzip();
        let unread = unread_of(view, core, me, &rooms).await?;
        let presence = presence_of_many(view, core, &users).await?;
        let keys: Vec<_> = users.iter().map(|user| (user.clone(),)).collect();
        let profiles = view.get_many(&PROFILES, &keys).await?;
        let all = users.into_iter().zip(profiles).zip(rooms).zip(presence).zip(unread);
        let friends = all.map(|((((user_id, profile), (room_id, _)), presence), unread)| {
            let Json(profile) = profile.unwrap_or_default();
            let text = |field: &str| Some(profile.get(field)?.as_str()?.to_owned());
            let (displayname, avatar_url) = (text("displayname"), text("avatar_url"));
            Friend { user_id, displayname, avatar_url, room_id, presence, unread }
        });
        Ok(FriendsPage { friends: friends.collect(), next })
    }
}

/// Up to `limit` rows of the direct rooms with those whose IDs come after `after`.
async fn rooms_after(
    view: &View,
    me: &UserId,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<(OwnedUserId, OwnedRoomId)>> {
    let last = after.map(|after| (me.to_owned(), after.to_owned(), behind_all(), DirectBy::List));
    let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let prefix = (me.to_owned(),);
    let rows = view.scan_from(&DIRECT, &prefix, from, Direction::Forward, limit).await?;
    Ok(rows.into_iter().map(|((_, other, room, _), ())| (other, room)).collect())
}

/// An ID that sorts behind those of all rooms that there are.
fn behind_all() -> OwnedRoomId {
    RoomId::parse("!\u{10ffff}").expect("this is an ID of a room").to_owned()
}

/// All rooms with each of those whose rooms these are, each once. Where there are more rows, they may be
/// of the last one, who is left for later.
async fn whole(
    view: &View,
    me: &UserId,
    mut rooms: Vec<(OwnedUserId, OwnedRoomId)>,
    is_end: bool,
) -> Result<Vec<(OwnedUserId, OwnedRoomId)>> {
    if let Some((other, _)) = rooms.last().cloned().filter(|_| !is_end) {
        rooms.retain(|(one, _)| *one != other);
        if rooms.is_empty() {
            let all = direct_rooms(view, me, &other).await?;
            return Ok(all.into_iter().map(|room| (other.clone(), room)).collect());
        }
    }
    rooms.dedup();
    Ok(rooms)
}
