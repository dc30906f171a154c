//! What relates to an event ("Relationships API").

use ruma::{
    OwnedEventId, OwnedRoomId, UInt,
    api::{
        Direction,
        client::relations::{
            get_relating_events, get_relating_events_with_rel_type,
            get_relating_events_with_rel_type_and_event_type,
        },
    },
};
use serde::Serialize;
use tertulia::{ClientEvent, Homeserver, RelationsQuery, Session};

use super::messages::{count, token};
use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(all).endpoint(of_rel_type).endpoint(of_type)
}

/// Some of the events that relate to another.
#[derive(Serialize)]
struct Related {
    chunk: Vec<ClientEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recursion_depth: Option<u32>,
}

/// How many events are told where the client does not say.
const USUAL: usize = 20;

async fn all(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_relating_events::v1::Request>,
) -> Result<Answer<Related>, ApiError> {
    let page = PageOf { from: request.from, to: request.to, limit: request.limit };
    let query = page.query(request.dir, request.recurse)?;
    answer(&from, (request.room_id, request.event_id), query, page.from).await
}

async fn of_rel_type(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_relating_events_with_rel_type::v1::Request>,
) -> Result<Answer<Related>, ApiError> {
    let page = PageOf { from: request.from, to: request.to, limit: request.limit };
    let mut query = page.query(request.dir, request.recurse)?;
    query.rel_type = Some(request.rel_type.to_string());
    answer(&from, (request.room_id, request.event_id), query, page.from).await
}

async fn of_type(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_relating_events_with_rel_type_and_event_type::v1::Request>,
) -> Result<Answer<Related>, ApiError> {
    let page = PageOf { from: request.from, to: request.to, limit: request.limit };
    let mut query = page.query(request.dir, request.recurse)?;
    query.rel_type = Some(request.rel_type.to_string());
    query.kind = Some(request.event_type.to_string());
    answer(&from, (request.room_id, request.event_id), query, page.from).await
}

/// Which page a client asks for.
struct PageOf {
    from: Option<String>,
    to: Option<String>,
    limit: Option<UInt>,
}

impl PageOf {
    fn query(&self, towards: Direction, recurse: bool) -> Result<RelationsQuery, ApiError> {
        let (from, to) = (token(self.from.clone())?, token(self.to.clone())?);
        let limit = self.limit.map_or(USUAL, count);
        Ok(RelationsQuery { rel_type: None, kind: None, from, to, towards, limit, recurse })
    }
}

async fn answer(
    session: &Session,
    (room, event): (OwnedRoomId, OwnedEventId),
    query: RelationsQuery,
    prev_batch: Option<String>,
) -> Result<Answer<Related>, ApiError> {
    let page = session.room(&room).relations(&event, &query).await?;
    let next_batch = page.next.map(|next| next.to_string());
    let (chunk, recursion_depth) = (page.events, page.depth);
    Ok(Answer(Related { chunk, next_batch, prev_batch, recursion_depth }))
}
