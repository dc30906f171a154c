//! The lists of a room's members and of a user's rooms, which follow from its member events.

use ruma::{OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tertulia_protocol::Pdu;
use tertulia_storage::{Position, Tx};

use super::{
    Head, contacts, direct, redact,
    requests::{self, Moved},
    roster,
};
use crate::{
    Result,
    core::Core,
    log,
    schema::{MEMBERSHIPS, Member, Membership, MembershipKind, StateChange},
};

/// What the lists need of a member event's content. Wrong types, and what is nested too deeply to be
/// read, count as absent.
#[derive(Debug, Default)]
pub(crate) struct MemberContent {
    pub(crate) membership: Option<MembershipKind>,
    pub(crate) displayname: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) is_direct: bool,
}

impl MemberContent {
    pub(crate) fn of(pdu: &Pdu) -> Self {
        #[derive(Deserialize)]
        struct Lenient<'a> {
            #[serde(borrow)]
            membership: Option<&'a RawValue>,
            #[serde(borrow)]
            displayname: Option<&'a RawValue>,
            #[serde(borrow)]
            avatar_url: Option<&'a RawValue>,
            #[serde(borrow)]
            is_direct: Option<&'a RawValue>,
        }
        let Some(raw) = pdu.content_as::<Lenient<'_>>() else {
            return Self::default();
        };
        let text = |value: Option<&RawValue>| serde_json::from_str::<String>(value?.get()).ok();
        Self {
            membership: text(raw.membership).and_then(|name| MembershipKind::named(&name)),
            displayname: text(raw.displayname),
            avatar_url: text(raw.avatar_url),
            is_direct: raw.is_direct.is_some_and(|value| value.get() == "true"),
        }
    }

    /// The row of the room's list, where this is the content of `event`.
    fn row(self, event: &Pdu) -> Option<Member> {
        let Self { membership, displayname, avatar_url, .. } = self;
        Some(Member { kind: membership?, event: event.event_id().clone(), displayname, avatar_url })
    }
}

/// Notes one changed member slot in the lists; `pdu` is the event that changed it or led to it.
pub(crate) async fn note(
    tx: &mut Tx,
    core: &Core,
    head: &mut Head,
    position: Position,
    change: &StateChange,
    pdu: &Pdu,
) -> Result<()> {
    let Ok(user) = UserId::parse(change.key.as_str()).map(|user| user.to_owned()) else {
        return Ok(());
    };
    let member = match &change.event {
        Some(id) if id == pdu.event_id() => Some(pdu.clone()),
        Some(id) => Some(redact::load_as_told(tx, core, head, id).await?),
        None => None,
    };
    let content = member.as_ref().map(MemberContent::of).unwrap_or_default();
    let asking = Asking::of(tx, core, &head.room, &user, &content, member.as_ref()).await?;
    let moved = Moved {
        user: &user,
        content: &content,
        event: member.as_ref(),
        asking,
        because: pdu,
        position,
    };
    requests::note(tx, core, head, moved).await?;
    let row = member.and_then(|member| content.row(&member));
    list_member(tx, head, &user, row.as_ref()).await?;
    if core.is_local(user.server_name()) {
        list_room(tx, head, position, user, row, asking).await?;
    }
    Ok(())
}

/// What an invite asks of its user; nothing where a member event is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asking {
    /// Into a direct room.
    pub(super) direct: bool,
    /// By one whom the user does not want to hear from.
    pub(super) unwelcome: bool,
}

impl Asking {
    /// What the member event of `user` asks. That a room is direct by it is noted.
    pub(super) async fn of(
        tx: &mut Tx,
        core: &Core,
        room: &RoomId,
        user: &OwnedUserId,
        content: &MemberContent,
        event: Option<&Pdu>,
    ) -> Result<Self> {
        let is_invite = content.membership == Some(MembershipKind::Invite);
        let Some(invite) = event.filter(|_| is_invite) else { return Ok(Self::default()) };
        let asker = invite.sender();
        if content.is_direct {
            direct::note_invite(tx, core, room, asker, user).await?;
        }
        let is_local = core.is_local(user.server_name());
        let unwelcome = is_local && !contacts::admits(tx, user, asker).await?;
        Ok(Self { direct: content.is_direct, unwelcome })
    }
}

/// What a member event, without what was redacted of it, makes of its user; none if it does not say.
pub(super) fn row_of(event: &Pdu) -> Option<Member> {
    MemberContent::of(event).row(event)
}

/// Writes the room's list and counts.
async fn list_member(
    tx: &mut Tx,
    head: &mut Head,
    user: &UserId,
    row: Option<&Member>,
) -> Result<()> {
    let before = roster::member(tx, head, user).await?.map(|member| member.kind);
    let row_kind = row.map(|member| member.kind);
    count(&mut head.row.joined, MembershipKind::Join, before, row_kind);
    count(&mut head.row.invited, MembershipKind::Invite, before, row_kind);
    roster::put_member(tx, head.base(), user, row);
    Ok(())
}

