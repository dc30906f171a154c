//! What a client makes a room's name of where it has none.

use ruma::{
    OwnedUserId, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use tertulia_protocol::{Pdu, Slot, sync::heroes, visibility::membership_in};
use tertulia_storage::Direction;

use super::{
    answer::Summary,
    reading::{Part, Reading},
    state::{Changes, MEMBER},
    timeline::Window,
};
use crate::{
    Result,
    events::{EventCache, current_rows, load_for},
    schema::{STATE, StateRow},
};

/// Among how many members the heroes are looked for. The specification wants the first five of
/// the room; in larger rooms these are some five of the room, which costs the same in all.
const CANDIDATES: usize = 50;

/// The summary, if it may differ from what the client knows.
pub(super) async fn changed(
    reading: &Reading<'_>,
    part: &Part<'_>,
    window: &Window,
    changes: &Changes,
    whole: Option<&[(Slot, StateRow)]>,
) -> Result<Option<Summary>> {
    let matters = |kind: &StateEventType| {
        use StateEventType::{RoomCanonicalAlias, RoomMember, RoomName};
        matches!(kind, RoomMember | RoomName | RoomCanonicalAlias)
    };
    // A redaction can take the room's name away, and the state does not change by it.
    let known = part.span.state_after.is_some() && !window.may_redact;
    if known && !changes.iter().any(|change| matters(&change.slot.0)) {
        return Ok(None);
    }
    let naming = match whole {
        Some(rows) => Naming::of(rows),
        None => Naming::read(reading, part).await?,
    };
    let heroes = match has_name(reading, part, naming.names).await? {
        true => None,
        false => Some(first(reading, part, naming.members).await?),
    };
    let row = &part.head.row;
    Ok(Some(Summary { heroes, joined: row.joined, invited: row.invited }))
}

/// What a room's name is made of.
struct Naming {
    /// Its name and its alias.
    names: Vec<StateRow>,
    /// Some of its members.
    members: Vec<StateRow>,
}

impl Naming {
    fn of(state: &[(Slot, StateRow)]) -> Self {
        let rows = |wanted: fn(&Slot) -> bool, limit| {
            let rows = state.iter().filter(move |(slot, _)| wanted(slot));
            rows.map(|(_, row)| row.clone()).take(limit).collect()
        };
        let is_member = |slot: &Slot| slot.0 == StateEventType::RoomMember;
        Self {
            names: rows(|slot| naming_slots().contains(slot), usize::MAX),
            members: rows(is_member, CANDIDATES),
        }
    }

    async fn read(reading: &Reading<'_>, part: &Part<'_>) -> Result<Self> {
        let names = current_rows(&reading.view, part.head, &naming_slots()).await?;
        let (room, generation) = (part.head.room.clone(), part.head.row.generation);
        let prefix = (room, generation, MEMBER.to_owned());
        let members = reading.view.scan(&STATE, &prefix, Direction::Forward, CANDIDATES).await?;
        let members = members.into_iter().map(|(_, row)| row).collect();
        Ok(Self { names: names.into_iter().flatten().collect(), members })
    }
}

fn naming_slots() -> [Slot; 2] {
    let kinds = [StateEventType::RoomName, StateEventType::RoomCanonicalAlias];
    kinds.map(|kind| (kind, String::new()))
}

/// Whether the room has a name or an alias.
async fn has_name(reading: &Reading<'_>, part: &Part<'_>, mut rows: Vec<StateRow>) -> Result<bool> {
    rows.retain(|row| !row.redacted);
    let ids: Vec<_> = rows.into_iter().map(|row| row.event).collect();
    let (view, core, reader) = (&reading.view, reading.core(), reading.reader());
    let events = load_for(view, core, part.head, reader, &ids).await?;
    Ok(events.iter().flatten().any(names))
}

/// Whether an event gives a name or an alias; both can be taken away by saying nothing.
fn names(event: &Pdu) -> bool {
    #[derive(serde::Deserialize)]
    struct Named {
        name: Option<String>,
        alias: Option<String>,
    }
    event
        .content_as::<Named>()
        .and_then(|named| named.name.or(named.alias))
        .is_some_and(|name| !name.is_empty())
}

/// The first members of the room, without the reader.
async fn first(
    reading: &Reading<'_>,
    part: &Part<'_>,
    mut rows: Vec<StateRow>,
) -> Result<Vec<OwnedUserId>> {
    rows.sort_by_key(|row| row.at);
    let ids: Vec<_> = rows.into_iter().map(|row| row.event).collect();
    let cache = reading.core().local::<EventCache>();
    let events = cache.load_many(&reading.view, &part.head.rules, &ids).await?;
    let members: Vec<(OwnedUserId, MembershipState)> = events
        .iter()
        .flatten()
        .filter_map(|event| {
            let user = UserId::parse(event.state_key()?).ok()?.to_owned();
            Some((user, membership_in(event)))
        })
        .collect();
    let members = members.iter().map(|(user, membership)| (user, membership));
    let me = reading.me().to_owned();
    Ok(heroes(members, &me).into_iter().cloned().collect())
}
