//! Inviting, joining, leaving, and removing others.

use std::collections::BTreeMap;

use ruma::{
    OwnedUserId, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use tertulia_protocol::{Draft, JsonObject, Welcome, check_display_name};

use super::{Face, Room};
use crate::{
    Error, Result,
    core::{Core, User},
    events::{self, Invitations, load_head},
    schema::{Member, MembershipKind},
};

impl Room {
    /// Joins the room, unless the user is in it already; tells whether it was news. `words` become
    /// part of the member event; they go before the user's profile.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the room's rules forbid it, [`Error::GuestsForbidden`] if they keep
    /// guests out and the user is one, [`Error::NotFound`] if there is no such room.
    pub(crate) async fn enter(&self, words: JsonObject) -> Result<bool> {
        self.user.refuse_suspended()?;
        if self.membership_of(self.me()).await? == Some(MembershipKind::Join) {
            return Ok(false);
        }
        let mut content = self.user.face().await?.into_content();
        content.extend(words);
        content.insert("membership".to_owned(), json!(MembershipState::Join));
        self.set_membership(self.me().to_owned(), content).await?;
        Ok(true)
    }

    /// Invites `user`, as whom their profile shows; `is_direct` tells them that the room is for the
    /// two alone.
    ///
    /// # Errors
    ///
    /// As [`Room::knock`]; also if the user is in the room or banned. [`Error::Forbidden`] if the user
    /// is another server's.
    pub async fn invite(
        &self,
        user: &UserId,
        reason: Option<String>,
        is_direct: bool,
    ) -> Result<()> {
        self.user.refuse_suspended()?;
        refuse_foreign_guest(self.core(), user)?;
        self.user.refuse_unwelcome(user).await?;
        let face = self.face_of(user).await?;
        let mut content = member_content(MembershipState::Invite, reason, Some(face));
        if is_direct {
            content.insert("is_direct".to_owned(), true.into());
        }
        self.set_membership(user.to_owned(), content).await
    }

    /// Asks to be let in.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the room's rules forbid it, [`Error::NotFound`] if there is no such
    /// room, [`Error::Suspended`].
    pub async fn knock(&self, reason: Option<String>) -> Result<()> {
        self.user.refuse_suspended()?;
        let face = self.user.face().await?;
        let content = member_content(MembershipState::Knock, reason, Some(face));
        self.set_membership(self.me().to_owned(), content).await
    }

    /// Leaves the room, or refuses an invite to it; does nothing where the user is out of it
    /// already.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who never had anything to do with the room, and as
    /// [`Room::knock`].
    pub async fn leave(&self, reason: Option<String>) -> Result<()> {
        match self.membership_of(self.me()).await? {
            None => Err(Error::Forbidden("you are not in the room".to_owned())),
            Some(MembershipKind::Leave) => Ok(()),
            Some(_) => {
                let content = member_content(MembershipState::Leave, reason, None);
                let left = self.set_membership(self.me().to_owned(), content).await;
                self.unless_gone(left).await
            }
        }
    }

    /// To be refused to leave is no failure for one who has left meanwhile by another request.
    async fn unless_gone(&self, left: Result<()>) -> Result<()> {
        match left {
            Err(Error::Refused(_))
                if self.membership_of(self.me()).await? == Some(MembershipKind::Leave) =>
            {
                Ok(())
            }
            left => left,
        }
    }

    /// Removes `user` from the room, or takes an invite back.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is not in the room, and as [`Room::knock`].
    pub async fn kick(&self, user: &UserId, reason: Option<String>) -> Result<()> {
        self.user.refuse_suspended()?;
        let target = self.membership_of(user).await?;
        let removable = [MembershipKind::Join, MembershipKind::Invite, MembershipKind::Knock];
        if !target.is_some_and(|kind| removable.contains(&kind)) {
            return Err(Error::Forbidden("the user is not in the room".to_owned()));
        }
        let content = member_content(MembershipState::Leave, reason, None);
        self.set_membership(user.to_owned(), content).await
    }

    /// Removes `user` and keeps them out.
    ///
    /// # Errors
    ///
    /// As [`Room::knock`].
    pub async fn ban(&self, user: &UserId, reason: Option<String>) -> Result<()> {
        self.user.refuse_suspended()?;
        let content = member_content(MembershipState::Ban, reason, None);
        self.set_membership(user.to_owned(), content).await
    }

    /// Lets a banned `user` be invited or join again.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is not banned, and as [`Room::knock`].
    pub async fn unban(&self, user: &UserId, reason: Option<String>) -> Result<()> {
        self.user.refuse_suspended()?;
        if self.membership_of(user).await? != Some(MembershipKind::Ban) {
            return Err(Error::Forbidden("the user is not banned".to_owned()));
        }
        let content = member_content(MembershipState::Leave, reason, None);
        self.set_membership(user.to_owned(), content).await
    }

    /// The content of a state event that a client wrote: an invite also shows whom it invites, where
    /// the client does not say it.
    pub(super) async fn with_face_of_guest(
        &self,
        kind: &StateEventType,
        key: &str,
        content: Box<RawValue>,
    ) -> Result<Box<RawValue>> {
        let Some(guest) = guest_of(kind, key, &content) else { return Ok(content) };
        refuse_foreign_guest(self.core(), &guest)?;
        self.user.refuse_unwelcome(&guest).await?;
        let face = self.face_of(&guest).await?.into_content();
        let Ok(mut said) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(content.get())
        else {
            return Ok(content);
        };
        for (field, value) in face {
            said.entry(field).or_insert_with(|| to_raw_value(&value).expect("text is JSON"));
        }
        Ok(to_raw_value(&said).expect("an object is JSON"))
    }

    /// The face of a user of this server, whom others show.
    pub(super) async fn face_of(&self, user: &UserId) -> Result<Face> {
        User::new(self.core().clone(), user.to_owned()).face().await
    }

    async fn set_membership(&self, user: OwnedUserId, content: Map<String, Value>) -> Result<()> {
        let content = to_raw_value(&content).expect("an object is JSON");
        let (me, kind) = (self.me().to_owned(), StateEventType::RoomMember);
        self.put_once(Draft::state(me, kind, user.as_str(), content)).await.map(drop)
    }

    /// What `user` is to the room by its own list.
    pub(super) async fn membership_of(&self, user: &UserId) -> Result<Option<MembershipKind>> {
        Ok(self.member(user).await?.map(|member| member.kind))
    }

    async fn member(&self, user: &UserId) -> Result<Option<Member>> {
        let view = self.core().store.view().await?;
        let head = load_head(&view, &self.id).await?;
        events::member(&view, &head, user).await
    }
}

impl User {
    /// Refuses to invite one who does not want to be invited by this user.
    pub(crate) async fn refuse_unwelcome(&self, guest: &UserId) -> Result<()> {
        let view = self.core.store.view().await?;
        match Invitations::to(&view, guest).await?.by(&self.id) {
            Welcome::Blocked => Err(Error::InviteBlocked(guest.to_string())),
            Welcome::Told | Welcome::Ignored => Ok(()),
        }
    }
}

/// Refuses to invite a user whom the invite would never reach. This server does not federate yet.
pub(crate) fn refuse_foreign_guest(core: &Core, user: &UserId) -> Result<()> {
    if core.is_local(user.server_name()) {
        return Ok(());
    }
    let reason = "this server does not federate yet: it invites nobody of another server";
    Err(Error::Forbidden(reason.to_owned()))
}

/// Whom a state event invites, if it does.
pub(super) fn guest_of(
    kind: &StateEventType,
    key: &str,
    content: &RawValue,
) -> Option<OwnedUserId> {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    if *kind != StateEventType::RoomMember {
        return None;
    }
    let content: Content = serde_json::from_str(content.get()).ok()?;
    let invites = content.membership == MembershipState::Invite;
    UserId::parse(key).ok().filter(|_| invites).map(|user| user.to_owned())
}

/// Refuses a member event by which somebody would be called in a room as nobody may be called.
pub(super) fn refuse_unfit_name(kind: &StateEventType, content: &RawValue) -> Result<()> {
    #[derive(Deserialize)]
    struct Content {
        displayname: Option<String>,
    }
    if *kind != StateEventType::RoomMember {
        return Ok(());
    }
    let content = serde_json::from_str(content.get());
    match content.ok().and_then(|content: Content| content.displayname) {
        Some(name) if !name.is_empty() => Ok(check_display_name(&name)?),
        _ => Ok(()),
    }
}

/// The content of a member event.
pub(super) fn member_content(
    membership: MembershipState,
    reason: Option<String>,
    face: Option<Face>,
) -> Map<String, Value> {
    let mut content = face.map(Face::into_content).unwrap_or_default();
    content.insert("membership".to_owned(), json!(membership));
    if let Some(reason) = reason {
        content.insert("reason".to_owned(), reason.into());
    }
    content
}
