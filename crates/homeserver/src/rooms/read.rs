//! Reading a room's state, members and single events.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, OwnedUserId, events::StateEventType};
use tertulia_protocol::{Pdu, RoomIdShown};
use tertulia_storage::View;

use super::{
    Room,
    access::{Open, Until},
};
use crate::{
    Error, Result,
    events::{
        ClientEvent, FullState, Head, Placed, Sight, TimelineToken, base_at, current_state,
        load_for, load_head, load_redacted, load_replaced, members, slot_at, state_at,
    },
    schema::{EVENT_META, Member, MembershipKind, Ordinal, STATE, TIMELINE, Verdict},
};

/// Which members to tell.
#[derive(Clone, Debug, Default)]
pub struct MembersQuery {
    /// The place in the timeline whose members are meant; now, if absent.
    pub at: Option<TimelineToken>,
    /// Only those of this membership.
    pub membership: Option<MembershipKind>,
    /// Only those not of this membership.
    pub not_membership: Option<MembershipKind>,
}

/// A joined user and the face they show in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Who.
    pub user: OwnedUserId,
    /// The name they show.
    pub displayname: Option<String>,
    /// The picture they show.
    pub avatar_url: Option<String>,
}

/// How many members one answer tells at most.
const MEMBERS_MOST: usize = 200_000;

impl Room {
    /// All of the room's state: as it is now, or as it was when the user left.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who may not look into the room.
    pub async fn state(&self) -> Result<Vec<ClientEvent>> {
        let open = self.open().await?;
        let state = full_state(&open).await?;
        let mut events = self.render(&open, state.into_values().collect()).await?;
        self.tell_replaced(&open, &mut events).await?;
        Ok(events)
    }

    /// The event in one slot of the state, as it is now, or as it was when the user left.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who may not look into the room, [`Error::NotFound`] if the
    /// slot is empty.
    pub async fn state_event(&self, kind: &StateEventType, key: &str) -> Result<ClientEvent> {
        let open = self.open().await?;
        let kind = kind.to_string();
        let event = match open.until {
            Until::Now => {
                let row = open.view.get(&STATE, &open.head.slot(&kind, key)).await?;
                row.map(|row| row.event)
            }
            Until::Then(position) => {
                let base = base_at(&open.view, &open.head, position).await?;
                slot_at(&open.view, base, &kind, key, position).await?
            }
        };
        let event = event.ok_or(Error::NotFound("state event"))?;
        let mut events = self.render(&open, vec![event]).await?;
        self.tell_replaced(&open, &mut events).await?;
        events.pop().ok_or(Error::NotFound("state event"))
    }

    /// The member events of the room.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who may not look into the room.
    pub async fn member_events(&self, query: &MembersQuery) -> Result<Vec<ClientEvent>> {
        let open = self.open().await?;
        let asked = query.at.and_then(|at| at.ordinal.position());
        let state = match (open.until, asked) {
            (Until::Now, None) => current_members(&open.view, &open.head).await?,
            (until, asked) => members_of(past_state(&open, until, asked).await?),
        };
        let events = self.render(&open, state).await?;
        Ok(events.into_iter().filter(|event| query.asks_for(event.pdu())).collect())
    }

    /// Those who are in the room.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who is not in the room.
    pub async fn joined_members(&self) -> Result<Vec<JoinedMember>> {
        let open = self.open().await?;
        if self.membership_of(self.me()).await? != Some(MembershipKind::Join) {
            return Err(Error::Forbidden("you are not in the room".to_owned()));
        }
        let rows = members(&open.view, &open.head, None, MEMBERS_MOST).await?;
        let joined = rows.into_iter().filter(|(_, row)| row.kind == MembershipKind::Join);
        let face = |(user, row): (OwnedUserId, Member)| JoinedMember {
            user,
            displayname: row.displayname,
            avatar_url: row.avatar_url,
        };
        Ok(joined.map(face).collect())
    }

    /// One event of the room.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such event in the room, or the user may not see it.
    pub async fn event(&self, id: &EventId) -> Result<ClientEvent> {
        let missing = || Error::NotFound("event");
        let (open, sight, place) = self.look_at(id).await?;
        let Open { view, head, stretch, .. } = &open;
        let row = view.get(&TIMELINE, &(self.id.clone(), *stretch, place)).await?;
        let row = row.ok_or_else(missing)?;
        let ids = [id.to_owned()];
        let pdu = load_for(view, self.core(), head, self.reader(), &ids).await?.pop().flatten();
        let pdu = pdu.ok_or_else(missing)?;
        let mut events = self.tell(&open, &sight, vec![Placed { place, row, pdu }]).await?;
        events.pop().ok_or_else(missing)
    }

