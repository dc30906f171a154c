//! What a user was notified of, over all rooms, newest first (client-server API, "Listing
//! Notifications").

use std::{
    collections::BinaryHeap,
    ops::Bound,
    sync::{Arc, atomic::AtomicUsize},
};

use ruma::{OwnedRoomId, push::Action};
use serde_json::value::to_raw_value;
use tertulia_protocol::{
    Pdu, Power, RoomIdShown,
    push::{Judgement, PushContext, actions},
};
use tertulia_storage::{Direction, Position, View};

use super::{Asking, UserRules, known::Known};
use crate::{
    Result, User,
    events::{ClientEvent, Head, Ignored, Reader, current_power, load_for, member},
    schema::{HEADS, MEMBERSHIPS, Membership, MembershipKind, Ordinal, TIMELINE, TimelineRow},
};

/// The most notifications that are told at once.
const MOST: usize = 100;
/// How many rows of a room are read in one go.
const PAGE: usize = 20;
/// How many rows are looked at for one answer.
const ROWS: usize = 5_000;

/// Something a user was notified of.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What the user's push rules want to be done about it.
    pub actions: Vec<Action>,
    /// The event, without its room.
    pub event: ClientEvent,
    /// Where it happened.
    pub room: OwnedRoomId,
    /// When, in milliseconds since 1970.
    pub ts: u64,
    /// Whether the user has read it.
    pub read: bool,
}

/// Some of what a user was notified of.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// Newest first.
    pub notifications: Vec<Notification>,
    /// What to ask for to go on; none where there is nothing more.
    pub next: Option<u64>,
}

impl User {
    /// What the user was or would be notified of, by their push rules of today, in the rooms they
    /// are in: `limit` of it at most, or only what is to be highlighted, from where an earlier
    /// answer says.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage) if that cannot be read.
    pub async fn notifications(
        &self,
        from: Option<u64>,
        limit: usize,
        only_highlights: bool,
    ) -> Result<Notifications> {
        let view = self.core.store.view().await?;
        let rules = UserRules::of(&view, &self.core, &self.id, None).await?;
        let ignored = Ignored::by(&view, &self.id).await?;
        let read = AtomicUsize::new(0);
        let asking = Asking {
            view: &view,
            core: &self.core,
            user: &self.id,
            rules: &rules,
            ignored: &ignored,
            read: &read,
        };
        let before = from.map_or(view.settled(), |from| Position::new(from.saturating_sub(1)));
        let mut walk = Walk { asking, rooms: rooms(&view, self, before).await?, left: ROWS };
        walk.notifications(limit.min(MOST), only_highlights).await
    }
}

/// The rooms that `user` is in and that have anything up to a position.
async fn rooms(view: &View, user: &User, before: Position) -> Result<BinaryHeap<Room>> {
    let prefix = (user.id.clone(),);
    let rows = view.scan(&MEMBERSHIPS, &prefix, Direction::Forward, usize::MAX).await?;
    let joined = rows.into_iter().filter(|(_, me)| me.kind == MembershipKind::Join);
    let (ids, memberships): (Vec<_>, Vec<_>) = joined.map(|((_, id), me)| ((id,), me)).unzip();
    let heads = view.get_many(&HEADS, &ids).await?;
    let mut rooms = BinaryHeap::new();
    for (((id,), me), head) in ids.into_iter().zip(memberships).zip(heads) {
        let Some(head) = head else { continue };
        let newest = before.min(head.last);
        if newest > me.since {
            rooms.push(Room {
                newest,
                head: Head::new(id, head)?,
                me,
                rows: Vec::new(),
                asked: None,
            });
        }
    }
    Ok(rooms)
}

/// A room on the walk, by where its newest row is that was not taken.
struct Room {
    newest: Position,
    head: Head,
    me: Membership,
    /// The next events, oldest first; none where nobody is notified of what was there.
    rows: Vec<(Position, TimelineRow, Option<Pdu>)>,
    asked: Option<Asked>,
}

/// What push rules and readers ask of a room.
struct Asked {
    context: PushContext,
    power: Power,
    known: Arc<Known>,
}

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        self.newest == other.newest
    }
}

impl Eq for Room {}

impl PartialOrd for Room {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Room {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.newest.cmp(&other.newest)
    }
}

