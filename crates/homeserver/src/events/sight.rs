//! Which events of a room a user may see.
//!
//! Two slots decide: the room's history visibility and the user's membership, each as of the
//! event. Their history is read once for any number of events
//! (client-server API, "Room history visibility").

use ruma::{
    OwnedEventId, RoomId, UserId,
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
};
use tertulia_protocol::{
    Pdu,
    visibility::{Moment, membership_in, visibility_in},
};
use tertulia_storage::{Direction, Position, View};

use super::{
    EventCache, Head,
    eras::{Era, eras},
};
use crate::{
    Result,
    core::Core,
    schema::{Ordinal, STATE, STATE_LOG},
};

/// How many changes of one slot are looked at; older ones count as never having been.
const CHANGES: usize = 1_000;

/// What a user may see of a room.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    visibility: Slot<HistoryVisibility>,
    membership: Slot<MembershipState>,
}

/// The values of a slot over time, oldest first.
#[derive(Clone, Debug)]
struct Slot<T> {
    first: T,
    later: Vec<(Position, T)>,
}

impl<T: Clone> Slot<T> {
    /// The value before and after what happened at `position`.
    fn around(&self, position: Position) -> (T, T) {
        let end = self.later.partition_point(|(at, _)| *at <= position);
        let start = self.later.partition_point(|(at, _)| *at < position);
        (self.before(start), self.before(end))
    }

    fn before(&self, index: usize) -> T {
        index.checked_sub(1).map_or(&self.first, |last| &self.later[last].1).clone()
    }

    fn now(&self) -> T {
        self.before(self.later.len())
    }
}

impl Sight {
    /// What `user` may see of the room.
    pub(crate) async fn of(view: &View, core: &Core, head: &Head, user: &UserId) -> Result<Self> {
        let visibility = history(view, core, head, "m.room.history_visibility", "").await?;
        let membership = history(view, core, head, "m.room.member", user.as_str()).await?;
        Ok(Self {
            visibility: visibility.map(HistoryVisibility::Shared, visibility_in),
            membership: membership.map(MembershipState::Leave, membership_in),
        })
    }

    /// Whether the event at `place` may be seen.
    pub(crate) fn sees(&self, place: Ordinal) -> bool {
        let position = place.position().unwrap_or(Position::ZERO);
        let (visibility_before, visibility_after) = self.visibility.around(position);
        let (member_before, member_after) = self.membership.around(position);
        let joins_later = self.joined_after(position);
        let before = Moment { visibility: visibility_before, membership: member_before };
        let after = Moment { visibility: visibility_after, membership: member_after };
        before.allows(joins_later) || after.allows(joins_later)
    }

    /// What the user was to the room once the event at `place` had happened.
    pub(crate) fn membership_at(&self, place: Ordinal) -> MembershipState {
        let position = place.position().unwrap_or(Position::ZERO);
        self.membership.around(position).1
    }

    /// Whether the user was in the room at some time after what happened at `from`, up to `until`.
    /// Of times whose changes are not looked at any more, one is taken at the user's word.
    pub(crate) fn was_in(&self, from: Position, until: Position) -> bool {
        let known_from = self.membership.later.first().map_or(Position::ZERO, |(at, _)| *at);
        if self.membership.later.len() >= CHANGES && from < known_from {
            return true;
        }
        let in_time = |at: &Position| *at > from && *at <= until;
        let changes = self.membership.later.iter();
        let mut later = changes.filter(|(at, _)| in_time(at)).map(|(_, kind)| kind);
        self.membership.around(from).1 == MembershipState::Join
            || later.any(|kind| *kind == MembershipState::Join)
    }

    /// Whether anyone may read the room as it is now.
    pub(crate) fn is_world_readable(&self) -> bool {
        self.visibility.now() == HistoryVisibility::WorldReadable
    }

    fn joined_after(&self, position: Position) -> bool {
        let later = self.membership.later.partition_point(|(at, _)| *at <= position);
        self.membership.later[later..].iter().any(|(_, kind)| *kind == MembershipState::Join)
    }
}

