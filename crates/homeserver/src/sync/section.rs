//! In which section a room is told, and from where to where.

use tertulia_storage::Position;

use crate::schema::{Membership, MembershipKind};

/// What a client knows already, and what it wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Up to where the client was told; none if it knows nothing.
    pub(crate) since: Option<Position>,
    /// Up to where it was told how stays ended: `since`, but for ends that an invite hid.
    pub(crate) ends: Position,
    /// Whether rooms that the user had left before belong to the picture.
    pub(crate) include_leave: bool,
    /// Whether the client wants to be told all state again.
    pub(crate) full_state: bool,
}

impl Asked {
    /// What the client knows of a stay: all up to there; none if it may know nothing. Whoever was
    /// told of its end knows all of it.
    fn known(self, joined: Position, end: Option<Position>) -> Option<Position> {
        let since = self.since?;
        let known = match end.filter(|end| *end <= since) {
            Some(end) if end <= self.ends => return Some(end),
            Some(_) => self.ends,
            None => since,
        };
        Some(known).filter(|known| joined <= *known)
    }

    /// Up to where the client was told of a stay whose end it is not told, as it is told that the
    /// user is asked in again, or asks for it; none if it needs no more.
    pub(crate) fn left_open(self, guest: &Membership) -> Option<Position> {
        let outside = matches!(guest.kind, MembershipKind::Invite | MembershipKind::Knock);
        let (_, end) = guest.joined.filter(|_| outside && !guest.forgotten)?;
        let known = match self.since {
            Some(since) if end.is_some_and(|end| since < end) => since,
            Some(_) => self.ends,
            None if self.include_leave => Position::ZERO,
            None => return None,
        };
        end.filter(|end| known < *end).map(|_| known)
    }
}

/// How a room is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// As one the user is in.
    Joined(Span),
    /// As one the user is invited to.
    Invited,
    /// As one the user asked to be let into.
    Knocked,
    /// As one the user was in, until the end of the span.
    Left(Span),
    /// As one the user was never in, or has forgotten: only how it ended.
    Declined,
    /// As one the user is not in, and of which there is nothing more to tell.
    Gone,
}

/// The part of a room to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// What the client knows of the timeline already; none if it knows nothing.
    pub(crate) timeline_after: Option<Position>,
    /// What the client knows of the state already; none if it is to be told all of it.
    pub(crate) state_after: Option<Position>,
    /// When the user came in.
    pub(crate) joined: Position,
    /// The last position to tell of; none where the room goes on.
    pub(crate) end: Option<Position>,
}

/// How to tell a room by what the user is to it; none if there is nothing to tell.
///
/// For a joined room that means: if anything happened there.
pub(crate) fn section(membership: &Membership, asked: Asked) -> Option<Section> {
    let new = asked.since.is_none_or(|since| membership.at > since);
    match membership.kind {
        MembershipKind::Join => {
            let (joined, _) = membership.joined?;
            Some(Section::Joined(span(joined, None, asked)))
        }
        MembershipKind::Invite => new.then_some(Section::Invited),
        MembershipKind::Knock => new.then_some(Section::Knocked),
        MembershipKind::Leave | MembershipKind::Ban if membership.forgotten => {
            // A client that knows the room has to hear that it is gone, and no more.
            (new && asked.since.is_some()).then_some(Section::Declined)
        }
        MembershipKind::Leave | MembershipKind::Ban => {
            let told = asked.since.is_some() || asked.include_leave;
            (new && told).then(|| left(membership, asked))
        }
    }
}

/// How to tell a room whose invite the user does not hear of: a client that may know the room as
/// it was before must not keep it as that.
pub(crate) fn unheard(invite: &Membership, asked: Asked) -> Option<Section> {
    let since = asked.since?;
    invite.before?;
    Some(match invite.joined.filter(|_| !invite.forgotten) {
        Some((joined, Some(end))) if since < end => Section::Left(span(joined, Some(end), asked)),
        _ => Section::Gone,
    })
}

