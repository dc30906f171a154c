//! Users who asked that what they wrote be hidden from those who come later (client-server API,
//! `POST /account/deactivate`, `erase`).
//!
//! Whoever was in a room at some time between an event and the erasure of its sender could see it
//! before, and still does. To all others it is told as if it were redacted. No redaction is sent,
//! and nothing stored changes. State by which a room works is told whole: without it a newcomer
//! would write in the clear, or take rights away by what they put back.

use std::collections::HashMap;

use parking_lot::RwLock;
use ruma::{OwnedEventId, OwnedUserId, UserId, events::StateEventType};
use tertulia_protocol::{Pdu, redact};
use tertulia_storage::{Direction, Position, View};

use super::{EventCache, Head, Sight};
use crate::{
    Result,
    core::Core,
    schema::{ERASED, EVENT_META, EventMeta, Verdict},
};

/// The state without which clients would take the room for another one than it is.
const WORKINGS: [StateEventType; 10] = [
    StateEventType::RoomCreate,
    StateEventType::RoomPowerLevels,
    StateEventType::RoomJoinRules,
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomEncryption,
    StateEventType::RoomServerAcl,
    StateEventType::RoomTombstone,
    StateEventType::SpaceChild,
    StateEventType::SpaceParent,
];

/// The erased users of this server, and since when they are erased: all of [`ERASED`], where
/// nothing is ever taken back.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    since: RwLock<HashMap<OwnedUserId, Position>>,
}

impl Core {
    /// Learns whom earlier runs of the server erased.
    pub(crate) async fn recall_erased(&self) -> Result<()> {
        let view = self.store.view().await?;
        let rows = view.scan(&ERASED, &(), Direction::Forward, usize::MAX).await?;
        let rows = rows.into_iter().map(|((user,), (at,))| (user, at));
        self.local::<Erased>().since.write().extend(rows);
        Ok(())
    }

    /// Learns whether `user` was erased by what was committed just now.
    pub(crate) async fn learn_if_erased(&self, user: &UserId) -> Result<()> {
        let key = (user.to_owned(),);
        if let Some((at,)) = self.store.view().await?.get(&ERASED, &key).await? {
            self.local::<Erased>().since.write().insert(key.0, at);
        }
        Ok(())
    }
}

/// Who is told of events.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader<'a> {
    /// A user who looks into the room.
    Inside(&'a UserId),
    /// A user outside, who was asked in, or asked to be let in, at a position, and was told what
    /// the room looked like then.
    Outside(&'a UserId, Position),
}

impl<'a> Reader<'a> {
    fn user(self) -> &'a UserId {
        match self {
            Self::Inside(user) | Self::Outside(user, _) => user,
        }
    }

    /// Whether the reader is told of `event` wherever they were when it happened, or was shown
    /// it outside before its sender was erased.
    fn is_told(self, event: &Pdu, erased: Position) -> bool {
        event.is_at(&StateEventType::RoomMember, self.user().as_str())
            || event.slot().is_some_and(|(kind, _)| WORKINGS.contains(kind))
            || matches!(self, Self::Outside(_, asked) if asked <= erased)
    }
}

/// The events `ids`, in their order, as `reader` may read them if none was redacted: without what
/// erased users said where the reader came only later. None for one that the store does not have.
pub(crate) async fn load_for(
    view: &View,
    core: &Core,
    head: &Head,
    reader: Reader<'_>,
    ids: &[OwnedEventId],
) -> Result<Vec<Option<Pdu>>> {
    let mut events = core.local::<EventCache>().load_many(view, &head.rules, ids).await?;
    let doubtful = core.local::<Erased>().doubtful(reader, &events);
    if !doubtful.is_empty() {
        veil(view, core, head, reader.user(), &mut events, doubtful).await?;
    }
    Ok(events)
}

/// An event by its index, and when its sender was erased.
type Doubt = (usize, Position);

impl Erased {
    /// The events that were sent by erased users, other than those that the reader was told of
    /// for certain.
    fn doubtful(&self, reader: Reader<'_>, events: &[Option<Pdu>]) -> Vec<Doubt> {
        let since = self.since.read();
        if since.is_empty() {
            return Vec::new();
        }
        let doubt = |(index, event): (usize, &Option<Pdu>)| {
            let event = event.as_ref()?;
            let erased = *since.get(event.sender())?;
            (!reader.is_told(event, erased)).then_some((index, erased))
        };
        events.iter().enumerate().filter_map(doubt).collect()
    }
}

/// Redacts those of the doubtful `events` that `user` could not see before their senders were
/// erased.
async fn veil(
    view: &View,
    core: &Core,
    head: &Head,
    user: &UserId,
    events: &mut [Option<Pdu>],
    doubtful: Vec<Doubt>,
) -> Result<()> {
    let sight = Sight::of(view, core, head, user).await?;
    let id = |index: usize| events[index].as_ref().map(|event| event.event_id().clone());
    let (doubtful, keys): (Vec<_>, Vec<_>) = doubtful
        .into_iter()
        .filter_map(|doubt| Some((doubt, (head.room.clone(), id(doubt.0)?))))
        .unzip();
    let metas = view.get_many(&EVENT_META, &keys).await?;
    for ((index, erased), meta) in doubtful.into_iter().zip(metas) {
        if !sight.was_in(position_of(meta), erased) {
            events[index] = events[index].take().map(|event| redact(&head.rules, &event));
        }
    }
    Ok(())
}

/// When an event happened; what did not come in live was there before all that did.
fn position_of(meta: Option<EventMeta>) -> Position {
    match meta.map(|meta| meta.verdict) {
        Some(Verdict::Timeline { ordinal, .. }) => ordinal.position().unwrap_or(Position::ZERO),
        _ => Position::ZERO,
    }
}

#[cfg(test)]
mod tests;
