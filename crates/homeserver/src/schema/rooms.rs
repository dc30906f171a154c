//! What the store keeps of rooms and events.

use ruma::{OwnedDeviceId, OwnedEventId, OwnedTransactionId};
use tertulia_storage::{Field, KeyError, KeyPart, Position, Reader, ValueError, Writer, record};

use super::{PushRow, Related, unknown};

/// What every new event of a room depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomHead {
    /// The room version, as its create event names it.
    pub version: String,
    /// Which base of the state tables is in force; see `docs/architecture.md`.
    pub generation: u32,
    /// The server's present, uninterrupted presence in the room.
    pub stretch: u32,
    /// The newest event of the timeline or beginning of a generation. Also tells one version of the
    /// head from the next.
    pub last: Position,
    /// The newest change of the current state.
    pub state_at: Position,
    /// The greatest depth of an event.
    pub depth: u64,
    /// The events that no other event follows yet.
    pub extremities: Vec<Extremity>,
    /// The next free number in [`super::AUTH`].
    pub next_auth: u64,
    /// The next free number in [`super::OVERLAYS`].
    pub next_overlay: u64,
    /// How many users are joined.
    pub joined: u64,
    /// How many users are invited.
    pub invited: u64,
    /// Events of the present stretch before this place were purged.
    pub first: Option<Ordinal>,
    /// Whether the state is known only in part, as after a partial join.
    pub partial: bool,
    /// How many live events of the present stretch stand in no [`PushBlock`](super::PushBlock) yet: the newest ones.
    pub unblocked: u32,
    /// The newest event of the present stretch that lists of chats show: a message. Before the first
    /// one it is the beginning of the room.
    pub spoken: Position,
    /// Whether it is a space, and nobody talks in it.
    pub is_space: bool,
}
record!(RoomHead = 3 {
    version, generation, stretch, last, state_at, depth, extremities, next_auth, next_overlay,
    joined, invited, first, partial
} since 2 { unblocked = 0 } since 3 { spoken = Position::ZERO, is_space = false });

impl RoomHead {
    /// A room of which no event is known yet.
    pub fn of_version(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            generation: 0,
            stretch: 0,
            last: Position::ZERO,
            state_at: Position::ZERO,
            depth: 0,
            extremities: Vec::new(),
            next_auth: 0,
            next_overlay: 0,
            joined: 0,
            invited: 0,
            first: None,
            partial: false,
            unblocked: 0,
            spoken: Position::ZERO,
            is_space: false,
        }
    }
}

/// An event that nothing follows yet, and the state after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extremity {
    /// The event.
    pub event: OwnedEventId,
    /// The room's state after it, by its own branch alone.
    pub after: StateRef,
}
record!(Extremity = 1 { event, after });

/// Where the state of a room at some event is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateRef {
    /// It is not known: the event is an outlier, or older than the server's presence.
    Unknown,
    /// It equals the room's current state as of a position.
    AsOf {
        /// The generation of the state tables.
        generation: u32,
        /// The position, itself included.
        position: Position,
    },
    /// It is kept by itself.
    Overlay(u64),
}

impl Field for StateRef {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Unknown => Field::write(&0_u8, out),
            Self::AsOf { generation, position } => {
                Field::write(&1_u8, out);
                Field::write(generation, out);
                Field::write(position, out);
            }
            Self::Overlay(number) => {
                Field::write(&2_u8, out);
                Field::write(number, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(match <u8 as Field>::read(input)? {
            0 => Self::Unknown,
            1 => Self::AsOf { generation: Field::read(input)?, position: Field::read(input)? },
            2 => Self::Overlay(Field::read(input)?),
            tag => return Err(unknown("state reference", tag)),
        })
    }
}

/// A state kept as the differences from another.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// What it differs from.
    pub parent: StateRef,
    /// How many overlays lie between it and a current state; flattened at 16.
    pub links: u8,
    /// Event type, state key and the event in force, or none where the slot is empty.
    pub changes: Vec<(String, String, Option<OwnedEventId>)>,
}
record!(Overlay = 1 { parent, links, changes });

/// What the server made of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventMeta {
    /// Its number in [`super::AUTH`]; state events have one.
    pub number: Option<u64>,
    /// Where it stands.
    pub verdict: Verdict,
    /// The state before it.
    pub before: StateRef,
    /// The event that redacted it.
    pub redacted_by: Option<OwnedEventId>,
}
record!(EventMeta = 1 { number, verdict, before, redacted_by });

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Known only because another event cites it.
    Outlier,
    /// Forbidden by the rules; kept because others may cite it.
    Rejected,
    /// Allowed at its place, forbidden by now; part of the graph, shown to nobody.
    SoftFailed,
    /// Shown, at this place.
    Timeline {
        /// The presence of the server it belongs to.
        stretch: u32,
        /// Its place there.
        ordinal: Ordinal,
    },
}