fn left(membership: &Membership, asked: Asked) -> Section {
    match membership.joined {
        Some((joined, Some(end))) => Section::Left(span(joined, Some(end), asked)),
        _ => Section::Declined,
    }
}

/// Tells what is new to one who knows the room, and all of it to one who does not.
fn span(joined: Position, end: Option<Position>, asked: Asked) -> Span {
    let known = asked.known(joined, end);
    Span { timeline_after: known, state_after: known.filter(|_| !asked.full_state), joined, end }
}

#[cfg(test)]
mod tests {
    use ruma::owned_event_id;

    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    fn membership(
        kind: MembershipKind,
        changed: u64,
        joined: Option<(u64, Option<u64>)>,
    ) -> Membership {
        Membership {
            kind,
            event: owned_event_id!("$e"),
            at: at(changed),
            since: at(changed),
            before: None,
            joined: joined.map(|(from, until)| (at(from), until.map(at))),
            stretch: 0,
            forgotten: false,
            direct: false,
            unwelcome: false,
        }
    }

    fn since(position: u64) -> Asked {
        Asked { since: Some(at(position)), ends: at(position), ..INITIAL }
    }

    const INITIAL: Asked =
        Asked { since: None, ends: Position::ZERO, include_leave: false, full_state: false };

    /// A section in short: its name, and from where to where it tells.
    fn short(section: Option<Section>) -> (&'static str, Option<u64>, Option<u64>) {
        let span =
            |span: Span| (span.timeline_after.map(Position::get), span.end.map(Position::get));
        match section {
            None => ("", None, None),
            Some(Section::Invited) => ("invite", None, None),
            Some(Section::Knocked) => ("knock", None, None),
            Some(Section::Declined) => ("declined", None, None),
            Some(Section::Gone) => ("gone", None, None),
            Some(Section::Joined(part)) => ("join", span(part).0, span(part).1),
            Some(Section::Left(part)) => ("leave", span(part).0, span(part).1),
        }
    }

