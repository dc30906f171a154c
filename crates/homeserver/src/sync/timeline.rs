//! The newest events of a room that a client does not know and may see.

use std::ops::Bound;

use ruma::events::TimelineEventType;

use super::{
    newest::{newest, older},
    reading::{Part, Reading},
};
use crate::{
    Result,
    events::{Placed, PlacedRow, Sight, TimelineToken, load_for},
    schema::Ordinal,
};

/// How many places are looked at in one go where the filter holds events back.
const PAGE: usize = 100;
/// After how many goes a filter that holds nearly everything back has cost enough.
const PAGES: usize = 10;

/// The events to tell of a timeline.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Oldest first.
    pub(super) events: Vec<Placed>,
    /// Whether there are events before these that the client does not know.
    pub(super) limited: bool,
    /// Whether a redaction is or may be among the events that the client does not know, those
    /// held back by the filter or because of who sent them included.
    pub(super) may_redact: bool,
    /// What the user may see of the room, if that had to be asked.
    pub(super) sight: Option<Sight>,
}

impl Window {
    /// Drops the events before `place`.
    pub(super) fn cut(&mut self, place: Option<Ordinal>) {
        let before = self.events.len();
        self.events.retain(|event| place.is_some_and(|place| event.place >= place));
        self.limited |= self.events.len() < before;
    }

    /// Where to look for what came before. An empty window says: at the end of the room.
    pub(super) fn prev_batch(&self, part: &Part<'_>) -> TimelineToken {
        match self.events.first() {
            Some(first) => TimelineToken::before(part.stretch, first.place),
            None => TimelineToken::after(part.stretch, Ordinal::Live(part.end)),
        }
    }
}

/// The newest events of `part`, as many as the filter asks for.
pub(super) async fn read(reading: &Reading<'_>, part: &Part<'_>) -> Result<Window> {
    let mut walk = Walk { reading, part, window: Window::default() };
    let filter = &reading.query.filter;
    let page = if filter.timeline.passes_all() { filter.limit + 1 } else { PAGE };
    let mut oldest = None;
    for _ in 0..PAGES {
        let rows = match oldest {
            None => newest(reading, part, page).await?,
            Some(place) => older(reading, part, Bound::Excluded(place), page).await?,
        };
        let last_page = rows.len() < page;
        let Some((last, _)) = rows.last() else { return Ok(walk.finish()) };
        oldest = Some(*last);
        if walk.take(rows).await? == Walked::Enough || last_page {
            return Ok(walk.finish());
        }
    }
    walk.window.limited = true;
    Ok(walk.finish())
}

#[derive(PartialEq, Eq)]
enum Walked {
    Enough,
    GoOn,
}

/// A walk from the newest event backwards.
struct Walk<'a> {
    reading: &'a Reading<'a>,
    part: &'a Part<'a>,
    /// Newest first.
    window: Window,
}

impl Walk<'_> {
    async fn take(&mut self, rows: Vec<PlacedRow>) -> Result<Walked> {
        let count = rows.len();
        let known = self.part.span.timeline_after.map(Ordinal::Live);
        let new =
            rows.into_iter().take_while(|(place, _)| known.is_none_or(|known| *place > known));
        let new: Vec<PlacedRow> = new.collect();
        let all_new = new.len() == count;
        let ids: Vec<_> = new.iter().map(|(_, row)| row.event.clone()).collect();
        let (reading, head) = (self.reading, self.part.head);
        let pdus = load_for(&reading.view, reading.core(), head, reading.reader(), &ids).await?;
        let filter = &self.reading.query.filter;
        for ((place, row), pdu) in new.into_iter().zip(pdus) {
            let Some(pdu) = pdu else { continue };
            self.window.may_redact |= *pdu.kind() == TimelineEventType::RoomRedaction;
            if !filter.timeline.passes(&pdu, row.redacted_by.is_some())
                || self.reading.ignores(self.part.head, &pdu).await?
            {
                continue;
            }
            if self.window.events.len() == filter.limit || !self.sees(place).await? {
                self.window.limited = true;
                return Ok(Walked::Enough);
            }
            self.window.events.push(Placed { place, row, pdu });
        }
        Ok(if all_new { Walked::GoOn } else { Walked::Enough })
    }

    /// Whether the user may see what is at `place`. Who was in the room then may.
    async fn sees(&mut self, place: Ordinal) -> Result<bool> {
        if self.part.joined_at(place) {
            return Ok(true);
        }
        let sight = match self.window.sight.take() {
            Some(sight) => sight,
            None => {
                let Reading { view, session, .. } = self.reading;
                Sight::of(view, &session.core, self.part.head, session.id()).await?
            }
        };
        Ok(self.window.sight.insert(sight).sees(place))
    }

    fn finish(mut self) -> Window {
        self.window.may_redact |= self.window.limited;
        self.window.events.reverse();
        self.window
    }
}
