//! Carries into rooms what users do outside of them: a new name or picture shows in all rooms
//! that its user is in, and who closes the account leaves them.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{Draft, Pdu};
use tertulia_storage::{Command, Direction, Follower, Partition, Position, Table, Tx, View};

use super::follow_at;
use crate::{
    Error, Result, User,
    core::Core,
    events::{self, EventCache},
    favourites, log,
    rooms::Face,
    schema::{Entry, LOG, MEMBERSHIPS, MembershipKind},
    users,
};

/// Follows until the server stops, or the store fails.
pub(super) async fn follow(core: Arc<Core>) {
    let people = Arc::new(People { core: core.clone() });
    if let Err(error) = follow_at(&core, &people, log::people_topic()).await {
        tracing::error!(%error, "names and departures no longer reach the rooms");
        // Nobody need wait for it.
        users::note_carried(&core, Position::new(u64::MAX));
    }
}

struct People {
    core: Arc<Core>,
}

impl Follower for People {
    const NAME: &'static str = "people";
    const LOG: Table<(u16, Position), Entry> = LOG;
    const PAGE: usize = 1_000;

    type Entry = Entry;
    type Work = ();
    type Error = Error;

    async fn handle(&self, _: &View, page: Vec<(Position, Entry)>) -> Result<()> {
        let (mut changed, mut closed) = (BTreeSet::new(), BTreeSet::new());
        let end = page.last().map(|(position, _)| *position);
        for (_, entry) in page {
            match entry {
                Entry::Profile { user } => changed.insert(user),
                Entry::Deactivated { user } => closed.insert(user),
                _ => false,
            };
        }
        for user in changed {
            self.show_face(&User::new(self.core.clone(), user)).await?;
        }
        // Those who wait wait for faces.
        if let Some(end) = end {
            users::note_carried(&self.core, end);
        }
        for user in closed {
            favourites::clear(&self.core, &user).await?;
            self.leave(&User::new(self.core.clone(), user)).await?;
        }
        Ok(())
    }
}

impl People {
    /// Shows the user's name and picture of now in all rooms.
    async fn show_face(&self, user: &User) -> Result<()> {
        let face = user.face().await?;
        for room in self.rooms(user, &[MembershipKind::Join]).await? {
            let show = ShowFace {
                room: room.clone(),
                user: user.id().to_owned(),
                face: face.clone(),
                now: self.core.now(),
                core: self.core.clone(),
            };
            match self.core.store.write(show).await.map(|shown| shown.out) {
                Ok(Some(shown)) => self.core.local::<EventCache>().keep(&shown),
                Ok(None) => {}
                Err(error) => pass_over(error, user, &room)?,
            }
        }
        Ok(())
    }

    /// Takes the user out of all rooms, refuses all invites, and ends what sessions are left.
    async fn leave(&self, user: &User) -> Result<()> {
        // Whoever closed the account may not have come to that.
        self.core.learn_if_erased(user.id()).await?;
        user.delete_all_devices(None).await?;
        let kinds = [MembershipKind::Join, MembershipKind::Invite, MembershipKind::Knock];
        for room in self.rooms(user, &kinds).await? {
            if let Err(error) = user.room(&room).leave(None).await {
                pass_over(error, user, &room)?;
            }
        }
        Ok(())
    }

    /// The rooms to which the user is one of `kinds`.
    async fn rooms(&self, user: &User, kinds: &[MembershipKind]) -> Result<Vec<OwnedRoomId>> {
        let view = self.core.store.view().await?;
        let prefix = (user.id().to_owned(),);
        let (mut rooms, mut last) = (Vec::new(), None);
        loop {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let forward = Direction::Forward;
            let page = view.scan_from(&MEMBERSHIPS, &prefix, from, forward, Self::PAGE).await?;
            last = page.last().map(|(key, _)| key.clone());
            let complete = page.len() < Self::PAGE;
            let page = page.into_iter().filter(|(_, row)| kinds.contains(&row.kind));
            rooms.extend(page.map(|((_, room), _)| room));
            if complete {
                return Ok(rooms);
            }
        }
    }
}

/// Goes on where only one room has a say; stops where the store has failed.
fn pass_over(error: Error, user: &User, room: &OwnedRoomId) -> Result<()> {
    if let Error::Storage(error) = error {
        return Err(error.into());
    }
    tracing::info!(%error, user = %user.id(), %room, "a room keeps what it knows of a user");
    Ok(())
}

/// Shows a face in one room, if its user is there and shows another.
struct ShowFace {
    core: Arc<Core>,
    room: OwnedRoomId,
    user: OwnedUserId,
    face: Face,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for ShowFace {
    type Out = Option<Pdu>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Pdu>> {
        let mut head = events::guard_head(tx, &self.room).await?;
        let member = events::member(tx, &head, &self.user).await?;
        let shows_another = member.is_some_and(|member| {
            let shown = Face { displayname: member.displayname, avatar_url: member.avatar_url };
            // Who has left meanwhile must not be brought back by a new name.
            member.kind == MembershipKind::Join && shown != self.face
        });
        if !shows_another {
            return Ok(None);
        }
        let mut content = self.face.clone().into_content();
        content.insert("membership".to_owned(), json!(MembershipState::Join));
        let content = to_raw_value(&content).expect("an object is JSON");
        let kind = StateEventType::RoomMember;
        let draft = Draft::state(self.user.clone(), kind, self.user.as_str(), content);
        events::append(tx, &self.core, &mut head, draft, self.now, None).await.map(Some)
    }
}

#[cfg(test)]
mod tests;
