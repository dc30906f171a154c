//! Where a client's knowledge ends, as the client hands it back.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use tertulia_storage::Position;

use crate::{Error, log::SHARD, typing::TypingVersion};

/// A place between two syncs: what a client was told lies before it.
///
/// It reads `s1_{shard}.{position}_{d}_{boot}.{count}`: how far the log was told, the last
/// to-device message delivered, and how far what lives in memory was told;
/// `.{presence}` follows where somebody's was. Where an invite hid
/// how a stay ended, `_{position}` follows: how far that was told. Clients must not look inside;
/// the number behind the `s` names the form, which other engines will need to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncToken {
    /// The newest position of the log that was told of.
    pub(crate) at: Position,
    /// Up to where the client was told how stays ended. It lies before `at` while an invite or a
    /// knock stands for the room instead, and the client does not know the end before it.
    pub(crate) ends: Position,
    /// The last message of the device's queue that was delivered.
    pub(crate) to_device: u64,
    /// What was told of the facts that live in memory.
    pub(crate) fleeting: TypingVersion,
    /// The last change of anybody's presence that was told in this life of the server.
    pub(crate) presence: u64,
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, ends, to_device, fleeting, presence } = self;
        let TypingVersion { boot, count } = fleeting;
        write!(f, "s1_{SHARD}.{}_{to_device}_{boot}.{count}", at.get())?;
        if *presence > 0 {
            write!(f, ".{presence}")?;
        }
        if ends == at { Ok(()) } else { write!(f, "_{}", ends.get()) }
    }
}

impl FromStr for SyncToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or(Error::Invalid("the sync token"))
    }
}

fn parse(text: &str) -> Option<SyncToken> {
    let mut parts = text.strip_prefix("s1_")?.split('_');
    let (shard, at) = pair(parts.next()?)?;
    let to_device = number(parts.next()?)?;
    let (fleeting, presence) = fleeting(parts.next()?)?;
    let ends = match parts.next() {
        Some(ends) => number(ends).filter(|ends| *ends < at)?,
        None => at,
    };
    let whole = parts.next().is_none() && shard == u64::from(SHARD) && at < 1 << 62;
    whole.then(|| SyncToken {
        at: Position::new(at),
        ends: Position::new(ends),
        to_device,
        fleeting,
        presence,
    })
}

/// How far what lives in memory was told. Where nobody's presence was, nothing is said of it.
fn fleeting(text: &str) -> Option<(TypingVersion, u64)> {
    let (boot, counts) = text.split_once('.')?;
    let (count, presence) = match counts.split_once('.') {
        Some((count, presence)) => (count, number(presence).filter(|presence| *presence > 0)?),
        None => (counts, 0),
    };
    Some((TypingVersion { boot: number(boot)?, count: number(count)? }, presence))
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (left, right) = text.split_once('.')?;
    Some((number(left)?, number(right)?))
}

/// A plain decimal number: no sign, no leading zeros, so that every token has one form.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl Serialize for SyncToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, u64, u64, u64)>) {
        let read = text.parse::<SyncToken>().ok();
        let found = read.map(|token| {
            let TypingVersion { boot, count } = token.fleeting;
            (token.at.get(), token.to_device, boot, count)
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_token_says_how_far_each_kind_of_fact_was_told() {
        check("s1_0.0_0_0.0", Some((0, 0, 0, 0)));
        check("s1_0.77_3_18446744073709551615.4", Some((77, 3, u64::MAX, 4)));
    }

    #[test]
    fn what_this_server_did_not_write_is_no_token() {
        for wrong in [
            "",
            "s",
            "s1_",
            "s72594_4483_1934",
            "s2_0.1_0_0.0",
            "s1_1.1_0_0.0",
            "s1_0.1_0_0.0_",
            "s1_0.1_0_0.0_1",
            "s1_0.1_0_0.0_00",
            "s1_0.1_0_0.0_0_0",
            "s1_0.1_0",
            "s1_0.1_0_0.0.0",
            "s1_0.1_0_0.0.01",
            "s1_0.1_0_0.0.1.1",
            "s1_0.-1_0_0.0",
            "s1_0.+1_0_0.0",
            "s1_0.01_0_0.0",
            "s1_0. 1_0_0.0",
            "t0_7",
            "s1_0.9223372036854775808_0_0.0",
            "s1_0.99999999999999999999_0_0.0",
            "{}",
            "💥",
        ] {
            check(wrong, None);
        }
    }

    proptest! {
        #[test]
        fn a_token_reads_as_it_was_written(
            at in 0..1_u64 << 62, hidden in 0..3_u64, to_device: u64, boot: u64, count: u64,
            presence: u64,
        ) {
            let fleeting = TypingVersion { boot, count };
            let (at, ends) = (Position::new(at), Position::new(at.saturating_sub(hidden)));
            let token = SyncToken { at, ends, to_device, fleeting, presence };
            prop_assert_eq!(token.to_string().parse::<SyncToken>().unwrap(), token);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC*") {
            let _ = text.parse::<SyncToken>();
        }
    }
}
