//! Friends: users who are in a direct room with each other.
//!
//! Nothing of its own says who is a friend: it is read from the memberships of both in their direct
//! rooms (`events/direct.rs`), so that any client that joins such a room accepts, and any that leaves
//! it refuses or ends it. Only a request on its way has a row, that of the pair: there both meet who
//! ask each other at once, and whoever finds it there goes on with it.

mod find;
mod list;
mod request;

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{ContactPolicy, Friendship, Welcome};
use tertulia_storage::View;

pub use self::{
    find::{FoundPeople, FoundPerson},
    list::{Friend, FriendsPage},
};
use crate::{
    Error, Result, Room, User,
    events::{Counted, Invitations, contact_policy, direct_rooms, direct_with, friendship},
    rooms::refuse_foreign_guest,
    schema::{MEMBERSHIPS, Membership, MembershipKind},
    users,
};

/// The friends of a user, as the one who acts.
#[derive(Clone, Debug)]
pub struct Friends {
    user: User,
}

impl User {
    /// The user's friends, and those who ask to be or are asked.
    pub fn friends(&self) -> Friends {
        Friends { user: self.clone() }
    }
}

impl Friends {
    /// What `other` is to the user. Of one whose invites the user does not want to hear, who asks, that
    /// is a stranger.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such user here.
    pub async fn status(&self, other: &UserId) -> Result<Friendship<OwnedRoomId>> {
        let view = self.user.core.store.view().await?;
        self.known_user(&view, other).await?;
        let known = friendship(&view, &self.user.id, other, Counted::Told).await?;
        let asks = matches!(known, Friendship::Asking(_));
        let unheard =
            asks && Invitations::to(&view, &self.user.id).await?.by(other) != Welcome::Told;
        Ok(if unheard { Friendship::Stranger } else { known })
    }

    /// The user whom somebody means by `name`: a whole ID, or its part before the colon.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if nobody can be called so.
    pub fn called(&self, name: &str) -> Result<OwnedUserId> {
        let here = users::existing_id(name, &self.user.core.name);
        let user = here.or_else(|| UserId::parse(name).ok().map(|id| id.to_owned()));
        user.ok_or(Error::NotFound("user"))
    }

    /// With whom each of some rooms is direct for the user; with nobody, if it is for more than two.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be read.
    pub async fn in_rooms(&self, rooms: &[OwnedRoomId]) -> Result<Vec<Vec<OwnedUserId>>> {
        let view = self.user.core.store.view().await?;
        direct_with(&view, &self.user.id, rooms).await
    }

    /// Who may invite the user; see [`ContactPolicy`].
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be read.
    pub async fn contact_policy(&self) -> Result<ContactPolicy> {
        contact_policy(&self.user.core.store.view().await?, &self.user.id).await
    }

    /// Says who may invite the user from now on. It is account data, as which clients see and set it.
    ///
    /// # Errors
    ///
    /// [`Error::Deactivated`] if the account was closed.
    pub async fn set_contact_policy(&self, policy: ContactPolicy) -> Result<()> {
        let content = to_raw_value(&json!({ "who": policy.name() })).expect("JSON serialises");
        self.user.set_account_data(None, ContactPolicy::KIND, content).await
    }

    /// Accepts the request of `other`; does nothing where they are a friend already. Tells the room for
    /// the two.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if they do not ask, or not any more.
    pub async fn accept(&self, other: &UserId) -> Result<Room> {
        let view = self.user.core.store.view().await?;
        match friendship(&view, &self.user.id, other, Counted::Sent).await? {
            Friendship::Friend(room) => Ok(self.user.room(&room)),
            Friendship::Asking(room) => {
                let room = self.user.room(&room);
                match room.join(None).await {
                    // It was taken back meanwhile.
                    Err(Error::Refused(_)) => Err(no_request()),
                    joined => joined.map(|()| room),
                }
            }
            _ => Err(no_request()),
        }
    }

