//! The log: the one durable order of everything that clients can be told.

use ruma::{DeviceId, RoomId, UserId};
use tertulia_storage::{Position, Topic, Tx};

use crate::{
    Result,
    schema::{ACCOUNT_DATA, ACCOUNT_DATA_CHANGES, AccountDatum, Entry, LOG, Scope},
};

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

/// Sets account data, and records that it is another. Who may set it was asked before.
pub(crate) async fn set_account_data(
    tx: &mut Tx,
    user: &UserId,
    scope: &Scope,
    kind: &str,
    content: String,
) -> Result<Position> {
    let key = (user.to_owned(), scope.clone(), kind.to_owned());
    if let Some(old) = tx.get_guarded(&ACCOUNT_DATA, &key).await? {
        tx.delete(&ACCOUNT_DATA_CHANGES, &(user.to_owned(), old.at));
    }
    let entry = Entry::AccountData {
        user: user.to_owned(),
        room: scope.room().map(ToOwned::to_owned),
        kind: kind.to_owned(),
    };
    let at = record(tx, &entry);
    tx.put(&ACCOUNT_DATA, &key, &AccountDatum { at, content });
    tx.put(&ACCOUNT_DATA_CHANGES, &(user.to_owned(), at), &(scope.clone(), kind.to_owned()));
    Ok(at)
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
        | Entry::Restricted { user }
        | Entry::Relisted { user, .. } => (user_topic(user), None),
    };
    std::iter::once(first).chain(second)
}
