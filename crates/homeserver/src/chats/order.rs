//! In which order a user's chats are: by when something was said there last, or when the user came.
//!
//! It is kept in memory as of a position of the log, and goes on from there. Of which kind a chat is stands
//! there, too, so that groups are found behind any number of direct chats.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Bound,
    sync::Arc,
};

use imbl::{HashMap, OrdSet};
use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_storage::{Direction, Position, View};

use super::{
    ChatKind,
    kind::{Kind, kinds, kinds_of_all},
};
use crate::{
    Error, Result,
    core::Core,
    log::SHARD,
    schema::{
        Entry, HEADS, LOG, MEMBERSHIPS, Membership, MembershipKind, Ordinal, RoomHead, TIMELINE,
    },
};

/// Of how many users the order is kept.
const USERS: usize = 2_000;
/// How many entries of the log cost as much as looking at every room of a user.
const NEAR: u64 = 1_000;
/// What a user says of all chats at once: what is counted in them, and who is heard.
const DECIDING: [&str; 2] = ["m.push_rules", "m.ignored_user_list"];
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

/// What is known of a room that the user is in.
#[derive(Clone, Debug)]
struct Seat {
    time: Reverse<Position>,
    kind: Kind,
    /// Whether it is a chat; see [`deserted`].
    listed: bool,
}

/// The chats of a user in their order, as of a position of the log. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Order {
    at: Position,
    directs: OrdSet<Place>,
    groups: OrdSet<Place>,
    rooms: HashMap<OwnedRoomId, Seat>,
}

/// The orders that were asked for last.
struct Memory(Cache<OwnedUserId, Arc<Order>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::new(USERS))
    }
}

/// Forgets all orders, as something has changed that the log does not tell.
pub(super) fn forget_orders(core: &Core) {
    core.local::<Memory>().0.clear();
}

/// What the log says of a user's chats since a position.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Rooms in which something happened, or that the user read further.
    pub(super) rooms: BTreeSet<OwnedRoomId>,
    /// Whether anything else that chats depend on may have changed.
    pub(super) all: bool,
}

