//! One answer in the making: who asks, what for, and what is there.

use std::sync::{Arc, OnceLock, atomic::AtomicUsize};

use ruma::{DeviceId, MilliSecondsSinceUnixEpoch, UserId};
use tertulia_protocol::Pdu;
use tertulia_storage::{Position, View};
use tokio::sync::OnceCell;

use super::{
    SyncToken,
    filter::Filter,
    section::{Asked, Span},
};
use crate::{
    Result,
    core::Core,
    devices::Session,
    events::{Head, Ignored, Invitations, Reader},
    schema::{Membership, Ordinal},
    typing::TypingVersion,
    unread::{Asking, Unread, UserRules},
};

/// What a client asks for, ready to be answered any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) filter: Filter,
    pub(crate) full_state: bool,
    pub(crate) state: StateFor,
}

/// How a client learns of changes of a room's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateFor {
    /// From `state`, and then from the events of the timeline.
    #[default]
    TimelineStart,
    /// From `state_after` alone.
    TimelineEnd,
}

/// One answer in the making: all of it is read from one snapshot.
pub(crate) struct Reading<'a> {
    pub(crate) view: View,
    pub(crate) session: &'a Session,
    pub(crate) query: &'a Query,
    /// Up to where the client was told; none if it is to be told everything.
    pub(crate) since: Option<SyncToken>,
    /// Up to where it will have been told.
    pub(crate) next: SyncToken,
    pub(crate) now: MilliSecondsSinceUnixEpoch,
    /// Whom the user ignores, once that was asked.
    pub(crate) ignored: OnceCell<Ignored>,
    /// Whose invites the user is told of, once that was asked.
    pub(crate) invitations: OnceCell<Invitations>,
    /// The user's push rules, once they were asked.
    pub(crate) rules: OnceCell<Arc<UserRules>>,
    /// From where on the log says nothing of the user's account data, once it was asked.
    pub(crate) data_untouched: OnceLock<Position>,
    /// How many events were read to count what is unread.
    pub(crate) counted: AtomicUsize,
}

impl Reading<'_> {
    /// Whom the user ignores. It is read once for an answer, and only if others spoke.
    pub(crate) async fn ignored(&self) -> Result<&Ignored> {
        self.ignored.get_or_try_init(|| Ignored::by(&self.view, self.me())).await
    }

    /// Whose invites the user is told of.
    pub(crate) async fn invitations(&self) -> Result<&Invitations> {
        self.invitations.get_or_try_init(|| Invitations::to(&self.view, self.me())).await
    }

    /// Whether the user has changed whom they ignore since the client was last told.
    pub(crate) async fn ignores_anew(&self) -> Result<bool> {
        let Some(since) = self.since() else { return Ok(false) };
        Ok(self.ignored().await?.at() > since)
    }

    /// The user's push rules.
    pub(crate) async fn rules(&self) -> Result<&UserRules> {
        let rules =
            UserRules::of(&self.view, self.core(), self.me(), self.data_untouched.get().copied());
        Ok(self.rules.get_or_try_init(|| rules).await?)
    }

    /// Whether something about the user, and not about a room, has changed since the client was
    /// last told that decides what of a room is unread.
    pub(crate) async fn counts_anew(&self) -> Result<bool> {
        let Some(since) = self.since() else { return Ok(false) };
        if self.data_untouched.get().is_some() {
            return Ok(false);
        }
        Ok(self.rules().await?.at > since || self.ignores_anew().await?)
    }

    /// What the user has not read of a room they are in. After `untouched`, if it is known, they
    /// gave no receipt there.
    pub(crate) async fn unread(
        &self,
        head: &Head,
        me: &Membership,
        untouched: Option<Position>,
    ) -> Result<Unread> {
        let asking = Asking {
            view: &self.view,
            core: self.core(),
            user: self.me(),
            rules: self.rules().await?,
            ignored: self.ignored().await?,
            read: &self.counted,
        };
        asking.unread(head, me, untouched).await
    }

    /// Whether the user is spared an event of a room because of who sent it.
    pub(crate) async fn ignores(&self, head: &Head, event: &Pdu) -> Result<bool> {
        if event.state_key().is_some() || event.sender() == self.me() {
            return Ok(false);
        }
        self.ignored().await?.hides(&self.view, self.core(), head, event).await
    }

    pub(crate) fn core(&self) -> &Core {
        &self.session.core
    }

    pub(crate) fn me(&self) -> &UserId {
        self.session.id()
    }

    /// Who is told of a room's events.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::Inside(self.me())
    }

    pub(crate) fn device(&self) -> &DeviceId {
        self.session.device()
    }

    pub(crate) fn since(&self) -> Option<Position> {
        self.since.map(|since| since.at)
    }

    pub(crate) fn fleeting_since(&self) -> Option<TypingVersion> {
        self.since.map(|since| since.fleeting)
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked {
            since: self.since(),
            ends: self.since.map_or(Position::ZERO, |since| since.ends),
            include_leave: self.query.filter.include_leave,
            full_state: self.query.full_state,
        }
    }

    /// The part of a room to tell.
    pub(crate) fn part<'a>(&self, head: &'a Head, me: &Membership, span: Span) -> Part<'a> {
        let stretch = if span.end.is_some() { me.stretch } else { head.row.stretch };
        Part { head, span, stretch, end: span.end.unwrap_or(self.view.settled()) }
    }
}

/// The part of one room to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) head: &'a Head,
    pub(crate) span: Span,
    /// The stretch of the timeline that the user sees.
    pub(crate) stretch: u32,
    /// The last position to tell of.
    pub(crate) end: Position,
}

impl Part<'_> {
    /// Whether the room's current state is the one to tell.
    pub(crate) fn ends_now(&self) -> bool {
        self.head.row.state_at <= self.end
    }

    /// Whether the user was in the room at a place, so that all that happened there may be seen.
    pub(crate) fn joined_at(&self, place: Ordinal) -> bool {
        place >= Ordinal::Live(self.span.joined)
    }
}
