//! Which event of a room happened at some time (client-server API, `GET /timestamp_to_event`).
//!
//! The clocks of servers differ, so the times along a timeline rise only by and large. A binary
//! search finds about where the time is; around there each event is looked at.

use std::{cmp::Reverse, ops::Bound};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, api::Direction as Towards};
use tertulia_storage::{Direction, Position};

use super::{Room, access::Open};
use crate::{
    Error, Result,
    events::{EventCache, Sight},
    schema::{Ordinal, TIMELINE, TimelineRow},
};

/// How many events on either side of the found place are looked at in any case.
const AROUND: usize = 256;

/// How many rows are read at a time where the reader may not see what is near.
const PAGE: usize = 1_000;

/// How many pages are read at most.
const PAGES: usize = 20;

/// An event and when it happened, by its sender's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The event.
    pub event: OwnedEventId,
    /// When it happened.
    pub at: MilliSecondsSinceUnixEpoch,
}

type Row = (Ordinal, TimelineRow);

impl Room {
    /// The event that the user may see and that is closest to `at`: no earlier than that going
    /// forwards, no later going backwards.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who may not look into the room, [`Error::NotFound`] if there
    /// is no such event.
    pub async fn event_at(
        &self,
        at: MilliSecondsSinceUnixEpoch,
        towards: Towards,
    ) -> Result<Moment> {
        let open = self.open().await?;
        let sight = Sight::of(&open.view, self.core(), &open.head, self.me()).await?;
        let open = open.for_history(&sight);
        let search = Search { room: self, open: &open, sight: &sight, at, towards };
        let place = search.place().await?;
        search.closest(place).await?.ok_or(Error::NotFound("event at that time"))
    }
}

/// A search for a moment.
struct Search<'a> {
    room: &'a Room,
    open: &'a Open,
    sight: &'a Sight,
    at: MilliSecondsSinceUnixEpoch,
    towards: Towards,
}

impl Search<'_> {
    /// The rows from `place` on.
    async fn rows(
        &self,
        place: Bound<Ordinal>,
        order: Direction,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let prefix = (self.open.head.room.clone(), self.open.stretch);
        let from = place.map(|place| (prefix.0.clone(), prefix.1, place));
        let rows =
            self.open.view.scan_from(&TIMELINE, &prefix, from.as_ref(), order, limit).await?;
        Ok(rows.into_iter().map(|((_, _, place), row)| (place, row)).collect())
    }

    async fn moments(&self, rows: &[Row]) -> Result<Vec<Option<Moment>>> {
        let ids: Vec<_> = rows.iter().map(|(_, row)| row.event.clone()).collect();
        let cache = self.room.core().local::<EventCache>();
        let pdus = cache.load_many(&self.open.view, &self.open.head.rules, &ids).await?;
        let moment = |pdu: tertulia_protocol::Pdu| Moment {
            event: pdu.event_id().clone(),
            at: pdu.origin_server_ts(),
        };
        Ok(pdus.into_iter().map(|pdu| pdu.map(moment)).collect())
    }

    /// About the first place that is not before the time: the one past the end, if all are.
    async fn place(&self) -> Result<Ordinal> {
        let end = line(Ordinal::Live(self.open.head.row.last)) + 1;
        let first = self.rows(Bound::Unbounded, Direction::Forward, 1).await?;
        let (mut low, mut high) = (first.first().map_or(end, |(place, _)| line(*place)), end);
        while low < high {
            let middle = low + (high - low) / 2;
            let rows = self.rows(Bound::Included(at_line(middle)), Direction::Forward, 1).await?;
            let moment = self.moments(&rows).await?.pop().flatten();
            match (rows.first(), moment) {
                (Some((place, _)), Some(moment)) if moment.at < self.at => low = line(*place) + 1,
                _ => high = middle,
            }
        }
        Ok(at_line(low))
    }

    /// The closest of the moments near `place`, or else the first one on the way.
    async fn closest(&self, place: Ordinal) -> Result<Option<Moment>> {
        let (here, below) = (Bound::Included(place), Bound::Excluded(place));
        let mut near = self.rows(below, Direction::Backward, AROUND).await?;
        near.reverse();
        near.extend(self.rows(here, Direction::Forward, AROUND).await?);
        if let Some(found) = self.best(near).await? {
            return Ok(Some(found));
        }
        let (mut from, order) = match self.towards {
            Towards::Forward => (here, Direction::Forward),
            Towards::Backward => (below, Direction::Backward),
        };
        for _ in 0..PAGES {
            let rows = self.rows(from, order, PAGE).await?;
            let Some((last, _)) = rows.last() else { return Ok(None) };
            from = Bound::Excluded(*last);
            // Only what may be seen is loaded, and only as much as is needed.
            let seen: Vec<_> = rows.into_iter().filter(|row| self.sees(row)).collect();
            for some in seen.chunks(AROUND) {
                if let Some(found) = self.best(some.to_vec()).await? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn sees(&self, (place, _): &Row) -> bool {
        let settled = self.open.view.settled();
        place.position().is_none_or(|position| position <= settled) && self.sight.sees(*place)
    }

    /// The best of some rows: of those that may be seen and lie on the right side of the time, the
    /// closest to it.
    async fn best(&self, mut rows: Vec<Row>) -> Result<Option<Moment>> {
        rows.retain(|row| self.sees(row));
        let moments = self.moments(&rows).await?.into_iter().flatten().enumerate();
        Ok(match self.towards {
            Towards::Forward => moments
                .filter(|(_, moment)| moment.at >= self.at)
                .min_by_key(|(index, moment)| (moment.at, *index)),
            Towards::Backward => moments
                .filter(|(_, moment)| moment.at <= self.at)
                .max_by_key(|(index, moment)| (moment.at, *index)),
        }
        .map(|(_, moment)| moment))
    }
}

/// A place as a number: the older ones count down from zero.
fn line(place: Ordinal) -> i128 {
    match place {
        Ordinal::Live(position) => i128::from(position.get()),
        Ordinal::Backfilled(Reverse(n)) => -i128::from(n),
    }
}

fn at_line(line: i128) -> Ordinal {
    match u64::try_from(line) {
        Ok(position) => Ordinal::Live(Position::new(position)),
        Err(_) => {
            Ordinal::Backfilled(Reverse(u64::try_from(line.unsigned_abs()).unwrap_or(u64::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_on_one_line_in_their_order() {
        let live = |n| Ordinal::Live(Position::new(n));
        let old = |n| Ordinal::Backfilled(Reverse(n));
        let places = [old(u64::MAX), old(2), old(1), live(0), live(1), live(1 << 62)];
        assert!(places.is_sorted_by_key(|place| line(*place)));
        for place in places {
            assert_eq!(at_line(line(place)), place);
        }
    }
}