    /// Refuses the request of `other`, who learns only that it does not wait any more.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if they do not ask, or not any more.
    pub async fn refuse(&self, other: &UserId) -> Result<()> {
        let mut refused = false;
        for Direct { room, mine, theirs } in self.rooms_with(other).await? {
            let asks = is(theirs.as_ref(), MembershipKind::Join);
            let Some(invite) = mine.filter(|mine| asks && mine.kind == MembershipKind::Invite)
            else {
                continue;
            };
            if room.end_invite(&self.user.id, &invite.event).await? {
                room.forget().await?;
                refused = true;
            }
        }
        if refused { Ok(()) } else { Err(no_request()) }
    }

    /// Takes the request to `other` back. Where the room's rules do not let the user do so, they leave
    /// the room.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user does not ask, or not any more.
    pub async fn withdraw(&self, other: &UserId) -> Result<()> {
        let mut withdrawn = false;
        for Direct { room, mine, theirs } in self.rooms_with(other).await? {
            let asks = is(mine.as_ref(), MembershipKind::Join);
            let Some(invite) =
                theirs.filter(|theirs| asks && theirs.kind == MembershipKind::Invite)
            else {
                continue;
            };
            withdrawn |= match room.end_invite(other, &invite.event).await {
                Err(Error::Refused(_)) => self.leave_for_good(&room).await.map(|()| true)?,
                ended => ended?,
            };
        }
        if withdrawn { Ok(()) } else { Err(no_request()) }
    }

    /// Ends the friendship with `other`: the user leaves and forgets all direct rooms with them. So does one
    /// whom they left alone there. If that was interrupted, to ask for it again goes on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if they are no friend, and left the user nowhere.
    pub async fn delete(&self, other: &UserId) -> Result<()> {
        let rooms = self.rooms_with(other).await?;
        let was_friend = |direct: &Direct| {
            let (mine, theirs) = (direct.mine.as_ref(), direct.theirs.as_ref());
            let were_in = is(theirs, MembershipKind::Join) || theirs.is_some_and(is_left);
            is(mine, MembershipKind::Join) && were_in
                || mine.is_some_and(|mine| is_left(mine) && !mine.forgotten)
        };
        if !rooms.iter().any(was_friend) {
            return Err(Error::NotFound("friend"));
        }
        for Direct { room, mine, .. } in rooms {
            if mine.is_some_and(|mine| !(is_left(&mine) && mine.forgotten)) {
                self.leave_for_good(&room).await?;
            }
        }
        Ok(())
    }

    async fn leave_for_good(&self, room: &Room) -> Result<()> {
        room.leave(None).await?;
        room.forget().await
    }

    /// The direct rooms of the user with `other`.
    async fn rooms_with(&self, other: &UserId) -> Result<Vec<Direct>> {
        let view = self.user.core.store.view().await?;
        let me = &self.user.id;
        if me == other {
            return Ok(Vec::new());
        }
        let rooms = direct_rooms(&view, me, other).await?;
        let keys = |user: &UserId| -> Vec<_> {
            rooms.iter().map(|room| (user.to_owned(), room.clone())).collect()
        };
        let mine = view.get_many(&MEMBERSHIPS, &keys(me)).await?;
        let theirs = view.get_many(&MEMBERSHIPS, &keys(other)).await?;
        let rooms = rooms.iter().map(|room| self.user.room(room));
        let rooms = rooms.zip(mine).zip(theirs);
        Ok(rooms.map(|((room, mine), theirs)| Direct { room, mine, theirs }).collect())
    }

    /// Refuses those who cannot be a friend, whatever they wish.
    async fn known_user(&self, view: &View, other: &UserId) -> Result<()> {
        if *other == *self.user.id {
            return Err(Error::Forbidden("nobody is their own friend".to_owned()));
        }
        refuse_foreign_guest(&self.user.core, other)?;
        match users::account(view, other).await? {
            Some(account) if account.deactivated.is_none() => Ok(()),
            _ => Err(Error::NotFound("user")),
        }
    }
}

/// A direct room, and what both are to it.
struct Direct {
    room: Room,
    mine: Option<Membership>,
    theirs: Option<Membership>,
}

fn is(membership: Option<&Membership>, kind: MembershipKind) -> bool {
    membership.is_some_and(|membership| membership.kind == kind)
}

fn is_left(membership: &Membership) -> bool {
    matches!(membership.kind, MembershipKind::Leave | MembershipKind::Ban)
}

fn no_request() -> Error {
    Error::NotFound("friend request")
}

#[cfg(test)]
mod tests;
