//! Paging through a room's timeline.

use std::ops::Bound;

use ruma::{EventId, OwnedUserId, api::Direction as Towards, events::StateEventType};
use tertulia_protocol::Pdu;
use tertulia_storage::{Direction, Position};

use super::{
    Room,
    access::{Open, Until},
};
use crate::{
    Result,
    events::{ClientEvent, Ignored, Placed, Sight, TimelineToken, base_at, load_for, state_at},
    schema::{Ordinal, TIMELINE, TimelineRow},
};

/// What part of a timeline to tell.
#[derive(Clone, Debug)]
pub struct MessagesQuery {
    /// Where to begin; at the end of the room (or its beginning, going forward) if absent.
    pub from: Option<TimelineToken>,
    /// Where to stop at the latest.
    pub to: Option<TimelineToken>,
    /// Which way to go.
    pub towards: Towards,
    /// How many events to tell at most.
    pub limit: usize,
    /// Which events to tell.
    pub filter: EventFilter,
}

/// A part of a timeline.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it begins.
    pub start: TimelineToken,
    /// Where to go on; none where there is nothing more.
    pub end: Option<TimelineToken>,
    /// The events, in the order asked for.
    pub events: Vec<ClientEvent>,
    /// With lazily loaded members, the member events of the senders.
    pub state: Vec<ClientEvent>,
    /// Where to go on behind each of the events.
    pub(crate) places: Vec<TimelineToken>,
}

/// An event and what surrounds it.
#[derive(Clone, Debug)]
pub struct Context {
    /// The event.
    pub event: ClientEvent,
    /// What came before, newest first.
    pub before: Vec<ClientEvent>,
    /// What came after, oldest first.
    pub after: Vec<ClientEvent>,
    /// Where to go on backwards.
    pub start: TimelineToken,
    /// Where to go on forwards.
    pub end: TimelineToken,
    /// The state of the room at the last event told.
    pub state: Vec<ClientEvent>,
}

/// Most events that one page tells.
const PAGE_MOST: usize = 1_000;

/// Most rows that one page looks at, seen or not.
const ROWS_MOST: usize = if cfg!(test) { 50 } else { 5_000 };

impl Room {
    /// A part of the room's timeline.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`](crate::Error::Forbidden) for one who may not look into the room.
    pub async fn messages(&self, query: &MessagesQuery) -> Result<Page> {
        let open = self.open().await?;
        let sight = Sight::of(&open.view, self.core(), &open.head, self.me()).await?;
        let open = open.for_history(&sight);
        let start = match query.from {
            Some(from) => from.in_stretch(open.stretch),
            None => first_token(&open, query.towards),
        };
        let ignored = Ignored::by(&open.view, self.me()).await?;
        let (open, sight, ignored, left) = (&open, &sight, &ignored, ROWS_MOST);
        let mut reading = Reading { open, sight, ignored, query, at: start, left };
        let limit = query.limit.min(PAGE_MOST);
        let (mut events, mut places) = (Vec::new(), Vec::new());
        let mut more = true;
        // Where enough was looked at, what comes next is the next page's.
        while more && events.len() < limit && reading.left > 0 {
            let rows = reading.next_rows(limit - events.len()).await?;
            more = !rows.is_empty();
            let shown = self.show(&reading, rows, &mut places).await?;
            events.extend(shown);
        }
        let end = more.then_some(reading.at);
        let state = self.senders(open, query, &events).await?;
        Ok(Page { start, end, events, state, places })
    }

    /// An event with what surrounds it, and the state at its end.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) if there is no such event in the room, or the user may not
    /// see it.
    pub async fn context(
        &self,
        id: &EventId,
        limit: usize,
        filter: EventFilter,
    ) -> Result<Context> {
        let event = self.event(id).await?;
        let open = self.open().await?;
        let sight = Sight::of(&open.view, self.core(), &open.head, self.me()).await?;
        let open = open.for_history(&sight);
        let (stretch, ordinal) = self.place_of(&open.view, id).await?;
        let page = |from, towards, limit| {
            let filter = filter.clone();
            MessagesQuery { from: Some(from), to: None, towards, limit, filter }
        };
        let here = TimelineToken::before(stretch, ordinal);
        let next = TimelineToken::after(stretch, ordinal);
        let back = page(here, Towards::Backward, limit / 2);
        let before = self.messages(&back).await?;
        let ahead = page(next, Towards::Forward, limit - limit / 2);
        let after = self.messages(&ahead).await?;
        let end =
            after.end.unwrap_or(TimelineToken::after(stretch, Ordinal::Live(open.head.row.last)));
        let state =
            self.state_before(&open, end, &filter, &[&before.events, &after.events]).await?;
        let start = before.end.unwrap_or(here);
        Ok(Context { event, before: before.events, after: after.events, start, end, state })
    }

    /// The events of some rows as the user gets them: those the user may see and asks for. Where to
    /// go on behind each is added to `places`.
    async fn show(
        &self,
        reading: &Reading<'_>,
        mut rows: Vec<(Ordinal, TimelineRow)>,
        places: &mut Vec<TimelineToken>,
    ) -> Result<Vec<ClientEvent>> {
        rows.retain(|(ordinal, _)| reading.sight.sees(*ordinal));
        let ids: Vec<_> = rows.iter().map(|(_, row)| row.event.clone()).collect();
        let Open { view, head, .. } = reading.open;
        let pdus = load_for(view, self.core(), head, self.reader(), &ids).await?;
        let mut wanted = Vec::with_capacity(rows.len());
        for ((place, row), pdu) in rows.into_iter().zip(pdus) {
            let redacted = row.redacted_by.is_some();
            let passes = |pdu: &Pdu| reading.query.filter.passes(pdu, redacted);
            let Some(pdu) = pdu.filter(passes) else { continue };
            if !reading.ignored.hides(view, self.core(), head, &pdu).await? {
                wanted.push(Placed { place, row, pdu });
            }
        }
        places.extend(wanted.iter().map(|placed| reading.behind(placed.place)));
        self.tell(reading.open, reading.sight, wanted).await
    }