impl Field for Verdict {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Outlier => Field::write(&0_u8, out),
            Self::Rejected => Field::write(&1_u8, out),
            Self::SoftFailed => Field::write(&2_u8, out),
            Self::Timeline { stretch, ordinal } => {
                Field::write(&3_u8, out);
                Field::write(stretch, out);
                KeyPart::write(ordinal, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(match <u8 as Field>::read(input)? {
            0 => Self::Outlier,
            1 => Self::Rejected,
            2 => Self::SoftFailed,
            3 => Self::Timeline { stretch: Field::read(input)?, ordinal: Field::read(input)? },
            tag => return Err(unknown("verdict", tag)),
        })
    }
}

/// A place in a timeline: live events stand at their log position, older ones that were fetched
/// later count down before all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ordinal {
    /// The n-th event fetched backwards, from 1; the greater, the older.
    Backfilled(std::cmp::Reverse<u64>),
    /// The event's position in the log.
    Live(Position),
}

impl Ordinal {
    /// The log position, if the event came in live.
    pub fn position(self) -> Option<Position> {
        match self {
            Self::Live(position) => Some(position),
            Self::Backfilled(_) => None,
        }
    }
}

impl KeyPart for Ordinal {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Backfilled(std::cmp::Reverse(n)) => {
                KeyPart::write(&0_u8, out);
                KeyPart::write(&!n, out);
            }
            Self::Live(position) => {
                KeyPart::write(&1_u8, out);
                KeyPart::write(position, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        match <u8 as KeyPart>::read(input)? {
            0 => Ok(Self::Backfilled(std::cmp::Reverse(!<u64 as KeyPart>::read(input)?))),
            1 => Ok(Self::Live(KeyPart::read(input)?)),
            _ => Err(KeyError::Invalid),
        }
    }
}

impl Field for Ordinal {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(self, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(KeyPart::read(input)?)
    }
}

/// One place of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineRow {
    /// The event.
    pub event: OwnedEventId,
    /// Whether the event has a state key, so that a page knows without reading it.
    pub is_state: bool,
    /// The event that redacted it.
    pub redacted_by: Option<OwnedEventId>,
    /// The session that sent it and the transaction ID it gave, which that session is told again.
    pub sent_by: Option<(OwnedDeviceId, OwnedTransactionId)>,
    /// What push rules see of it; none for events that are older than the server's presence.
    pub push: Option<PushRow>,
    /// What relates to it; none while nothing does.
    pub related: Option<Related>,
}
record!(TimelineRow = 3 { event, is_state, redacted_by, sent_by } since 2 { push = None } since 3 { related = None });

/// The event in force in a slot of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct StateRow {
    /// The event.
    pub event: OwnedEventId,
    /// Since when it is in force.
    pub at: Position,
    /// Whether the event was redacted; by which tells [`super::EVENT_META`].
    pub redacted: bool,
}
record!(StateRow = 1 { event, at, redacted });

/// What took a slot at a position, and what it replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct StateLogRow {
    /// The event in force from there on; none where resolution emptied the slot.
    pub event: Option<OwnedEventId>,
    /// The event in force before.
    pub replaced: Option<OwnedEventId>,
}
record!(StateLogRow = 1 { event, replaced });

/// One slot that changed at a position.
#[derive(Clone, Debug, PartialEq)]
pub struct StateChange {
    /// The event type.
    pub kind: String,
    /// The state key.
    pub key: String,
    /// The event in force from there on; none where resolution emptied the slot.
    pub event: Option<OwnedEventId>,
    /// The event in force before.
    pub replaced: Option<OwnedEventId>,
    /// Whether the change is the doing of the event at that position itself.
    pub own: bool,
}
record!(StateChange = 1 { kind, key, event, replaced, own });

/// A state event in the order of authorisation.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthRow {
    /// The event.
    pub event: OwnedEventId,
    /// The numbers of the events it cites, all smaller than its own.
    pub auth: Vec<u64>,
    /// Whether the event was rejected.
    pub rejected: bool,
}
record!(AuthRow = 1 { event, auth, rejected });

/// What a user is to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipKind {
    /// Invited, and not answered yet.
    Invite,
    /// In the room.
    Join,
    /// Asked to be let in.
    Knock,
    /// Left, was removed, or refused.
    Leave,
    /// Banned.
    Ban,
}

