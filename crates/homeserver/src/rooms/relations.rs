//! What relates to an event, page by page (client-server API, "Relationships API").

use std::collections::VecDeque;

use ruma::{EventId, OwnedEventId, api::Direction as Towards};
use tertulia_protocol::RelationKind;
use tertulia_storage::Direction;

use super::{Room, access::Open};
use crate::{
    Result,
    events::{ClientEvent, Ignored, Place, Placed, Sight, TimelineToken, children_from, load_for},
    schema::{RelationRow, TIMELINE},
};

/// Which of the events that relate to another to tell.
#[derive(Clone, Debug)]
pub struct RelationsQuery {
    /// Only those that relate so.
    pub rel_type: Option<String>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Where to begin.
    pub from: Option<TimelineToken>,
    /// Where to stop at the latest.
    pub to: Option<TimelineToken>,
    /// Which way to go.
    pub towards: Towards,
    /// How many events to tell at most.
    pub limit: usize,
    /// Whether to tell what relates to those in turn, too.
    pub recurse: bool,
}

/// Some of the events that relate to another.
#[derive(Clone, Debug)]
pub struct RelationsPage {
    /// The events, in the order asked for.
    pub events: Vec<ClientEvent>,
    /// Where to go on; none where there is nothing more.
    pub next: Option<TimelineToken>,
    /// How many relations lie between the event and those told at most, if that was more than one.
    pub depth: Option<u32>,
}

/// Most events that one page tells.
const PAGE_MOST: usize = 1_000;

/// Most children that one page looks at.
const ROWS_MOST: usize = 5_000;

/// How many relations are followed one after the other.
const DEPTH: u32 = 3;

impl Room {
    /// The events that relate to `parent`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) if there is no such event in the room, or the user may not see it.
    pub async fn relations(
        &self,
        parent: &EventId,
        query: &RelationsQuery,
    ) -> Result<RelationsPage> {
        let (open, sight, _) = self.look_at(parent).await?;
        let mut children = Children::new(&open, parent, query).await?;
        let ignored = Ignored::by(&open.view, self.me()).await?;
        let limit = query.limit.clamp(1, PAGE_MOST);
        let mut told: Vec<(Place, ClientEvent)> = Vec::new();
        loop {
            // One more than asked for tells whether there is more.
            let rows = children.next(limit + 1 - told.len()).await?;
            if rows.is_empty() {
                break;
            }
            told.extend(self.show_children(&open, &sight, &ignored, rows).await?);
            if told.len() > limit {
                break;
            }
        }
        let next = match told.get(limit.saturating_sub(1)) {
            Some((last, _)) if told.len() > limit => Some(past(*last, query.towards)),
            _ => children.unfinished(),
        };
        told.truncate(limit);
        let events = told.into_iter().map(|(_, event)| event).collect();
        Ok(RelationsPage { events, next, depth: query.recurse.then_some(DEPTH) })
    }

    /// Those of the children that the user may see, as the user gets them.
    async fn show_children(
        &self,
        open: &Open,
        sight: &Sight,
        ignored: &Ignored,
        mut rows: Vec<(Place, RelationRow)>,
    ) -> Result<Vec<(Place, ClientEvent)>> {
        let Open { view, head, .. } = open;
        rows.retain(|((_, place), _)| sight.sees(*place));
        let keys: Vec<_> = rows.iter().map(|(at, _)| (self.id.clone(), at.0, at.1)).collect();
        let ids: Vec<_> = rows.iter().map(|(_, row)| row.event.clone()).collect();
        let at_places = view.get_many(&TIMELINE, &keys).await?;
        let pdus = load_for(view, self.core(), head, self.reader(), &ids).await?;
        let (mut places, mut wanted) = (Vec::new(), Vec::new());
        for ((place, _), (row, pdu)) in rows.into_iter().zip(at_places.into_iter().zip(pdus)) {
            let (Some(row), Some(pdu)) = (row, pdu) else { continue };
            if !ignored.hides(view, self.core(), head, &pdu).await? {
                places.push(place);
                wanted.push(Placed { place: place.1, row, pdu });
            }
        }
        let events = self.tell(open, sight, wanted).await?;
        Ok(places.into_iter().zip(events).collect())
    }
}

/// The token of the place behind `last`, on the way.
fn past((stretch, ordinal): Place, towards: Towards) -> TimelineToken {
    match towards {
        Towards::Backward => TimelineToken::before(stretch, ordinal),
        Towards::Forward => TimelineToken::after(stretch, ordinal),
    }
}

/// A walk along the children of an event.
struct Children<'a> {
    open: &'a Open,
    query: &'a RelationsQuery,
    parent: OwnedEventId,
    /// The first place that was not looked at.
    at: Option<Place>,
    to: Option<Place>,
    /// What was found already: with recursion, all of it.
    found: VecDeque<(Place, RelationRow)>,
    /// How many rows may still be looked at.
    left: usize,
    finished: bool,
}

impl<'a> Children<'a> {
    async fn new(open: &'a Open, parent: &EventId, query: &'a RelationsQuery) -> Result<Self> {
        let place = |token: TimelineToken| {
            let token = token.in_stretch(open.stretch);
            (token.stretch, token.ordinal)
        };
        let (at, to) = (query.from.map(place), query.to.map(place));
        let (parent, found) = (parent.to_owned(), VecDeque::new());
        let left = ROWS_MOST;
        let mut children = Self { open, query, parent, at, to, found, left, finished: false };
        if query.recurse {
            children.find_all().await?;
        }
        Ok(children)
    }

