//! What people find rooms and each other by: aliases, the public room directory, spaces and the
//! user directory. The latter stand in the submodules.
//!
//! An alias is claimed in its own row. For a room that does not exist yet it is claimed first,
//! then the room is made, then the claim is filled in; a claim that a crash left is void after ten
//! minutes.

mod access;
mod common;
mod hierarchy;
mod listing;
mod people;
mod preview;
mod progress;
mod public_rooms;
mod publish;
mod summary;

use std::{collections::BTreeSet, ops::Bound};

use ruma::{
    OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomAliasId, RoomId, RoomOrAliasId, UserId,
    events::{StateEventType, TimelineEventType},
};
use serde::Deserialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use crate::{
    Error, Homeserver, NewRoom, Result, Room, User,
    core::Core,
    events::{Sight, current_power, load_head},
    schema::{ALIASES, AliasRow, MEMBERSHIPS, MembershipKind, ROOM_ALIASES},
};

pub use common::MutualRooms;
pub use hierarchy::{HierarchyPage, HierarchyQuery, SpaceRoom};
pub(crate) use listing::relist_users;
pub use people::{FoundUser, FoundUsers};
pub use preview::RoomPreview;
pub(crate) use progress::{note_followed, topic};
pub use public_rooms::{PublicRoomsPage, PublicRoomsQuery};
pub use publish::Visibility;
pub(crate) use publish::{members_relisted, relist};
pub use summary::RoomSummary;
pub(crate) use summary::summaries;

/// How long an alias is kept for a room that is being made, in milliseconds.
const CLAIM_LASTS: u64 = 10 * 60 * 1_000;
/// The most aliases of a room that one answer tells.
const MOST: usize = 1_000;

impl Homeserver {
    /// The room that `alias` stands for, and servers to join it by.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it stands for none.
    pub async fn resolve_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<(OwnedRoomId, Vec<OwnedServerName>)> {
        let room = resolve(&self.core.store.view().await?, alias).await?;
        Ok((room, vec![self.core.name.clone()]))
    }
}

/// The room that `alias` stands for.
///
/// # Errors
///
/// [`Error::NotFound`] if it stands for none.
pub(crate) async fn resolve(view: &View, alias: &RoomAliasId) -> Result<OwnedRoomId> {
    let row = view.get(&ALIASES, &(alias.to_owned(),)).await?;
    row.and_then(|row| row.room).ok_or(Error::NotFound("room alias"))
}

impl User {
    /// Asks to be let into the room that has this ID or alias.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such alias; otherwise those of [`Room::knock`].
    pub async fn knock(&self, room: &RoomOrAliasId, reason: Option<String>) -> Result<Room> {
        let room = self.room(&self.room_id(room).await?);
        room.knock(reason).await?;
        Ok(room)
    }

    /// The ID of the room that has this ID or alias.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such alias.
    pub async fn room_id(&self, room: &RoomOrAliasId) -> Result<OwnedRoomId> {
        match <&RoomAliasId>::try_from(room) {
            Ok(alias) => resolve(&self.core.store.view().await?, alias).await,
            Err(id) => Ok(id.to_owned()),
        }
    }

    /// Creates a room that has an alias of this server from the start.
    ///
    /// # Errors
    ///
    /// [`Error::RoomInUse`] if the alias is taken, [`Error::Invalid`] if it is another server's;
    /// otherwise those of [`User::create_room`].
    pub async fn create_room_with_alias(&self, alias: &RoomAliasId, room: NewRoom) -> Result<Room> {
        self.check_local(alias)?;
        let claim = self.alias_row(None);
        self.claim(alias, claim.clone()).await.map_err(|error| match error {
            Error::AliasInUse(alias) => Error::RoomInUse(alias),
            error => error,
        })?;
        let made = self.create_room(NewRoom { alias: Some(alias.to_owned()), ..room }).await;
        let row = match &made {
            Ok(room) => Some(self.alias_row(Some(room.id().to_owned()))),
            Err(_) => None,
        };
        self.core.store.write(Replace { alias: alias.to_owned(), old: claim, new: row }).await?;
        made
    }

    fn check_local(&self, alias: &RoomAliasId) -> Result<()> {
        if self.core.is_local(alias.server_name()) {
            return Ok(());
        }
        Err(Error::Invalid("an alias of another server"))
    }

