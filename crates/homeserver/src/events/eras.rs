//! Which generation of a room's state was in force when.

use ruma::RoomId;
use tertulia_storage::{Direction, Position, View};

use super::{
    Base, FullState, Head,
    fork::differences,
    history::{current_state, lay_over, state_and_generation, state_at},
};
use crate::{
    Result,
    schema::{GENERATIONS, Generation, StateRef},
};

/// A generation of a room's state, in force from a position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Era {
    pub(crate) generation: u32,
    pub(crate) began: Position,
}

/// The generation with which a room begins that began here.
const FIRST: Era = Era { generation: 0, began: Position::ZERO };

/// The generations up to that of `head`, oldest first. Costs nothing in a room that has one.
pub(crate) async fn eras(view: &View, head: &Head) -> Result<Vec<Era>> {
    let mut eras = vec![FIRST];
    if head.row.generation > 0 {
        let rows = generations(view, &head.room).await?.into_iter();
        let in_force = rows.filter_map(|(generation, row)| {
            let began = row.stage.began()?;
            (generation <= head.row.generation).then_some(Era { generation, began })
        });
        eras.extend(in_force);
    }
    Ok(eras)
}

/// All generations of a room but the first, also those that are not in force yet or never were.
pub(super) async fn generations(view: &View, room: &RoomId) -> Result<Vec<(u32, Generation)>> {
    let prefix = (room.to_owned(),);
    let rows = view.scan(&GENERATIONS, &prefix, Direction::Forward, usize::MAX).await?;
    Ok(rows.into_iter().map(|((_, number), row)| (number, row)).collect())
}

/// The generation that was in force at `position`.
pub(crate) async fn era_at(view: &View, head: &Head, position: Position) -> Result<Era> {
    let eras = eras(view, head).await?;
    Ok(eras.into_iter().rev().find(|era| era.began <= position).unwrap_or(FIRST))
}

/// The state tables that were in force at `position`. Costs a read only in a room that has had
/// others than those of now.
pub(crate) async fn base_at<'a>(
    view: &View,
    head: &'a Head,
    position: Position,
) -> Result<Base<'a>> {
    if position >= head.row.state_at {
        return Ok(head.base());
    }
    let generation = era_at(view, head, position).await?.generation;
    Ok(Base { room: &head.room, generation })
}

/// A state by the base of now.
pub(super) struct Now {
    pub(super) state: FullState,
    /// Whether it is also that which is kept.
    pub(super) as_kept: bool,
}

/// All of the state that `reference` stands for. What was known then by a base that another took
/// the place of, differs from the new base as it did from the old one. A base with which the
/// server came in anew takes no other's place.
pub(super) async fn state_now(view: &View, head: &Head, reference: StateRef) -> Result<Now> {
    let (mut state, mut generation) = state_and_generation(view, &head.room, reference).await?;
    if generation == head.row.generation {
        return Ok(Now { state, as_kept: true });
    }
    let mut as_kept = true;
    for (number, row) in generations(view, &head.room).await? {
        let Some(began) = row.stage.began().filter(|_| number > generation) else { continue };
        if row.anew {
            break;
        }
        let old = current_state(view, Base { room: &head.room, generation }).await?;
        let base = Base { room: &head.room, generation: number };
        let changes = differences(&old, &state);
        state = state_at(view, base, began).await?;
        lay_over(&mut state, changes);
        (generation, as_kept) = (number, false);
    }
    Ok(Now { state, as_kept })
}
