//! A room's history, as a stream.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_stream::try_stream;
use futures_core::{Stream, stream::BoxStream};
use futures_util::StreamExt as _;
use ruma::api::Direction as Towards;

use crate::{ClientEvent, EventFilter, MessagesQuery, Result, Room, TimelineToken};

/// How many events are read at a time.
const PAGE: usize = if cfg!(test) { 3 } else { 100 };

impl Room {
    /// What was said in the room as far as the user may see it, the newest first. It ends at the
    /// beginning of the room.
    ///
    /// Pages of it are read as they are needed. It begins when it is first asked, and ends with an
    /// error: [`Error::Forbidden`](crate::Error::Forbidden) for one who may not look into the room.
    ///
    /// ```
    /// # async fn read(room: tertulia::Room) -> tertulia::Result<()> {
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut history = room.history();
    /// while let Some(event) = history.try_next().await? {
    ///     println!("{}: {}", event.sender(), event.body().unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self) -> History {
        let query = MessagesQuery {
            from: None,
            to: None,
            towards: Towards::Backward,
            limit: PAGE,
            filter: EventFilter::default(),
        };
        History { room: self.clone(), query, events: None, token: None }
    }
}

/// A part of a room's history: a stream of events. [`Room::history`] makes it.
#[must_use = "a stream does nothing unless it is asked"]
pub struct History {
    room: Room,
    query: MessagesQuery,
    /// What is left of the stream, once it has begun, with where to go on behind each event.
    events: Option<BoxStream<'static, Result<Step>>>,
    token: Option<TimelineToken>,
}

/// An event, or none behind a page, and where to go on.
type Step = (Option<ClientEvent>, TimelineToken);

impl History {
    /// Goes the other way: the oldest first, until nothing more has happened.
    pub fn forward(mut self) -> Self {
        self.query.towards = Towards::Forward;
        self
    }

    /// Begins there, rather than at the end of the room, or going forward at its beginning.
    pub fn from(mut self, token: TimelineToken) -> Self {
        self.query.from = Some(token);
        self
    }

    /// Tells only the events that pass.
    pub fn only(mut self, filter: EventFilter) -> Self {
        self.query.filter = filter;
        self
    }

    /// Where to go on later, or after a restart: behind everything that was told so far. None before
    /// anything was.
    pub fn token(&self) -> Option<TimelineToken> {
        self.token.or(self.query.from)
    }
}

impl Stream for History {
    type Item = Result<ClientEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let (room, query) = (&this.room, &this.query);
        let events = this.events.get_or_insert_with(|| pages(room.clone(), query.clone()).boxed());
        loop {
            match ready!(events.poll_next_unpin(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok((event, token))) => {
                    this.token = Some(token);
                    if let Some(event) = event {
                        return Poll::Ready(Some(Ok(event)));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("room", &self.room).field("token", &self.token).finish()
    }
}

/// The events, and behind each page where the next one begins: a page may have none that are told.
fn pages(room: Room, mut query: MessagesQuery) -> impl Stream<Item = Result<Step>> + Send {
    try_stream! {
        loop {
            let page = room.messages(&query).await?;
            for (event, behind) in page.events.into_iter().zip(page.places) {
                yield (Some(event), behind);
            }
            let Some(next) = page.end else { break };
            yield (None, next);
            query.from = Some(next);
        }
    }
}
