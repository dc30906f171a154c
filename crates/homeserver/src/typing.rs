//! Who is typing. It lives in memory: after a restart nobody types.
//!
//! Each change of a room's list takes the next number. A sync token holds the number up to which a
//! client was told, and the number of this life of the server, so that a token from another life
//! is told what holds now.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId, RoomId, UInt, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tertulia_protocol::{Pdu, visibility::membership_in};
use tokio::sync::oneshot;

use crate::{
    Error, Result, User,
    core::Core,
    log,
    schema::{MEMBERSHIPS, MembershipKind},
};

/// The longest that one request makes a user type. Clients say so again every half minute.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// In how many rooms the server remembers that nobody types any more.
const MAX_QUIET_ROOMS: usize = 10_000;
/// Of how many changes of a room's list the server remembers whom they concerned.
const MAX_CHANGES: usize = 20;

/// How long a server lives, and how often lists changed in it: what a sync token holds of typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypingVersion {
    /// A number drawn when the server first needed it.
    pub(crate) boot: u64,
    /// How many changes there were since.
    pub(crate) count: u64,
}

impl User {
    /// Tells those in `room` that the user types, for as long as `timeout`; at most two minutes.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is not in the room.
    pub async fn start_typing(&self, room: &RoomId, timeout: Duration) -> Result<()> {
        self.refuse_suspended()?;
        self.check_typing(room).await?;
        let until = later(self.core.steady(), timeout.min(MAX_TIMEOUT));
        let started = self.core.local::<Typing>().lists.lock().start(room, &self.id, until);
        if let Some(stopped) = started {
            let typist =
                Typist { core: self.core.clone(), room: room.to_owned(), user: self.id.clone() };
            self.core.tasks.spawn(typist.expire(until, stopped));
            wake(&self.core, room);
        }
        Ok(())
    }

    /// Tells those in `room` that the user has stopped typing.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is not in the room.
    pub async fn stop_typing(&self, room: &RoomId) -> Result<()> {
        self.check_typing(room).await?;
        let stopped = self.core.local::<Typing>().lists.lock().stop(room, &self.id);
        if stopped {
            wake(&self.core, room);
        }
        Ok(())
    }

    async fn check_typing(&self, room: &RoomId) -> Result<()> {
        let view = self.core.store.view().await?;
        let membership = view.get(&MEMBERSHIPS, &(self.id.clone(), room.to_owned())).await?;
        match membership.map(|membership| membership.kind) {
            Some(MembershipKind::Join) => Ok(()),
            _ => Err(Error::Forbidden("you are not in this room".to_owned())),
        }
    }
}

/// Whoever has left `room`, or was removed from it, types there no more.
pub(crate) fn note_member(core: &Core, room: &RoomId, event: &Pdu) {
    let Some((StateEventType::RoomMember, user)) = event.slot() else { return };
    if membership_in(event) == MembershipState::Join {
        return;
    }
    let Ok(user) = UserId::parse(user) else { return };
    if core.local::<Typing>().lists.lock().stop(room, &user) {
        wake(core, room);
    }
}

/// What a token that is made now says of typing. Read it before the lists.
pub(crate) fn version(core: &Core) -> TypingVersion {
    let typing = core.local::<Typing>();
    let count = typing.lists.lock().count;
    TypingVersion { boot: typing.boot(core), count }
}

/// Who types in `room` of those whom a client `hears`, if one that was told up to `since` does not
/// know it yet.
pub(crate) fn changed(
    core: &Core,
    room: &RoomId,
    since: Option<TypingVersion>,
    hears: impl Fn(&UserId) -> bool,
) -> Option<Vec<OwnedUserId>> {
    let typing = core.local::<Typing>();
    let boot = typing.boot(core);
    let lists = typing.lists.lock();
    match since {
        Some(since) if since.boot == boot => lists.changed(room, since.count, hears),
        // Someone may have typed when the server's last life ended.
        Some(_) => Some(lists.users(room, hears)),
        None => Some(lists.users(room, hears)).filter(|users| !users.is_empty()),
    }
}

/// Who types in `room` of those whom a client `hears`.
pub(crate) fn now(core: &Core, room: &RoomId, hears: impl Fn(&UserId) -> bool) -> Vec<OwnedUserId> {
    core.local::<Typing>().lists.lock().users(room, hears)
}

/// The `m.typing` event that tells a client who types.
pub(crate) fn event(users: &[OwnedUserId]) -> Box<RawValue> {
    to_raw_value(&json!({ "type": "m.typing", "content": { "user_ids": users } }))
        .expect("JSON serialises")
}

/// The module's memory.
#[derive(Default)]
struct Typing {
    boot: OnceLock<u64>,
    lists: Mutex<Lists>,
}

impl Typing {
    fn boot(&self, core: &Core) -> u64 {
        *self.boot.get_or_init(|| {
            let mut bytes = [0; 8];
            core.random.fill(&mut bytes);
            u64::from_be_bytes(bytes)
        })
    }
}

/// Who types, by room.
#[derive(Default)]
struct Lists {
    /// How many changes there were.
    count: u64,
    rooms: HashMap<OwnedRoomId, List>,
    /// Rooms in which nobody types are forgotten if they changed up to here.
    forgotten: u64,
}