    #[track_caller]
    fn check(
        membership: &Membership,
        asked: Asked,
        expected: (&'static str, Option<u64>, Option<u64>),
    ) {
        assert_eq!(short(section(membership, asked)), expected, "{membership:?}");
    }

    #[test]
    fn a_room_is_told_in_full_to_one_who_came_in_since() {
        let joined = membership(MembershipKind::Join, 12, Some((10, None)));
        check(&joined, INITIAL, ("join", None, None));
        check(&joined, since(9), ("join", None, None));
        check(&joined, since(10), ("join", Some(10), None));
        check(&joined, since(20), ("join", Some(20), None));
    }

    #[test]
    fn invites_and_knocks_are_told_once() {
        for (kind, name) in [(MembershipKind::Invite, "invite"), (MembershipKind::Knock, "knock")] {
            let asked_in = membership(kind, 10, None);
            check(&asked_in, INITIAL, (name, None, None));
            check(&asked_in, since(9), (name, None, None));
            check(&asked_in, since(10), ("", None, None));
        }
    }

    #[test]
    fn leaving_is_told_up_to_itself_and_once() {
        for kind in [MembershipKind::Leave, MembershipKind::Ban] {
            let gone = membership(kind, 20, Some((10, Some(20))));
            check(&gone, since(15), ("leave", Some(15), Some(20)));
            check(&gone, since(9), ("leave", None, Some(20)));
            check(&gone, since(20), ("", None, None));
            check(&gone, INITIAL, ("", None, None));
            check(&gone, Asked { include_leave: true, ..INITIAL }, ("leave", None, Some(20)));
        }
    }

    #[test]
    fn of_a_stay_whose_end_was_told_nothing_is_told_again() {
        for kind in [MembershipKind::Leave, MembershipKind::Ban] {
            let again = membership(kind, 30, Some((10, Some(20))));
            check(&again, since(20), ("leave", Some(20), Some(20)));
            check(&again, since(25), ("leave", Some(20), Some(20)));
            check(&again, since(15), ("leave", Some(15), Some(20)));
            check(&again, since(5), ("leave", None, Some(20)));
        }
    }

    #[test]
    fn an_end_that_an_invite_hid_is_told_once_that_is_declined() {
        let declined = membership(MembershipKind::Leave, 30, Some((10, Some(20))));
        let check = |ends, expected| {
            check(&declined, Asked { ends: at(ends), ..since(25) }, ("leave", expected, Some(20)));
        };
        check(20, Some(20));
        check(15, Some(15));
        check(10, Some(10));
        check(9, None);
    }

    #[test]
    fn an_invite_hides_the_end_of_a_stay_from_those_who_were_not_told_it() {
        let check = |guest: &Membership, asked: Asked, expected: Option<u64>| {
            assert_eq!(asked.left_open(guest).map(Position::get), expected, "{guest:?} {asked:?}");
        };
        for kind in [MembershipKind::Invite, MembershipKind::Knock] {
            let guest = membership(kind, 25, Some((10, Some(20))));
            check(&guest, since(15), Some(15));
            check(&guest, since(5), Some(5));
            check(&guest, since(20), None);
            check(&guest, Asked { ends: at(15), ..since(27) }, Some(15));
            check(&guest, INITIAL, None);
            check(&guest, Asked { include_leave: true, ..INITIAL }, Some(0));
            check(&Membership { forgotten: true, ..guest }, since(15), None);
            check(&membership(kind, 25, None), since(15), None);
        }
        check(&membership(MembershipKind::Leave, 20, Some((10, Some(20)))), since(15), None);
    }

    #[test]
    fn who_was_never_in_is_told_how_it_ended_only() {
        let declined = membership(MembershipKind::Leave, 30, None);
        check(&declined, since(25), ("declined", None, None));
        check(&declined, since(30), ("", None, None));
        check(&declined, INITIAL, ("", None, None));
        check(&declined, Asked { include_leave: true, ..INITIAL }, ("declined", None, None));
    }

    #[test]
    fn of_a_forgotten_room_only_the_end_is_told_to_those_who_may_know_it() {
        let mut gone = membership(MembershipKind::Leave, 20, Some((10, Some(20))));
        gone.forgotten = true;
        check(&gone, since(15), ("declined", None, None));
        check(&gone, since(20), ("", None, None));
        check(&gone, Asked { include_leave: true, ..INITIAL }, ("", None, None));
    }

    #[test]
    fn all_state_can_be_asked_for_without_the_old_timeline() {
        let joined = membership(MembershipKind::Join, 10, Some((10, None)));
        let asked = Asked { full_state: true, ..since(15) };
        let Some(Section::Joined(span)) = section(&joined, asked) else { panic!("it is joined") };
        assert_eq!((span.timeline_after, span.state_after), (Some(at(15)), None));
    }

    #[test]
    fn an_invite_that_is_not_heard_leaves_what_was_before() {
        let invite = |before, joined| {
            let invite = membership(MembershipKind::Invite, 30, joined);
            Membership { before, ..invite }
        };
        let check = |invite: &Membership, asked, expected| {
            assert_eq!(short(unheard(invite, asked)), expected, "{invite:?}");
        };
        let nothing = ("", None, None);
        let first = invite(None, None);
        let again = invite(Some(MembershipKind::Leave), None);
        let member = invite(Some(MembershipKind::Leave), Some((10, Some(20))));
        for invite in [&first, &again, &member] {
            check(invite, INITIAL, nothing);
        }
        check(&first, since(5), nothing);
        check(&again, since(5), ("gone", None, None));
        check(&member, since(15), ("leave", Some(15), Some(20)));
        check(&member, since(5), ("leave", None, Some(20)));
        check(&member, since(20), ("gone", None, None));
    }
}
