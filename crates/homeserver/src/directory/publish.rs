//! Putting rooms into the public room directory, and keeping what it shows of them.
//!
//! What it shows is a projection: the follower of the directories has it worked out anew whenever
//! something happened in a room. All of it is written in one lane, since all rooms are counted
//! together.

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomId, UserId};
use tertulia_protocol::Summary;
use tertulia_storage::{Command, Descending, Partition, Tx, View};

use super::{may_set_aliases, summary::summary};
use crate::{
    Error, Homeserver, NewRoom, Publishers, Result, Room, User,
    core::Core,
    events::load_head,
    schema::{
        MEMBERSHIPS, MembershipKind, OPEN_ROOMS, PUBLIC_ROOM_COUNT, PUBLIC_ROOM_PLACES,
        PUBLIC_ROOMS, PUBLISHED_ROOMS, PublicRoom, PublishedRoom, REOPENED_ROOMS,
    },
};

/// Whether the public room directory shows a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// It does.
    Public,
    /// It does not.
    Private,
}

impl Homeserver {
    /// Whether the public room directory shows `room`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the room.
    pub async fn visibility(&self, room: &RoomId) -> Result<Visibility> {
        let view = self.core.store.view().await?;
        load_head(&view, room).await?;
        let row = view.get(&PUBLISHED_ROOMS, &(room.to_owned(),)).await?;
        Ok(if row.is_some() { Visibility::Public } else { Visibility::Private })
    }
}

impl User {
    /// Creates a room as `room` wishes, with the alias that it names, and publishes it if it is to
    /// be public.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user may publish no rooms; otherwise those of
    /// [`User::create_room_with_alias`].
    pub async fn create_room_as(&self, room: NewRoom, visibility: Visibility) -> Result<Room> {
        if visibility == Visibility::Public && !self.publishes_own_rooms().await? {
            return Err(only_admins());
        }
        let made = match room.alias.clone() {
            Some(alias) => self.create_room_with_alias(&alias, room).await?,
            None => self.create_room(room).await?,
        };
        if visibility == Visibility::Public {
            made.write_visibility(visibility).await?;
        }
        Ok(made)
    }

    async fn publishes_own_rooms(&self) -> Result<bool> {
        let publishers = self.core.settings.directory.publishers;
        Ok(publishers == Publishers::Moderators || self.is_admin().await?)
    }
}

impl Room {
    /// Puts the room into the public room directory, or takes it out.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the room, [`Error::Forbidden`] for one who
    /// neither administers the server nor, where that is enough, may set the room's main alias.
    pub async fn set_visibility(&self, visibility: Visibility) -> Result<()> {
        self.user().refuse_suspended()?;
        let (core, me) = (&self.user().core, self.user().id());
        let view = core.store.view().await?;
        load_head(&view, self.id()).await?;
        if !self.user().is_admin().await? {
            if core.settings.directory.publishers == Publishers::Admins {
                return Err(only_admins());
            }
            if !rules(&view, core, self.id(), me).await? {
                let reason = "you may not set the main alias of the room, and so not publish it";
                return Err(Error::Forbidden(reason.to_owned()));
            }
        }
        self.write_visibility(visibility).await
    }

    /// Lets `new` take the room's place in the public room directory, if it has one.
    pub(crate) async fn give_place_to(&self, new: &Room) -> Result<()> {
        let server = Homeserver { core: self.user().core.clone() };
        if server.visibility(self.id()).await? == Visibility::Public {
            new.write_visibility(Visibility::Public).await?;
            self.write_visibility(Visibility::Private).await?;
        }
        Ok(())
    }

    async fn write_visibility(&self, visibility: Visibility) -> Result<()> {
        let core = self.user().core.clone();
        let (room, by, at) =
            (self.id().to_owned(), self.user().id.clone(), core.now().get().into());
        let published = PublishedRoom { by, at };
        let row = (visibility == Visibility::Public).then_some(published);
        core.store.clone().write(Publish { core, room, row }).await?;
        Ok(())
    }
}

fn only_admins() -> Error {
    Error::Forbidden("only administrators of this server publish rooms".to_owned())
}

/// Whether `user` is in the room and may set its main alias.
async fn rules(view: &View, core: &Core, room: &RoomId, user: &UserId) -> Result<bool> {
    let row = view.get(&MEMBERSHIPS, &(user.to_owned(), room.to_owned())).await?;
    let joined = row.is_some_and(|row| row.kind == MembershipKind::Join);
    Ok(joined && may_set_aliases(view, core, room, user).await?)
}

/// What the directories keep of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    /// Whether everyone may join or read it.
    open: bool,
    /// What the public room directory shows, and under how many members.
    listed: Option<(u64, PublicRoom)>,
}

impl Kept {
    /// What is kept of `room`.
    async fn stored(view: &View, room: &OwnedRoomId) -> Result<Self> {
        let open = view.get(&OPEN_ROOMS, &(room.clone(),)).await?.is_some();
        let place = view.get(&PUBLIC_ROOM_PLACES, &(room.clone(),)).await?;
        let Some((joined,)) = place else { return Ok(Self { open, listed: None }) };
        let row = view.get(&PUBLIC_ROOMS, &(Descending(joined), room.clone())).await?;
        Ok(Self { open, listed: Some((joined, row.unwrap_or_default())) })
    }

