//! Tokens that clients hand back: places in a sync and in a timeline, and access tokens.

use std::{fmt::Display, str::FromStr};

use tertulia::{SyncToken, TimelineToken};

/// A token that is read has one form.
pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Some(token) = same_again::<SyncToken>(text) {
        assert_eq!(token.to_string(), text, "a sync token has one form");
        let place = text.parse::<TimelineToken>();
        place.expect("where a sync ended is a place in a timeline");
    }
    same_again::<TimelineToken>(text);
}

/// The token, if it is one; written down, it reads as the same.
fn same_again<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let token = text.parse::<T>().ok()?;
    let written = token.to_string();
    let again = written.parse::<T>().ok();
    assert!(again.is_some_and(|again| again == token), "{text} became {written}");
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_or_refused() {
        assert!(same_again::<SyncToken>("s1_0.7_0_1.0").is_some());
        assert!(same_again::<TimelineToken>("t0_-7").is_some());
        for text in ["", "s1_0.7_0_1.0_9", "t", "\u{0}"] {
            assert!(same_again::<SyncToken>(text).is_none());
            run(text.as_bytes());
        }
        run(b"\xff");
    }
}
