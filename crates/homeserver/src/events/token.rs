//! Places between the events of a room, as clients name them when they page through it.

use std::{cmp::Reverse, fmt, str::FromStr};

use tertulia_storage::Position;

use crate::{Error, schema::Ordinal};

/// A place between two events of a room's timeline: right before `ordinal`.
///
/// It reads `t{stretch}_{position}` for live events and `t{stretch}_-{n}` for older ones. Clients may
/// also name the place up to which they have synced, by the `next_batch` of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineToken {
    /// The server's presence in the room.
    pub stretch: u32,
    /// The first place behind it.
    pub ordinal: Ordinal,
}

/// Stands for the room's present stretch, where a token does not name one.
const PRESENT: u32 = u32::MAX;

impl TimelineToken {
    /// The place, in the room whose present stretch is `stretch`.
    #[must_use]
    pub(crate) fn in_stretch(self, stretch: u32) -> Self {
        let stretch = if self.stretch == PRESENT { stretch } else { self.stretch };
        Self { stretch, ..self }
    }

    /// The place behind everything that a sync has told, by its token.
    fn after_sync(text: &str) -> Option<Self> {
        let (_, rest) = text.strip_prefix("s1_")?.split_once('.')?;
        let (position, _) = rest.split_once('_')?;
        Some(Self::after(PRESENT, Ordinal::Live(Position::new(number(position)?))))
    }

    /// The place right before `ordinal`.
    pub fn before(stretch: u32, ordinal: Ordinal) -> Self {
        Self { stretch, ordinal }
    }

    /// The place before everything.
    pub(crate) fn at_the_beginning(stretch: u32) -> Self {
        Self::before(stretch, Ordinal::Backfilled(Reverse(LIMIT - 1)))
    }

    /// The place right after `ordinal`.
    pub fn after(stretch: u32, ordinal: Ordinal) -> Self {
        let ordinal = match ordinal {
            Ordinal::Live(position) => Ordinal::Live(Position::new(position.get() + 1)),
            Ordinal::Backfilled(Reverse(1)) => Ordinal::Live(Position::ZERO),
            Ordinal::Backfilled(Reverse(n)) => Ordinal::Backfilled(Reverse(n - 1)),
        };
        Self { stretch, ordinal }
    }
}

impl fmt::Display for TimelineToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ordinal {
            Ordinal::Live(position) => write!(f, "t{}_{}", self.stretch, position.get()),
            Ordinal::Backfilled(Reverse(n)) => write!(f, "t{}_-{n}", self.stretch),
        }
    }
}

impl FromStr for TimelineToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (stretch, place) = text.strip_prefix('t')?.split_once('_')?;
            let ordinal = match place.strip_prefix('-') {
                Some(n) => Ordinal::Backfilled(Reverse(number(n).filter(|n| *n > 0)?)),
                None => Ordinal::Live(Position::new(number(place)?)),
            };
            Some(Self { stretch: u32::try_from(number(stretch)?).ok()?, ordinal })
        };
        parse().or_else(|| Self::after_sync(text)).ok_or(Error::Invalid("the pagination token"))
    }
}

/// No number in a token is as large.
const LIMIT: u64 = 1 << 62;

/// A plain decimal number below 2^62: no sign, no surprises.
fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| plain && *n < LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<TimelineToken>) {
        assert_eq!(text.parse::<TimelineToken>().ok(), expected, "{text}");
        if let Some(token) = expected {
            assert_eq!(token.to_string(), text);
        }
    }

    fn token(stretch: u32, ordinal: Ordinal) -> Option<TimelineToken> {
        Some(TimelineToken { stretch, ordinal })
    }

    #[test]
    fn a_token_reads_as_it_was_written_and_nothing_else_reads() {
        check("t0_7", token(0, Ordinal::Live(Position::new(7))));
        check("t3_-2", token(3, Ordinal::Backfilled(Reverse(2))));
        check("t3_-4611686018427387903", Some(TimelineToken::at_the_beginning(3)));
        for wrong in ["", "t", "t_", "t0_", "t0_-0", "t0_+1", "s0_1", "t0_1x", "t99999999999_1"] {
            check(wrong, None);
        }
        check("t0_9223372036854775808", None);
    }

    #[test]
    fn what_a_sync_told_up_to_is_a_place_in_the_present_stretch() {
        let token: TimelineToken = "s1_0.8_0_5027796069690600489.0".parse().unwrap();
        let place = TimelineToken::before(2, Ordinal::Live(Position::new(9)));
        assert_eq!(token.in_stretch(2), place);
        assert_eq!(place.in_stretch(7), place);
        assert!("s1_0.x_0_1.0".parse::<TimelineToken>().is_err());
    }

    #[test]
    fn after_the_newest_fetched_event_come_the_live_ones() {
        let after = |n| TimelineToken::after(0, Ordinal::Backfilled(Reverse(n))).ordinal;
        assert_eq!(after(2), Ordinal::Backfilled(Reverse(1)));
        assert_eq!(after(1), Ordinal::Live(Position::ZERO));
        assert!(after(2) < after(1));
    }
}
