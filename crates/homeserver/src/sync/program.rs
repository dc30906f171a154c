//! Updates for the program that embeds the server: of a user, without a session.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{Stream, stream::BoxStream};
use futures_util::StreamExt as _;
use ruma::{api::client::filter::FilterDefinition, presence::PresenceState, uint};

use super::{SyncFilter, SyncRequest, SyncToken, Update};
use crate::{Result, Session, User, presence, typing};

impl User {
    /// What happens to the user from now on, as it comes, until the server stops: for bots, and for
    /// whatever else a program does when something happens. Nobody sees the user as present by that.
    ///
    /// An update tells up to a hundred events of each room. Where more have come, as may happen to
    /// one who reads seldom, its timeline says that it is `limited`, and [`Room::history`] has them
    /// all.
    ///
    /// ```
    /// # async fn answer(bot: tertulia::User) -> tertulia::Result<()> {
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut updates = bot.updates();
    /// while let Some(update) = updates.try_next().await? {
    ///     for room in update.invitations() {
    ///         bot.room(room).join(None).await?;
    ///     }
    ///     for event in update.events().filter(|event| event.mentions(bot.id())) {
    ///         bot.room(event.room()).reply(event.id(), "at your service").await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It ends with an error if the store fails, and with
    /// [`Error::UnknownToken`](crate::Error::UnknownToken) once the account is closed, or
    /// [`Error::Locked`](crate::Error::Locked) while it is locked.
    ///
    /// [`Room::history`]: crate::Room::history
    pub fn updates(&self) -> Updates {
        let core = &self.core;
        // What is in memory is read after this says how far it was told: told twice is harmless.
        let (fleeting, presence) = (typing::version(core), presence::version(core));
        let at = core.store.settled();
        let now = SyncToken { at, ends: at, to_device: 0, fleeting, presence };
        self.updates_since(now)
    }

    /// Everything that happened to the user since `token`, and goes on to happen: the `next_batch` of an
    /// update that was dealt with, kept by a program that was not there meanwhile.
    pub fn updates_since(&self, token: SyncToken) -> Updates {
        let mut filter = FilterDefinition::default();
        filter.room.timeline.limit = Some(uint!(100));
        let request = SyncRequest {
            since: Some(token),
            filter: SyncFilter::Given(Box::new(filter)),
            set_presence: PresenceState::Offline,
            ..SyncRequest::default()
        };
        Updates(Session::of_program(self.clone()).updates(request).boxed())
    }
}

/// What happens to a user: a stream of updates. [`User::updates`] makes it.
#[must_use = "a stream does nothing unless it is asked"]
pub struct Updates(BoxStream<'static, Result<Update>>);

impl Stream for Updates {
    type Item = Result<Update>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Updates").finish_non_exhaustive()
    }
}