    /// Makes `alias` stand for `room`.
    ///
    /// # Errors
    ///
    /// [`Error::AliasInUse`] if it stands for a room already, [`Error::Invalid`] if it is another
    /// server's, [`Error::NotFound`] if there is no such room, [`Error::Forbidden`] for one who is
    /// neither in it nor an administrator.
    pub async fn create_alias(&self, alias: &RoomAliasId, room: &RoomId) -> Result<()> {
        self.refuse_suspended()?;
        self.check_local(alias)?;
        let view = self.core.store.view().await?;
        load_head(&view, room).await?;
        if !is_joined(&view, room, &self.id).await? && !self.is_admin().await? {
            return Err(Error::Forbidden("only its members give a room an alias".to_owned()));
        }
        self.claim(alias, self.alias_row(Some(room.to_owned()))).await
    }

    fn alias_row(&self, room: Option<OwnedRoomId>) -> AliasRow {
        AliasRow { room, creator: self.id.clone(), created: self.core.now().get().into() }
    }

    async fn claim(&self, alias: &RoomAliasId, row: AliasRow) -> Result<()> {
        self.core.store.write(Claim { alias: alias.to_owned(), row }).await?;
        Ok(())
    }

    /// Makes `alias` stand for nothing. Where the user may, it also disappears from the aliases
    /// that the room itself names.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it stands for nothing, [`Error::Forbidden`] for one who neither made
    /// the alias nor may set the room's main one.
    pub async fn delete_alias(&self, alias: &RoomAliasId) -> Result<()> {
        let view = self.core.store.view().await?;
        let row = view.get(&ALIASES, &(alias.to_owned(),)).await?;
        let (old, room) = row
            .and_then(|row| Some((row.clone(), row.room?)))
            .ok_or(Error::NotFound("room alias"))?;
        if old.creator != self.id && !may_set_aliases(&view, &self.core, &room, &self.id).await? {
            return Err(Error::Forbidden("the alias is somebody else's".to_owned()));
        }
        self.core.store.write(Replace { alias: alias.to_owned(), old, new: None }).await?;
        self.forget_alias(&room, alias).await
    }

