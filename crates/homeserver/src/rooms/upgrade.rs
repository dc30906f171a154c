//! Replacing a room by another: what is done in the two rooms.
//!
//! The intent is written down first, with the create event of the new room, so that its ID is
//! fixed. Every step after that may be repeated: a slot of the new room that is filled stays as it
//! is, and an old room that says that it was replaced is told nothing more.

mod carry;

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId,
    events::StateEventType,
};
use serde_json::value::RawValue;
use tertulia_protocol::{
    Draft, Pdu, Slot, Upgrade, canonical_alias_of, ending, replaced_by, replacement_create,
};
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::{Room, create::build_create};
use crate::{
    Error, Result,
    core::{Core, Homeserver},
    events::{self, Head, current_slots, load_head},
    schema::{UPGRADES, UpgradeRow},
};

/// How many rooms that are being replaced are read at once.
const PAGE: usize = 100;

/// What has become of the wish to replace a room.
#[derive(Clone, Debug)]
pub(crate) enum Intended {
    /// It is being replaced.
    UnderWay(UpgradeRow),
    /// It was replaced by this room.
    Done(OwnedRoomId),
}

/// The rooms whose replacement was begun and is not finished.
pub(crate) async fn begun_upgrades(server: &Homeserver) -> Result<Vec<(OwnedRoomId, UpgradeRow)>> {
    let view = server.core.store.view().await?;
    let (mut begun, mut from) = (Vec::new(), Bound::Unbounded);
    loop {
        let rows = view.scan_from(&UPGRADES, &(), from.as_ref(), Direction::Forward, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(begun) };
        from = Bound::Excluded(last.clone());
        begun.extend(rows.into_iter().map(|((room,), row)| (room, row)));
    }
}

impl UpgradeRow {
    /// The create event of the new room.
    pub(crate) fn create_event(&self) -> Result<Pdu> {
        let rules = events::rules_of(&self.version)?;
        Pdu::parse(&self.create, &rules)
            .map_err(|_| Error::CorruptEvent("of a room that replaces another".to_owned()))
    }
}

impl Room {
    /// Decides that a room of `version` replaces this one, unless that is decided already.
    pub(crate) async fn intend_upgrade(
        &self,
        version: &RoomVersionId,
        additional_creators: Vec<OwnedUserId>,
    ) -> Result<Intended> {
        let rules = version.rules().ok_or(Error::UnsupportedRoomVersion)?;
        let (core, now) = (self.core(), self.core().now());
        let view = core.store.view().await?;
        let head = load_head(&view, &self.id).await?;
        let upgrade = Upgrade {
            old: self.id.clone(),
            last: head.row.extremities.first().map(|extremity| extremity.event.clone()),
            by: self.me().to_owned(),
            version: version.clone(),
            additional_creators,
        };
        let old = event_in(&view, core, &head, StateEventType::RoomCreate).await?;
        let draft = replacement_create(&upgrade, &old.ok_or(Error::NotFound("room"))?);
        let draft = draft.map_err(|_| Error::UnsupportedRoomVersion)?;
        let create = build_create(core, &rules, draft, now)?;
        let row = UpgradeRow {
            by: self.me().to_owned(),
            version: version.to_string(),
            create: create.json().get().to_owned(),
            told: false,
        };
        let intend = Intend { core: core.clone(), room: self.id.clone(), create, row, now };
        Ok(core.store.write(intend).await?.out)
    }

    /// Lets the room say that it was replaced, and name none of the aliases in `moved` any more.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the user may not say so any more; then the room is not replaced.
    pub(crate) async fn end_replaced(
        &self,
        replacement: &RoomId,
        moved: BTreeSet<OwnedRoomAliasId>,
    ) -> Result<()> {
        let tell = Tell {
            core: self.core().clone(),
            room: self.id.clone(),
            by: self.me().to_owned(),
            replacement: replacement.to_owned(),
            moved,
            now: self.core().now(),
        };
        self.core().store.write(tell).await?.out
    }

    /// Notes that everything is in place.
    pub(crate) async fn finish_upgrade(&self) -> Result<()> {
        self.core().store.write(Finish { room: self.id.clone() }).await?;
        Ok(())
    }
}

/// The room that `room` says it replaces.
pub(crate) async fn predecessor(
    view: &View,
    core: &Core,
    room: &RoomId,
) -> Result<Option<OwnedRoomId>> {
    let head = load_head(view, room).await?;
    let create = event_in(view, core, &head, StateEventType::RoomCreate).await?;
    Ok(create.as_ref().and_then(tertulia_protocol::predecessor))
}

/// Whether `old` says that it was replaced by `new`.
pub(crate) async fn is_replaced_by(
    view: &View,
    core: &Core,
    old: &RoomId,
    new: &RoomId,
) -> Result<bool> {
    let head = match load_head(view, old).await {
        Err(Error::NotFound(_)) => return Ok(false),
        head => head?,
    };
    let tombstone = event_in(view, core, &head, StateEventType::RoomTombstone).await?;
    Ok(tombstone.as_ref().and_then(replaced_by).is_some_and(|room| room == new))
}

/// What is in force in a slot without a state key.
async fn event_in(
    view: &View,
    core: &Core,
    head: &Head,
    kind: StateEventType,
) -> Result<Option<Pdu>> {
    let slots: [Slot; 1] = [(kind, String::new())];
    let state = current_slots(view, core, head, &slots).await?;
    let [(kind, key)] = slots;
    Ok(state.get(&kind, &key).cloned())
}