/// A user's rooms, with what the user is to each.
type Rooms = Vec<(OwnedRoomId, Option<Membership>)>;

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
        let mut order = Self {
            at: view.settled(),
            directs: OrdSet::new(),
            groups: OrdSet::new(),
            rooms: HashMap::new(),
        };
        let kinds = kinds_of_all(view, user).await?;
        let (prefix, mut from) = ((user.to_owned(),), Bound::Unbounded);
        loop {
            let forward = Direction::Forward;
            let rows = view.scan_from(&MEMBERSHIPS, &prefix, from.as_ref(), forward, PAGE).await?;
            let Some((last, _)) = rows.last() else { return Ok(order) };
            from = Bound::Excluded(last.clone());
            let rows = rows.into_iter().map(|((_, room), me)| (room, Some(me)));
            order.place(view, rows.collect(), &kinds).await?;
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
                    if member.as_deref() == Some(user) || self.rooms.contains_key(&room) =>
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
                Entry::Relisted { user: whose, rooms } if whose == user => {
                    touched.rooms.extend(rooms);
                }
                _ => {}
            }
        }
        Ok(touched)
    }

    async fn look_at(&mut self, view: &View, user: &UserId, rooms: Vec<OwnedRoomId>) -> Result<()> {
        for rooms in rooms.chunks(PAGE) {
            let keys: Vec<_> = rooms.iter().map(|room| (user.to_owned(), room.clone())).collect();
            let memberships = view.get_many(&MEMBERSHIPS, &keys).await?;
            let kinds = rooms.iter().cloned().zip(kinds(view, user, rooms).await?).collect();
            let rooms = rooms.iter().cloned().zip(memberships).collect();
            self.place(view, rooms, &kinds).await?;
        }
        Ok(())
    }

    /// Puts rooms to where they belong; what is no chat of the user goes. Rooms without a kind are groups.
    async fn place(
        &mut self,
        view: &View,
        rooms: Rooms,
        kinds: &BTreeMap<OwnedRoomId, Kind>,
    ) -> Result<()> {
        let keys: Vec<_> = rooms.iter().map(|(room, _)| (room.clone(),)).collect();
        let heads = view.get_many(&HEADS, &keys).await?;
        let (mut seats, mut alone) = (Vec::new(), Vec::new());
        for ((room, me), head) in rooms.into_iter().zip(heads) {
            self.take_out(&room);
            let found = me.zip(head).and_then(|(me, head)| Some((time(&me, &head)?, head)));
            let Some((time, head)) = found else { continue };
            let kind = kinds.get(&room).cloned().unwrap_or(Kind::Group);
            if kind.of() == ChatKind::Direct && head.joined <= 1 && head.invited == 0 {
                alone.push((room.clone(), head));
            }
            seats.push((room, Seat { time, kind, listed: true }));
        }
        let deserted = deserted(view, alone).await?;
        for (room, mut seat) in seats {
            seat.listed = !deserted.contains(&room);
            self.put_in(room, seat);
        }
        Ok(())
    }

    fn take_out(&mut self, room: &RoomId) {
        if let Some(Seat { time, kind, .. }) = self.rooms.remove(room) {
            self.of_kind(kind.of()).remove(&Place { time, room: room.to_owned() });
        }
    }

    fn put_in(&mut self, room: OwnedRoomId, seat: Seat) {
        if seat.listed {
            let place = Place { time: seat.time, room: room.clone() };
            self.of_kind(seat.kind.of()).insert(place);
        }
        self.rooms.insert(room, seat);
    }

    fn of_kind(&mut self, kind: ChatKind) -> &mut OrdSet<Place> {
        match kind {
            ChatKind::Direct => &mut self.directs,
            ChatKind::Group => &mut self.groups,
        }
    }

    /// Up to `limit` chats behind a place, of one kind or of any.
    pub(super) fn after(
        &self,
        place: Option<&Place>,
        limit: usize,
        kind: Option<ChatKind>,
    ) -> Vec<(Place, Kind)> {
        let from = place.map_or(Bound::Unbounded, |place| Bound::Excluded(place.clone()));
        let of = |places: &OrdSet<Place>, kind_of_these| match kind {
            Some(kind) if kind != kind_of_these => Vec::new(),
            _ => places.range((from.clone(), Bound::Unbounded)).take(limit).cloned().collect(),
        };
        let mut places = of(&self.directs, ChatKind::Direct);
        places.extend(of(&self.groups, ChatKind::Group));
        places.sort_unstable();
        places.truncate(limit);
        let with_kind = |place: Place| self.kind(&place.room).map(|kind| (place, kind));
        places.into_iter().filter_map(with_kind).collect()
    }

    /// What kind of chat a room is, if it is one.
    pub(super) fn kind(&self, room: &RoomId) -> Option<Kind> {
        let seat = self.rooms.get(room).filter(|seat| seat.listed);
        seat.map(|seat| seat.kind.clone())
    }

    /// Whether the room is one of the chats.
    pub(super) fn has(&self, room: &RoomId) -> bool {
        self.kind(room).is_some()
    }

    /// Whether the room is, or may become, one of the chats.
    pub(super) fn knows(&self, room: &RoomId) -> bool {
        self.rooms.contains_key(room)
    }

    /// The rooms that are, or may become, chats, in the order of their IDs.
    pub(super) fn rooms(&self) -> BTreeSet<OwnedRoomId> {
        self.rooms.keys().cloned().collect()
    }
}

/// When something was said last, or the user came, if the room is one that the user may talk in.
fn time(me: &Membership, head: &RoomHead) -> Option<Reverse<Position>> {
    let is_chat = me.kind == MembershipKind::Join && !head.is_space;
    is_chat.then(|| Reverse(head.spoken.max(me.since)))
}

/// Those of some rooms in which nobody has ever said anything. A direct room in which nobody else is, or is
/// asked to be, is no chat then: it is what a request that came to nothing has left. Where something was
/// said, one wants to read it.
async fn deserted(
    view: &View,
    rooms: Vec<(OwnedRoomId, RoomHead)>,
) -> Result<BTreeSet<OwnedRoomId>> {
    let place = |(room, head): &(OwnedRoomId, RoomHead)| {
        (room.clone(), head.stretch, Ordinal::Live(head.spoken))
    };
    let places: Vec<_> = rooms.iter().map(place).collect();
    let said = view.get_many(&TIMELINE, &places).await?;
    let silent = rooms.into_iter().zip(said);
    let silent = silent.filter(|(_, said)| said.as_ref().is_none_or(|row| row.is_state));
    Ok(silent.map(|((room, _), _)| room).collect())
}
