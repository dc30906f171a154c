//! Filling the new room with what the old one had.

use std::{ops::Bound, sync::Arc};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId,
    events::{StateEventType, room::member::MembershipState},
};
use serde_json::{Value, json, value::to_raw_value};
use tertulia_protocol::{
    Carried, Draft, Pdu, Replacement, Slot, canonical_alias_of, carried_types,
};
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::told_in;
use crate::{
    Error, Result,
    core::Core,
    events::{self, Head, load_head, members},
    rooms::{
        Room,
        create::{BATCH, begin, first_head},
    },
    schema::{HEADS, MembershipKind, STATE, UpgradeRow},
};

/// How many rows of the old room are read at once.
const PAGE: usize = 500;

impl Room {
    /// Makes the room that replaces this one, with all that is carried over. It names those of this
    /// room's aliases that `moves`.
    pub(crate) async fn make_replacement(
        &self,
        row: &UpgradeRow,
        moves: impl Fn(&OwnedRoomAliasId) -> bool,
    ) -> Result<Room> {
        let create = row.create_event()?;
        let view = self.core().store.view().await?;
        let head = load_head(&view, &self.id).await?;
        let new = self.user.room(create.room_id());
        let Replacement { mut drafts, power_levels } =
            self.replacement(&view, &head, row, &create).await?;
        drafts.extend(self.canonical_alias(&view, &head, moves).await?);
        new.fill(row, &create, drafts).await?;
        self.carry_bans(&view, &head, &new, row, &create).await?;
        if let Some(levels) = power_levels {
            new.settle(levels).await?;
        }
        Ok(new)
    }

    async fn replacement(
        &self,
        view: &View,
        head: &Head,
        row: &UpgradeRow,
        create: &Pdu,
    ) -> Result<Replacement> {
        let (plain, keyed) = carried_types();
        let mut slots: Vec<Slot> = plain.iter().map(|kind| (kind.clone(), String::new())).collect();
        for kind in keyed {
            slots.extend(keys_of(view, head, kind).await?);
        }
        let mut state = Vec::new();
        for page in slots.chunks(PAGE) {
            state.extend(told_in(view, self.core(), head, self.reader(), page).await?);
        }
        let old_create = [(StateEventType::RoomCreate, String::new())];
        let old_create = told_in(view, self.core(), head, self.reader(), &old_create).await?;
        let old_create = old_create.first().ok_or(Error::NotFound("room"))?;
        let rules = events::rules_of(&row.version)?;
        let carried = Carried {
            old_rules: &head.rules,
            old_create,
            state: &state,
            create,
            rules: &rules,
            profile: self.user.face().await?.into_content(),
        };
        Ok(carried.replacement())
    }

    /// The names that the old room gave itself and that move.
    async fn canonical_alias(
        &self,
        view: &View,
        head: &Head,
        moves: impl Fn(&OwnedRoomAliasId) -> bool,
    ) -> Result<Option<Draft>> {
        let kind = StateEventType::RoomCanonicalAlias;
        let slots = [(kind.clone(), String::new())];
        let named = told_in(view, self.core(), head, self.reader(), &slots).await?;
        let content = named.first().and_then(|named| canonical_alias_of(named.content(), moves));
        Ok(content.map(|content| Draft::state(self.me().to_owned(), kind, "", content)))
    }

    /// Keeps those out of the new room who are banned from this one.
    async fn carry_bans(
        &self,
        view: &View,
        head: &Head,
        new: &Room,
        row: &UpgradeRow,
        create: &Pdu,
    ) -> Result<()> {
        let mut after = None;
        loop {
            let page = members(view, head, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let banned = page.into_iter().filter(|(_, member)| member.kind == MembershipKind::Ban);
            let slots: Vec<Slot> =
                banned.map(|(user, _)| (StateEventType::RoomMember, user.to_string())).collect();
            let bans = told_in(view, self.core(), head, self.reader(), &slots).await?;
            let drafts = bans.iter().filter_map(|ban| self.ban_like(ban)).collect();
            new.fill(row, create, drafts).await?;
        }
    }

    fn ban_like(&self, ban: &Pdu) -> Option<Draft> {
        let (kind, user) = ban.slot()?;
        let mut content = json!({ "membership": MembershipState::Ban });
        let said: Value = ban.content_as()?;
        if let Some(reason) = said.get("reason").filter(|reason| reason.is_string()) {
            content["reason"] = reason.clone();
        }
        let content = to_raw_value(&content).expect("JSON serialises");
        Some(Draft::state(self.me().to_owned(), kind.clone(), user, content))
    }

    /// Puts `drafts` into those of their slots that are empty, and makes the room if it is not there.
    async fn fill(&self, row: &UpgradeRow, create: &Pdu, drafts: Vec<Draft>) -> Result<()> {
        let mut drafts = drafts.into_iter().peekable();
        while drafts.peek().is_some() {
            let fill = Fill {
                core: self.core().clone(),
                room: self.id.clone(),
                start: first_head(create, &row.version, events::rules_of(&row.version)?),
                create: create.clone(),
                drafts: drafts.by_ref().take(BATCH).collect(),
                now: self.core().now(),
            };
            self.core().store.write(fill).await?;
        }
        Ok(())
    }

    /// Ends with the power levels of the old room. Where that has happened already, the user may
    /// have too little power to do it again.
    async fn settle(&self, levels: Draft) -> Result<()> {
        match self.put_once(levels).await {
            Ok(_) | Err(Error::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The filled slots of one type.
async fn keys_of(view: &View, head: &Head, kind: &StateEventType) -> Result<Vec<Slot>> {
    let prefix = (head.room.clone(), head.row.generation, kind.to_string());
    let (mut slots, mut from) = (Vec::new(), Bound::Unbounded);
    loop {
        let rows = view.scan_from(&STATE, &prefix, from.as_ref(), Direction::Forward, PAGE).await?;
        let Some((last, _)) = rows.last() else { return Ok(slots) };
        from = Bound::Excluded(last.clone());
        slots.extend(rows.into_iter().map(|((.., key), _)| (kind.clone(), key)));
    }
}

/// Puts events into empty slots of a room that replaces another.
struct Fill {
    core: Arc<Core>,
    room: OwnedRoomId,
    start: Head,
    create: Pdu,
    drafts: Vec<Draft>,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Fill {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let mut head = match tx.get_guarded(&HEADS, &(self.room.clone(),)).await? {
            Some(row) => Head::new(self.room.clone(), row)?,
            None => begin(tx, &self.core, self.start.clone(), &self.create).await?,
        };
        for draft in self.drafts.iter().cloned() {
            let key = draft.state_key.as_deref().unwrap_or_default();
            let slot = head.slot(&draft.kind.to_string(), key);
            if tx.get(&STATE, &slot).await?.is_some() {
                continue;
            }
            match events::append(tx, &self.core, &mut head, draft, self.now, None).await {
                // What the new version does not take stays behind.
                Err(Error::Refused(refusal)) => {
                    tracing::info!(%refusal, room = %self.room, kind = slot.2, "not carried over");
                }
                said => drop(said?),
            }
        }
        Ok(())
    }
}
