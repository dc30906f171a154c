//! What is done in a room for those who ask to be friends: a request is an invite to a room for two.
//!
//! A new room is made in one commit with the invite in it, and its create event was fixed before: so a
//! request may be placed again, by whoever finds that it was begun, and is there once.

use std::sync::Arc;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{Draft, NewRoom, Pdu, Preset};
use tertulia_storage::{Command, Partition, Tx};

use super::{
    Room,
    create::{begin, build_create, first_head},
    membership::member_content,
};
use crate::{
    Error, Result,
    core::{Core, User},
    events::{self, Head},
    presence,
    schema::{HEADS, PairRow, REMOVED_ROOMS, STATE},
};

impl User {
    /// The request to `other`, in a new room of the usual version.
    pub(crate) async fn new_request(
        &self,
        other: &UserId,
        reason: Option<String>,
    ) -> Result<PairRow> {
        let mut wishes = wishes(self, other).await?;
        // Where the create event names the room, two that are made at once would be the same.
        let nonce = self.core.random.word(18);
        wishes.creation_content.insert("org.tertulia.nonce".to_owned(), nonce.into());
        let rules = wishes.version.rules().ok_or(Error::UnsupportedRoomVersion)?;
        let create = drafts(&wishes)?.swap_remove(0);
        let create = build_create(&self.core, &rules, create, self.core.now())?;
        Ok(PairRow {
            by: self.id.clone(),
            room: create.room_id().to_owned(),
            version: wishes.version.to_string(),
            create: Some(create.json().get().to_owned()),
            replaces: None,
            reason,
        })
    }
}

/// The room for two. Whoever asks can take the invite back, so the other has a little less power; they
/// have enough for all else.
async fn wishes(by: &User, other: &UserId) -> Result<NewRoom> {
    let version = by.core.settings.default_room_version.clone();
    let rules = version.rules().ok_or(Error::UnsupportedRoomVersion)?;
    let users = match rules.authorization.explicitly_privilege_room_creators {
        true => json!({ other.as_str(): 100 }),
        false => json!({ by.id.as_str(): 100, other.as_str(): 99 }),
    };
    let mut room = NewRoom::new(by.id.clone(), version);
    room.creator_profile = by.face().await?.into_content();
    room.preset = Preset::PrivateChat;
    room.power_levels.insert("users".to_owned(), users);
    Ok(room)
}

fn drafts(wishes: &NewRoom) -> Result<Vec<Draft>> {
    tertulia_protocol::create(wishes).map_err(|_| Error::UnsupportedRoomVersion)
}

impl Room {
    /// Places a request of this user's in the room that was chosen for it, unless it was placed before,
    /// whatever has become of it since.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the user may not ask there any more, [`Error::NotFound`] if the room is gone.
    pub(crate) async fn place_request(&self, row: &PairRow, guest: &UserId) -> Result<()> {
        let start = match &row.create {
            Some(create) => Some(self.start(row, create, guest).await?),
            None => None,
        };
        let face = self.face_of(guest).await?;
        let mut content = member_content(MembershipState::Invite, row.reason.clone(), Some(face));
        content.insert("is_direct".to_owned(), true.into());
        let content = to_raw_value(&content).expect("an object is JSON");
        let kind = StateEventType::RoomMember;
        let place = Place {
            core: self.core().clone(),
            room: self.id.clone(),
            start,
            guest: guest.to_owned(),
            replaces: row.replaces.clone(),
            invite: Draft::state(self.me().to_owned(), kind, guest.as_str(), content),
            now: self.core().now(),
        };
        let placed = self.core().store.write(place).await?.out;
        presence::note_active(self.core(), self.me()).await?;
        placed.iter().for_each(|invite| drop(self.keep_sent(invite)));
        Ok(())
    }

    async fn start(&self, row: &PairRow, create: &str, guest: &UserId) -> Result<Start> {
        let rules = events::rules_of(&row.version)?;
        let create = Pdu::parse(create, &rules)
            .map_err(|_| Error::CorruptEvent("of a room for two".to_owned()))?;
        let mut wishes = wishes(&self.user, guest).await?;
        wishes.version =
            row.version.as_str().try_into().map_err(|_| Error::UnsupportedRoomVersion)?;
        let mut drafts = drafts(&wishes)?;
        drafts.remove(0);
        let head = first_head(&create, &row.version, rules);
        Ok(Start { head, create, drafts })
    }

    /// Ends the invite of `guest` that is in force: it is refused by themself, or taken back. Tells
    /// whether it was that one still.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the room's rules do not let the user take it back.
    pub(crate) async fn end_invite(&self, guest: &UserId, invite: &EventId) -> Result<bool> {
        let content = member_content(MembershipState::Leave, None, None);
        let content = to_raw_value(&content).expect("an object is JSON");
        let kind = StateEventType::RoomMember;
        let end = EndInvite {
            core: self.core().clone(),
            room: self.id.clone(),
            invite: invite.to_owned(),
            guest: guest.to_owned(),
            end: Draft::state(self.me().to_owned(), kind, guest.as_str(), content),
            now: self.core().now(),
        };
        let ended = self.core().store.write(end).await?.out;
        presence::note_active(self.core(), self.me()).await?;
        Ok(ended.map(|event| self.keep_sent(&event)).is_some())
    }
}

/// How a new room begins.
struct Start {
    head: Head,
    create: Pdu,
    drafts: Vec<Draft>,
}

/// The event that says what `user` is to a room.
async fn member_event(tx: &Tx, head: &Head, user: &UserId) -> Result<Option<OwnedEventId>> {
    let row = tx.get(&STATE, &head.slot("m.room.member", user.as_str())).await?;
    Ok(row.map(|row| row.event))
}

/// Places the invite of a request, and makes the room if it is to be made.
struct Place {
    core: Arc<Core>,
    room: OwnedRoomId,
    start: Option<Start>,
    guest: OwnedUserId,
    replaces: Option<OwnedEventId>,
    invite: Draft,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Place {
    /// The invite; none if it was there before.
    type Out = Option<Pdu>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Pdu>> {
        let key = (self.room.clone(),);
        let mut head = match (tx.get_guarded(&HEADS, &key).await?, &self.start) {
            (Some(row), _) => Head::new(self.room.clone(), row)?,
            (None, Some(start)) if tx.get(&REMOVED_ROOMS, &key).await?.is_none() => {
                self.begin(tx, start).await?
            }
            (None, _) => return Err(Error::NotFound("room")),
        };
        if member_event(tx, &head, &self.guest).await? != self.replaces {
            return Ok(None);
        }
        let invite = self.invite.clone();
        events::append(tx, &self.core, &mut head, invite, self.now, None).await.map(Some)
    }
}

impl Place {
    async fn begin(&self, tx: &mut Tx, start: &Start) -> Result<Head> {
        let mut head = begin(tx, &self.core, start.head.clone(), &start.create).await?;
        for draft in start.drafts.iter().cloned() {
            events::append(tx, &self.core, &mut head, draft, self.now, None).await?;
        }
        Ok(head)
    }
}

/// Ends an invite, unless something else has come in its place.
struct EndInvite {
    core: Arc<Core>,
    room: OwnedRoomId,
    guest: OwnedUserId,
    invite: OwnedEventId,
    end: Draft,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for EndInvite {
    type Out = Option<Pdu>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Pdu>> {
        let mut head = events::guard_head(tx, &self.room).await?;
        if member_event(tx, &head, &self.guest).await?.as_ref() != Some(&self.invite) {
            return Ok(None);
        }
        let end = self.end.clone();
        events::append(tx, &self.core, &mut head, end, self.now, None).await.map(Some)
    }
}