#[derive(Default)]
struct List {
    /// The number of its last change.
    changed: u64,
    /// The numbers of its last changes, and who began or stopped.
    changes: VecDeque<(u64, OwnedUserId)>,
    users: BTreeMap<OwnedUserId, Typed>,
}

impl List {
    fn note(&mut self, number: u64, user: &UserId) {
        self.changed = number;
        if self.changes.len() == MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((number, user.to_owned()));
    }

    /// Whether one whom a client `hears` began or stopped after the `count`-th change, or may have.
    fn concerns(&self, count: u64, hears: impl Fn(&UserId) -> bool) -> bool {
        let newer = self.changes.iter().rev().take_while(|(number, _)| *number > count);
        newer.clone().count() == MAX_CHANGES || newer.into_iter().any(|(_, user)| hears(user))
    }
}

/// A user who types.
struct Typed {
    until: MilliSecondsSinceUnixEpoch,
    /// Dropped with the rest, it ends the task that waits for `until`.
    _stop: oneshot::Sender<Infallible>,
}

impl Lists {
    /// Notes that `user` types. If that is news, answers with what ends when they stop.
    fn start(
        &mut self,
        room: &RoomId,
        user: &UserId,
        until: MilliSecondsSinceUnixEpoch,
    ) -> Option<oneshot::Receiver<Infallible>> {
        let list = self.rooms.entry(room.to_owned()).or_default();
        if let Some(typed) = list.users.get_mut(user) {
            typed.until = until;
            return None;
        }
        let (stop, stopped) = oneshot::channel();
        list.users.insert(user.to_owned(), Typed { until, _stop: stop });
        self.count += 1;
        list.note(self.count, user);
        Some(stopped)
    }

    /// Notes that `user` does not type; whether that is news.
    fn stop(&mut self, room: &RoomId, user: &UserId) -> bool {
        let Some(list) = self.rooms.get_mut(room) else { return false };
        if list.users.remove(user).is_none() {
            return false;
        }
        self.count += 1;
        list.note(self.count, user);
        self.forget();
        true
    }

    /// Until when `user` types; none, and noted, if that is over.
    fn expire(
        &mut self,
        room: &RoomId,
        user: &UserId,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Option<MilliSecondsSinceUnixEpoch> {
        let until = self.rooms.get(room)?.users.get(user)?.until;
        if until > now {
            return Some(until);
        }
        self.stop(room, user);
        None
    }

    /// Forgets quiet rooms when there are too many, those that changed longest ago.
    fn forget(&mut self) {
        let quiet = self.rooms.values().filter(|list| list.users.is_empty());
        let mut changes: Vec<u64> = quiet.map(|list| list.changed).collect();
        if changes.len() <= MAX_QUIET_ROOMS {
            return;
        }
        let (_, middle, _) = changes.select_nth_unstable(MAX_QUIET_ROOMS / 2);
        self.forgotten = *middle;
        self.rooms.retain(|_, list| !list.users.is_empty() || list.changed > self.forgotten);
    }

    fn users(&self, room: &RoomId, hears: impl Fn(&UserId) -> bool) -> Vec<OwnedUserId> {
        let users = self.rooms.get(room).into_iter().flat_map(|list| list.users.keys());
        users.filter(|user| hears(user)).cloned().collect()
    }

    /// Who types of those whom a client `hears`, if that changed after the `count`-th change.
    fn changed(
        &self,
        room: &RoomId,
        count: u64,
        hears: impl Fn(&UserId) -> bool,
    ) -> Option<Vec<OwnedUserId>> {
        let is_news = match self.rooms.get(room) {
            // What the list was before it was forgotten is not known.
            Some(list) if count < self.forgotten => list.changed > count,
            Some(list) => list.concerns(count, &hears),
            None => self.forgotten > count,
        };
        is_news.then(|| self.users(room, hears))
    }
}

/// One who types, for the task that waits for the end of it.
struct Typist {
    core: Arc<Core>,
    room: OwnedRoomId,
    user: OwnedUserId,
}

impl Typist {
    /// Takes the user from the list when the time is up. A client that goes on typing moves it.
    async fn expire(
        self,
        mut until: MilliSecondsSinceUnixEpoch,
        mut stopped: oneshot::Receiver<Infallible>,
    ) {
        let typing = self.core.local::<Typing>();
        loop {
            tokio::select! {
                () = self.core.clock.sleep(remaining(self.core.steady(), until)) => {}
                _ = &mut stopped => return,
                () = self.core.stop.cancelled() => return,
            }
            match typing.lists.lock().expire(&self.room, &self.user, self.core.steady()) {
                Some(moved) => until = moved,
                None => break,
            }
        }
        wake(&self.core, &self.room);
    }
}

fn later(now: MilliSecondsSinceUnixEpoch, time: Duration) -> MilliSecondsSinceUnixEpoch {
    let time = UInt::try_from(time.as_millis()).unwrap_or(UInt::MAX);
    MilliSecondsSinceUnixEpoch(now.get().saturating_add(time))
}

fn remaining(now: MilliSecondsSinceUnixEpoch, until: MilliSecondsSinceUnixEpoch) -> Duration {
    Duration::from_millis(until.get().saturating_sub(now.get()).into())
}

/// Wakes those who wait for something to happen in `room`.
fn wake(core: &Core, room: &RoomId) {
    core.store.wake(log::room_topic(room));
}

#[cfg(test)]
mod tests;
