//! Paging through a room's timeline ("Getting events for a room", "Event context").

use ruma::{
    UInt,
    api::client::{context::get_context, message::get_message_events},
};
use serde::Serialize;
use tertulia::{ClientEvent, Homeserver, MessagesQuery, TimelineToken};

use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(messages).endpoint(context)
}

/// One page of a timeline.
#[derive(Serialize)]
struct Messages {
    start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    chunk: Vec<ClientEvent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    state: Vec<ClientEvent>,
}

async fn messages(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_message_events::v3::Request>,
) -> Result<Answer<Messages>, ApiError> {
    let query = MessagesQuery {
        from: token(request.from)?,
        to: token(request.to)?,
        towards: request.dir,
        limit: count(request.limit),
        filter: request.filter.into(),
    };
    let page = from.room(&request.room_id).messages(&query).await?;
    let (start, end) = (page.start.to_string(), page.end.map(|end| end.to_string()));
    Ok(Answer(Messages { start, end, chunk: page.events, state: page.state }))
}

/// An event and what surrounds it.
#[derive(Serialize)]
struct Surroundings {
    start: String,
    end: String,
    event: ClientEvent,
    events_before: Vec<ClientEvent>,
    events_after: Vec<ClientEvent>,
    state: Vec<ClientEvent>,
}

async fn context(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_context::v3::Request>,
) -> Result<Answer<Surroundings>, ApiError> {
    let (limit, filter) = (count(request.limit), request.filter.into());
    let context = from.room(&request.room_id).context(&request.event_id, limit, filter).await?;
    Ok(Answer(Surroundings {
        start: context.start.to_string(),
        end: context.end.to_string(),
        event: context.event,
        events_before: context.before,
        events_after: context.after,
        state: context.state,
    }))
}

/// A place in the timeline; clients that have none send an empty one, too.
pub(super) fn token(text: Option<String>) -> Result<Option<TimelineToken>, ApiError> {
    let text = text.filter(|text| !text.is_empty());
    Ok(text.map(|text| text.parse()).transpose()?)
}

pub(super) fn count(limit: UInt) -> usize {
    usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)
}
