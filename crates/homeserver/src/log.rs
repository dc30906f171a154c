//! The log: the one durable order of everything that clients can be told.

use ruma::{DeviceId, RoomId, UserId};
use tertulia_storage::{Position, Topic, Tx};

use crate::schema::{Entry, LOG};

/// The shard of an embedded store. Several shards come with an engine for several nodes.
pub(crate) const SHARD: u16 = 0;

/// Takes the next position for `entry`, and wakes those it concerns once it is settled.
pub(crate) fn record(tx: &mut Tx, entry: &Entry) -> Position {
    let position = tx.next_position();
    tx.put(&LOG, &(SHARD, position), entry);
    for topic in topics(entry) {
        tx.wake(topic);
    }
    position
}

/// What happens in a room.
pub(crate) fn room_topic(room: &RoomId) -> Topic {
    Topic::of("room", room.as_str())
}

/// What happens to a user: memberships, account data, profile.
pub(crate) fn user_topic(user: &UserId) -> Topic {
    Topic::of("user", user.as_str())
}

/// What happens to one session: its queue, and its end.
pub(crate) fn device_topic(user: &UserId, device: &DeviceId) -> Topic {
    Topic::of("device", &format!("{user} {device}"))
}

/// What users do outside of rooms that rooms have to show.
pub(crate) fn people_topic() -> Topic {
    Topic::of("people", "")
}

/// What may make rooms direct for users, or end that: memberships and their own lists.
pub(crate) fn direct_topic() -> Topic {
    Topic::of("direct", "")
}

/// Rooms that may have been closed to guests.
pub(crate) fn guests_topic() -> Topic {
    Topic::of("guests", "")
}

/// Messages that nobody is to see any more.
pub(crate) fn unseen_topic() -> Topic {
    Topic::of("unseen", "")
}

/// Mail that was posted.
pub(crate) fn mail_topic() -> Topic {
    Topic::of("mail", "")
}

fn topics(entry: &Entry) -> impl Iterator<Item = Topic> {
    let (first, second) = match entry {
        Entry::Event { room, member, .. } | Entry::Generation { room, member } => {
            (room_topic(room), member.as_ref().map(|user| user_topic(user)))
        }
        Entry::Receipt { user, private: true, .. } => (user_topic(user), None),
        Entry::Receipt { room, .. } => (room_topic(room), None),
        Entry::Profile { user } | Entry::Deactivated { user } => {
            (user_topic(user), Some(people_topic()))
        }
        Entry::AccountData { user, .. }
        | Entry::Forgotten { user, .. }
        | Entry::Restricted { user } => (user_topic(user), None),
    };
    std::iter::once(first).chain(second)
}