/// A walk back through all rooms at once.
struct Walk<'a> {
    asking: Asking<'a>,
    rooms: BinaryHeap<Room>,
    left: usize,
}

impl Walk<'_> {
    async fn notifications(
        &mut self,
        limit: usize,
        only_highlights: bool,
    ) -> Result<Notifications> {
        let mut told = Notifications::default();
        let mut last = None;
        while let Some(mut room) = self.rooms.pop() {
            if told.notifications.len() == limit || self.left == 0 {
                told.next = last.map(Position::get);
                return Ok(told);
            }
            if room.rows.is_empty() {
                self.read_rows(&mut room).await?;
            }
            let Some(place) = room.rows.last().map(|(place, ..)| *place) else { continue };
            if place == room.newest {
                let (_, row, pdu) = room.rows.pop().expect("it was just looked at");
                last = Some(place);
                if let Some(pdu) = pdu {
                    let told_of = self.judge(&mut room, (place, row), pdu, only_highlights).await?;
                    told.notifications.extend(told_of);
                }
            }
            let next = room.rows.last().map(|(place, ..)| *place).or_else(|| before(place));
            if let Some(newest) = next.filter(|next| *next > room.me.since) {
                room.newest = newest;
                self.rooms.push(room);
            }
        }
        Ok(told)
    }

    async fn read_rows(&mut self, room: &mut Room) -> Result<()> {
        let key = |at| (room.head.room.clone(), room.head.row.stretch, Ordinal::Live(at));
        let (from, to) = (key(room.me.since), key(room.newest));
        let (from, to) = (Bound::Excluded(&from), Bound::Included(&to));
        let (view, limit) = (self.asking.view, PAGE.min(self.left));
        let rows = view.range(&TIMELINE, from, to, Direction::Backward, limit).await?;
        self.left -= rows.len();
        let Asking { core, user, .. } = self.asking;
        let ids: Vec<_> = rows.iter().map(|(_, row)| row.event.clone()).collect();
        let events = load_for(view, core, &room.head, Reader::Inside(user), &ids).await?;
        for (((.., place), row), pdu) in rows.into_iter().zip(events).rev() {
            let Some(place) = place.position() else { continue };
            let pdu = match pdu.filter(|pdu| row.redacted_by.is_none() && pdu.sender() != user) {
                Some(pdu) if self.asking.ignored.hides(view, core, &room.head, &pdu).await? => None,
                pdu => pdu,
            };
            room.rows.push((place, row, pdu));
        }
        Ok(())
    }

    async fn judge(
        &self,
        room: &mut Room,
        (place, row): (Position, TimelineRow),
        pdu: Pdu,
        only_highlights: bool,
    ) -> Result<Option<Notification>> {
        let thread = row.push.and_then(|push| push.thread);
        let asked = self.asked(room).await?;
        let may_notify_room = asked.power.may_notify_room(pdu.sender());
        let event = ClientEvent::new(pdu.clone(), RoomIdShown::Yes);
        let event = to_raw_value(&event).expect("an event is JSON");
        let rules = &self.asking.rules.rules;
        let actions = actions(rules, &event, &asked.context, may_notify_room);
        let judgement = Judgement::of(actions);
        if !judgement.notify || only_highlights && !judgement.highlight {
            return Ok(None);
        }
        Ok(Some(Notification {
            actions: actions.to_owned(),
            ts: pdu.origin_server_ts().get().into(),
            read: asked.known.marks.is_read(&thread, place),
            event: ClientEvent::new(pdu, RoomIdShown::No),
            room: room.head.room.clone(),
        }))
    }

    async fn asked<'r>(&self, room: &'r mut Room) -> Result<&'r Asked> {
        if room.asked.is_none() {
            let Asking { view, core, user, .. } = self.asking;
            let me = member(view, &room.head, user).await?;
            room.asked = Some(Asked {
                context: PushContext {
                    room: room.head.room.clone(),
                    members: room.head.row.joined,
                    user: user.to_owned(),
                    display_name: me.and_then(|me| me.displayname).unwrap_or_default(),
                },
                power: current_power(view, core, &room.head).await?,
                known: self.asking.known(&room.head, &room.me, None).await?,
            });
        }
        Ok(room.asked.as_ref().expect("it was just asked"))
    }
}

fn before(place: Position) -> Option<Position> {
    place.get().checked_sub(1).map(Position::new)
}
