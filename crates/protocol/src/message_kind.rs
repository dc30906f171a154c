//! What kind of message an event is, as people sort them.

use serde::{Deserialize, Serialize};

/// What kind of message an event is, as people sort them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Words, also those of a program or of what somebody does.
    Text,
    /// A picture, also a sticker.
    Image,
    /// A file.
    File,
    /// Something to listen to.
    Audio,
    /// Something to watch.
    Video,
    /// Anything else, also what nobody but its readers can read.
    Other,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Text, Self::Image, Self::File, Self::Audio, Self::Video, Self::Other];

    /// The kind of an event of this type with this `msgtype`. That alone tells what an encrypted
    /// event is, where somebody who could read it said so.
    pub fn of(event_type: Option<&str>, msgtype: Option<&str>) -> Self {
        match msgtype {
            Some("m.text" | "m.notice" | "m.emote") => Self::Text,
            Some("m.image" | "m.sticker") => Self::Image,
            Some("m.file") => Self::File,
            Some("m.audio") => Self::Audio,
            Some("m.video") => Self::Video,
            _ if event_type == Some("m.sticker") => Self::Image,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_of_the_kind_that_people_see() {
        let check = |event_type, msgtype, expected| {
            assert_eq!(
                MessageKind::of(event_type, msgtype),
                expected,
                "{event_type:?} {msgtype:?}"
            );
        };
        let message = Some("m.room.message");
        for text in ["m.text", "m.notice", "m.emote"] {
            check(message, Some(text), MessageKind::Text);
        }
        check(message, Some("m.image"), MessageKind::Image);
        check(Some("m.sticker"), None, MessageKind::Image);
        check(None, Some("m.sticker"), MessageKind::Image);
        check(message, Some("m.file"), MessageKind::File);
        check(message, Some("m.audio"), MessageKind::Audio);
        check(message, Some("m.video"), MessageKind::Video);
        check(message, Some("m.location"), MessageKind::Other);
        check(message, None, MessageKind::Other);
        check(None, None, MessageKind::Other);
        check(Some("m.room.encrypted"), None, MessageKind::Other);
        check(Some("m.room.encrypted"), Some("m.audio"), MessageKind::Audio);
        check(Some("m.poll.start"), None, MessageKind::Other);
    }

    #[test]
    fn kinds_are_called_as_the_interface_has_them() {
        let names = serde_json::to_string(&MessageKind::ALL).unwrap();
        assert_eq!(names, r#"["text","image","file","audio","video","other"]"#);
        for (number, kind) in MessageKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
