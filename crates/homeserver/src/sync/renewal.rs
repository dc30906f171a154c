//! Rooms whose state began anew from another base.
//!
//! What changed by that is no list of changes: a client that was told the state of before is told
//! all of it again.

use super::{
    reading::Reading,
    section::{Section, Span},
};
use crate::{
    Result,
    events::{Head, era_at},
};

/// How to tell a room, from the state tables that were in force at the end of what is told.
pub(super) async fn renewed(
    reading: &Reading<'_>,
    mut head: Head,
    mut section: Section,
) -> Result<(Head, Section)> {
    let (Section::Joined(span) | Section::Left(span)) = &mut section else {
        return Ok((head, section));
    };
    let end = span.end.unwrap_or(reading.view.settled());
    if head.row.generation == 0 || knows_all(&head, *span) && end >= head.row.state_at {
        return Ok((head, section));
    }
    let era = era_at(&reading.view, &head, end).await?;
    head.row.generation = era.generation;
    span.state_after = span.state_after.filter(|known| *known >= era.began);
    Ok((head, section))
}

/// Whether the client knows the newest state already. Then so it knows its base.
fn knows_all(head: &Head, span: Span) -> bool {
    span.state_after.is_some_and(|known| known >= head.row.state_at)
}
