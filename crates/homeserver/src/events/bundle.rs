//! What is told with an event of those that relate to it: the newest edit, the thread that begins
//! there, what refers to it (client-server API, "Aggregations of child events").
//!
//! The rows of the timeline tell which events have any of it; the rest costs nothing.

use std::collections::BTreeMap;

use ruma::{DeviceId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, UserId};
use serde::Serialize;
use tertulia_protocol::{Pdu, RelationKind, RoomIdShown};
use tertulia_storage::View;

use super::{
    ClientEvent, Head, Ignored, Reader, load_for,
    relations::{Place, children, edit_of, part_in_thread},
};
use crate::{
    Result,
    core::Core,
    schema::{Edit, Ordinal, RELATED_BY, Related, TIMELINE, Thread, TimelineRow},
};

/// Most events that are named as referring to another.
const REFERENCES: usize = 200;

/// What is told of an event's children.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bundle {
    /// The most recent edit.
    #[serde(rename = "m.replace", skip_serializing_if = "Option::is_none")]
    pub replace: Option<ClientEvent>,
    /// The thread that begins at the event.
    #[serde(rename = "m.thread", skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadSummary>,
    /// What refers to the event.
    #[serde(rename = "m.reference", skip_serializing_if = "Option::is_none")]
    pub reference: Option<References>,
}

/// What is told of a thread at its root.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadSummary {
    /// The newest event of the thread.
    pub latest_event: ClientEvent,
    /// How many events there are in it.
    pub count: u32,
    /// Whether the reader has written in it, or began it.
    pub current_user_participated: bool,
}

/// The events that refer to another.
#[derive(Clone, Debug, Serialize)]
pub struct References {
    /// They themselves.
    pub chunk: Vec<Reference>,
}

/// An event that refers to another.
#[derive(Clone, Debug, Serialize)]
pub struct Reference {
    /// Its ID.
    pub event_id: OwnedEventId,
}

/// To whom events are told, and how.
pub(crate) struct Bundling<'a> {
    pub(crate) view: &'a View,
    pub(crate) core: &'a Core,
    pub(crate) head: &'a Head,
    pub(crate) me: &'a UserId,
    pub(crate) device: Option<&'a DeviceId>,
    pub(crate) ignored: &'a Ignored,
    /// Whether the reader may see what is at a place.
    pub(crate) sees: &'a (dyn Fn(Ordinal) -> bool + Send + Sync),
    pub(crate) room_id: RoomIdShown,
    pub(crate) now: MilliSecondsSinceUnixEpoch,
}

/// What is told with each of some events.
pub(crate) type Bundles = BTreeMap<OwnedEventId, Bundle>;

/// Whether anything may have to be told with the event of a row. State events get no bundle.
pub(crate) fn has_bundle(row: &TimelineRow) -> bool {
    !row.is_state
        && row.related.as_ref().is_some_and(|related| {
            related.edit.is_some() || related.thread.is_some() || related.references > 0
        })
}

/// What is to be told with one event, by the IDs of the events.
struct Plan {
    parent: OwnedEventId,
    edit: Option<Child>,
    thread: Option<(Child, u32, bool)>,
    references: Vec<OwnedEventId>,
}

/// An event at its place.
#[derive(Clone)]
struct Child {
    event: OwnedEventId,
    place: Place,
}

/// The children that are told whole.
type Children = BTreeMap<OwnedEventId, (Pdu, TimelineRow)>;