    /// The room around an event that the user may see, and its place.
    pub(super) async fn look_at(&self, id: &EventId) -> Result<(Open, Sight, Ordinal)> {
        let missing = || Error::NotFound("event");
        let view = self.core().store.view().await?;
        let head = load_head(&view, &self.id).await.map_err(|error| match error {
            Error::NotFound(_) => missing(),
            other => other,
        })?;
        let (stretch, place) = self.place_of(&view, id).await?;
        let sight = Sight::of(&view, self.core(), &head, self.me()).await?;
        if !sight.sees(place) {
            return Err(missing());
        }
        Ok((Open { view, head, until: Until::Now, stretch }, sight, place))
    }

    /// Where an event stands in the timeline.
    pub(super) async fn place_of(&self, view: &View, id: &EventId) -> Result<(u32, Ordinal)> {
        let meta = view.get(&EVENT_META, &(self.id.clone(), id.to_owned())).await?;
        match meta.map(|meta| meta.verdict) {
            Some(Verdict::Timeline { stretch, ordinal }) => Ok((stretch, ordinal)),
            _ => Err(Error::NotFound("event")),
        }
    }

    /// Events as the user gets them, in the order of `ids`, with what was redacted removed.
    pub(super) async fn render(
        &self,
        open: &Open,
        ids: Vec<OwnedEventId>,
    ) -> Result<Vec<ClientEvent>> {
        let keys: Vec<_> = ids.iter().map(|id| (self.id.clone(), id.clone())).collect();
        let metas = open.view.get_many(&EVENT_META, &keys).await?;
        let (view, head, reader) = (&open.view, &open.head, self.reader());
        let events = load_for(view, self.core(), head, reader, &ids).await?;
        let redacted_by = metas.into_iter().map(|meta| meta.and_then(|meta| meta.redacted_by));
        let found = events.into_iter().zip(redacted_by).filter_map(|(pdu, by)| Some((pdu?, by)));
        let shown = load_redacted(view, self.core(), head, reader, found.collect()).await?;
        let now = self.core().now();
        Ok(shown.into_iter().map(|event| event.shown(RoomIdShown::Yes).aged(now)).collect())
    }
}

impl Room {
    /// Adds to state events what they replaced.
    async fn tell_replaced(&self, open: &Open, events: &mut [ClientEvent]) -> Result<()> {
        let Open { view, head, .. } = open;
        let keys: Vec<_> =
            events.iter().map(|event| (self.id.clone(), event.id().to_owned())).collect();
        let metas = view.get_many(&EVENT_META, &keys).await?;
        let places: BTreeMap<_, _> = keys
            .into_iter()
            .zip(metas)
            .filter_map(|((_, id), meta)| match meta?.verdict {
                Verdict::Timeline { ordinal, .. } => Some((id, ordinal)),
                _ => None,
            })
            .collect();
        let placed = places.iter().map(|(id, place)| (id.clone(), *place)).collect();
        let replaced = load_replaced(view, self.core(), head, self.reader(), placed).await?;
        if replaced.is_empty() {
            return Ok(());
        }
        let sight = Sight::of(view, self.core(), head, self.me()).await?;
        for event in events {
            if let (Some(older), Some(place)) = (replaced.get(event.id()), places.get(event.id())) {
                older.tell(event.unsigned_mut(), older.is_seen(&sight, *place));
            }
        }
        Ok(())
    }
}

impl MembersQuery {
    /// Where both are given, the specification has it that one of them is enough.
    fn asks_for(&self, pdu: &Pdu) -> bool {
        let kind = crate::events::MemberContent::of(pdu).membership;
        match (self.membership, self.not_membership) {
            (None, None) => true,
            (Some(wanted), None) => kind == Some(wanted),
            (None, Some(unwanted)) => kind != Some(unwanted),
            (Some(wanted), Some(unwanted)) => kind == Some(wanted) || kind != Some(unwanted),
        }
    }
}

async fn full_state(open: &Open) -> Result<FullState> {
    match open.until {
        Until::Now => current_state(&open.view, open.head.base()).await,
        Until::Then(position) => {
            let base = base_at(&open.view, &open.head, position).await?;
            state_at(&open.view, base, position).await
        }
    }
}

/// The state right before the place `asked` for, but no later than the user may see.
async fn past_state(
    open: &Open,
    until: Until,
    asked: Option<tertulia_storage::Position>,
) -> Result<FullState> {
    let asked = asked.map(|at| tertulia_storage::Position::new(at.get().saturating_sub(1)));
    let position = match (until, asked) {
        (Until::Then(left), Some(asked)) => left.min(asked),
        (Until::Then(left), None) => left,
        (Until::Now, asked) => asked.unwrap_or(open.head.row.last),
    };
    let base = base_at(&open.view, &open.head, position).await?;
    state_at(&open.view, base, position).await
}

fn members_of(state: FullState) -> Vec<OwnedEventId> {
    let members = state.into_iter().filter(|((kind, _), _)| kind == "m.room.member");
    members.map(|(_, event)| event).collect()
}

async fn current_members(view: &View, head: &Head) -> Result<Vec<OwnedEventId>> {
    let rows = members(view, head, None, MEMBERS_MOST).await?;
    Ok(rows.into_iter().map(|(_, row)| row.event).collect())
}