pub(super) fn count(
    total: &mut u64,
    counted: MembershipKind,
    before: Option<MembershipKind>,
    after: Option<MembershipKind>,
) {
    *total += u64::from(after == Some(counted));
    *total = total.saturating_sub(u64::from(before == Some(counted)));
}

/// Writes the user's own list.
async fn list_room(
    tx: &mut Tx,
    head: &Head,
    position: Position,
    user: OwnedUserId,
    member: Option<Member>,
    asking: Asking,
) -> Result<()> {
    tx.wake(log::user_topic(&user));
    tx.wake(log::direct_topic());
    let key = (user, head.room.clone());
    let old = tx.get(&MEMBERSHIPS, &key).await?;
    match member {
        Some(member) => {
            let row = next_membership(old, &member, position, head.row.stretch, asking);
            tx.put(&MEMBERSHIPS, &key, &row);
        }
        None => tx.delete(&MEMBERSHIPS, &key),
    }
    Ok(())
}

/// The user's membership after a member event.
pub(super) fn next_membership(
    old: Option<Membership>,
    member: &Member,
    position: Position,
    stretch: u32,
    asking: Asking,
) -> Membership {
    let kind = member.kind;
    let same = old.as_ref().filter(|old| old.kind == kind);
    let since = same.map_or(position, |old| old.since);
    let before = match same {
        Some(old) => old.before,
        None => old.as_ref().map(|old| old.kind),
    };
    let was_joined = old.as_ref().is_some_and(|old| old.kind == MembershipKind::Join);
    let joined = match (kind == MembershipKind::Join, was_joined) {
        (true, false) => Some((position, None)),
        (false, true) => {
            old.as_ref().and_then(|old| old.joined).map(|(from, _)| (from, Some(position)))
        }
        _ => old.as_ref().and_then(|old| old.joined),
    };
    let keeps_direct = matches!(kind, MembershipKind::Join)
        && old.as_ref().is_some_and(|old| {
            matches!(old.kind, MembershipKind::Invite | MembershipKind::Join) && old.direct
        });
    // How an invite ended that was not told is not told either.
    let stays_untold = matches!(kind, MembershipKind::Leave | MembershipKind::Ban)
        && old.as_ref().is_some_and(|old| old.unwelcome);
    // What a user sees who is not in the room lies where the last stay was.
    let stretch = match (kind, &old) {
        (MembershipKind::Join, _) | (_, None) => stretch,
        (_, Some(old)) => old.stretch,
    };
    Membership {
        kind,
        event: member.event.clone(),
        at: position,
        since,
        before,
        joined,
        stretch,
        // A stay that was forgotten stays so, whatever becomes of the user until the next one.
        forgotten: kind != MembershipKind::Join && old.is_some_and(|old| old.forgotten),
        direct: asking.direct || keeps_direct,
        unwelcome: asking.unwelcome || stays_untold,
    }
}

#[cfg(test)]
mod tests {
    use super::{MembershipKind::*, *};

    #[track_caller]
    fn check_content(content: &str, expected: (Option<MembershipKind>, Option<&str>, bool)) {
        let json = format!(
            r#"{{"auth_events":[],"content":{content},"depth":1,"origin_server_ts":1,"prev_events":[],"room_id":"!r:x","sender":"@a:x","state_key":"@a:x","type":"m.room.member"}}"#
        );
        let rules = ruma::RoomVersionId::V11.rules().unwrap();
        let id = ruma::event_id!("$e").to_owned();
        let pdu = Pdu::load(id, json.as_bytes(), &rules).unwrap();
        let read = MemberContent::of(&pdu);
        let displayname = read.displayname.as_deref();
        assert_eq!((read.membership, displayname, read.is_direct), expected, "{content}");
    }

