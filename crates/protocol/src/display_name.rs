//! What people may call themselves and their groups. A name stands beside others' words in every client, so it must
//! be seen, and must change nothing but its own place; so must the topic below it.

/// Why a name or a topic cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitName {
    /// It has characters that end a line or control a terminal.
    #[error("names and topics have no control characters")]
    Control,
    /// It has characters that turn the direction of what stands behind it.
    #[error("names and topics have no characters that override the direction of text")]
    Direction,
    /// Nothing of it is seen.
    #[error("names and topics have something that is seen")]
    Invisible,
}

/// Whether people may call themselves `name`. Marks such as those that emoji and scripts from right to left need are
/// allowed between what is seen.
///
/// # Errors
///
/// [`UnfitName`] says why not.
pub fn check_display_name(name: &str) -> Result<(), UnfitName> {
    if name.chars().any(is_control) {
        Err(UnfitName::Control)
    } else if name.chars().any(is_direction) {
        Err(UnfitName::Direction)
    } else if name.chars().all(is_invisible) {
        Err(UnfitName::Invisible)
    } else {
        Ok(())
    }
}

/// Whether a group may be about `topic`: as [`check_display_name`], but a topic may have several lines.
///
/// # Errors
///
/// [`UnfitName`] says why not.
pub fn check_topic(topic: &str) -> Result<(), UnfitName> {
    check_display_name(&topic.replace("\r\n", " ").replace('\n', " "))
}

/// Control characters, and what else ends a line.
fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// Embeddings, overrides and isolates, which reach beyond the name where nothing closes them.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Spaces, and what Unicode calls default-ignorable: joiners, fillers, variation selectors, tags.
fn is_invisible(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Result<(), UnfitName>) {
        assert_eq!(check_display_name(name), expected, "{name:?}");
    }

    #[test]
    fn names_of_all_scripts_are_fit() {
        for name in
            ["Alice", "张三", "ليلى", "👩‍👩‍👧‍👦", "a\u{200f}ب", "❤\u{fe0f}", "A B", "n\u{303}", "."]
        {
            check(name, Ok(()));
        }
    }

    #[test]
    fn what_ends_a_line_or_controls_a_terminal_is_refused() {
        for evil in ["\0", "\n", "\r", "\t", "\u{1b}", "\u{7f}", "\u{85}", "\u{2028}", "\u{2029}"] {
            check(&format!("Al{evil}ice"), Err(UnfitName::Control));
            check(evil, Err(UnfitName::Control));
        }
        check("Alice\r\nBcc: bob@example.org", Err(UnfitName::Control));
    }

    #[test]
    fn a_topic_has_lines_and_is_otherwise_as_a_name() {
        for topic in ["Tea", "Tea\nand cake\r\n\r\nat ten"] {
            assert_eq!(check_topic(topic), Ok(()), "{topic:?}");
        }
        for (topic, reason) in [
            ("Tea\0", UnfitName::Control),
            ("Tea\rcake", UnfitName::Control),
            ("Tea\n\u{202e}ekac", UnfitName::Direction),
            ("\n\u{200b}\n", UnfitName::Invisible),
            ("", UnfitName::Invisible),
        ] {
            assert_eq!(check_topic(topic), Err(reason), "{topic:?}");
        }
    }

    #[test]
    fn what_turns_the_text_behind_it_is_refused() {
        let letters = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        for evil in letters {
            check(&format!("{evil}ecilA"), Err(UnfitName::Direction));
        }
    }

    #[test]
    fn names_that_nobody_sees_are_refused() {
        for name in [
            "",
            " ",
            "\u{200b}",
            "\u{200d}\u{200c}",
            "\u{feff} \u{2060}",
            "\u{3164}",
            "\u{3000}",
            "\u{ad}",
            "\u{e0041}\u{e007f}",
            "\u{2800}",
            "\u{200e}",
            "\u{fff9}",
        ] {
            check(name, Err(UnfitName::Invisible));
            check(&format!("{name}a{name}"), Ok(()));
        }
    }
}
