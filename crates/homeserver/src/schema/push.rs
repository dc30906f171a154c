//! What the store keeps of events for push rules: for counting what is unread.

use ruma::{OwnedEventId, OwnedUserId};
use tertulia_storage::{Position, record};

/// What push rules see of an event, if they do not read its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRow {
    /// The number of its [`EventClass`](tertulia_protocol::push::EventClass).
    pub class: u8,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// The root of the thread it is in; none for the main timeline.
    pub thread: Option<OwnedEventId>,
    /// The users of this server that it mentions, unless they are too many.
    pub mentions: Vec<OwnedUserId>,
    /// Whether it mentions more users; its content tells whom.
    pub mentions_many: bool,
    /// Whether it mentions the whole room.
    pub mentions_room: bool,
}
record!(PushRow = 1 { class, sender, thread, mentions, mentions_many, mentions_room });

/// What push rules see of a run of events, so that one need not look at each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushBlock {
    /// Where the run begins. The block's key says where it ends.
    pub from: Position,
    /// Those who mention nobody.
    pub tallies: Vec<PushTally>,
    /// Those who mention somebody.
    pub mentioning: Vec<PushMention>,
}
record!(PushBlock = 1 { from, tallies, mentioning });

/// How many events of a run look alike to push rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTally {
    /// The number of their class.
    pub class: u8,
    /// Who sent them.
    pub sender: OwnedUserId,
    /// The thread they are in.
    pub thread: Option<OwnedEventId>,
    /// How many they are.
    pub count: u32,
}
record!(PushTally = 1 { class, sender, thread, count });

/// An event that mentions somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushMention {
    /// The event.
    pub event: OwnedEventId,
    /// What push rules see of it.
    pub push: PushRow,
}
record!(PushMention = 1 { event, push });

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_user_id};

    use super::*;
    use crate::schema::golden::{check, hex};

    fn push(mentions: Vec<OwnedUserId>) -> PushRow {
        PushRow {
            class: 1,
            sender: owned_user_id!("@a:x"),
            thread: Some(owned_event_id!("$t")),
            mentions,
            mentions_many: false,
            mentions_room: true,
        }
    }

    #[test]
    fn what_push_rules_see_keeps_its_form() {
        check(&push(vec![owned_user_id!("@b:x")]), hex("01010440613a7801022474010440623a780001"));
        let (sender, thread, event) = (owned_user_id!("@a:x"), None, owned_event_id!("$e"));
        let block = PushBlock {
            from: Position::new(7),
            tallies: vec![PushTally { class: 2, sender, thread, count: 300 }],
            mentioning: vec![PushMention { event, push: push(vec![]) }],
        };
        let golden = [
            "01",
            "0000000000000007",
            "0101020440613a7800ac02",
            "010102246501010440613a7801022474000001",
        ];
        check(&block, hex(&golden.concat()));
    }
}
