//! What relates to what: the children of each event in the order of the timeline, and, in the row of
//! the parent itself, what of them is told with it. So a page of events knows by its own rows
//! whether anything relates to them.
//!
//! It is written when an event gets its place, for those only that relate to another; a redaction
//! takes the child out of it.

use std::ops::Bound;

use ruma::{OwnedEventId, OwnedUserId};
use sha2::{Digest as _, Sha256};
use tertulia_protocol::{Draft, Pdu, Relation, RelationKind};
use tertulia_storage::{Direction, Key as _, Tx, View};

use super::{EventCache, Head};
use crate::{
    Error, Result,
    core::Core,
    schema::{
        EVENT_META, Edit, Ordinal, RELATED_BY, RELATIONS, Related, RelationRow, THREADS, TIMELINE,
        Thread, TimelineRow, Verdict,
    },
};

/// The kinds of relations, each at its number in the store.
pub(crate) const KINDS: [RelationKind; 5] = [
    RelationKind::Other,
    RelationKind::Annotation,
    RelationKind::Replace,
    RelationKind::Thread,
    RelationKind::Reference,
];

/// The most bytes of a key that the store takes for certain.
const LONGEST_KEY: usize = 1_000;

/// How many children are looked at to find the newest edit or what came before its parent.
const CHILDREN: usize = 1_000;

/// A stretch of a timeline and a place in it.
pub(crate) type Place = (u32, Ordinal);

type RelationKey = (ruma::OwnedRoomId, OwnedEventId, u8, u32, Ordinal);
type RelatedByKey = (ruma::OwnedRoomId, OwnedEventId, OwnedUserId, [u8; 32]);

/// The number of a kind in the store.
pub(crate) fn number(kind: RelationKind) -> u8 {
    let number = KINDS.iter().position(|known| *known == kind);
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or_default()
}

/// The hash under which all count as one that relate to an event in the same way.
pub(crate) fn likeness(kind: &str, relation: &Relation) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(relation.rel_type.as_bytes());
    if relation.kind() == RelationKind::Annotation {
        for part in [kind, relation.key.as_deref().unwrap_or_default()] {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}

/// The row that says how often `user` has taken part in the thread of `root`.
pub(crate) fn part_in_thread(head: &Head, root: &OwnedEventId, user: OwnedUserId) -> RelatedByKey {
    let likeness = Sha256::digest("m.thread").into();
    (head.room.clone(), root.clone(), user, likeness)
}

/// Refuses to send what the user has annotated the event with already, and what would begin a thread
/// at an event that is a child itself.
pub(crate) async fn check_sent(tx: &Tx, core: &Core, head: &Head, draft: &Draft) -> Result<()> {
    let Some(relation) = Relation::of(&draft.content) else { return Ok(()) };
    let room = head.room.clone();
    match relation.kind() {
        RelationKind::Annotation => {
            let likeness = likeness(&draft.kind.to_string(), &relation);
            let key = (room, relation.event_id, draft.sender.clone(), likeness);
            match tx.get(&RELATED_BY, &key).await? {
                Some(_) => Err(Error::DuplicateAnnotation),
                None => Ok(()),
            }
        }
        RelationKind::Thread => {
            if tx.get(&EVENT_META, &(room, relation.event_id.clone())).await?.is_none() {
                return Ok(());
            }
            let parent = core.local::<EventCache>();
            let parent = parent.load(tx, &head.rules, &relation.event_id).await?;
            let is_child = Relation::of(parent.content()).is_some();
            if is_child { Err(Error::NoThreadRoot) } else { Ok(()) }
        }
        RelationKind::Other | RelationKind::Replace | RelationKind::Reference => Ok(()),
    }
}

/// An event to which others relate.
struct Parent {
    pdu: Pdu,
    place: Place,
    row: TimelineRow,
}

impl Parent {
    async fn load(tx: &Tx, core: &Core, head: &Head, id: &OwnedEventId) -> Result<Option<Self>> {
        let key = (head.room.clone(), id.clone());
        let meta = tx.get(&EVENT_META, &key).await?;
        let Some(Verdict::Timeline { stretch, ordinal }) = meta.map(|meta| meta.verdict) else {
            return Ok(None);
        };
        let place = (head.room.clone(), stretch, ordinal);
        let Some(row) = tx.get(&TIMELINE, &place).await? else { return Ok(None) };
        let pdu = core.local::<EventCache>().load(tx, &head.rules, id).await?;
        Ok(Some(Self { pdu, place: (stretch, ordinal), row }))
    }

    fn put(&self, tx: &mut Tx, head: &Head) {
        let (stretch, ordinal) = self.place;
        tx.put(&TIMELINE, &(head.room.clone(), stretch, ordinal), &self.row);
    }

    fn related(&mut self) -> &mut Related {
        self.row.related.get_or_insert_default()
    }
}

/// An event that relates to another.
struct Child<'a> {
    pdu: &'a Pdu,
    relation: Relation,
    place: Place,
}

