//! Finding people, each with what they are to the user.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_protocol::{Friendship, Welcome};
use tertulia_storage::View;

use super::Friends;
use crate::{
    FoundUser, Result,
    events::{Counted, Invitations, direct_rooms, friendships},
};

/// Somebody who was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPerson {
    /// Who.
    pub user: FoundUser,
    /// What they are to the user.
    pub friendship: Friendship<OwnedRoomId>,
}

/// People who were found, those first whose names fit best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundPeople {
    /// The people.
    pub people: Vec<FoundPerson>,
    /// Whether there are more.
    pub limited: bool,
}

impl Friends {
    /// Up to `limit` others, 50 at most, whose names have words that begin as those of `words` do, as the
    /// user directory has them ([`User::find_users`](crate::User::find_users)).
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage) if they cannot be read.
    pub async fn find(&self, words: &str, limit: usize) -> Result<FoundPeople> {
        // One more, as the user may be among them.
        let wanted = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut found = self.user.find_users(words, Some(wanted)).await?;
        found.results.retain(|found| found.user_id != self.user.id);
        found.limited |= found.results.len() > limit;
        found.results.truncate(limit);
        let view = self.user.core.store.view().await?;
        let users = found.results.iter().map(|found| found.user_id.clone()).collect();
        let mut known = self.statuses(&view, users).await?;
        let person = |user: FoundUser| {
            let friendship = known.remove(&user.user_id).unwrap_or_default();
            FoundPerson { user, friendship }
        };
        let people = found.results.into_iter().map(person).collect();
        Ok(FoundPeople { people, limited: found.limited })
    }

    /// What each of some others is to the user, as [`Friends::status`] tells it; strangers may be missing.
    async fn statuses(
        &self,
        view: &View,
        others: Vec<OwnedUserId>,
    ) -> Result<BTreeMap<OwnedUserId, Friendship<OwnedRoomId>>> {
        let mut rooms = Vec::new();
        for other in others {
            let direct = direct_rooms(view, &self.user.id, &other).await?;
            rooms.extend(direct.into_iter().map(|room| (other.clone(), room)));
        }
        let mut known = friendships(view, &self.user.id, rooms, Counted::Told).await?;
        let invitations = Invitations::to(view, &self.user.id).await?;
        known.retain(|other, known| {
            !matches!(known, Friendship::Asking(_)) || invitations.by(other) == Welcome::Told
        });
        Ok(known)
    }
}