    /// The member events of those who sent `events`, where members are loaded lazily.
    async fn senders(
        &self,
        open: &Open,
        query: &MessagesQuery,
        events: &[ClientEvent],
    ) -> Result<Vec<ClientEvent>> {
        if !query.filter.lazy_members || events.is_empty() {
            return Ok(Vec::new());
        }
        let mut senders: Vec<OwnedUserId> =
            events.iter().map(|event| event.sender().to_owned()).collect();
        senders.sort();
        senders.dedup();
        let slots: Vec<_> = senders
            .into_iter()
            .map(|sender| (StateEventType::RoomMember, sender.to_string()))
            .collect();
        let rows = crate::events::current_rows(&open.view, &open.head, &slots).await?;
        let ids = rows.into_iter().flatten().map(|row| row.event).collect();
        self.render(open, ids).await
    }

    /// What the filter asks for of the state right before `token`, without the members who are not
    /// in `told`, if members are loaded lazily.
    async fn state_before(
        &self,
        open: &Open,
        token: TimelineToken,
        filter: &EventFilter,
        told: &[&[ClientEvent]],
    ) -> Result<Vec<ClientEvent>> {
        let position = token.ordinal.position().unwrap_or(Position::ZERO);
        let before = Position::new(position.get().saturating_sub(1));
        let before = match open.until {
            Until::Now => before,
            Until::Then(left) => before.min(left),
        };
        let base = base_at(&open.view, &open.head, before).await?;
        let state = state_at(&open.view, base, before).await?;
        let speaks = |key: &str| told.iter().any(|part| part.iter().any(|e| e.sender() == key));
        let wanted = state.into_iter().filter(|((kind, key), _)| {
            !filter.lazy_members || kind != "m.room.member" || speaks(key)
        });
        let mut events = self.render(open, wanted.map(|(_, event)| event).collect()).await?;
        events.retain(|event| filter.passes(event.pdu(), false));
        Ok(events)
    }
}

/// A walk along a timeline.
struct Reading<'a> {
    open: &'a Open,
    sight: &'a Sight,
    /// Whom the reader ignores.
    ignored: &'a Ignored,
    query: &'a MessagesQuery,
    at: TimelineToken,
    /// How many rows may still be looked at.
    left: usize,
}

impl Reading<'_> {
    /// The next rows that a member at that time could see; none at the end of the walk.
    async fn next_rows(&mut self, wanted: usize) -> Result<Vec<(Ordinal, TimelineRow)>> {
        let limit = wanted.min(self.left);
        let prefix = (self.open.head.room.clone(), self.at.stretch);
        let key = (prefix.0.clone(), prefix.1, self.at.ordinal);
        let view = &self.open.view;
        let rows = match self.query.towards {
            Towards::Backward => {
                let from = Bound::Excluded(&key);
                view.scan_from(&TIMELINE, &prefix, from, Direction::Backward, limit).await?
            }
            Towards::Forward => {
                let from = Bound::Included(&key);
                view.scan_from(&TIMELINE, &prefix, from, Direction::Forward, limit).await?
            }
        };
        self.left -= rows.len();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|((_, _, ordinal), row)| (ordinal, row))
            .take_while(|(ordinal, _)| self.may_reach(*ordinal))
            .collect();
        if let Some((last, _)) = rows.last() {
            self.at = self.behind(*last);
        }
        Ok(rows)
    }

    /// Where the walk goes on behind an event.
    fn behind(&self, place: Ordinal) -> TimelineToken {
        match self.query.towards {
            Towards::Backward => TimelineToken::before(self.at.stretch, place),
            Towards::Forward => TimelineToken::after(self.at.stretch, place),
        }
    }

    /// Whether the walk has not passed `to`, and not gone beyond what is settled.
    fn may_reach(&self, ordinal: Ordinal) -> bool {
        if ordinal.position().is_some_and(|position| position > self.open.view.settled()) {
            return false;
        }
        let to = self.query.to.map(|to| to.in_stretch(self.open.stretch));
        let Some(to) = to.filter(|to| to.stretch == self.at.stretch) else {
            return true;
        };
        match self.query.towards {
            Towards::Backward => ordinal >= to.ordinal,
            Towards::Forward => ordinal < to.ordinal,
        }
    }
}

/// Where a walk begins that names no place.
fn first_token(open: &Open, towards: Towards) -> TimelineToken {
    let stretch = open.stretch;
    match (towards, open.until) {
        (Towards::Forward, _) => TimelineToken::at_the_beginning(stretch),
        (Towards::Backward, Until::Now) => {
            TimelineToken::after(stretch, Ordinal::Live(open.head.row.last))
        }
        (Towards::Backward, Until::Then(left)) => {
            TimelineToken::after(stretch, Ordinal::Live(left))
        }
    }
}

pub use crate::events::EventFilter;
