//! In which order a user's chats are: by when something was said there last, or when the user came.
//!
//! It is kept in memory as of a position of the log, and goes on from there.

use std::{cmp::Reverse, collections::BTreeSet, fmt, ops::Bound, sync::Arc};

use imbl::{HashMap, OrdSet};
use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_storage::{Direction, Position, View};

use crate::{
    Error, Result,
    core::Core,
    log::SHARD,
    schema::{Entry, HEADS, LOG, MEMBERSHIPS, Membership, MembershipKind, RoomHead},
};

/// Of how many users the order is kept.
const USERS: usize = 2_000;
/// How many entries of the log cost as much as looking at every room of a user.
const NEAR: u64 = 1_000;
/// What a user says of all chats at once: what is counted in them, who is heard, which are direct.
const DECIDING: [&str; 3] = ["m.push_rules", "m.ignored_user_list", "m.direct"];
/// How many rows are read at once.
const PAGE: usize = 500;

/// Where a chat stands in the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When something was said last.
    time: Reverse<Position>,
    pub(super) room: OwnedRoomId,
}

impl Place {
    pub(super) fn parse(token: &str) -> Result<Self> {
        let parts = token.split_once('_');
        let parsed = parts.and_then(|(time, room)| {
            let time = Reverse(Position::new(time.parse().ok()?));
            Some(Self { time, room: OwnedRoomId::try_from(room).ok()? })
        });
        parsed.ok_or(Error::Invalid("the token of a page"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.time.0.get(), self.room)
    }
}

/// The chats of a user in their order, as of a position of the log. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Order {
    at: Position,
    places: OrdSet<Place>,
    times: HashMap<OwnedRoomId, Reverse<Position>>,
}

/// The orders that were asked for last.
struct Memory(Cache<OwnedUserId, Arc<Order>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::new(USERS))
    }
}

/// What the log says of a user's chats since a position.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Rooms in which something happened, or that the user read further.
    pub(super) rooms: BTreeSet<OwnedRoomId>,
    /// Whether anything else that chats depend on may have changed.
    pub(super) all: bool,
}

impl Order {
    /// The order as `view` has it.
    pub(super) async fn now(view: &View, core: &Core, user: &UserId) -> Result<Arc<Self>> {
        let memory = core.local::<Memory>();
        let known = memory.0.get(user).filter(|known| known.at <= view.settled());
        let order = match known {
            Some(known) if known.at == view.settled() => return Ok(known),
            Some(known) => known.at(view, user).await?.0,
            None => Self::read(view, user).await?,
        };
        let order = Arc::new(order);
        memory.0.insert(user.to_owned(), order.clone());
        Ok(order)
    }

    /// The order as of a later view, and what has happened meanwhile.
    pub(super) async fn at(&self, view: &View, user: &UserId) -> Result<(Self, Touched)> {
        if view.settled().get().saturating_sub(self.at.get()) > NEAR {
            return Ok((
                Self::read(view, user).await?,
                Touched { all: true, ..Touched::default() },
            ));
        }
        let touched = self.touched(view, user).await?;
        let mut order = Self { at: view.settled(), ..self.clone() };
        let rooms: Vec<_> = touched.rooms.iter().cloned().collect();
        order.look_at(view, user, rooms).await?;
        Ok((order, touched))
    }

    /// All rooms of the user.
    pub(super) async fn read(view: &View, user: &UserId) -> Result<Self> {
        let mut order = Self { at: view.settled(), places: OrdSet::new(), times: HashMap::new() };
        let (prefix, mut from) = ((user.to_owned(),), Bound::Unbounded);
        loop {
            let forward = Direction::Forward;
            let rows = view.scan_from(&MEMBERSHIPS, &prefix, from.as_ref(), forward, PAGE).await?;
            let Some((last, _)) = rows.last() else { return Ok(order) };
            from = Bound::Excluded(last.clone());
            let rows = rows.into_iter().map(|((_, room), me)| (room, Some(me)));
            order.place(view, rows.collect()).await?;
        }
    }

    /// What the log says between the order and a later view.
    async fn touched(&self, view: &View, user: &UserId) -> Result<Touched> {
        let from = Bound::Excluded((SHARD, self.at));
        let limit = usize::try_from(NEAR).expect("a small number");
        let rows =
            view.scan_from(&LOG, &(SHARD,), from.as_ref(), Direction::Forward, limit).await?;
        let mut touched = Touched::default();
        for (_, entry) in rows {
            match entry {
                Entry::Event { room, member, .. } | Entry::Generation { room, member }
                    if member.as_deref() == Some(user) || self.times.contains_key(&room) =>
                {
                    touched.rooms.insert(room);
                }
                Entry::Receipt { room, user: reader, .. } if reader == user => {
                    touched.rooms.insert(room);
                }
                Entry::AccountData { user: whose, room, kind } if whose == user => match room {
                    Some(room) => drop(touched.rooms.insert(room)),
                    None => touched.all |= DECIDING.contains(&&*kind),
                },
                _ => {}
            }
        }
        Ok(touched)
    }

    async fn look_at(&mut self, view: &View, user: &UserId, rooms: Vec<OwnedRoomId>) -> Result<()> {
        for rooms in rooms.chunks(PAGE) {
            let keys: Vec<_> = rooms.iter().map(|room| (user.to_owned(), room.clone())).collect();
            let memberships = view.get_many(&MEMBERSHIPS, &keys).await?;
            self.place(view, rooms.iter().cloned().zip(memberships).collect()).await?;
        }
        Ok(())
    }

    /// Puts rooms to where they belong; what is no chat of the user goes.
    async fn place(
        &mut self,
        view: &View,
        rooms: Vec<(OwnedRoomId, Option<Membership>)>,
    ) -> Result<()> {
        let keys: Vec<_> = rooms.iter().map(|(room, _)| (room.clone(),)).collect();
        let heads = view.get_many(&HEADS, &keys).await?;
        for ((room, me), head) in rooms.into_iter().zip(heads) {
            if let Some(time) = self.times.remove(&room) {
                self.places.remove(&Place { time, room: room.clone() });
            }
            if let Some(time) = me.zip(head).and_then(|(me, head)| time(&me, &head)) {
                self.times.insert(room.clone(), time);
                self.places.insert(Place { time, room });
            }
        }
        Ok(())
    }

    /// Up to `limit` places behind another.
    pub(super) fn after(&self, place: Option<&Place>, limit: usize) -> Vec<Place> {
        let from = place.map_or(Bound::Unbounded, |place| Bound::Excluded(place.clone()));
        self.places.range((from, Bound::Unbounded)).take(limit).cloned().collect()
    }

    /// Whether the room is one of the chats.
    pub(super) fn has(&self, room: &RoomId) -> bool {
        self.times.contains_key(room)
    }

    /// The rooms, in the order of their IDs.
    pub(super) fn rooms(&self) -> BTreeSet<OwnedRoomId> {
        self.times.keys().cloned().collect()
    }
}

/// When something was said last, or the user came, if the room is a chat of the user.
fn time(me: &Membership, head: &RoomHead) -> Option<Reverse<Position>> {
    let is_chat = me.kind == MembershipKind::Join && !head.is_space;
    is_chat.then(|| Reverse(head.spoken.max(me.since)))
}
