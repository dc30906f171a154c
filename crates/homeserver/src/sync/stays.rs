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
    state::{MEMBER, read_changes},
};
use crate::{Result, events::EventCache, schema::STATE_LOG};

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
        None => known_until(&memberships(reading, part).await?, since),
    };
    let Some(known) = known else { return Ok(Vec::new()) };
    let changes = read_changes(reading, part, Bound::Excluded(known)).await?;
    let members = changes.into_iter().map(|change| change.slot);
    let members = members.filter(|(kind, _)| kind.to_string() == MEMBER);
    Ok(members.filter_map(|(_, user)| Some(UserId::parse(user).ok()?.to_owned())).collect())
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

/// Up to where a client that synced at `since` knows the room from a stay that is over.
fn known_until(memberships: &[(Position, MembershipState)], since: Position) -> Option<Position> {
    let (mut known, mut came) = (None, None);
    for (at, membership) in memberships {
        match (membership, came) {
            (MembershipState::Join, None) => came = Some(*at),
            (MembershipState::Join, Some(_)) | (_, None) => {}
            (_, Some(from)) => {
                known = known.max((from <= since).then(|| since.min(*at)));
                came = None;
            }
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(memberships: &[(u64, MembershipState)], since: u64, expected: Option<u64>) {
        let memberships: Vec<_> =
            memberships.iter().map(|(at, kind)| (Position::new(*at), kind.clone())).collect();
        let known = known_until(&memberships, Position::new(since));
        assert_eq!(known.map(Position::get), expected, "{memberships:?} {since}");
    }

    #[test]
    fn a_client_knows_the_room_up_to_the_end_of_its_last_stay() {
        use MembershipState::{Invite, Join, Leave};
        check(&[(5, Invite), (6, Join)], 4, None);
        let back = [(5, Join), (10, Leave), (20, Join)];
        check(&back, 4, None);
        check(&back, 7, Some(7));
        check(&back, 15, Some(10));
        let renamed = [(5, Join), (6, Join), (10, Leave), (15, Invite), (20, Join)];
        check(&renamed, 12, Some(10));
        let unseen = [(5, Join), (10, Leave), (14, Join), (16, Leave), (20, Join)];
        check(&unseen, 12, Some(10));
        check(&unseen, 15, Some(15));
        check(&unseen, 18, Some(16));
    }
}
