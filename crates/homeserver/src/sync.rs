//! Sync: what is new for a session since it was last told, at once or as soon as there is
//! something (client-server API, "Syncing").
//!
//! | step | where |
//! |---|---|
//! | wait, and read one snapshot | `wait` |
//! | which rooms may have news | `news`, by the log or by looking at every room |
//! | in which section, from where to where | `section`, pure, and `renewal` |
//! | what an invite hides until it is declined | `hidden` |
//! | the newest events | `timeline` |
//! | the state that goes with them | `state`, decided by [`tertulia_protocol::sync`] |
//! | in the client's form | `show` |
//! | as older clients know it | `older` |
//!
//! The law that all of it serves is in `tests/model`: a client that applied every update knows
//! what a new client is told.

mod answer;
mod aside;
mod collect;
mod fields;
mod filter;
mod hidden;
mod joined;
mod newest;
mod news;
mod older;
mod present;
mod program;
mod reading;
mod renewal;
mod room;
mod section;
mod show;
mod state;
mod stays;
mod stripped;
mod summary;
#[cfg(test)]
mod tests;
mod timeline;
mod token;
mod wait;

use std::time::Duration;

use futures_core::Stream;
use ruma::{api::client::filter::FilterDefinition, presence::PresenceState};

use self::{filter::Filter, reading::Query};
use crate::{
    Result,
    account_data::{direct::note_told, filters},
    devices::Session,
    presence::Poll,
};

pub use self::older::{EventStream, Fleeting, InitialSync, Messages, RoomSnapshot, Streamed};
pub use self::program::Updates;
pub use self::{
    answer::{
        DeviceLists, Events, InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, Rooms, Shown, State,
        Summary, Timeline, Update,
    },
    reading::StateFor,
    token::SyncToken,
};

/// What a client asks for when it syncs.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// Up to where the client was told: `next_batch` of an earlier update. Without it, the client
    /// is told everything.
    pub since: Option<SyncToken>,
    /// What the client asks to be spared.
    pub filter: SyncFilter,
    /// Whether all state is told again. Such an answer does not wait.
    pub full_state: bool,
    /// How the client learns of changes of the state.
    pub state: StateFor,
    /// How present the user is while the client waits.
    pub set_presence: PresenceState,
    /// How long to wait for something new.
    pub timeout: Duration,
}

/// What a client asks to be spared.
#[derive(Clone, Debug, Default)]
pub enum SyncFilter {
    /// Nothing.
    #[default]
    None,
    /// What the filter says.
    Given(Box<FilterDefinition>),
    /// What the filter of this ID says, which [`User::create_filter`](crate::User::create_filter)
    /// gave.
    Stored(String),
}

impl Session {
    /// What is new since the client was last told. Waits if that is nothing, but no longer than
    /// the request says; an update without news then says where to go on.
    ///
    /// A server that stops answers at once with what it has.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) if there is no such filter,
    /// [`Error::NoFilter`](crate::Error::NoFilter) if it asks for what there is not,
    /// [`Error::UnknownToken`](crate::Error::UnknownToken) if the session ends meanwhile.
    pub async fn sync(&self, request: SyncRequest) -> Result<Update> {
        let query = self.query(&request).await?;
        self.note_told(request.since);
        let _there = Poll::begin(&self.core, &self.id, &request.set_presence).await?;
        wait::next_update(self, &query, request.since, request.timeout).await
    }

    /// All updates from where the request says, as they come, until the server stops. Its timeout
    /// does not count. They end with an error as soon as the session does:
    /// [`Error::UnknownToken`](crate::Error::UnknownToken).
    pub fn updates(
        &self,
        request: SyncRequest,
    ) -> impl Stream<Item = Result<Update>> + Send + use<> {
        /// Longer than anyone waits, shorter than clocks can count.
        const FOR_EVER: Duration = Duration::from_secs(1 << 30);
        let session = self.clone();
        async_stream::try_stream! {
            let mut query = session.query(&request).await?;
            let _there = Poll::begin(&session.core, &session.id, &request.set_presence).await?;
            let mut since = request.since;
            loop {
                // A session that ended while nobody asked is not heard of otherwise.
                session.check_goes_on().await?;
                session.note_told(since);
                let update = wait::next_update(&session, &query, since, FOR_EVER).await?;
                if session.core.stop.is_cancelled() {
                    break;
                }
                query.full_state = false;
                since = Some(update.next_batch);
                yield update;
            }
        }
    }

    /// Notes what the client knows that goes on from `since`.
    fn note_told(&self, since: Option<SyncToken>) {
        let known = since.map(|since| since.at);
        note_told(&self.core, &self.id, self.device(), known);
    }

    async fn query(&self, request: &SyncRequest) -> Result<Query> {
        let filter = match &request.filter {
            SyncFilter::None => Filter::new(&FilterDefinition::default()),
            SyncFilter::Given(definition) => {
                filters::check(definition)?;
                Filter::new(definition)
            }
            SyncFilter::Stored(id) => {
                let definition = self.filter(id).await?.deserialize();
                Filter::new(&definition.map_err(filters::no_filter)?)
            }
        };
        Ok(Query { filter, full_state: request.full_state, state: request.state })
    }
}
