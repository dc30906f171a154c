//! A room's head and its current state.

use ruma::{OwnedRoomId, RoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use tertulia_protocol::{AuthState, Slot};
use tertulia_storage::{Tx, View};

use super::{Base, EventCache, SlotCache};
use crate::{
    Error, Result,
    core::Core,
    schema::{HEADS, RoomHead, STATE, StateRow},
};

/// A room's head with its rules.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) room: OwnedRoomId,
    pub(crate) rules: RoomVersionRules,
    pub(crate) row: RoomHead,
}

impl Head {
    pub(crate) fn new(room: OwnedRoomId, row: RoomHead) -> Result<Self> {
        let rules = rules_of(&row.version)?;
        Ok(Self { room, rules, row })
    }

    /// The state tables in force.
    pub(crate) fn base(&self) -> Base<'_> {
        Base { room: &self.room, generation: self.row.generation }
    }

    /// Writes the head down as it is now.
    pub(crate) fn put(&self, tx: &mut Tx) {
        tx.put(&HEADS, &(self.room.clone(),), &self.row);
    }

    /// The key of a slot of the current state.
    pub(crate) fn slot(&self, kind: &str, key: &str) -> (OwnedRoomId, u32, String, String) {
        (self.room.clone(), self.row.generation, kind.to_owned(), key.to_owned())
    }
}

/// The rules of a room version by its name.
pub(crate) fn rules_of(version: &str) -> Result<RoomVersionRules> {
    RoomVersionId::try_from(version)
        .ok()
        .and_then(|version| version.rules())
        .ok_or(Error::UnsupportedRoomVersion)
}

/// The head of `room`, which must not change before the transaction commits.
///
/// # Errors
///
/// [`Error::NotFound`] if the server does not know the room.
pub(crate) async fn guard_head(tx: &Tx, room: &RoomId) -> Result<Head> {
    let row = tx.get_guarded(&HEADS, &(room.to_owned(),)).await?;
    Head::new(room.to_owned(), row.ok_or(Error::NotFound("room"))?)
}

/// The head of `room`, to read by.
///
/// # Errors
///
/// [`Error::NotFound`] if the server does not know the room.
pub(crate) async fn load_head(view: &View, room: &RoomId) -> Result<Head> {
    let row = view.get(&HEADS, &(room.to_owned(),)).await?;
    Head::new(room.to_owned(), row.ok_or(Error::NotFound("room"))?)
}

/// The rows of some slots of the current state, in their order.
pub(crate) async fn current_rows(
    view: &View,
    head: &Head,
    slots: &[Slot],
) -> Result<Vec<Option<StateRow>>> {
    let keys: Vec<_> = slots.iter().map(|(kind, key)| head.slot(&kind.to_string(), key)).collect();
    Ok(view.get_many(&STATE, &keys).await?)
}

/// The events in force in some slots of the current state.
pub(crate) async fn current_slots(
    view: &View,
    core: &Core,
    head: &Head,
    slots: &[Slot],
) -> Result<AuthState> {
    let known = core.local::<SlotCache>();
    if let Some(events) = known.get(head, slots) {
        return Ok(events.into_iter().collect());
    }
    let rows = current_rows(view, head, slots).await?;
    let ids: Vec<_> = rows.into_iter().flatten().map(|row| row.event).collect();
    let events = core.local::<EventCache>().load_many(view, &head.rules, &ids).await?;
    let events: Vec<_> = events.into_iter().flatten().collect();
    known.keep(head, slots, &events);
    Ok(events.into_iter().collect())
}