impl<'a> Child<'a> {
    /// The event at `place` as a child, if it is one.
    fn new(pdu: &'a Pdu, place: Place) -> Option<Self> {
        let relation = Relation::of(pdu.content())?;
        Some(Self { pdu, relation, place })
    }

    fn key(&self, head: &Head) -> RelationKey {
        let (stretch, ordinal) = self.place;
        let kind = number(self.relation.kind());
        (head.room.clone(), self.relation.event_id.clone(), kind, stretch, ordinal)
    }

    fn row(&self, counts: bool) -> RelationRow {
        RelationRow {
            event: self.pdu.event_id().clone(),
            rel_type: self.relation.rel_type.clone(),
            kind: self.pdu.kind().to_string(),
            sender: self.pdu.sender().to_owned(),
            sent: self.pdu.origin_server_ts().0.into(),
            counts,
        }
    }

    fn related_by(&self, head: &Head) -> RelatedByKey {
        let likeness = likeness(&self.pdu.kind().to_string(), &self.relation);
        let sender = self.pdu.sender().to_owned();
        (head.room.clone(), self.relation.event_id.clone(), sender, likeness)
    }

    /// Whether keys that name all of this fit into the store. What is longer is no relation.
    fn fits(&self, head: &Head) -> bool {
        self.key(head).encode().len() <= LONGEST_KEY
            && self.related_by(head).encode().len() <= LONGEST_KEY
    }

    /// Whether it is counted who relates so.
    fn is_counted(&self) -> bool {
        matches!(self.relation.kind(), RelationKind::Annotation | RelationKind::Thread)
    }

    /// Adds the child to what is told of its parent.
    async fn join(&self, tx: &mut Tx, head: &Head, parent: &mut Parent) -> Result<()> {
        if self.is_counted() {
            let key = self.related_by(head);
            let (count,) = tx.get(&RELATED_BY, &key).await?.unwrap_or_default();
            tx.put(&RELATED_BY, &key, &(count + 1,));
        }
        match self.relation.kind() {
            RelationKind::Replace => {
                let edit = edit_of(self.place, self.row(true));
                let related = parent.related();
                let newest = related.edit.take().filter(|known| recency(known) > recency(&edit));
                related.edit = Some(newest.unwrap_or(edit));
            }
            RelationKind::Thread => self.join_thread(tx, head, parent),
            RelationKind::Reference => parent.related().references += 1,
            RelationKind::Other | RelationKind::Annotation => {
                parent.related();
            }
        }
        Ok(())
    }

    fn join_thread(&self, tx: &mut Tx, head: &Head, parent: &mut Parent) {
        let known = parent.related().thread.take();
        let count = known.as_ref().map_or(0, |known| known.count) + 1;
        let thread = match known {
            Some(known) if (known.stretch, known.place) > self.place => Thread { count, ..known },
            known => {
                let thread = thread_of(self.place, self.row(true), count);
                let root = parent.pdu.event_id();
                list_thread(tx, head, root, known.as_ref(), Some(&thread));
                thread
            }
        };
        parent.related().thread = Some(thread);
    }

