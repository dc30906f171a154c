//! Keeps the directories of rooms and users as what happens makes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_storage::{Direction, Follower, Position, Table, Topic, View, Watch};

use super::reach;
use crate::{
    Error, Result,
    core::Core,
    directory::{self, note_followed},
    events::{load_head, members},
    schema::{
        Entry, HEADS, LOG, Member, MembershipKind, PUBLIC_ROOM_PLACES, PUBLISHED_ROOMS,
        REOPENED_ROOMS, STATE_CHANGES,
    },
};

/// How far it may lie behind while nobody reads.
const FAR_BEHIND: u64 = 4_000;

/// How many users are looked at together.
const USERS: usize = 100;

/// Follows until the server stops, or the store fails. It hears those who read from now on, not
/// only once it runs.
pub(super) fn follow(core: Arc<Core>) -> impl Future<Output = ()> {
    let wanted = core.store.watch([directory::topic()]);
    async move {
        let directories = Arc::new(Directories { core: core.clone() });
        if let Err(error) = directories.follow(wanted).await {
            tracing::error!(%error, "the directories of rooms and users stay as they are");
            // Nobody need wait for it.
            note_followed(&core, Position::new(u64::MAX));
        }
    }
}

struct Directories {
    core: Arc<Core>,
}

impl Follower for Directories {
    const NAME: &'static str = "directory";
    const LOG: Table<(u16, Position), Entry> = LOG;
    const PAGE: usize = 1_000;

    type Entry = Entry;
    type Work = ();
    type Error = Error;

    async fn handle(&self, view: &View, page: Vec<(Position, Entry)>) -> Result<()> {
        let News { events, mut users } = News::of(page);
        for room in concerned(view, &events, &mut users).await? {
            self.relist(&room).await?;
        }
        self.relist_members().await?;
        // Only now, as it is the rooms that make users be found.
        users.retain(|user| self.core.is_local(user.server_name()));
        self.relist_users(users.into_iter().collect()).await
    }
}

/// What of a page of the log matters here.
#[derive(Default)]
struct News {
    /// Where something happened in a room, in the order of the log.
    events: Vec<(OwnedRoomId, Position)>,
    /// Who may be listed otherwise than before.
    users: BTreeSet<OwnedUserId>,
}

impl News {
    fn of(page: Vec<(Position, Entry)>) -> Self {
        let mut news = Self::default();
        for (position, entry) in page {
            match entry {
                Entry::Event { room, member, .. } | Entry::Generation { room, member } => {
                    news.events.push((room, position));
                    news.users.extend(member);
                }
                Entry::Profile { user }
                | Entry::Deactivated { user }
                | Entry::Restricted { user } => {
                    news.users.insert(user);
                }
                _ => {}
            }
        }
        news
    }
}

impl Directories {
    async fn follow(self: &Arc<Self>, mut wanted: Watch) -> Result<()> {
        let store = &self.core.store;
        let mut anything = store.watch([Topic::LOG]);
        let mut done = store.view().await?.cursor(Self::NAME).await?.unwrap_or(Position::ZERO);
        loop {
            let enough = Position::new(done.get() + FAR_BEHIND);
            tokio::select! {
                () = wanted.changed() => {}
                () = reach(&self.core, &mut anything, enough) => {}
                () = self.core.stop.cancelled() => return Ok(()),
            }
            done = store.settled();
            while store.follow_page(self).await? {
                if self.core.stop.is_cancelled() {
                    return Ok(());
                }
            }
            note_followed(&self.core, done);
        }
    }

    async fn relist(&self, room: &OwnedRoomId) -> Result<()> {
        match directory::relist(&self.core, room).await {
            Err(Error::Storage(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, %room, "the directory passes over a room");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Those in rooms that were opened to all, or closed, are found by others than before.
    async fn relist_members(&self) -> Result<()> {
        let view = self.core.store.view().await?;
        // A page reopens no more rooms than it has entries; a crash repeats it.
        let rooms = view.scan(&REOPENED_ROOMS, &(), Direction::Forward, 2 * Self::PAGE).await?;
        for ((room,), ()) in rooms {
            self.relist_members_of(&room).await?;
            directory::members_relisted(&self.core, room).await?;
        }
        Ok(())
    }

    async fn relist_members_of(&self, room: &OwnedRoomId) -> Result<()> {
        let mut last = None;
        loop {
            let view = self.core.store.view().await?;
            let head = match load_head(&view, room).await {
                Err(Error::NotFound(_)) => return Ok(()),
                head => head?,
            };
            let page = members(&view, &head, last.as_deref(), USERS).await?;
            let complete = page.len() < USERS;
            last = page.last().map(|(user, _)| user.clone());
            let is_here = |(user, row): &(OwnedUserId, Member)| {
                row.kind == MembershipKind::Join && self.core.is_local(user.server_name())
            };
            let here = page.into_iter().filter(is_here);
            self.relist_users(here.map(|(user, _)| user).collect()).await?;
            if complete {
                return Ok(());
            }
        }
    }

    async fn relist_users(&self, users: Vec<OwnedUserId>) -> Result<()> {
        for users in users.chunks(USERS) {
            directory::relist_users(&self.core, users).await?;
        }
        Ok(())
    }
}

/// The rooms of which the directories may show something else than before: their state has changed,
/// or they are shown. Messages in all others cost one look. `users` gets those whom a change of state
/// made come or go, which need not have been their own event's.
async fn concerned(
    view: &View,
    events: &[(OwnedRoomId, Position)],
    users: &mut BTreeSet<OwnedUserId>,
) -> Result<Vec<OwnedRoomId>> {
    let Some((_, first)) = events.first() else { return Ok(Vec::new()) };
    let rooms: BTreeSet<_> = events.iter().map(|(room, _)| (room.clone(),)).collect();
    let keys: Vec<_> = rooms.into_iter().collect();
    let heads = view.get_many(&HEADS, &keys).await?;
    let published = view.get_many(&PUBLISHED_ROOMS, &keys).await?;
    let listed = view.get_many(&PUBLIC_ROOM_PLACES, &keys).await?;
    let (mut concerned, mut changed) = (Vec::new(), BTreeMap::new());
    for ((((room,), head), published), listed) in
        keys.into_iter().zip(heads).zip(published).zip(listed)
    {
        let generation = head.map(|head| (head.state_at >= *first).then_some(head.generation));
        if let Some(Some(generation)) = generation {
            changed.insert(room.clone(), generation);
        }
        if generation != Some(None) || published.is_some() || listed.is_some() {
            concerned.push(room);
        }
    }
    users.extend(changed_members(view, events, &changed).await?);
    Ok(concerned)
}

/// Whose membership the changes of state in some rooms, each of one generation, set.
async fn changed_members(
    view: &View,
    events: &[(OwnedRoomId, Position)],
    changed: &BTreeMap<OwnedRoomId, u32>,
) -> Result<Vec<OwnedUserId>> {
    let key = |(room, position): &(OwnedRoomId, Position)| {
        Some((room.clone(), *changed.get(room)?, *position))
    };
    let keys: Vec<_> = events.iter().filter_map(key).collect();
    let changes = view.get_many(&STATE_CHANGES, &keys).await?;
    let changes = changes.into_iter().flatten().flat_map(|(changes,)| changes);
    let members = changes.filter(|change| change.kind == "m.room.member");
    Ok(members.filter_map(|change| OwnedUserId::try_from(change.key).ok()).collect())
}

#[cfg(test)]
mod tests;