    /// Takes an alias out of the room's own list, if the user may.
    async fn forget_alias(&self, room: &RoomId, alias: &RoomAliasId) -> Result<()> {
        let (room, kind) = (self.room(room), StateEventType::RoomCanonicalAlias);
        let outcome = match room.state_event(&kind, "").await {
            Ok(event) => match without(event.content(), alias) {
                Some(content) => room.set_state(kind, "", content).await.map(drop),
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        match outcome {
            Err(
                Error::Forbidden(_) | Error::Refused(_) | Error::Suspended | Error::NotFound(_),
            ) => Ok(()),
            outcome => outcome,
        }
    }
}

/// The aliases of this server that stand for `room`.
pub(crate) async fn aliases_of(view: &View, room: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
    let (mut aliases, mut from) = (Vec::new(), Bound::Unbounded);
    loop {
        let (prefix, forward) = ((room.to_owned(),), Direction::Forward);
        let rows = view.scan_from(&ROOM_ALIASES, &prefix, from.as_ref(), forward, MOST).await?;
        let Some((last, ())) = rows.last() else { return Ok(aliases) };
        from = Bound::Excluded(last.clone());
        aliases.extend(rows.into_iter().map(|((_, alias), ())| alias));
    }
}

/// Lets `aliases` stand for `new`, those of them that stand for `old`.
pub(crate) async fn move_aliases(
    core: &Core,
    aliases: &BTreeSet<OwnedRoomAliasId>,
    old: &RoomId,
    new: &RoomId,
) -> Result<()> {
    for alias in aliases {
        let view = core.store.view().await?;
        let row = view.get(&ALIASES, &(alias.clone(),)).await?;
        let Some(row) = row.filter(|row| row.room.as_deref() == Some(old)) else { continue };
        let moved = AliasRow { room: Some(new.to_owned()), ..row.clone() };
        match core.store.write(Replace { alias: alias.clone(), old: row, new: Some(moved) }).await {
            // Somebody has just taken it away.
            Err(Error::NotFound(_)) => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

impl Room {
    /// The aliases of this server that stand for the room.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who is not in the room, unless anyone may read it.
    pub async fn aliases(&self) -> Result<Vec<OwnedRoomAliasId>> {
        let (core, me) = (&self.user().core, self.user().id());
        let view = core.store.view().await?;
        if !may_list(&view, core, self.id(), me).await? {
            return Err(Error::Forbidden("you are not in the room".to_owned()));
        }
        let prefix = (self.id().to_owned(),);
        let rows = view.scan(&ROOM_ALIASES, &prefix, Direction::Forward, MOST).await?;
        Ok(rows.into_iter().map(|((_, alias), ())| alias).collect())
    }

    /// Whether the room may name the aliases in `content`, that of an `m.room.canonical_alias`:
    /// those that it does not name already must stand for it.
    ///
    /// # Errors
    ///
    /// [`Error::BadAlias`] for one that does not, [`Error::Invalid`] for what is no alias.
    pub async fn check_canonical_alias(&self, content: &RawValue) -> Result<()> {
        let named = named(content).ok_or(Error::Invalid("an alias in the content"))?;
        let known = self.state_event(&StateEventType::RoomCanonicalAlias, "").await;
        let known = known.ok().and_then(|event| self::named(event.content()));
        let known = known.unwrap_or_default();
        let view = self.user().core.store.view().await?;
        for alias in named.difference(&known) {
            match resolve(&view, alias).await {
                Ok(room) if room == self.id() => {}
                Ok(_) | Err(Error::NotFound(_)) => {
                    return Err(Error::BadAlias(alias.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

async fn is_joined(view: &View, room: &RoomId, user: &UserId) -> Result<bool> {
    let row = view.get(&MEMBERSHIPS, &(user.to_owned(), room.to_owned())).await?;
    Ok(row.is_some_and(|row| row.kind == MembershipKind::Join))
}

async fn may_list(view: &View, core: &Core, room: &RoomId, user: &UserId) -> Result<bool> {
    if is_joined(view, room, user).await? {
        return Ok(true);
    }
    match load_head(view, room).await {
        Ok(head) => Ok(Sight::of(view, core, &head, user).await?.is_world_readable()),
        Err(Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn may_set_aliases(view: &View, core: &Core, room: &RoomId, user: &UserId) -> Result<bool> {
    let head = load_head(view, room).await?;
    let power = current_power(view, core, &head).await?;
    Ok(power.may_send(user, &TimelineEventType::RoomCanonicalAlias, Some("")))
}

/// The aliases that an `m.room.canonical_alias` names; an empty one is none.
fn named(content: &RawValue) -> Option<BTreeSet<OwnedRoomAliasId>> {
    #[derive(Deserialize)]
    struct Content {
        alias: Option<String>,
        alt_aliases: Option<Vec<OwnedRoomAliasId>>,
    }
    let Content { alias, alt_aliases } = serde_json::from_str(content.get()).ok()?;
    let main = alias.filter(|alias| !alias.is_empty()).map(RoomAliasId::parse);
    let main = main.transpose().ok()?.map(|alias| alias.to_owned());
    Some(main.into_iter().chain(alt_aliases.unwrap_or_default()).collect())
}

/// The content of an `m.room.canonical_alias` that names `alias`, without it.
fn without(content: &RawValue, alias: &RoomAliasId) -> Option<Box<RawValue>> {
    let mut content: Map<String, Value> = serde_json::from_str(content.get()).ok()?;
    let is_it = |value: &Value| value.as_str() == Some(alias.as_str());
    let main = content.get("alias").is_some_and(is_it);
    if main {
        content.remove("alias");
    }
    let mut others = false;
    if let Some(Value::Array(aliases)) = content.get_mut("alt_aliases") {
        others = aliases.iter().any(is_it);
        aliases.retain(|alias| !is_it(alias));
    }
    (main || others).then(|| to_raw_value(&content).expect("JSON serialises"))
}

/// Takes an alias that nobody has.
struct Claim {
    alias: OwnedRoomAliasId,
    row: AliasRow,
}

impl Command for Claim {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.alias)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.alias.clone(),);
        if let Some(other) = tx.get_guarded(&ALIASES, &key).await? {
            let is_void = other.room.is_none() && other.created + CLAIM_LASTS < self.row.created;
            if !is_void {
                return Err(Error::AliasInUse(self.alias.to_string()));
            }
        }
        put(tx, &self.alias, &self.row);
        Ok(())
    }
}

/// Changes or removes an alias that is still as it was found; another is somebody else's.
struct Replace {
    alias: OwnedRoomAliasId,
    old: AliasRow,
    new: Option<AliasRow>,
}

impl Command for Replace {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.alias)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.alias.clone(),);
        if tx.get_guarded(&ALIASES, &key).await?.as_ref() != Some(&self.old) {
            return Err(Error::NotFound("room alias"));
        }
        if let Some(room) = &self.old.room {
            tx.delete(&ROOM_ALIASES, &(room.clone(), self.alias.clone()));
        }
        match &self.new {
            Some(row) => put(tx, &self.alias, row),
            None => tx.delete(&ALIASES, &key),
        }
        Ok(())
    }
}

fn partition(alias: &RoomAliasId) -> Partition {
    Partition::of("alias", alias.as_str())
}

fn put(tx: &mut Tx, alias: &RoomAliasId, row: &AliasRow) {
    tx.put(&ALIASES, &(alias.to_owned(),), row);
    if let Some(room) = &row.room {
        tx.put(&ROOM_ALIASES, &(room.clone(), alias.to_owned()), &());
    }
}

#[cfg(test)]
mod tests;