/// Writes down that a room is going to be replaced, if whoever wants it may.
struct Intend {
    core: Arc<Core>,
    room: OwnedRoomId,
    create: Pdu,
    row: UpgradeRow,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Intend {
    type Out = Intended;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Intended> {
        let head = events::guard_head(tx, &self.room).await?;
        let said = ending(&self.row.by, self.create.room_id(), None).swap_remove(0);
        events::allowed(tx, &self.core, &head, said, self.now).await?;
        if let Some(begun) = tx.get_guarded(&UPGRADES, &(self.room.clone(),)).await? {
            let is_same = begun.by == self.row.by && begun.version == self.row.version;
            let other = || Error::Forbidden("the room is being replaced already".to_owned());
            return is_same.then_some(Intended::UnderWay(begun)).ok_or_else(other);
        }
        if let Some(done) = self.done(tx, &head).await? {
            return Ok(done);
        }
        tx.put(&UPGRADES, &(self.room.clone(),), &self.row);
        Ok(Intended::UnderWay(self.row.clone()))
    }
}

impl Intend {
    /// The room that has replaced this one already. To ask for the same again tells it again.
    async fn done(&self, tx: &Tx, head: &Head) -> Result<Option<Intended>> {
        let kind = StateEventType::RoomTombstone;
        let Some(tombstone) = event_in(tx, &self.core, head, kind).await? else { return Ok(None) };
        let Some(new) = replaced_by(&tombstone) else { return Ok(None) };
        let replacement = match load_head(tx, &new).await {
            Err(Error::NotFound(_)) => return Ok(None),
            head => head?,
        };
        if predecessor(tx, &self.core, &new).await?.as_ref() != Some(&self.room) {
            return Ok(None);
        }
        if tombstone.sender() == self.row.by && replacement.row.version == self.row.version {
            return Ok(Some(Intended::Done(new)));
        }
        Err(Error::Forbidden(format!("the room was replaced already, by {new}")))
    }
}

/// Ends a room that is replaced.
struct Tell {
    core: Arc<Core>,
    room: OwnedRoomId,
    by: OwnedUserId,
    replacement: OwnedRoomId,
    moved: BTreeSet<OwnedRoomAliasId>,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Tell {
    /// A refusal is an outcome: it is committed that the room is not replaced.
    type Out = Result<()>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Result<()>> {
        let key = (self.room.clone(),);
        let row = tx.get_guarded(&UPGRADES, &key).await?;
        let Some(row) = row.filter(|row| !row.told) else { return Ok(Ok(())) };
        let mut head = events::guard_head(tx, &self.room).await?;
        let levels = event_in(tx, &self.core, &head, StateEventType::RoomPowerLevels).await?;
        let alias = event_in(tx, &self.core, &head, StateEventType::RoomCanonicalAlias).await?;
        let mut drafts = ending(&self.by, &self.replacement, levels.as_ref());
        let tombstone = drafts.remove(0);
        match self.append(tx, &mut head, tombstone).await {
            Err(refusal @ Error::Refused(_)) => {
                tx.delete(&UPGRADES, &key);
                return Ok(Err(refusal));
            }
            said => said?,
        }
        drafts.splice(0..0, alias.and_then(|alias| self.without_moved(&alias)));
        for draft in drafts {
            match self.append(tx, &mut head, draft).await {
                // It would be better so, but need not be.
                Err(Error::Refused(_)) => {}
                said => said?,
            }
        }
        tx.put(&UPGRADES, &key, &UpgradeRow { told: true, ..row });
        Ok(Ok(()))
    }
}

impl Tell {
    async fn append(&self, tx: &mut Tx, head: &mut Head, draft: Draft) -> Result<()> {
        events::append(tx, &self.core, head, draft, self.now, None).await.map(drop)
    }

    /// What the room names of its aliases once some have gone, if that is less.
    fn without_moved(&self, named: &Pdu) -> Option<Draft> {
        let names = |alias: &OwnedRoomAliasId| self.moved.contains(alias);
        canonical_alias_of(named.content(), names)?;
        let left = canonical_alias_of(named.content(), |alias| !self.moved.contains(alias));
        let left =
            left.unwrap_or_else(|| RawValue::from_string("{}".to_owned()).expect("this is JSON"));
        Some(Draft::state(self.by.clone(), StateEventType::RoomCanonicalAlias, "", left))
    }
}

/// Forgets that a room was being replaced: it was.
struct Finish {
    room: OwnedRoomId,
}

impl Command for Finish {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.room.clone(),);
        if tx.get_guarded(&UPGRADES, &key).await?.is_some_and(|row| row.told) {
            tx.delete(&UPGRADES, &key);
        }
        Ok(())
    }
}

/// The events in force in some slots, as they are told now.
async fn told_in(
    view: &View,
    core: &Core,
    head: &Head,
    reader: events::Reader<'_>,
    slots: &[Slot],
) -> Result<Vec<Pdu>> {
    let rows = events::current_rows(view, head, slots).await?;
    let ids: Vec<_> = rows.into_iter().flatten().map(|row| row.event).collect();
    let found = events::load_many_as_told(view, core, head, reader, &ids).await?;
    Ok(found.into_iter().flatten().collect())
}
