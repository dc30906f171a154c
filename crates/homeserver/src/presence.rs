//! How present people are (client-server API, "Presence"). It lives in memory: after a restart
//! nobody is there until a client of theirs is heard of. Only what they say of it is stored.
//!
//! Each change that others are told of takes the next number; a sync token holds the number up to
//! which a client was told. What time does (nobody did anything for a while, no client was heard
//! of) is worked out when somebody waits for news, so that no task has to.

mod people;
mod statuses;

use std::sync::Arc;

use parking_lot::Mutex;
use ruma::{
    OwnedUserId, UserId,
    events::{StateEventType, room::member::MembershipState},
    presence::PresenceState,
};
use serde_json::value::RawValue;
use tertulia_protocol::{Pdu, visibility::membership_in};
use tertulia_storage::{Direction, View};

use self::people::People;
pub use self::people::Presence;
use crate::{
    Error, Result, User,
    company::Company,
    core::Core,
    log::room_topic,
    schema::{ACCOUNTS, HEADS, MEMBERSHIPS, MembershipKind},
};

/// The most bytes of what one says of one's presence.
const MAX_STATUS: usize = 1_024;
/// In how many rooms others are woken. All others are told, but not before something else happens.
const MOST_ROOMS: usize = 500;
/// How many are in a room whose members are woken.
const LARGE: u64 = 500;
/// Whose presence one answer tells.
const MOST_TOLD: usize = 500;

/// The module's memory.
#[derive(Default)]
struct Known(Mutex<People>);

impl User {
    /// Says how present the user is, and what they say of it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is no such state, or `status` has more than 1 KiB;
    /// [`Error::Deactivated`] if the account was closed and `status` is another than before.
    pub async fn set_presence(&self, state: PresenceState, status: Option<String>) -> Result<()> {
        use PresenceState::{Offline, Online, Unavailable};
        if ![Offline, Online, Unavailable].contains(&state) {
            return Err(Error::Invalid("the presence"));
        }
        if status.as_ref().is_some_and(|status| status.len() > MAX_STATUS) {
            return Err(Error::Invalid("the status message"));
        }
        if !self.core.settings.presence {
            return Ok(());
        }
        statuses::recall(&self.core, &self.id).await?;
        // Clients repeat themselves all the time, which is written once.
        let is_known = self.core.local::<Known>().0.lock().says(&self.id, status.as_deref());
        if !is_known {
            statuses::keep(&self.core, &self.id, status.clone()).await?;
        }
        let now = now(&self.core);
        if self.core.local::<Known>().0.lock().say(&self.id, state, status, now) {
            wake(&self.core, &self.id).await?;
        }
        Ok(())
    }

    /// How present `user` is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such user here, [`Error::Forbidden`] for one who shares no
    /// room with them.
    pub async fn presence_of(&self, user: &UserId) -> Result<Presence> {
        let view = self.core.store.view().await?;
        if view.get(&ACCOUNTS, &(user.to_owned(),)).await?.is_none() {
            return Err(Error::NotFound("user"));
        }
        if user != self.id && !Company::of(&view, &self.id).await?.has(&view, user).await? {
            return Err(Error::Forbidden("you share no room with this user".to_owned()));
        }
        if !self.core.settings.presence {
            return Ok(Presence::unknown());
        }
        statuses::recall(&self.core, user).await?;
        let now = now(&self.core);
        Ok(self.core.local::<Known>().0.lock().presence(user, now))
    }
}

/// Notes that `user` has done something.
pub(crate) async fn note_active(core: &Core, user: &UserId) -> Result<()> {
    let now = now(core);
    if core.settings.presence && core.local::<Known>().0.lock().note_active(user, now) {
        wake(core, user).await?;
    }
    Ok(())
}

/// Whoever has come into a room is told of there, where nobody knows yet how present they are.
pub(crate) fn note_member(core: &Core, event: &Pdu) {
    let Some((StateEventType::RoomMember, user)) = event.slot() else { return };
    if !core.settings.presence || membership_in(event) != MembershipState::Join {
        return;
    }
    if let Ok(user) = UserId::parse(user) {
        core.local::<Known>().0.lock().tell_again(&user, now(core));
    }
}

/// Forgets what somebody said of themself, who is gone for good.
pub(crate) async fn forget(core: &Core, user: &UserId) -> Result<()> {
    let (known, now) = (core.local::<Known>(), now(core));
    let is_news = {
        let mut people = known.0.lock();
        people.knows(user) && people.say(user, PresenceState::Offline, None, now)
    };
    if is_news { wake(core, user).await } else { Ok(()) }
}