/// The events that held a slot over time, oldest first.
struct Held {
    later: Vec<(Position, Option<Pdu>)>,
}

impl Held {
    fn map<T: Clone>(self, empty: T, value: impl Fn(&Pdu) -> T) -> Slot<T> {
        let later = self
            .later
            .iter()
            .map(|(at, pdu)| (*at, pdu.as_ref().map_or_else(|| empty.clone(), &value)));
        let later = later.collect();
        Slot { first: empty, later }
    }
}

async fn history(view: &View, core: &Core, head: &Head, kind: &str, key: &str) -> Result<Held> {
    let (mut places, mut ids) = (Vec::new(), Vec::new());
    for era in eras(view, head).await? {
        for (at, event) in held_in(view, &head.room, era, kind, key).await? {
            places.push((at, event.is_some()));
            ids.extend(event);
        }
    }
    let cache = core.local::<EventCache>();
    let mut events = cache.load_many(view, &head.rules, &ids).await?.into_iter();
    let later = places
        .into_iter()
        .map(|(at, filled)| (at, if filled { events.next().flatten() } else { None }));
    Ok(Held { later: later.collect() })
}

/// The events that held a slot in one generation, oldest first; the one in its base came to hold
/// it when the generation began.
async fn held_in(
    view: &View,
    room: &RoomId,
    era: Era,
    kind: &str,
    key: &str,
) -> Result<Vec<(Position, Option<OwnedEventId>)>> {
    let slot = (room.to_owned(), era.generation, kind.to_owned(), key.to_owned());
    let mut rows = view.scan(&STATE_LOG, &slot, Direction::Forward, CHANGES).await?;
    rows.reverse();
    let mut held = Vec::with_capacity(rows.len() + 1);
    if era.generation > 0 {
        let base = match rows.first() {
            Some((_, oldest)) => oldest.replaced.clone(),
            None => view.get(&STATE, &slot).await?.map(|row| row.event),
        };
        held.push((era.began, base));
    }
    held.extend(rows.into_iter().map(|((.., at), row)| (at.0, row.event)));
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::{MembershipState::*, *};

    fn sight(memberships: &[(u64, MembershipState)]) -> Sight {
        let later = memberships.iter().map(|(at, kind)| (Position::new(*at), kind.clone()));
        let membership = Slot { first: Leave, later: later.collect() };
        let visibility = Slot { first: HistoryVisibility::Shared, later: Vec::new() };
        Sight { visibility, membership }
    }

    #[track_caller]
    fn check(memberships: &[(u64, MembershipState)], from: u64, until: u64, expected: bool) {
        let was_in = sight(memberships).was_in(Position::new(from), Position::new(until));
        assert_eq!(was_in, expected, "{memberships:?} {from} {until}");
    }

    #[test]
    fn one_was_in_the_room_who_joined_before_or_in_time() {
        let stays = [(10, Join), (20, Leave), (30, Invite), (40, Join)];
        check(&[], 5, 50, false);
        for from in [10, 15, 19] {
            check(&stays, from, from, true);
        }
        check(&stays, 5, 9, false);
        check(&stays, 5, 10, true);
        check(&stays, 20, 39, false);
        check(&stays, 20, 40, true);
    }

    #[test]
    fn one_with_too_many_changes_keeps_what_was_before_them() {
        let stays: Vec<_> = (0..CHANGES as u64).map(|at| (100 + at, Join)).collect();
        check(&stays, 50, 60, true);
        check(&stays[1..], 50, 60, false);
        check(&stays, 100, 100, true);
    }

    #[test]
    fn what_came_after_the_time_only_those_saw_who_were_in_then() {
        let stays = [(10, Join), (20, Leave), (40, Join)];
        check(&stays, 30, 5, false);
        check(&stays, 30, 15, false);
        check(&stays, 45, 5, true);
    }
}