    #[test]
    fn what_is_of_a_wrong_type_leaves_the_rest_as_it_is() {
        check_content(r#"{"membership":"join","displayname":"A"}"#, (Some(Join), Some("A"), false));
        check_content(r#"{"membership":"invite","is_direct":true}"#, (Some(Invite), None, true));
        for odd in [
            "null",
            "7",
            r#"["A"]"#,
            r#"{"$serde_json::private::RawValue":"x"}"#,
            &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
        ] {
            let content =
                format!(r#"{{"membership":"join","displayname":{odd},"is_direct":{odd}}}"#);
            check_content(&content, (Some(Join), None, false));
        }
        check_content(r#"{"membership":["join"],"displayname":"A"}"#, (None, Some("A"), false));
    }

    /// Runs a user's member events, one a position, and tells the row at the end.
    fn after(kinds: &[MembershipKind]) -> Membership {
        let mut row = None;
        for (position, kind) in (1..).zip(kinds) {
            let member = Member {
                kind: *kind,
                event: ruma::event_id!("$e").to_owned(),
                displayname: None,
                avatar_url: None,
            };
            let asking = Asking { direct: *kind == Invite, unwelcome: false };
            row = Some(next_membership(row, &member, Position::new(position), 0, asking));
        }
        row.expect("there was an event")
    }

    #[track_caller]
    fn check(
        kinds: &[MembershipKind],
        since: u64,
        before: Option<MembershipKind>,
        joined: Option<(u64, Option<u64>)>,
    ) {
        let row = after(kinds);
        assert_eq!(row.since, Position::new(since), "{kinds:?}");
        assert_eq!(row.at, Position::new(kinds.len() as u64), "{kinds:?}");
        assert_eq!(row.before, before, "{kinds:?}");
        let joined = joined.map(|(from, to)| (Position::new(from), to.map(Position::new)));
        assert_eq!(row.joined, joined, "{kinds:?}");
    }

    #[test]
    fn a_membership_begins_when_it_changes_not_when_it_is_repeated() {
        check(&[Join], 1, None, Some((1, None)));
        check(&[Join, Join], 1, None, Some((1, None)));
        check(&[Invite, Join, Join], 2, Some(Invite), Some((2, None)));
    }

    #[test]
    fn the_last_stay_is_remembered_after_leaving() {
        check(&[Join, Leave], 2, Some(Join), Some((1, Some(2))));
        check(&[Join, Leave, Ban], 3, Some(Leave), Some((1, Some(2))));
        check(&[Join, Ban], 2, Some(Join), Some((1, Some(2))));
        check(&[Join, Leave, Invite], 3, Some(Leave), Some((1, Some(2))));
        check(&[Join, Leave, Join], 3, Some(Leave), Some((3, None)));
        check(&[Invite, Leave], 2, Some(Invite), None);
    }

    #[test]
    fn a_stay_that_was_forgotten_stays_so_until_the_next() {
        let member = |kind| {
            let event = ruma::event_id!("$e").to_owned();
            Member { kind, event, displayname: None, avatar_url: None }
        };
        for (kind, forgotten) in
            [(Leave, true), (Ban, true), (Invite, true), (Knock, true), (Join, false)]
        {
            let old = Membership { forgotten: true, ..after(&[Join, Leave]) };
            let row =
                next_membership(Some(old), &member(kind), Position::new(3), 0, Asking::default());
            assert_eq!(row.forgotten, forgotten, "{kind:?}");
        }
    }

    #[test]
    fn a_direct_invite_makes_a_direct_room_until_it_is_left() {
        assert!(after(&[Invite]).direct);
        assert!(after(&[Invite, Join, Join]).direct);
        assert!(!after(&[Invite, Leave]).direct);
        assert!(!after(&[Invite, Leave, Join]).direct);
    }

    #[test]
    fn how_an_unwelcome_invite_ended_is_as_unwelcome() {
        let check = |kinds: &[MembershipKind], expected: bool| {
            let mut row = None;
            for kind in kinds {
                let event = ruma::event_id!("$e").to_owned();
                let member = Member { kind: *kind, event, displayname: None, avatar_url: None };
                let asking = Asking { direct: false, unwelcome: *kind == Invite };
                row = Some(next_membership(row, &member, Position::new(1), 0, asking));
            }
            assert_eq!(row.unwrap().unwelcome, expected, "{kinds:?}");
        };
        check(&[Invite], true);
        check(&[Join, Leave, Invite, Leave, Ban, Leave], true);
        check(&[Invite, Join], false);
        check(&[Invite, Join, Leave], false);
        check(&[Invite, Leave, Knock], false);
    }

    #[test]
    fn who_is_out_sees_the_stretch_of_the_last_stay() {
        let event = ruma::event_id!("$e").to_owned();
        let member =
            |kind| Member { kind, event: event.clone(), displayname: None, avatar_url: None };
        let mut row = None;
        for (kind, stretch, seen) in
            [(Invite, 1, 1), (Leave, 2, 1), (Join, 3, 3), (Leave, 3, 3), (Ban, 4, 3), (Join, 5, 5)]
        {
            let (at, asking) = (Position::new(1), Asking::default());
            row = Some(next_membership(row, &member(kind), at, stretch, asking));
            assert_eq!(row.as_ref().unwrap().stretch, seen, "{kind:?}");
        }
    }

    #[test]
    fn counts_follow_the_change_and_never_fall_below_zero() {
        let mut total = 5;
        count(&mut total, Join, None, Some(Join));
        assert_eq!(total, 6);
        count(&mut total, Join, Some(Join), Some(Join));
        assert_eq!(total, 6);
        count(&mut total, Join, Some(Join), Some(Leave));
        assert_eq!(total, 5);
        let mut none = 0;
        count(&mut none, Join, Some(Join), None);
        assert_eq!(none, 0);
    }
}
