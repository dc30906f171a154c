//! Creating rooms.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, RoomId,
    room_version_rules::{RoomIdFormatVersion, RoomVersionRules},
    uint,
};
use tertulia_protocol::{AuthState, Draft, InitialState, Known, NewRoom, Pdu, Tip};
use tertulia_storage::{Command, Partition, Tx};

use super::{
    Room,
    membership::{guest_of, refuse_foreign_guest, refuse_unfit_name},
};
use crate::{
    Error, Result,
    core::{Core, User},
    events::{self, Head},
    schema::{HEADS, RoomHead},
};

/// How many first events go into one commit, which holds at most 500 rows.
pub(super) const BATCH: usize = 32;

/// How often a room is dated a millisecond later, because its creator made one like it in this one:
/// where the create event names the room, the two would be the same.
const TRIES: usize = 100;

impl User {
    /// Creates a room as `room` wishes, with this user as its creator.
    ///
    /// A room of many first events takes several commits; it exists from the first one on.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedRoomVersion`]; [`Error::Refused`] if what is wished for contradicts
    /// itself; [`Error::Suspended`]; [`Error::Forbidden`] for an invite of another server's user.
    pub async fn create_room(&self, mut room: NewRoom) -> Result<Room> {
        self.refuse_suspended()?;
        self.refuse_guests(&room).await?;
        room.creator.clone_from(&self.id);
        room.creator_profile = self.face().await?.into_content();
        for guest in &room.invite {
            let face = User::new(self.core.clone(), guest.clone()).face().await?;
            room.guest_profiles.insert(guest.clone(), face.into_content());
        }
        let mut now = self.core.now();
        for _ in 0..TRIES {
            match self.create_room_at(&room, now).await {
                Err(Error::Taken(_)) => now.0 += uint!(1),
                created => return created,
            }
        }
        self.create_room_at(&room, now).await
    }

    async fn create_room_at(
        &self,
        room: &NewRoom,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Room> {
        let rules = room.version.rules().ok_or(Error::UnsupportedRoomVersion)?;
        let mut drafts =
            tertulia_protocol::create(room).map_err(|_| Error::UnsupportedRoomVersion)?.into_iter();
        let first = drafts.next().expect("a room begins with its create event");
        let create = build_create(&self.core, &rules, first, now)?;
        let head = first_head(&create, room.version.as_str(), rules);
        let id = head.room.clone();
        let mut start = Some((head, create));
        let mut drafts = drafts.peekable();
        while start.is_some() || drafts.peek().is_some() {
            let batch = drafts.by_ref().take(BATCH).collect();
            let (core, room) = (self.core.clone(), id.clone());
            self.core
                .store
                .write(Begin { core, room, start: start.take(), drafts: batch, now })
                .await?;
        }
        Ok(self.room(&id))
    }
}

impl User {
    /// Refuses wishes for invites that would reach nobody, are not wanted, or give a guest an unfit name, before there
    /// is a room.
    async fn refuse_guests(&self, room: &NewRoom) -> Result<()> {
        for InitialState { kind, content, .. } in &room.initial_state {
            refuse_unfit_name(kind, content)?;
        }
        let state = room.initial_state.iter();
        let state = state.filter_map(|InitialState { kind, state_key, content }| {
            guest_of(kind, state_key, content)
        });
        for guest in room.invite.iter().cloned().chain(state) {
            refuse_foreign_guest(&self.core, &guest)?;
            self.refuse_unwelcome(&guest).await?;
        }
        Ok(())
    }
}

/// Builds the create event; where it does not name the room, its own ID does.
pub(super) fn build_create(
    core: &Core,
    rules: &RoomVersionRules,
    draft: Draft,
    now: MilliSecondsSinceUnixEpoch,
) -> Result<Pdu> {
    let named = rules.room_id_format == RoomIdFormatVersion::V1;
    let room = named.then(|| new_room_id(core));
    let tip = Tip {
        room: room.as_deref(),
        rules,
        prev_events: &[],
        depth: 0,
        state: &AuthState::default(),
        known: &Known::default(),
    };
    Ok(tertulia_protocol::append(&tip, draft, now, &core.signer)?)
}

fn new_room_id(core: &Core) -> OwnedRoomId {
    let id = format!("!{}:{}", core.random.word(18), core.name);
    RoomId::parse(id).expect("letters and a server name make a room ID").to_owned()
}

pub(super) fn first_head(create: &Pdu, version: &str, rules: RoomVersionRules) -> Head {
    let row = RoomHead::of_version(version);
    Head { room: create.room_id().to_owned(), rules, row }
}

/// Begins a room, or goes on with its first events.
struct Begin {
    core: Arc<Core>,
    room: OwnedRoomId,
    start: Option<(Head, Pdu)>,
    drafts: Vec<Draft>,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Begin {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let mut head = match &self.start {
            Some((head, create)) => begin(tx, &self.core, head.clone(), create).await?,
            None => events::guard_head(tx, &self.room).await?,
        };
        for draft in self.drafts.iter().cloned() {
            events::append(tx, &self.core, &mut head, draft, self.now, None).await?;
        }
        Ok(())
    }
}

/// Puts the create event into a room that does not exist yet.
pub(super) async fn begin(tx: &mut Tx, core: &Core, mut head: Head, create: &Pdu) -> Result<Head> {
    if tx.get_guarded(&HEADS, &(head.room.clone(),)).await?.is_some() {
        return Err(Error::Taken("room ID"));
    }
    let accepted = events::at_the_end(tx, &head, create.clone(), None).await?;
    events::place(tx, core, &mut head, accepted).await?;
    Ok(head)
}
