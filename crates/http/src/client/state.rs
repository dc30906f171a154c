//! The state of a room and its slots ("Getting events for a room", "Sending events to a room").

use ruma::api::client::state::{
    get_state_event_for_key::{self, v3::StateEventFormat},
    get_state_events, send_state_event,
};
use ruma::events::StateEventType;
use serde::Serialize;
use serde_json::value::RawValue;
use tertulia::{ClientEvent, Homeserver};

use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes, Terms};

/// A path that ends behind the type means the empty key, with a slash or without.
const WITHOUT_KEY: [&str; 4] = [
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}",
    "/_matrix/client/r0/rooms/{room_id}/state/{event_type}/",
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
];

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Terms::from(Action::Message).also(&WITHOUT_KEY), set)
        .endpoint_on(Terms::default().also(&WITHOUT_KEY), slot)
        .endpoint(all)
}

async fn set(
    _: Homeserver,
    Matrix { request, from }: Matrix<send_state_event::v3::Request>,
) -> Result<send_state_event::v3::Response, ApiError> {
    let (kind, content) = (request.event_type, request.body.into_json());
    let room = from.room(&request.room_id);
    if kind == StateEventType::RoomCanonicalAlias {
        room.check_canonical_alias(&content).await?;
    }
    let event = room.set_state(kind, &request.state_key, content).await?;
    Ok(send_state_event::v3::Response::new(event))
}

/// A state event as `format` asks for it.
#[derive(Serialize)]
#[serde(untagged)]
enum Slot {
    Event(ClientEvent),
    Content(Box<RawValue>),
}

async fn slot(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_state_event_for_key::v3::Request>,
) -> Result<Answer<Slot>, ApiError> {
    let room = from.room(&request.room_id);
    let event = room.state_event(&request.event_type, &request.state_key).await?;
    Ok(Answer(match request.format {
        StateEventFormat::Event => Slot::Event(event),
        StateEventFormat::Content => Slot::Content(event.content().to_owned()),
        other => return Err(ApiError::invalid_param(format!("no such format: {other}"))),
    }))
}

async fn all(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_state_events::v3::Request>,
) -> Result<Answer<Vec<ClientEvent>>, ApiError> {
    Ok(Answer(from.room(&request.room_id).state().await?))
}
