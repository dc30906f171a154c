//! Writing the base of a generation.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, RoomId, UserId};
use tertulia_protocol::{Pdu, redact};
use tertulia_storage::{Command, Partition, Position, Tx};

use super::newest;
use crate::{
    Error, Result,
    core::Core,
    events::{
        Base, EventCache, Head,
        eras::era_at,
        guard_head,
        members::{count, row_of},
        roster::{member_in, put_member},
    },
    schema::{
        EVENT_META, EventMeta, GENERATIONS, Generation, Member, MembershipKind, STATE, Stage,
        StateRow, Verdict,
    },
};

/// A generation that is being written, in a transaction that has guarded it.
pub(super) struct Draft {
    pub(super) number: u32,
    pub(super) row: Generation,
}

impl Draft {
    /// Whatever became of the generation; it must not change before the transaction commits.
    pub(super) async fn guard(tx: &Tx, room: &RoomId, number: u32) -> Result<Self> {
        let row = tx.get_guarded(&GENERATIONS, &(room.to_owned(), number)).await?;
        Ok(Self { number, row: row.ok_or(Error::NotFound("generation"))? })
    }

    /// The generation, which must still be in the making.
    pub(super) async fn guard_unfinished(tx: &Tx, room: &RoomId, number: u32) -> Result<Self> {
        let draft = Self::guard(tx, room, number).await?;
        if draft.row.stage == Stage::Writing {
            Ok(draft)
        } else {
            Err(Error::NotFound("generation"))
        }
    }

    pub(super) fn base<'a>(&self, room: &'a RoomId) -> Base<'a> {
        Base { room, generation: self.number }
    }

    pub(super) fn put(&self, tx: &mut Tx, room: &RoomId) {
        tx.put(&GENERATIONS, &(room.to_owned(), self.number), &self.row);
    }

    /// Fills or empties a slot of the base.
    pub(super) async fn set(
        &mut self,
        tx: &mut Tx,
        core: &Core,
        head: &Head,
        slot: (String, String),
        row: Option<&StateRow>,
    ) -> Result<()> {
        let (kind, key) = slot;
        let is_member = kind == "m.room.member";
        if let Some(user) = UserId::parse(key.as_str()).ok().filter(|_| is_member) {
            let event = match row {
                Some(row) => {
                    let cache = core.local::<EventCache>();
                    let event = cache.load(tx, &head.rules, &row.event).await?;
                    Some(if row.redacted { redact(&head.rules, &event) } else { event })
                }
                None => None,
            };
            let member = event.as_ref().and_then(row_of);
            self.list(tx, head, &user, member.as_ref()).await?;
        }
        let slot = (head.room.clone(), self.number, kind, key);
        match row {
            Some(row) => tx.put(&STATE, &slot, row),
            None => tx.delete(&STATE, &slot),
        }
        Ok(())
    }

    async fn list(
        &mut self,
        tx: &mut Tx,
        head: &Head,
        user: &UserId,
        member: Option<&Member>,
    ) -> Result<()> {
        let base = self.base(&head.room);
        let before = member_in(tx, base, user).await?.map(|member| member.kind);
        let after = member.map(|member| member.kind);
        put_member(tx, base, user, member);
        count(&mut self.row.joined, MembershipKind::Join, before, after);
        count(&mut self.row.invited, MembershipKind::Invite, before, after);
        Ok(())
    }
}

/// Begins to write a generation.
pub(super) struct Begin {
    pub(super) room: OwnedRoomId,
}

/// Which generation is being written.
pub(super) enum Begun {
    /// A new one.
    New(u32),
    /// None, before this one has come to an end.
    Unfinished(u32),
}

impl Command for Begin {
    type Out = Begun;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Begun> {
        let head = guard_head(tx, &self.room).await?;
        let newest = newest(tx, &self.room).await?;
        let number = match newest {
            Some((number, row)) if !matches!(row.stage, Stage::Settled(_) | Stage::Dropped) => {
                return Ok(Begun::Unfinished(number));
            }
            Some((number, _)) => number + 1,
            None => 1,
        };
        let as_of = match head.row.partial {
            true => era_at(tx, &head, head.row.state_at).await?.began,
            false => head.row.state_at,
        };
        let (stage, follows) = (Stage::Writing, head.row.generation);
        let row = Generation { stage, follows, as_of, anew: false, joined: 0, invited: 0 };
        tx.guard(&GENERATIONS, &(self.room.clone(), number));
        Draft { number, row }.put(tx, &self.room);
        Ok(Begun::New(number))
    }
}

/// Writes a page of a base; tells the events that are not here, without which nothing is written.
pub(super) struct Write {
    pub(super) core: Arc<Core>,
    pub(super) room: OwnedRoomId,
    pub(super) number: u32,
    pub(super) events: Vec<OwnedEventId>,
}

impl Command for Write {
    type Out = Vec<OwnedEventId>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Vec<OwnedEventId>> {
        // Nothing that is known of the events may change meanwhile, such as a redaction.
        let head = guard_head(tx, &self.room).await?;
        let mut draft = Draft::guard_unfinished(tx, &self.room, self.number).await?;
        let keys: Vec<_> = self.events.iter().map(|id| (self.room.clone(), id.clone())).collect();
        let metas = tx.get_many(&EVENT_META, &keys).await?;
        let pdus = self.core.local::<EventCache>().load_many(tx, &head.rules, &self.events).await?;
        let known: Vec<_> =
            metas.into_iter().zip(pdus).filter_map(|(meta, pdu)| Some((meta?, pdu?))).collect();
        if known.len() < self.events.len() {
            return Ok(self.missing(&known));
        }
        for (meta, pdu) in known {
            self.put(tx, &head, &mut draft, &meta, &pdu).await?;
        }
        draft.put(tx, &self.room);
        Ok(Vec::new())
    }
}

impl Write {
    fn missing(&self, known: &[(EventMeta, Pdu)]) -> Vec<OwnedEventId> {
        let is_known = |id: &OwnedEventId| known.iter().any(|(_, pdu)| pdu.event_id() == id);
        self.events.iter().filter(|id| !is_known(id)).cloned().collect()
    }

    async fn put(
        &self,
        tx: &mut Tx,
        head: &Head,
        draft: &mut Draft,
        meta: &EventMeta,
        pdu: &Pdu,
    ) -> Result<()> {
        let Some((kind, key)) = pdu.slot().filter(|_| meta.verdict != Verdict::Rejected) else {
            return Ok(());
        };
        let kind = kind.to_string();
        // Who is where he was has been there as long.
        let old = tx.get(&STATE, &head.slot(&kind, key)).await?;
        let same = old.filter(|old| old.event == *pdu.event_id());
        let row = StateRow {
            event: pdu.event_id().clone(),
            at: same.map_or(Position::ZERO, |old| old.at),
            redacted: meta.redacted_by.is_some(),
        };
        draft.set(tx, &self.core, head, (kind, key.clone()), Some(&row)).await
    }
}