    /// What should be kept, by the room's state. Rooms without anybody in them are not shown:
    /// nobody could let others in.
    async fn wanted(view: &View, core: &Core, room: &OwnedRoomId) -> Result<Self> {
        let head = match load_head(view, room).await {
            Err(Error::NotFound(_)) => return Ok(Self::default()),
            head => head?,
        };
        let summary = summary(view, core, &head).await?;
        let published = view.get(&PUBLISHED_ROOMS, &(room.clone(),)).await?.is_some();
        let open = summary.is_open();
        let shown = published && head.row.joined > 0;
        Ok(Self { open, listed: shown.then(|| (head.row.joined, public_room(summary))) })
    }

    /// Writes down what differs from `old`.
    async fn replace(&self, tx: &mut Tx, room: &OwnedRoomId, old: &Self) -> Result<()> {
        let key = (room.clone(),);
        match self.open {
            true => tx.put(&OPEN_ROOMS, &key, &()),
            false => tx.delete(&OPEN_ROOMS, &key),
        }
        if let Some((joined, _)) = &old.listed {
            tx.delete(&PUBLIC_ROOMS, &(Descending(*joined), room.clone()));
        }
        match &self.listed {
            Some((joined, row)) => {
                tx.put(&PUBLIC_ROOMS, &(Descending(*joined), room.clone()), row);
                tx.put(&PUBLIC_ROOM_PLACES, &key, &(*joined,));
            }
            None => tx.delete(&PUBLIC_ROOM_PLACES, &key),
        }
        if self.listed.is_some() != old.listed.is_some() {
            let (count,) = tx.get_guarded(&PUBLIC_ROOM_COUNT, &()).await?.unwrap_or_default();
            let count = if self.listed.is_some() { count + 1 } else { count.saturating_sub(1) };
            tx.put(&PUBLIC_ROOM_COUNT, &(), &(count,));
        }
        Ok(())
    }
}

fn public_room(summary: Summary) -> PublicRoom {
    PublicRoom {
        canonical_alias: summary.canonical_alias,
        name: summary.name,
        topic: summary.topic,
        avatar_url: summary.avatar_url,
        join_rule: summary.join_rule,
        room_type: summary.room_type,
        world_readable: summary.world_readable,
        guest_can_join: summary.guest_can_join,
    }
}

/// Brings what the directories keep of `room` up to date. Where that opens the room to all, or closes
/// it, [`REOPENED_ROOMS`] says so until [`members_relisted`].
pub(crate) async fn relist(core: &Arc<Core>, room: &OwnedRoomId) -> Result<()> {
    let view = core.store.view().await?;
    if Kept::stored(&view, room).await? != Kept::wanted(&view, core, room).await? {
        core.store.write(Relist { core: core.clone(), room: room.clone() }).await?;
    }
    Ok(())
}

/// The members of `room` are listed by whether it is open to all now.
pub(crate) async fn members_relisted(core: &Core, room: OwnedRoomId) -> Result<()> {
    core.store.write(Settle { room }).await?;
    Ok(())
}

fn partition() -> Partition {
    Partition::of("public rooms", "")
}

/// Brings what the directories keep of a room up to date.
struct Relist {
    core: Arc<Core>,
    room: OwnedRoomId,
}

impl Command for Relist {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.guard(&PUBLIC_ROOM_PLACES, &(self.room.clone(),));
        let old = Kept::stored(tx, &self.room).await?;
        let new = Kept::wanted(tx, &self.core, &self.room).await?;
        if new.open != old.open {
            tx.put(&REOPENED_ROOMS, &(self.room.clone(),), &());
        }
        new.replace(tx, &self.room, &old).await
    }
}

/// Notes that the members of a room are listed as they should be.
struct Settle {
    room: OwnedRoomId,
}

impl Command for Settle {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.delete(&REOPENED_ROOMS, &(self.room.clone(),));
        Ok(())
    }
}

/// Publishes a room, or takes it back; what the directory shows changes at once.
struct Publish {
    core: Arc<Core>,
    room: OwnedRoomId,
    row: Option<PublishedRoom>,
}

impl Command for Publish {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.room.clone(),);
        let published = tx.get_guarded(&PUBLISHED_ROOMS, &key).await?;
        match &self.row {
            // Who published it first is who is told of.
            Some(row) if published.is_none() => tx.put(&PUBLISHED_ROOMS, &key, row),
            Some(_) => {}
            None => tx.delete(&PUBLISHED_ROOMS, &key),
        }
        tx.guard(&PUBLIC_ROOM_PLACES, &key);
        let old = Kept::stored(tx, &self.room).await?;
        // That the room is open is for the follower to find out: it tells the members, too.
        let new = Kept { open: old.open, ..Kept::wanted(tx, &self.core, &self.room).await? };
        new.replace(tx, &self.room, &old).await
    }
}