    fn direction(&self) -> Direction {
        match self.query.towards {
            Towards::Backward => Direction::Backward,
            Towards::Forward => Direction::Forward,
        }
    }

    /// Where to go on if rows are left that were not looked at.
    fn unfinished(&self) -> Option<TimelineToken> {
        let (stretch, ordinal) = self.at.filter(|_| !self.finished)?;
        Some(TimelineToken { stretch, ordinal })
    }

    /// The next children that are asked for; none at the end, or where enough was looked at.
    async fn next(&mut self, wanted: usize) -> Result<Vec<(Place, RelationRow)>> {
        while self.found.is_empty() && !self.finished && !self.query.recurse && self.left > 0 {
            let limit = wanted.min(self.left);
            let rows = self.read(&self.parent, self.at, limit).await?;
            self.finished = rows.len() < limit;
            self.left -= rows.len();
            self.pass(rows.last().map(|(last, _)| *last));
            let wanted: Vec<_> = rows.into_iter().filter(|row| self.asks_for(row)).collect();
            self.found.extend(wanted);
        }
        let count = wanted.min(self.found.len());
        Ok(self.found.drain(..count).collect())
    }

    /// Notes that all up to `last` was looked at.
    fn pass(&mut self, last: Option<Place>) {
        let Some(last) = last else { return };
        let token = past(last, self.query.towards);
        self.at = Some((token.stretch, token.ordinal));
        self.finished |= !self.is_before_the_end(last);
    }

    async fn read(
        &self,
        parent: &OwnedEventId,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, RelationRow)>> {
        let Open { view, head, .. } = self.open;
        let kind = self.query.rel_type.as_deref().filter(|_| !self.query.recurse);
        let kind = kind.map(RelationKind::named);
        children_from(view, head, parent, kind, from, self.direction(), limit).await
    }

    fn asks_for(&self, (place, row): &(Place, RelationRow)) -> bool {
        self.matches(row) && self.is_before_the_end(*place)
    }

    fn matches(&self, row: &RelationRow) -> bool {
        self.query.rel_type.as_ref().is_none_or(|rel_type| *rel_type == row.rel_type)
            && self.query.kind.as_ref().is_none_or(|kind| *kind == row.kind)
    }

    /// Whether the way has not passed `to`, nor gone beyond what is settled.
    fn is_before_the_end(&self, place: Place) -> bool {
        let settled = self.open.view.settled();
        place.1.position().is_none_or(|position| position <= settled)
            && self.to.is_none_or(|to| match self.query.towards {
                Towards::Backward => place >= to,
                Towards::Forward => place < to,
            })
    }

    /// Finds what relates to the event through up to [`DEPTH`] relations, level by level.
    async fn find_all(&mut self) -> Result<()> {
        let mut level = self.first_level().await?;
        let last = level.last().map(|(place, _)| *place);
        // What is behind the last one could stand between others that were not looked at.
        let horizon = last.filter(|_| level.len() >= ROWS_MOST);
        self.finished = horizon.is_none();
        let mut found = Vec::new();
        for depth in 1..=DEPTH {
            // What leads to an event that is asked for need not be asked for itself.
            found.extend(level.iter().filter(|(_, row)| self.matches(row)).cloned());
            if depth < DEPTH {
                level = self.next_level(&level).await?;
            }
        }
        let towards = self.query.towards;
        let is_certain = |place: Place| {
            horizon.is_none_or(|horizon| match towards {
                Towards::Backward => place >= horizon,
                Towards::Forward => place <= horizon,
            })
        };
        let from = self.at;
        let is_ahead = |place: Place| {
            from.is_none_or(|from| match towards {
                Towards::Backward => place < from,
                Towards::Forward => place >= from,
            })
        };
        found.retain(|(place, _)| is_certain(*place) && is_ahead(*place));
        found.retain(|row| self.is_before_the_end(row.0));
        found.sort_by_key(|(place, _)| *place);
        found.dedup_by_key(|(place, _)| *place);
        if towards == Towards::Backward {
            found.reverse();
        }
        self.pass(horizon);
        self.found = found.into();
        Ok(())
    }

    /// The children themselves. Going forwards, what comes later can relate to earlier ones.
    async fn first_level(&self) -> Result<Vec<(Place, RelationRow)>> {
        if self.query.towards == Towards::Backward {
            return self.read(&self.parent, self.at, ROWS_MOST).await;
        }
        let rows = self.read(&self.parent, None, ROWS_MOST).await?;
        let is_behind = rows.last().is_some_and(|(last, _)| self.at.is_some_and(|at| *last < at));
        if rows.len() >= ROWS_MOST && is_behind {
            return self.read(&self.parent, self.at, ROWS_MOST).await;
        }
        Ok(rows)
    }

    /// The children of those of `level` that have any, which their rows tell.
    async fn next_level(
        &self,
        level: &[(Place, RelationRow)],
    ) -> Result<Vec<(Place, RelationRow)>> {
        let Open { view, head, .. } = self.open;
        let key = |(place, _): &(Place, RelationRow)| (head.room.clone(), place.0, place.1);
        let keys: Vec<_> = level.iter().map(key).collect();
        let rows = view.get_many(&TIMELINE, &keys).await?;
        let parents = rows.into_iter().flatten().filter(|row| row.related.is_some());
        let from = self.at.filter(|_| self.query.towards == Towards::Backward);
        let mut next = Vec::new();
        for parent in parents {
            if next.len() >= ROWS_MOST {
                break;
            }
            next.extend(self.read(&parent.event, from, ROWS_MOST - next.len()).await?);
        }
        Ok(next)
    }
}
