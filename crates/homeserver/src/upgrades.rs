//! Replacing rooms by newer ones, and what a user takes along into them (client-server API, "Room
//! upgrades").
//!
//! An upgrade touches several partitions: the old room, the new one, its aliases, its user. It is a
//! job: what it is to be is written down first, then come steps that may be repeated. Whoever asks
//! for the same once more goes on with it, and so does the next start of the server.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, RoomId, RoomOrAliasId, RoomVersionId};
use tertulia_protocol::JsonObject;

use crate::{
    Error, Homeserver, Result, Room, User,
    account_data::carry_settings,
    directory::{aliases_of, move_aliases},
    rooms::{Intended, begun_upgrades, is_replaced_by, predecessor},
    schema::{MEMBERSHIPS, MembershipKind, UpgradeRow},
};

impl Room {
    /// Replaces the room by one of `version`, and tells which. The new room is as the old one was,
    /// has its aliases and its place in the directory, and those whom the old one kept out stay out; everyone else comes by
    /// themself. `additional_creators` are its creators beside the user, where the version knows
    /// such. To ask for the same again leads to the same room.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedRoomVersion`]; [`Error::NotFound`] if there is no such room;
    /// [`Error::Refused`] if the user may not end it, [`Error::Forbidden`] if somebody else is
    /// replacing it or has replaced it.
    pub async fn upgrade(
        &self,
        version: &RoomVersionId,
        additional_creators: Vec<OwnedUserId>,
    ) -> Result<Room> {
        self.user().refuse_suspended()?;
        match self.intend_upgrade(version, additional_creators).await? {
            Intended::Done(room) => Ok(self.user().room(&room)),
            Intended::UnderWay(row) => self.go_on(&row).await,
        }
    }

    /// Takes every step of an upgrade that was decided.
    async fn go_on(&self, row: &UpgradeRow) -> Result<Room> {
        let core = &self.user().core;
        let view = core.store.view().await?;
        let aliases: BTreeSet<_> = aliases_of(&view, self.id()).await?.into_iter().collect();
        let new = self.make_replacement(row, |alias| aliases.contains(alias)).await?;
        self.end_replaced(new.id(), aliases.clone()).await?;
        move_aliases(core, &aliases, self.id(), new.id()).await?;
        self.give_place_to(&new).await?;
        carry_settings(self.user(), self.id(), new.id()).await?;
        self.finish_upgrade().await?;
        Ok(new)
    }

    /// Joins the room; does nothing where the user is in it already. What the user has decided about
    /// the room that this one replaces holds for this one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the room's rules forbid it, [`Error::NotFound`] if there is no such
    /// room.
    pub async fn join(&self, reason: Option<String>) -> Result<()> {
        let reason = reason.map(|reason| ("reason".to_owned(), reason.into()));
        self.join_saying(reason.into_iter().collect()).await
    }

    /// Joins the room as [`Room::join`] does. `words` become part of the member event; they go
    /// before the user's profile.
    ///
    /// # Errors
    ///
    /// As [`Room::join`].
    pub async fn join_saying(&self, words: JsonObject) -> Result<()> {
        if self.enter(words).await?
            && let Err(error) = self.carry_along().await
        {
            // The user is in the room nevertheless.
            tracing::warn!(%error, room = %self.id(), "settings of a replaced room were not carried along");
        }
        Ok(())
    }

    /// Lets what the user decided about the room before this one hold for it. Both rooms have to say
    /// so: nobody is to make a room with the tags of another.
    async fn carry_along(&self) -> Result<()> {
        let core = &self.user().core;
        let view = core.store.view().await?;
        let Some(old) = predecessor(&view, core, self.id()).await? else { return Ok(()) };
        let mine = (self.user().id().to_owned(), old.clone());
        let was_there = view.get(&MEMBERSHIPS, &mine).await?;
        let was_there = was_there.is_some_and(|row| row.kind == MembershipKind::Join);
        if was_there && is_replaced_by(&view, core, &old, self.id()).await? {
            carry_settings(self.user(), &old, self.id()).await?;
        }
        Ok(())
    }
}

impl User {
    /// Joins the room that has this ID or alias.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such alias; otherwise those of [`Room::join`].
    pub async fn join(&self, room: &RoomOrAliasId, reason: Option<String>) -> Result<Room> {
        let room = self.room(&self.room_id(room).await?);
        room.join(reason).await?;
        Ok(room)
    }
}

impl Homeserver {
    /// Goes on with upgrades of rooms that a stop interrupted.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store fails.
    pub async fn go_on_upgrading(&self) -> Result<()> {
        for (room, row) in begun_upgrades(self).await? {
            let user = User::new(self.core.clone(), row.by.clone());
            match user.room(&room).go_on(&row).await {
                Err(Error::Storage(error)) => return Err(error.into()),
                Err(error) => note_failure(&room, &error),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

fn note_failure(room: &RoomId, error: &Error) {
    tracing::warn!(%error, %room, "a room was not replaced");
}

#[cfg(test)]
mod tests;
