//! What older clients ask for instead of syncing (the deprecated parts of "Syncing" and "Getting
//! events for a room"), and looking on at rooms one is not in ("Room Previews").

use std::{marker::PhantomData, time::Duration};

use axum::extract::Query;
use http::{Request, Uri};
use ruma::{
    EventId, OwnedRoomId, UInt,
    api::{
        IncomingRequest, Metadata, auth_scheme::AccessToken,
        client::peeking::get_current_state::v3 as get_current_state, error::DeserializationError,
    },
    metadata,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tertulia::{
    ClientEvent, Homeserver, Session,
    sync::{EventStream, InitialSync, RoomSnapshot},
};

use super::{messages::token, sync::LONGEST};
use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(events).endpoint(event).endpoint(initial_sync).endpoint(snapshot)
}

/// A request that ruma does not know, to the endpoint of `E`.
struct Plain<E> {
    path: Vec<String>,
    uri: Uri,
    endpoint: PhantomData<fn() -> E>,
}

impl<E: Metadata> Metadata for Plain<E> {
    const METHOD: http::Method = E::METHOD;
    const RATE_LIMITED: bool = E::RATE_LIMITED;
    type Authentication = E::Authentication;
    type PathBuilder = E::PathBuilder;
    const PATH_BUILDER: E::PathBuilder = E::PATH_BUILDER;
}

impl<E: Metadata> IncomingRequest for Plain<E> {
    type EndpointError = ruma::api::error::Error;
    type OutgoingResponse = get_current_state::Response;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let path = path_args.iter().map(|&argument| argument.to_owned()).collect();
        Ok(Self { path, uri: request.uri().clone(), endpoint: PhantomData })
    }
}

impl<E> Plain<E> {
    fn query<Q: DeserializeOwned>(&self) -> Result<Q, ApiError> {
        let Query(query) = Query::try_from_uri(&self.uri).map_err(ApiError::invalid_param)?;
        Ok(query)
    }
}

struct Events;
metadata! {
    @for Events,
    method: GET,
    rate_limited: false,
    authentication: AccessToken,
    history: {
        1.0 => "/_matrix/client/r0/events",
        1.1 => "/_matrix/client/v3/events",
    }
}

struct OneEvent;
metadata! {
    @for OneEvent,
    method: GET,
    rate_limited: false,
    authentication: AccessToken,
    history: {
        1.0 => "/_matrix/client/r0/events/{event_id}",
        1.1 => "/_matrix/client/v3/events/{event_id}",
    }
}

struct Everything;
metadata! {
    @for Everything,
    method: GET,
    rate_limited: true,
    authentication: AccessToken,
    history: {
        1.0 => "/_matrix/client/r0/initialSync",
        1.1 => "/_matrix/client/v3/initialSync",
    }
}

/// Which events a client waits for.
#[derive(Deserialize)]
struct Awaited {
    from: Option<String>,
    room_id: Option<OwnedRoomId>,
    timeout: Option<UInt>,
}

/// What happened in a room.
#[derive(Serialize)]
struct News {
    start: String,
    end: String,
    chunk: Vec<ClientEvent>,
}

/// What happened, in all rooms or in one.
#[derive(Serialize)]
#[serde(untagged)]
enum Happened {
    Everywhere(EventStream),
    In(News),
}

async fn events(
    _: Homeserver,
    Matrix { request, from }: Matrix<Plain<Events>>,
) -> Result<Answer<Happened>, ApiError> {
    let Awaited { from: start, room_id, timeout } = request.query()?;
    let patience = Duration::from_millis(timeout.unwrap_or_default().into()).min(LONGEST);
    if let Some(room) = room_id {
        let news = from.room(&room).news(token(start)?, patience).await?;
        let (start, end) = (news.start.to_string(), news.end.to_string());
        return Ok(Answer(Happened::In(News { start, end, chunk: news.events })));
    }
    let start = start.map(|start| start.parse()).transpose()?;
    Ok(Answer(Happened::Everywhere(from.event_stream(start, patience).await?)))
}

async fn event(
    server: Homeserver,
    Matrix { request, from }: Matrix<Plain<OneEvent>>,
) -> Result<Answer<ClientEvent>, ApiError> {
    let id = request.path.first().map(String::as_str).unwrap_or_default();
    let id = EventId::parse(id).map_err(ApiError::invalid_param)?;
    let room = server.room_of(&id).await?;
    Ok(Answer(from.room(&room).event(&id).await?))
}

/// How much a client asks to be told at first.
#[derive(Deserialize)]
struct Extent {
    limit: Option<UInt>,
    archived: Option<bool>,
}

async fn initial_sync(
    _: Homeserver,
    Matrix { request, from }: Matrix<Plain<Everything>>,
) -> Result<Answer<InitialSync>, ApiError> {
    let Extent { limit, archived } = request.query()?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Answer(Session::initial_sync(&from, limit, archived.unwrap_or_default()).await?))
}

async fn snapshot(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_current_state::Request>,
) -> Result<Answer<RoomSnapshot>, ApiError> {
    Ok(Answer(from.room_snapshot(&request.room_id).await?))
}