impl Bundling<'_> {
    /// What is told with these events.
    pub(crate) async fn of(&self, parents: &[(&Pdu, &TimelineRow)]) -> Result<Bundles> {
        let plans = self.plans(parents).await?;
        if plans.is_empty() {
            return Ok(Bundles::new());
        }
        let children = self.children(&plans).await?;
        // The newest event of a thread has children of its own; it is no thread root.
        let latest = plans.iter().filter_map(|plan| children.get(&plan.thread.as_ref()?.0.event));
        let latest: Vec<_> = latest.map(|(pdu, row)| (pdu, row)).collect();
        let inner = self.plans(&latest).await?;
        let inner_children = self.children(&inner).await?;
        let none = Bundles::new();
        let inner = self.render(inner, &inner_children, &none);
        Ok(self.render(plans, &children, &inner))
    }

    async fn plans(&self, parents: &[(&Pdu, &TimelineRow)]) -> Result<Vec<Plan>> {
        let mut plans = Vec::new();
        for (pdu, row) in parents {
            let Some(related) = row.related.as_ref().filter(|_| has_bundle(row)) else { continue };
            plans.push(Plan {
                parent: row.event.clone(),
                edit: self.edit(pdu, row, related).await?,
                thread: self.thread(pdu, related).await?,
                references: self.references(&row.event, related).await?,
            });
        }
        Ok(plans)
    }

    /// The newest edit that the reader may see. A redacted event has none.
    async fn edit(&self, pdu: &Pdu, row: &TimelineRow, related: &Related) -> Result<Option<Child>> {
        let is_told = row.redacted_by.is_none() && !self.ignored.contains(pdu.sender());
        let Some(newest) = related.edit.as_ref().filter(|_| is_told) else { return Ok(None) };
        if self.sees_it(newest.place) {
            return Ok(Some(child_of(newest)));
        }
        let rows = children(self.view, self.head, &row.event, RelationKind::Replace).await?;
        let edits = rows.into_iter().map(|(place, row)| edit_of(place, row));
        let seen = edits.filter(|edit| self.sees_it(edit.place));
        let newest = seen.max_by(|a, b| (a.sent, &a.event).cmp(&(b.sent, &b.event)));
        Ok(newest.as_ref().map(child_of))
    }

    async fn thread(&self, root: &Pdu, related: &Related) -> Result<Option<(Child, u32, bool)>> {
        let Some(thread) = &related.thread else { return Ok(None) };
        let Some(latest) = self.latest(root.event_id(), thread).await? else { return Ok(None) };
        let mut users: Vec<OwnedUserId> = vec![self.me.to_owned()];
        users.extend(self.ignored.users());
        let key = |user| part_in_thread(self.head, root.event_id(), user);
        let keys: Vec<_> = users.into_iter().map(key).collect();
        let mut counts = self.view.get_many(&RELATED_BY, &keys).await?.into_iter();
        let mine = counts.next().flatten().is_some();
        let ignored: u32 = counts.flatten().map(|(count,)| count).sum();
        let participated = mine || root.sender() == self.me;
        Ok(Some((latest, thread.count.saturating_sub(ignored), participated)))
    }

    /// The newest event of a thread that the reader is told of.
    async fn latest(&self, root: &OwnedEventId, thread: &Thread) -> Result<Option<Child>> {
        if self.tells(thread.place, &thread.sender) {
            let place = (thread.stretch, thread.place);
            return Ok(Some(Child { event: thread.latest.clone(), place }));
        }
        let rows = children(self.view, self.head, root, RelationKind::Thread).await?;
        let mut told = rows.into_iter().filter(|((_, at), row)| self.tells(*at, &row.sender));
        Ok(told.next().map(|(place, row)| Child { event: row.event, place }))
    }

    /// What refers to an event, oldest first.
    async fn references(
        &self,
        parent: &OwnedEventId,
        related: &Related,
    ) -> Result<Vec<OwnedEventId>> {
        if related.references == 0 {
            return Ok(Vec::new());
        }
        let rows = children(self.view, self.head, parent, RelationKind::Reference).await?;
        let told = rows.into_iter().filter(|((_, at), row)| self.tells(*at, &row.sender));
        let mut newest: Vec<_> = told.map(|(_, row)| row.event).take(REFERENCES).collect();
        newest.reverse();
        Ok(newest)
    }

    fn tells(&self, place: Ordinal, sender: &UserId) -> bool {
        self.sees_it(place) && !self.ignored.contains(sender)
    }

    fn sees_it(&self, place: Ordinal) -> bool {
        place.position().is_none_or(|position| position <= self.view.settled())
            && (self.sees)(place)
    }

    /// The events that are told whole, in two reads.
    async fn children(&self, plans: &[Plan]) -> Result<Children> {
        let threads = plans.iter().filter_map(|plan| Some(&plan.thread.as_ref()?.0));
        let wanted: Vec<&Child> =
            plans.iter().filter_map(|plan| plan.edit.as_ref()).chain(threads).collect();
        if wanted.is_empty() {
            return Ok(Children::new());
        }
        let key = |child: &&Child| (self.head.room.clone(), child.place.0, child.place.1);
        let keys: Vec<_> = wanted.iter().map(key).collect();
        let rows = self.view.get_many(&TIMELINE, &keys).await?;
        let ids: Vec<_> = wanted.iter().map(|child| child.event.clone()).collect();
        let reader = Reader::Inside(self.me);
        let pdus = load_for(self.view, self.core, self.head, reader, &ids).await?;
        let found = ids.into_iter().zip(pdus.into_iter().zip(rows));
        Ok(found.filter_map(|(id, (pdu, row))| Some((id, (pdu?, row?)))).collect())
    }

    fn render(&self, plans: Vec<Plan>, children: &Children, inner: &Bundles) -> Bundles {
        let event = |child: &Child| {
            let (pdu, row) = children.get(&child.event)?;
            let mut event = ClientEvent::new(pdu.clone(), self.room_id).aged(self.now);
            let unsigned = event.unsigned_mut();
            unsigned.relations = inner.get(&child.event).cloned().map(Box::new);
            let sent_by = row.sent_by.as_ref().filter(|_| pdu.sender() == self.me);
            let sent_here = sent_by.filter(|(device, _)| self.device == Some(&**device));
            unsigned.transaction_id = sent_here.map(|(_, transaction)| transaction.clone());
            Some(event)
        };
        let bundle = |plan: Plan| {
            let thread = plan.thread.and_then(|(latest, count, current_user_participated)| {
                let latest_event = event(&latest)?;
                Some(ThreadSummary { latest_event, count, current_user_participated })
            });
            let chunk = plan.references.into_iter().map(|event_id| Reference { event_id });
            let chunk: Vec<_> = chunk.collect();
            let reference = (!chunk.is_empty()).then_some(References { chunk });
            let replace = plan.edit.as_ref().and_then(event);
            (plan.parent, Bundle { replace, thread, reference })
        };
        plans.into_iter().map(bundle).filter(|(_, bundle)| !bundle.is_empty()).collect()
    }
}

impl Bundle {
    fn is_empty(&self) -> bool {
        self.replace.is_none() && self.thread.is_none() && self.reference.is_none()
    }
}

fn child_of(edit: &Edit) -> Child {
    Child { event: edit.event.clone(), place: (edit.stretch, edit.place) }
}
