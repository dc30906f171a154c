//! Looking on at a room as it goes, without being in it (client-server API, "Room Previews").

use std::{sync::Arc, time::Duration};

use ruma::api::Direction;

use super::{MessagesQuery, Room};
use crate::{
    Result,
    core::Core,
    events::{ClientEvent, EventFilter, TimelineToken},
    log::room_topic,
};

/// Most events that one answer tells.
const MOST: usize = 100;

/// What happened in a room.
#[derive(Clone, Debug)]
pub struct RoomNews {
    /// From where on.
    pub start: TimelineToken,
    /// Where to go on.
    pub end: TimelineToken,
    /// The events, oldest first.
    pub events: Vec<ClientEvent>,
}

impl Room {
    /// What happens in the room after `from`, or from now on. Waits for it, but no longer than
    /// `patience`. In a room that is open to the world, one need not be in it.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`](crate::Error::Forbidden) for one who may not look into the room.
    pub async fn news(&self, from: Option<TimelineToken>, patience: Duration) -> Result<RoomNews> {
        let core: Arc<Core> = self.core().clone();
        let mut watch = core.store.watch([room_topic(&self.id)]);
        let mut asleep = std::pin::pin!(core.clock.sleep(patience));
        let start = match from {
            Some(from) => from,
            None => self.messages(&query(None, Direction::Backward, 0)).await?.start,
        };
        loop {
            let page = self.messages(&query(Some(start), Direction::Forward, MOST)).await?;
            if let Some(last) = page.events.last() {
                let view = core.store.view().await?;
                let (stretch, place) = self.place_of(&view, last.id()).await?;
                let end = TimelineToken::after(stretch, place);
                return Ok(RoomNews { start: page.start, end, events: page.events });
            }
            let nothing = RoomNews { start: page.start, end: page.start, events: Vec::new() };
            if patience.is_zero() || core.stop.is_cancelled() {
                return Ok(nothing);
            }
            tokio::select! {
                () = watch.changed() => {}
                () = core.stop.cancelled() => {}
                () = &mut asleep => return Ok(nothing),
            }
        }
    }
}

fn query(from: Option<TimelineToken>, towards: Direction, limit: usize) -> MessagesQuery {
    MessagesQuery { from, to: None, towards, limit, filter: EventFilter::default() }
}
