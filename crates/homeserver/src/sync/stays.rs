//! What a client may still know of a room from before.
//!
//! Whoever comes back is told the room in full, but a client that loads members lazily is not told
//! all of them. Those it knows from its last stay may have changed while it was away.

use std::ops::Bound;

use ruma::{OwnedUserId, UserId, events::room::member::MembershipState};
use tertulia_protocol::visibility::membership_in;
use tertulia_storage::{Direction, Position};

use super::{
    reading::{Part, Reading},
    state::{MEMBER, read_changes_in},
};
use crate::{
    Result,
    events::{EventCache, eras},
    schema::{STATE, STATE_LOG, StateRow},
};

/// How many changes of the user's own membership are looked at.
const CHANGES: usize = 1_000;

/// The members who changed since the client knew the room; none if it never did.
pub(super) async fn changed_members(
    reading: &Reading<'_>,
    part: &Part<'_>,
) -> Result<Vec<OwnedUserId>> {
    let Some(since) = reading.since() else { return Ok(Vec::new()) };
    let known = match part.span.timeline_after {
        Some(known) => Some(known),
        // How long ago the first stay was only the present generation tells.
        None if part.head.row.generation > 0 => Some(Position::ZERO),
        None => known_since(&memberships(reading, part).await?, since),
    };
    let Some(known) = known else { return Ok(Vec::new()) };
    let mut members = Vec::new();
    for generation in generations_since(reading, part, known).await? {
        let changes = read_changes_in(reading, part, generation, Bound::Excluded(known)).await?;
        let slots = changes.into_iter().map(|change| change.slot);
        members.extend(slots.filter(|(kind, _)| kind.to_string() == MEMBER).map(|(_, key)| key));
        if generation != part.head.row.generation {
            members.extend(replaced_members(reading, part, generation).await?);
        }
    }
    Ok(members.iter().filter_map(|user| Some(UserId::parse(user).ok()?.to_owned())).collect())
}

/// The generations of the room's state from which a client may know members that was told last at
/// `known`.
async fn generations_since(
    reading: &Reading<'_>,
    part: &Part<'_>,
    known: Position,
) -> Result<Vec<u32>> {
    let mut eras = eras(&reading.view, part.head).await?;
    let then = eras.iter().rposition(|era| era.began <= known).unwrap_or(0);
    Ok(eras.drain(then..).map(|era| era.generation).collect())
}

/// The members of an old generation whose slots another event holds now, or none.
async fn replaced_members(
    reading: &Reading<'_>,
    part: &Part<'_>,
    generation: u32,
) -> Result<Vec<String>> {
    let prefix = (part.head.room.clone(), generation, MEMBER.to_owned());
    let old = reading.view.scan(&STATE, &prefix, Direction::Forward, usize::MAX).await?;
    let keys: Vec<_> = old.iter().map(|((.., key), _)| part.head.slot(MEMBER, key)).collect();
    let new = reading.view.get_many(&STATE, &keys).await?;
    let differs = |(old, new): &(StateRow, Option<StateRow>)| {
        new.as_ref().is_none_or(|new| new.event != old.event)
    };
    let pairs = old.into_iter().zip(new).map(|(((.., key), old), new)| (key, (old, new)));
    Ok(pairs.filter(|(_, pair)| differs(pair)).map(|(key, _)| key).collect())
}

/// What the user was to the room from which position on, oldest first.
async fn memberships(
    reading: &Reading<'_>,
    part: &Part<'_>,
) -> Result<Vec<(Position, MembershipState)>> {
    let slot = part.head.slot(MEMBER, reading.me().as_str());
    let rows = reading.view.scan(&STATE_LOG, &slot, Direction::Forward, CHANGES).await?;
    let (places, ids): (Vec<_>, Vec<_>) =
        rows.into_iter().rev().filter_map(|((.., at), row)| Some((at.0, row.event?))).unzip();
    let cache = reading.core().local::<EventCache>();
    let events = cache.load_many(&reading.view, &part.head.rules, &ids).await?;
    let pairs = places.into_iter().zip(events);
    Ok(pairs.filter_map(|(at, event)| Some((at, membership_in(&event?)))).collect())
}

/// From where on a client that synced at `since` may know members: not from before the user first
/// came in.
///
/// How much of the stays since then it was told cannot be seen from here. An invite, or forgetting
/// the room, can have hidden the end of a stay from it.
fn known_since(memberships: &[(Position, MembershipState)], since: Position) -> Option<Position> {
    let first = memberships.iter().find(|(_, membership)| *membership == MembershipState::Join);
    first.map(|(at, _)| *at).filter(|at| *at <= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(memberships: &[(u64, MembershipState)], since: u64, expected: Option<u64>) {
        let memberships: Vec<_> =
            memberships.iter().map(|(at, kind)| (Position::new(*at), kind.clone())).collect();
        let known = known_since(&memberships, Position::new(since));
        assert_eq!(known.map(Position::get), expected, "{memberships:?} {since}");
    }

    #[test]
    fn a_client_may_know_members_from_the_first_stay_on() {
        use MembershipState::{Invite, Join, Leave};
        check(&[], 4, None);
        check(&[(5, Invite), (6, Join)], 5, None);
        let back = [(2, Invite), (5, Join), (10, Leave), (15, Invite), (20, Join)];
        check(&back, 4, None);
        for since in [5, 7, 10, 18] {
            check(&back, since, Some(5));
        }
    }
}
