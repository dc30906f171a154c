//! Unread messages: how many of them a user is to be notified of, by room and by thread
//! (client-server API, "Receiving notifications").
//!
//! Counted is what the user's push rules of today say of the events after what they have read:
//! the latest of their join, their receipts, and what they sent themselves. Nothing is written for
//! that when an event comes. Push rules see of most events only a few things, which stand in the
//! rows of the timeline and are summed up for every 64 of them (`events/push.rs`); only for rules
//! that read content are the newest events looked at one by one. What was counted is kept under
//! all it depends on, and goes on from there when events are added.

mod count;
mod known;
mod marks;
mod notified;
mod rules;
mod walk;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
};

use ruma::{OwnedEventId, OwnedRoomId, UserId};
use serde::Serialize;
use tertulia_storage::{Position, View};

pub use self::notified::{Notification, Notifications};
pub(crate) use self::rules::UserRules;
use self::{
    count::{Count, Counted},
    known::{Depends, Known},
    marks::Marks,
};
use crate::{
    Result,
    core::Core,
    events::{Head, Ignored},
    schema::{HEADS, Membership},
};

/// How many events are read for one answer because rules read their content.
const MOST_READ: usize = if cfg!(test) { 200 } else { 20_000 };

/// How many events of a room, or of a thread in it, a user has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnreadCounts {
    /// Those that are to be highlighted.
    pub highlight_count: u64,
    /// Those the user is to be notified of.
    pub notification_count: u64,
}

impl UnreadCounts {
    fn add(&mut self, other: Self) {
        self.highlight_count += other.highlight_count;
        self.notification_count += other.notification_count;
    }

    /// Whether there is nothing to count.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// What a user has not read of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    /// By thread; none is the main timeline. A thread of which nothing counts may be absent.
    threads: BTreeMap<Option<OwnedEventId>, UnreadCounts>,
    /// Whether any event is unread, be it counted or not.
    pub(crate) any: bool,
    /// When the user last said how far they have read.
    pub(crate) marked: Position,
}

impl Unread {
    /// Everything together.
    pub(crate) fn total(&self) -> UnreadCounts {
        let mut total = UnreadCounts::default();
        self.threads.values().for_each(|counts| total.add(*counts));
        total
    }

    /// The main timeline alone.
    pub(crate) fn main(&self) -> UnreadCounts {
        self.threads.get(&None).copied().unwrap_or_default()
    }

    /// The threads in which anything counts.
    pub(crate) fn by_thread(&self) -> BTreeMap<OwnedEventId, UnreadCounts> {
        let counted = self.threads.iter().filter(|(_, counts)| !counts.is_zero());
        counted.filter_map(|(thread, counts)| Some((thread.clone()?, *counts))).collect()
    }
}

/// Who asks for counts, and what they depend on in every room.
pub(crate) struct Asking<'a> {
    pub(crate) view: &'a View,
    pub(crate) core: &'a Core,
    pub(crate) user: &'a UserId,
    pub(crate) rules: &'a UserRules,
    pub(crate) ignored: &'a Ignored,
    /// How many events have been read for this answer.
    pub(crate) read: &'a AtomicUsize,
}

impl Asking<'_> {
    /// What the user has not read of a room that they are in as `me` says. After `untouched`, if it
    /// is known, the user gave no receipt there.
    pub(crate) async fn unread(
        &self,
        head: &Head,
        me: &Membership,
        untouched: Option<Position>,
    ) -> Result<Unread> {
        Ok(self.known(head, me, untouched).await?.unread.clone())
    }

    /// The count of a room that the user is in as `me` says.
    async fn known(
        &self,
        head: &Head,
        me: &Membership,
        untouched: Option<Position>,
    ) -> Result<Arc<Known>> {
        let memory = self.core.local::<known::Memory>();
        let known = memory.get(self.user, &head.room);
        let same = |known: &Arc<Known>| known.receipts_unless_given_after(untouched?);
        let (receipts, rows) = match known.as_ref().and_then(same) {
            Some(receipts) => (receipts, None),
            None => {
                let rows = marks::rows(self.view, &head.room, self.user).await?;
                (rows.iter().map(|(_, row)| row.at).max().unwrap_or_default(), Some(rows))
            }
        };
        let depends = self.depends(head, me, receipts);
        let known = known.filter(|known| known.depends == depends);
        let settled = self.view.settled();
        let counted = match &known {
            Some(known) if known.last == head.row.last => {
                known.holds_at(settled);
                return Ok(known.clone());
            }
            Some(known) => Count::new(self, head).go_on(known).await?,
            None => None,
        };
        let counted = match counted {
            Some(counted) => counted,
            None => self.count_all(head, me, rows).await?,
        };
        let is_whole = counted.is_whole;
        let known = Arc::new(Known::new(depends, head.row.last, counted));
        known.holds_at(settled);
        if is_whole {
            memory.keep(self.user, &head.room, known.clone());
        }
        Ok(known)
    }

    fn depends(&self, head: &Head, me: &Membership, receipts: Position) -> Depends {
        Depends {
            receipts,
            since: me.since,
            rules: self.rules.at,
            ignored: self.ignored.at(),
            state: (head.row.generation, head.row.state_at),
            stretch: head.row.stretch,
        }
    }

    async fn count_all(
        &self,
        head: &Head,
        me: &Membership,
        receipts: Option<marks::Rows>,
    ) -> Result<Counted> {
        let rows = match receipts {
            Some(rows) => rows,
            None => marks::rows(self.view, &head.room, self.user).await?,
        };
        let marked = rows.iter().map(|(_, row)| row.at).max().unwrap_or_default();
        let marks = Marks::of(self.view, head, me.since, rows).await?;
        Count::new(self, head).all_unread(marks, marked).await
    }
}

/// What `user` has not read of each of some rooms that they are in.
pub(crate) async fn unread_of(
    view: &View,
    core: &Core,
    user: &UserId,
    rooms: &[(OwnedRoomId, Membership)],
) -> Result<Vec<UnreadCounts>> {
    let rules = UserRules::of(view, core, user, None).await?;
    let ignored = Ignored::by(view, user).await?;
    let read = AtomicUsize::new(0);
    let asking = Asking { view, core, user, rules: &rules, ignored: &ignored, read: &read };
    let keys: Vec<_> = rooms.iter().map(|(room, _)| (room.clone(),)).collect();
    let heads = view.get_many(&HEADS, &keys).await?;
    let mut counts = Vec::with_capacity(rooms.len());
    for ((room, me), head) in rooms.iter().zip(heads) {
        counts.push(match head {
            Some(head) => {
                let head = Head::new(room.clone(), head)?;
                asking.unread(&head, me, None).await?.total()
            }
            None => UnreadCounts::default(),
        });
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
