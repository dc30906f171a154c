//! The state of a room as of a position, and at an event. Nothing here depends on how many
//! events lie between then and now, only on how many slots changed.

use std::{collections::BTreeMap, ops::Bound};

use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use tertulia_storage::{Descending, Direction, Position, View};

use crate::{
    Error, Result,
    schema::{OVERLAYS, STATE, STATE_CHANGES, STATE_LOG, StateRef},
};

/// Every filled slot of a room's state: event type, state key, event.
pub(crate) type FullState = BTreeMap<(String, String), OwnedEventId>;

/// One generation of a room's state tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    pub(crate) room: &'a RoomId,
    pub(crate) generation: u32,
}

/// How many rows a scan asks for at a time.
const PAGE: usize = 500;

/// The event in force in one slot as of `position`, itself included.
pub(crate) async fn slot_at(
    view: &View,
    base: Base<'_>,
    kind: &str,
    key: &str,
    position: Position,
) -> Result<Option<OwnedEventId>> {
    let prefix = (base.room.to_owned(), base.generation, kind.to_owned(), key.to_owned());
    let (room, generation, kind, key) = prefix.clone();
    let from = (room, generation, kind, key, Descending(position));
    let at = Bound::Included(&from);
    let older = view.scan_from(&STATE_LOG, &prefix, at, Direction::Forward, 1).await?;
    if let Some((_, row)) = older.into_iter().next() {
        return Ok(row.event);
    }
    let above = Bound::Excluded(&from);
    let newer = view.scan_from(&STATE_LOG, &prefix, above, Direction::Backward, 1).await?;
    if let Some((_, row)) = newer.into_iter().next() {
        return Ok(row.replaced);
    }
    Ok(view.get(&STATE, &prefix).await?.map(|row| row.event))
}

/// All of a room's current state.
pub(crate) async fn current_state(view: &View, base: Base<'_>) -> Result<FullState> {
    let prefix = (base.room.to_owned(), base.generation);
    let mut state = FullState::new();
    let mut from: Bound<(OwnedRoomId, u32, String, String)> = Bound::Unbounded;
    loop {
        let rows = view.scan_from(&STATE, &prefix, from.as_ref(), Direction::Forward, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(state) };
        from = Bound::Excluded(last.clone());
        state.extend(rows.into_iter().map(|((_, _, kind, key), row)| ((kind, key), row.event)));
    }
}

/// All of a room's state as of `position`, itself included: the current one, with what changed
/// since taken back.
pub(crate) async fn state_at(view: &View, base: Base<'_>, position: Position) -> Result<FullState> {
    let mut state = current_state(view, base).await?;
    let prefix = (base.room.to_owned(), base.generation);
    let stop = (base.room.to_owned(), base.generation, position);
    let rows = changes_after(view, &prefix, &stop).await?;
    for change in rows.into_iter().rev().flatten() {
        match change.replaced {
            Some(event) => state.insert((change.kind, change.key), event),
            None => state.remove(&(change.kind, change.key)),
        };
    }
    Ok(state)
}

async fn changes_after(
    view: &View,
    prefix: &(OwnedRoomId, u32),
    position: &(OwnedRoomId, u32, Position),
) -> Result<Vec<Vec<crate::schema::StateChange>>> {
    let (mut changes, mut from) = (Vec::new(), position.clone());
    loop {
        let above = Bound::Excluded(&from);
        let rows = view.scan_from(&STATE_CHANGES, prefix, above, Direction::Forward, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(changes) };
        from = last.clone();
        changes.extend(rows.into_iter().map(|(_, (row,))| row));
    }
}

/// All of the state that `reference` stands for.
///
/// # Errors
///
/// [`Error::NotFound`] if the state is not known.
pub(crate) async fn state_of(view: &View, room: &RoomId, reference: StateRef) -> Result<FullState> {
    Ok(state_and_generation(view, room, reference).await?.0)
}

/// All of the state that `reference` stands for, and the generation it goes back to.
///
/// # Errors
///
/// [`Error::NotFound`] if the state is not known.
pub(super) async fn state_and_generation(
    view: &View,
    room: &RoomId,
    reference: StateRef,
) -> Result<(FullState, u32)> {
    let mut overlays = Vec::new();
    let mut reference = reference;
    loop {
        match reference {
            StateRef::Unknown => return Err(Error::NotFound("state before the event")),
            StateRef::Overlay(number) => {
                let row = view.get(&OVERLAYS, &(room.to_owned(), number)).await?;
                let overlay = row.ok_or(Error::NotFound("state before the event"))?;
                reference = overlay.parent;
                overlays.push(overlay.changes);
            }
            StateRef::AsOf { generation, position } => {
                let mut state = state_at(view, Base { room, generation }, position).await?;
                overlays.into_iter().rev().for_each(|changes| lay_over(&mut state, changes));
                return Ok((state, generation));
            }
        }
    }
}

pub(super) fn lay_over(
    state: &mut FullState,
    changes: Vec<(String, String, Option<OwnedEventId>)>,
) {
    for (kind, key, event) in changes {
        match event {
            Some(event) => state.insert((kind, key), event),
            None => state.remove(&(kind, key)),
        };
    }
}

#[cfg(test)]
mod tests {
    use ruma::events::StateEventType;

    use super::*;
    use crate::{
        events::load_head,
        schema::TIMELINE,
        testing::{field, public_room, server, user},
    };

    /// A small deterministic source of choices.
    fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut state = seed | 1;
        move |sides| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % sides
        }
    }

    /// Random state changes, then the state at every position beside what replaying them gives.
    async fn check(seed: u64) {
        let (server, mut roll) = (server().await, dice(seed));
        let alice = user(&server, "alice");
        let room = public_room(&alice, "12").await;
        for n in 0..40 {
            let kind = StateEventType::from(format!("org.example.{}", roll(3)));
            let key = roll(3).to_string();
            room.set_state(kind, &key, field("n", &n.to_string())).await.unwrap();
        }
        let view = server.core.store.view().await.unwrap();
        let head = load_head(&view, room.id()).await.unwrap();
        let prefix = (room.id().to_owned(), 0_u32);
        let rows = view.scan(&TIMELINE, &prefix, Direction::Forward, 1_000).await.unwrap();
        let cache = server.core.local::<crate::events::EventCache>();
        let mut naive = FullState::new();
        for ((_, _, place), row) in rows {
            let pdu = cache.load(&view, &head.rules, &row.event).await.unwrap();
            let (kind, key) = pdu.slot().cloned().unwrap();
            naive.insert((kind.to_string(), key), row.event);
            let position = place.position().unwrap();
            assert_eq!(state_at(&view, head.base(), position).await.unwrap(), naive, "seed {seed}");
            for ((kind, key), event) in &naive {
                let slot = slot_at(&view, head.base(), kind, key, position).await.unwrap();
                assert_eq!(slot.as_ref(), Some(event), "seed {seed}, {kind} {key}");
            }
        }
    }

    #[tokio::test]
    async fn the_state_as_of_every_position_is_what_replaying_gives() {
        for seed in 1..=8 {
            check(seed * 7_919).await;
        }
    }
}
