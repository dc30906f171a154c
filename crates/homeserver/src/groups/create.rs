//! Beginning a group, and ending one.

use std::sync::Arc;

use futures_util::future::try_join_all;
use ruma::{
    OwnedMxcUri, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId, events::StateEventType,
};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{InitialState, NewRoom, Preset, Role, check_display_name, check_topic};
use tertulia_storage::{Command, Direction, Partition, Tx};

use super::{Groups, roles::levels};
use crate::{
    Error, Homeserver, Result, Room, User,
    directory::Visibility,
    events::{load_head, member, members},
    rooms::refuse_foreign_guest,
    schema::{ACCOUNTS, Account, DISSOLVED_GROUPS, Member, MembershipKind},
};

/// How many members are looked at together.
const PAGE: usize = 200;
/// How many are removed at once, to share what a commit costs.
const AT_ONCE: usize = 20;

/// What a user wants of a new group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewGroup {
    /// How it is called; nothing if this is empty.
    pub name: Option<String>,
    /// What it is about; nothing if this is empty.
    pub topic: Option<String>,
    /// Its picture.
    pub avatar_url: Option<OwnedMxcUri>,
    /// Whom to invite.
    pub members: Vec<OwnedUserId>,
    /// Whether everyone finds and joins it; otherwise those who are invited join, and others ask.
    pub public: bool,
}

/// In later versions whoever created a room can never hand it over.
const VERSION: RoomVersionId = RoomVersionId::V11;

impl Groups {
    /// Makes a group, with the user who acts as its owner.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if somebody is to be invited who is not here; [`Error::UnfitName`] for a name
    /// or a topic that cannot be shown, [`Error::Invalid`] for a picture that is no `mxc://` URI; and
    /// those of [`User::create_room_as`].
    pub async fn create(&self, group: NewGroup) -> Result<Room> {
        self.user.refuse_suspended()?;
        let group = fit(group)?;
        self.refuse_unknown(&group.members).await?;
        let visibility = if group.public { Visibility::Public } else { Visibility::Private };
        self.user.create_room_as(room_of(&self.user.id, group), visibility).await
    }

    /// Refuses to invite whom no invitation would reach.
    async fn refuse_unknown(&self, members: &[OwnedUserId]) -> Result<()> {
        let core = &self.user.core;
        members.iter().try_for_each(|member| refuse_foreign_guest(core, member))?;
        let keys: Vec<_> = members.iter().map(|member| (member.clone(),)).collect();
        let accounts = core.store.view().await?.get_many(&ACCOUNTS, &keys).await?;
        let is_here =
            |account: Option<Account>| account.is_some_and(|row| row.deactivated.is_none());
        if accounts.into_iter().all(is_here) { Ok(()) } else { Err(Error::NotFound("user")) }
    }

    /// Ends a group: nobody finds or joins it any more, everyone is removed, and at last the user who
    /// acts leaves. What was begun goes on at the next start of the server.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who is no owner of it.
    pub async fn dissolve(&self, group: &RoomId) -> Result<()> {
        self.user.refuse_suspended()?;
        let core = &self.user.core;
        let view = core.store.view().await?;
        let head = load_head(&view, group).await?;
        let me = member(&view, &head, &self.user.id).await?;
        let (power, _) = levels(&view, core, &head).await?;
        let is_in = me.is_some_and(|me| me.kind == MembershipKind::Join);
        if !is_in || Role::of(power.of(&self.user.id)) != Role::Owner {
            return Err(Error::Forbidden("only an owner may end the group".to_owned()));
        }
        let begin = Note { group: group.to_owned(), by: Some(self.user.id.clone()) };
        core.store.write(begin).await?;
        end(&self.user, group).await
    }
}

/// The group, if everyone can be shown what it is called, what it is about and how it looks.
fn fit(mut group: NewGroup) -> Result<NewGroup> {
    // Forms send what nobody filled in so.
    group.name = group.name.filter(|name| !name.is_empty());
    group.topic = group.topic.filter(|topic| !topic.is_empty());
    group.name.as_deref().map_or(Ok(()), check_display_name)?;
    group.topic.as_deref().map_or(Ok(()), check_topic)?;
    if group.avatar_url.as_ref().is_some_and(|url| !url.is_valid()) {
        return Err(Error::Invalid("the avatar URL"));
    }
    Ok(group)
}

