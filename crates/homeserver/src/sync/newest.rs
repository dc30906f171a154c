//! The places of a timeline that an answer looks at.

use std::ops::Bound;

use tertulia_storage::Direction;

use super::reading::{Part, Reading};
use crate::{
    Result,
    events::{NewestPlaces, PlacedRow},
    schema::{Ordinal, TIMELINE},
};

/// The newest `limit` places of `part`, newest first.
pub(super) async fn newest(
    reading: &Reading<'_>,
    part: &Part<'_>,
    limit: usize,
) -> Result<Vec<PlacedRow>> {
    let until = Bound::Included(Ordinal::Live(part.end));
    if part.span.end.is_some() || part.stretch != part.head.row.stretch {
        return older(reading, part, until, limit).await;
    }
    let kept = reading.core().local::<NewestPlaces>();
    if let Some(rows) = kept.get(part.head, limit) {
        return Ok(rows);
    }
    let rows = older(reading, part, until, limit).await?;
    kept.keep(part.head, limit, &rows);
    Ok(rows)
}

/// The newest `limit` places of `part` before a place, newest first.
pub(super) async fn older(
    reading: &Reading<'_>,
    part: &Part<'_>,
    before: Bound<Ordinal>,
    limit: usize,
) -> Result<Vec<PlacedRow>> {
    let prefix = (part.head.room.clone(), part.stretch);
    let before = before.map(|place| (part.head.room.clone(), part.stretch, place));
    let (before, order) = (before.as_ref(), Direction::Backward);
    let rows = reading.view.scan_from(&TIMELINE, &prefix, before, order, limit).await?;
    Ok(rows.into_iter().map(|((_, _, place), row)| (place, row)).collect())
}
