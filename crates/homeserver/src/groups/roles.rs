//! Who may do what in a group, in words: owners, admins and members.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId, RoomId, UserId, events::StateEventType,
};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{Draft, JsonObject, Pdu, Power, Role, RoleChange, Slot, changed_levels};
use tertulia_storage::{Command, Partition, Tx, View};

use super::Groups;
use crate::{
    Error, Result,
    core::Core,
    events::{self, Head, current_slots},
    schema::MembershipKind,
};

impl Groups {
    /// Gives `user`, who is in the group or invited to it, another role.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such group or member; [`Error::Refused`] if the user who
    /// acts may not do it; [`Error::Forbidden`] if the group would have no owner.
    pub async fn set_role(&self, group: &RoomId, user: &UserId, role: Role) -> Result<()> {
        self.change(group, RoleChange::Give(user.to_owned(), role)).await
    }

    /// Makes `user` an owner, and the user who acts an admin.
    ///
    /// # Errors
    ///
    /// As [`Groups::set_role`]; [`Error::Forbidden`] for one who created a group of a version whose
    /// creators stay its owners.
    pub async fn hand_over(&self, group: &RoomId, user: &UserId) -> Result<()> {
        let (from, to) = (self.user.id.clone(), user.to_owned());
        self.change(group, RoleChange::HandOver { from, to }).await
    }

    /// Says whether only admins and owners speak in the group.
    ///
    /// # Errors
    ///
    /// As [`Groups::set_role`].
    pub async fn set_announcements_only(&self, group: &RoomId, only: bool) -> Result<()> {
        self.change(group, RoleChange::Announcements(only)).await
    }

    async fn change(&self, group: &RoomId, change: RoleChange) -> Result<()> {
        let core = self.user.core.clone();
        let (room, by, now) = (group.to_owned(), self.user.id.clone(), core.now());
        let changed =
            core.store.write(Change { core: core.clone(), room, by, change, now }).await?.out;
        if let Some(changed) = changed {
            self.user.room(group).keep_sent(&changed);
        }
        Ok(())
    }
}

/// Changes the power levels of a group as they are then; tells the event, if anything changes.
struct Change {
    core: Arc<Core>,
    room: OwnedRoomId,
    by: OwnedUserId,
    change: RoleChange,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Change {
    type Out = Option<Pdu>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Pdu>> {
        let mut head = events::guard_head(tx, &self.room).await?;
        let (power, levels) = levels(tx, &self.core, &head).await?;
        self.check_concerned(tx, &head, &power).await?;
        let changed = changed_levels(levels.clone(), &self.change);
        if changed == levels {
            return Ok(None);
        }
        let content = to_raw_value(&changed).expect("an object is JSON");
        let draft = Draft::state(self.by.clone(), StateEventType::RoomPowerLevels, "", content);
        let appended = events::append(tx, &self.core, &mut head, draft, self.now, None).await?;
        if !matches!(self.change, RoleChange::Announcements(_)) {
            check_owned(tx, &self.core, &head).await?;
        }
        Ok(Some(appended))
    }
}

impl Change {
    /// Whose role it is must be in the group, and not have one that cannot be taken.
    async fn check_concerned(&self, tx: &Tx, head: &Head, power: &Power) -> Result<()> {
        let stays = |user: &UserId| {
            power.is_above_levels(user).then(|| {
                let words = "whoever created a group of this version stays its owner";
                Error::Forbidden(words.to_owned())
            })
        };
        let (concerned, refusal) = match &self.change {
            RoleChange::Give(user, _) => (user, stays(user)),
            RoleChange::HandOver { from, to } => (to, stays(from).or_else(|| stays(to))),
            RoleChange::Announcements(_) => return Ok(()),
        };
        let member = events::member(tx, head, concerned).await?.map(|member| member.kind);
        match (member, refusal) {
            (Some(MembershipKind::Join | MembershipKind::Invite), None) => Ok(()),
            (Some(MembershipKind::Join | MembershipKind::Invite), Some(refusal)) => Err(refusal),
            _ => Err(Error::NotFound("member")),
        }
    }
}

/// A group has an owner who is in it.
pub(super) async fn check_owned(tx: &Tx, core: &Core, head: &Head) -> Result<()> {
    let (power, _) = levels(tx, core, head).await?;
    for owner in power.named().filter(|user| Role::of(power.of(user)) == Role::Owner) {
        let member = events::member(tx, head, &owner).await?;
        if member.is_some_and(|member| member.kind == MembershipKind::Join) {
            return Ok(());
        }
    }
    Err(Error::Forbidden("a group needs an owner; hand it over first".to_owned()))
}

/// The powers in a room, and the content they come from. Where nothing was said of them, it is said
/// what goes without saying.
pub(super) async fn levels(view: &View, core: &Core, head: &Head) -> Result<(Power, JsonObject)> {
    let slots: [Slot; 2] = [StateEventType::RoomCreate, StateEventType::RoomPowerLevels]
        .map(|kind| (kind, String::new()));
    let state = current_slots(view, core, head, &slots).await?;
    let create = state.get(&StateEventType::RoomCreate, "").ok_or(Error::NotFound("room"))?;
    let levels = state.get(&StateEventType::RoomPowerLevels, "");
    let power = Power::new(&head.rules, create, levels);
    let content = levels.and_then(|levels| serde_json::from_str(levels.content().get()).ok());
    let content = content.unwrap_or_else(|| {
        let creators = power.creators().filter(|user| !power.is_above_levels(user));
        let users: JsonObject = creators.map(|user| (user.to_string(), json!(100))).collect();
        JsonObject::from_iter([("users".to_owned(), users.into())])
    });
    Ok((power, content))
}