/// The room that a group is.
fn room_of(creator: &UserId, group: NewGroup) -> NewRoom {
    let state = |kind: StateEventType, content: serde_json::Value| {
        let content = to_raw_value(&content).expect("an object is JSON");
        InitialState { kind, state_key: String::new(), content }
    };
    let avatar =
        group.avatar_url.map(|url| state(StateEventType::RoomAvatar, json!({ "url": url })));
    // Who is not invited may ask to be let in.
    let knock = (!group.public)
        .then(|| state(StateEventType::RoomJoinRules, json!({ "join_rule": "knock" })));
    NewRoom {
        preset: if group.public { Preset::PublicChat } else { Preset::PrivateChat },
        name: group.name,
        topic: group.topic,
        initial_state: avatar.into_iter().chain(knock).collect(),
        invite: group.members,
        ..NewRoom::new(creator.to_owned(), VERSION)
    }
}

/// Takes every step of ending a group. Each may be repeated.
async fn end(owner: &User, group: &RoomId) -> Result<()> {
    let room = owner.room(group);
    close(&room).await?;
    let mut after = None;
    loop {
        let view = owner.core.store.view().await?;
        let page = members(&view, &load_head(&view, group).await?, after.as_deref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        let is_other = |(user, row): &(OwnedUserId, Member)| {
            use MembershipKind::{Invite, Join, Knock};
            *user != owner.id && matches!(row.kind, Join | Invite | Knock)
        };
        let others: Vec<_> = page.into_iter().filter(is_other).map(|(user, _)| user).collect();
        for others in others.chunks(AT_ONCE) {
            try_join_all(others.iter().map(|other| remove(&room, other))).await?;
        }
    }
    room.leave(None).await?;
    owner.core.store.write(Note { group: group.to_owned(), by: None }).await?;
    Ok(())
}

/// Nobody is to find the group any more, or to come into it.
async fn close(room: &Room) -> Result<()> {
    pass_over(room, room.set_visibility(Visibility::Private).await)?;
    let rule = to_raw_value(&json!({ "join_rule": "invite" })).expect("an object is JSON");
    pass_over(room, room.set_state(StateEventType::RoomJoinRules, "", rule).await.map(drop))
}

async fn remove(room: &Room, other: &UserId) -> Result<()> {
    pass_over(room, room.kick(other, None).await)
}

/// What the room refuses, or has happened meanwhile, does not keep the rest from being done.
fn pass_over(room: &Room, done: Result<()>) -> Result<()> {
    match done {
        Err(error @ (Error::Refused(_) | Error::Forbidden(_))) => {
            tracing::info!(%error, room = %room.id(), "a group that ends keeps something as it was");
            Ok(())
        }
        done => done,
    }
}

/// Notes that a group is being ended by a user, or that it has ended.
pub(super) struct Note {
    pub(super) group: OwnedRoomId,
    pub(super) by: Option<OwnedUserId>,
}

impl Command for Note {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.group.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.group.clone(),);
        match &self.by {
            Some(by) => tx.put(&DISSOLVED_GROUPS, &key, &(by.clone(),)),
            None => tx.delete(&DISSOLVED_GROUPS, &key),
        }
        Ok(())
    }
}

impl Homeserver {
    /// Goes on with the ending of groups that a stop interrupted.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store fails.
    pub async fn go_on_dissolving(&self) -> Result<()> {
        let view = self.core.store.view().await?;
        let begun = view.scan(&DISSOLVED_GROUPS, &(), Direction::Forward, PAGE).await?;
        for ((group,), (owner,)) in begun {
            match end(&User::new(Arc::clone(&self.core), owner), &group).await {
                Err(Error::Storage(error)) => return Err(error.into()),
                // The room was removed meanwhile.
                Err(Error::NotFound(_)) => {
                    self.core.store.write(Note { group, by: None }).await?;
                }
                Err(error) => tracing::warn!(%error, %group, "a group was not ended"),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