    /// Takes the child, whose row is gone, out of what is told of its parent.
    async fn leave(&self, tx: &mut Tx, head: &Head, parent: &mut Parent) -> Result<()> {
        let id = self.pdu.event_id();
        let related = parent.related();
        match self.relation.kind() {
            RelationKind::Replace if related.edit.as_ref().is_some_and(|it| it.event == *id) => {
                let rows = children(tx, head, parent.pdu.event_id(), RelationKind::Replace).await?;
                let edits = rows.into_iter().map(|(place, row)| edit_of(place, row));
                let newest = edits.max_by(|one, other| recency(one).cmp(&recency(other)));
                parent.related().edit = newest;
            }
            RelationKind::Thread => self.leave_thread(tx, head, parent).await?,
            RelationKind::Reference => related.references = related.references.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    async fn leave_thread(&self, tx: &mut Tx, head: &Head, parent: &mut Parent) -> Result<()> {
        let Some(known) = parent.related().thread.take() else { return Ok(()) };
        let count = known.count.saturating_sub(1);
        if known.latest != *self.pdu.event_id() {
            parent.related().thread = Some(Thread { count, ..known });
            return Ok(());
        }
        let root = parent.pdu.event_id().clone();
        let rows = children(tx, head, &root, RelationKind::Thread).await?;
        let newest = rows.into_iter().next().map(|(place, row)| thread_of(place, row, count));
        list_thread(tx, head, &root, Some(&known), newest.as_ref());
        parent.related().thread = newest;
        Ok(())
    }

    async fn forget_sender(&self, tx: &mut Tx, head: &Head) -> Result<()> {
        let key = self.related_by(head);
        match tx.get(&RELATED_BY, &key).await? {
            Some((count,)) if count > 1 => tx.put(&RELATED_BY, &key, &(count - 1,)),
            _ => tx.delete(&RELATED_BY, &key),
        }
        Ok(())
    }
}

/// Which of two edits is the more recent one ("Server-side aggregation of `m.replace`").
fn recency(edit: &Edit) -> (u64, &OwnedEventId) {
    (edit.sent, &edit.event)
}

pub(super) fn edit_of((stretch, place): Place, row: RelationRow) -> Edit {
    Edit { sent: row.sent, event: row.event, stretch, place }
}

fn thread_of((stretch, place): Place, row: RelationRow, count: u32) -> Thread {
    Thread { count, latest: row.event, sender: row.sender, stretch, place }
}

/// The children of one kind that count, newest first.
pub(super) async fn children(
    view: &View,
    head: &Head,
    parent: &OwnedEventId,
    kind: RelationKind,
) -> Result<Vec<(Place, RelationRow)>> {
    let prefix = (head.room.clone(), parent.clone(), number(kind));
    let rows = view.scan(&RELATIONS, &prefix, Direction::Backward, CHILDREN).await?;
    let rows = rows.into_iter().filter(|(_, row)| row.counts);
    Ok(rows.map(|((_, _, _, stretch, ordinal), row)| ((stretch, ordinal), row)).collect())
}

/// Moves a thread in the list of threads.
fn list_thread(
    tx: &mut Tx,
    head: &Head,
    root: &OwnedEventId,
    from: Option<&Thread>,
    to: Option<&Thread>,
) {
    let key = |thread: &Thread| (head.room.clone(), thread.stretch, thread.place);
    if let Some(from) = from {
        tx.delete(&THREADS, &key(from));
    }
    if let Some(to) = to {
        tx.put(&THREADS, &key(to), &(root.clone(),));
    }
}

/// Notes that the event at `place` relates to another, if it does.
pub(super) async fn note(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    pdu: &Pdu,
    place: Place,
) -> Result<()> {
    let Some(child) = Child::new(pdu, place).filter(|child| child.fits(head)) else {
        return Ok(());
    };
    let parent = Parent::load(tx, core, head, &child.relation.event_id).await?;
    let counts = parent.as_ref().is_some_and(|parent| child.relation.counts(pdu, &parent.pdu));
    tx.put(&RELATIONS, &child.key(head), &child.row(counts));
    let Some(mut parent) = parent else { return Ok(()) };
    if counts {
        child.join(tx, head, &mut parent).await?;
    } else {
        parent.related();
    }
    parent.put(tx, head);
    Ok(())
}

/// Notes what was here before the foreign event `pdu` and relates to it.
pub(super) async fn note_earlier(tx: &mut Tx, core: &Core, head: &Head, pdu: &Pdu) -> Result<()> {
    let prefix = (head.room.clone(), pdu.event_id().clone());
    let rows = tx.scan(&RELATIONS, &prefix, Direction::Forward, CHILDREN).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let Some(mut parent) = Parent::load(tx, core, head, pdu.event_id()).await? else {
        return Ok(());
    };
    parent.related();
    let ids: Vec<_> = rows.iter().map(|(_, row)| row.event.clone()).collect();
    let pdus = core.local::<EventCache>().load_many(tx, &head.rules, &ids).await?;
    for ((key, row), pdu) in rows.into_iter().zip(pdus) {
        let child = pdu.as_ref().and_then(|pdu| Child::new(pdu, (key.3, key.4)));
        let Some(child) = child.filter(|_| !row.counts) else { continue };
        if child.relation.counts(child.pdu, &parent.pdu) {
            tx.put(&RELATIONS, &key, &child.row(true));
            child.join(tx, head, &mut parent).await?;
        }
    }
    parent.put(tx, head);
    Ok(())
}

/// Breaks the relation of the event at `place`, which was redacted ("When a child event is redacted
/// then the relationship is broken").
pub(super) async fn forget(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    pdu: &Pdu,
    place: Place,
) -> Result<()> {
    let Some(child) = Child::new(pdu, place) else { return Ok(()) };
    let key = child.key(head);
    if !child.fits(head) {
        return Ok(());
    }
    let Some(row) = tx.get(&RELATIONS, &key).await? else { return Ok(()) };
    tx.delete(&RELATIONS, &key);
    if !row.counts {
        return Ok(());
    }
    if child.is_counted() {
        child.forget_sender(tx, head).await?;
    }
    if let Some(mut parent) = Parent::load(tx, core, head, &child.relation.event_id).await? {
        child.leave(tx, head, &mut parent).await?;
        parent.put(tx, head);
    }
    Ok(())
}

/// The children of an event from a place on, in the order of the timeline: newest first going
/// backwards, oldest first going forwards. A kind, if one is asked for, is all that is looked at.
pub(crate) async fn children_from(
    view: &View,
    head: &Head,
    parent: &OwnedEventId,
    kind: Option<RelationKind>,
    from: Option<Place>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(Place, RelationRow)>> {
    let mut found = Vec::new();
    for kind in kind.map_or(KINDS.to_vec(), |kind| vec![kind]) {
        let prefix = (head.room.clone(), parent.clone(), number(kind));
        let key =
            |(stretch, ordinal)| (prefix.0.clone(), prefix.1.clone(), prefix.2, stretch, ordinal);
        let from = from.map(key);
        let from = match (&from, direction) {
            (None, _) => Bound::Unbounded,
            (Some(from), Direction::Forward) => Bound::Included(from),
            (Some(from), Direction::Backward) => Bound::Excluded(from),
        };
        let rows = view.scan_from(&RELATIONS, &prefix, from, direction, limit).await?;
        found.extend(rows.into_iter().map(|((_, _, _, at, place), row)| ((at, place), row)));
    }
    found.sort_by_key(|(place, _)| *place);
    if direction == Direction::Backward {
        found.reverse();
    }
    found.truncate(limit);
    Ok(found)
}

#[cfg(test)]
mod tests;