impl MembershipKind {
    /// The kind that the `membership` of a member event names.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "invite" => Self::Invite,
            "join" => Self::Join,
            "knock" => Self::Knock,
            "leave" => Self::Leave,
            "ban" => Self::Ban,
            _ => return None,
        })
    }

    /// Its name in a member event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Join => "join",
            Self::Knock => "knock",
            Self::Leave => "leave",
            Self::Ban => "ban",
        }
    }
}

impl Field for MembershipKind {
    fn write(&self, out: &mut Writer) {
        Field::write(&(*self as u8), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(match <u8 as Field>::read(input)? {
            0 => Self::Invite,
            1 => Self::Join,
            2 => Self::Knock,
            3 => Self::Leave,
            4 => Self::Ban,
            tag => return Err(unknown("membership", tag)),
        })
    }
}

/// A user's membership of a room, as the user's own lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// What the user is to the room.
    pub kind: MembershipKind,
    /// The member event in force.
    pub event: OwnedEventId,
    /// The position of the newest member event.
    pub at: Position,
    /// The position at which `kind` began: a new nickname does not move it.
    pub since: Position,
    /// What the user was before `kind` began.
    pub before: Option<MembershipKind>,
    /// When the user was last joined: from, and up to which position, if that is over.
    pub joined: Option<(Position, Option<Position>)>,
    /// The stretch of the room's timeline it belongs to.
    pub stretch: u32,
    /// Whether the user has asked to forget the room.
    pub forgotten: bool,
    /// Whether the invite in force (or that was accepted) called the room direct.
    pub direct: bool,
    /// Whether the user is not told of the invite in force, or of how it ended, as they did not want
    /// to hear from who sent it.
    pub unwelcome: bool,
}
record!(Membership = 2 { kind, event, at, since, before, joined, stretch, forgotten, direct }
    since 2 { unwelcome = false });

/// A user in a room, as the room's lists show them.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What the user is to the room.
    pub kind: MembershipKind,
    /// The member event in force.
    pub event: OwnedEventId,
    /// `displayname` of the member event.
    pub displayname: Option<String>,
    /// `avatar_url` of the member event.
    pub avatar_url: Option<String>,
}
record!(Member = 1 { kind, event, displayname, avatar_url });

/// A hole in a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    /// The events known to lie in it, from which to fetch backwards.
    pub from: Vec<OwnedEventId>,
}
record!(Gap = 1 { from });

/// A room that was removed altogether.
#[derive(Clone, Debug, PartialEq)]
pub struct RemovedRoom {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Whether its rows are all gone already.
    pub finished: bool,
}
record!(RemovedRoom = 1 { at, finished });

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_user_id};

    use super::*;
    use crate::schema::golden::{check, check_old, hex};

    #[test]
    fn rows_of_a_timeline_keep_their_form() {
        let row = TimelineRow {
            event: owned_event_id!("$e"),
            is_state: true,
            redacted_by: None,
            sent_by: None,
            push: None,
            related: None,
        };
        check(&row, hex("030224650100000000"));
        check_old(&row, hex("0202246501000000"));
        check_old(&row, hex("01022465010000"));
        let push = PushRow {
            class: 1,
            sender: owned_user_id!("@a:x"),
            thread: Some(owned_event_id!("$t")),
            mentions: vec![],
            mentions_many: false,
            mentions_room: true,
        };
        let row = TimelineRow { push: Some(push), ..row };
        let older = "020224650100000101010440613a7801022474000001";
        check(&row, hex("030224650100000101010440613a780102247400000100"));
        check_old(&row, hex(older));
        let row = TimelineRow { push: None, related: Some(Related::default()), ..row };
        check(&row, hex("03022465010000000101000000"));
    }

    #[test]
    fn memberships_keep_their_form() {
        let row = Membership {
            kind: MembershipKind::Invite,
            event: owned_event_id!("$e"),
            at: Position::new(9),
            since: Position::new(8),
            before: None,
            joined: None,
            stretch: 0,
            forgotten: false,
            direct: true,
            unwelcome: false,
        };
        let fields = "00022465000000000000000900000000000000080000000001";
        check(&row, hex(&format!("02{fields}00")));
        check_old(&row, hex(&format!("01{fields}")));
        check(&Membership { unwelcome: true, ..row }, hex(&format!("02{fields}01")));
    }

    #[test]
    fn heads_keep_their_form() {
        let fields = "0231310000000000000000000000000000000000000000000000000000";
        let [first, second] = [format!("01{fields}"), format!("02{fields}00")];
        let today = format!("03{fields}00000000000000000000");
        check(&RoomHead::of_version("11"), hex(&today));
        check_old(&RoomHead::of_version("11"), hex(&first));
        check_old(&RoomHead::of_version("11"), hex(&second));
    }
}
