//! Ends of stays that a client could not be told.
//!
//! A room is told in one section. To a client that was away while its user left and was invited
//! again it is an invite, and the client does not learn how the stay ended until that is declined.
//! Up to where it knows such stays, its token says.

use tertulia_storage::{Direction, Position};

use super::reading::Reading;
use crate::{Result, schema::MEMBERSHIPS};

/// Up to where the client knows the stays whose ends it was not told by earlier answers, and is
/// not told by this one.
pub(super) async fn still_open(reading: &Reading<'_>) -> Result<Vec<Position>> {
    let asked = reading.asked();
    let may_be = asked.since.map_or(asked.include_leave, |since| asked.ends < since);
    if !may_be {
        return Ok(Vec::new());
    }
    let mine = (reading.me().to_owned(),);
    let rows = reading.view.scan(&MEMBERSHIPS, &mine, Direction::Forward, usize::MAX).await?;
    // What is new is told by this answer, in one way or another.
    let is_old = |at| asked.since.is_none_or(|since| at <= since);
    let old = rows
        .into_iter()
        .filter(|((_, room), row)| is_old(row.at) && reading.query.filter.passes_room(room));
    Ok(old.filter_map(|(_, row)| asked.left_open(&row)).collect())
}