/// A client that waits for news. While it does, its user is there.
pub(crate) struct Poll {
    known: Option<(Arc<Core>, OwnedUserId)>,
}

impl Poll {
    /// A client of `user` waits. What it `wishes` is how present the user is; where that is to be
    /// offline, it waits unseen.
    pub(crate) async fn begin(
        core: &Arc<Core>,
        user: &UserId,
        wish: &PresenceState,
    ) -> Result<Self> {
        if !core.settings.presence {
            return Ok(Self { known: None });
        }
        let (known, now) = (core.local::<Known>(), now(core));
        let seen = *wish != PresenceState::Offline;
        if seen {
            statuses::recall(core, user).await?;
        }
        let comes = seen && known.0.lock().begin_poll(user, wish, now);
        let poll = Self { known: seen.then(|| (core.clone(), user.to_owned())) };
        // Whoever comes back in time was not gone.
        let mut changed = known.0.lock().pass(now);
        changed.extend(comes.then(|| user.to_owned()));
        wake_all(core, &changed).await?;
        Ok(poll)
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        if let Some((core, user)) = &self.known {
            core.local::<Known>().0.lock().end_poll(user, now(core));
        }
    }
}

/// What a token that is made now says of presence.
pub(crate) fn version(core: &Core) -> u64 {
    core.local::<Known>().0.lock().count
}

/// Of whom a client may have to be told, and up to which change that is.
pub(crate) struct News {
    pub(crate) users: Vec<OwnedUserId>,
    pub(crate) up_to: u64,
}

/// Whose presence changed after the `since`-th change; with none, everybody who is there.
pub(crate) fn news(core: &Core, since: Option<u64>) -> News {
    if !core.settings.presence {
        return News { users: Vec::new(), up_to: 0 };
    }
    let known = core.local::<Known>();
    let people = known.0.lock();
    let Some(since) = since else {
        return News { users: people.there(MOST_TOLD), up_to: people.count };
    };
    let changed = people.changed(since, MOST_TOLD);
    let up_to = match changed.last() {
        // There may be more.
        Some((last, _)) if changed.len() == MOST_TOLD => *last,
        _ => people.count,
    };
    News { users: changed.into_iter().map(|(_, user)| user).collect(), up_to }
}

/// How present each of `users` is.
pub(crate) async fn presence_of_many(
    view: &View,
    core: &Core,
    users: &[OwnedUserId],
) -> Result<Vec<Presence>> {
    if !core.settings.presence {
        return Ok(users.iter().map(|_| Presence::unknown()).collect());
    }
    statuses::recall_many(view, core, users).await?;
    let (known, now) = (core.local::<Known>(), now(core));
    let people = known.0.lock();
    Ok(users.iter().map(|user| people.presence(user, now)).collect())
}

/// The `m.presence` event that tells a client of `user`.
pub(crate) fn event(core: &Core, user: &UserId) -> Box<RawValue> {
    let now = now(core);
    core.local::<Known>().0.lock().presence(user, now).event(user)
}

/// The rooms that `user` is in, the first of them where there are very many.
async fn rooms_of(view: &View, user: &UserId) -> Result<Vec<ruma::OwnedRoomId>> {
    /// How many memberships are looked at.
    const LOOK: usize = 5_000;
    let rows = view.scan(&MEMBERSHIPS, &(user.to_owned(),), Direction::Forward, LOOK).await?;
    let joined = rows.into_iter().filter(|(_, row)| row.kind == MembershipKind::Join);
    Ok(joined.map(|((_, room), _)| room).collect())
}

async fn wake_all(core: &Core, users: &[OwnedUserId]) -> Result<()> {
    for user in users {
        wake(core, user).await?;
    }
    Ok(())
}

/// Wakes those who share a room with `user`, unless there are very many in it: a change of presence
/// must not cost more than a message there.
async fn wake(core: &Core, user: &UserId) -> Result<()> {
    let view = core.store.view().await?;
    let mut rooms = rooms_of(&view, user).await?;
    rooms.truncate(MOST_ROOMS);
    let keys: Vec<_> = rooms.into_iter().map(|room| (room,)).collect();
    let heads = view.get_many(&HEADS, &keys).await?;
    for ((room,), head) in keys.into_iter().zip(heads) {
        if head.is_some_and(|head| head.joined <= LARGE) {
            core.store.wake(room_topic(&room));
        }
    }
    Ok(())
}

fn now(core: &Core) -> u64 {
    core.now().get().into()
}

#[cfg(test)]
mod tests;
