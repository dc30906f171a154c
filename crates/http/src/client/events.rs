//! Sending, redacting and reading single events ("Sending events to a room", "Getting events").

use ruma::{
    OwnedTransactionId,
    api::client::{
        message::send_message_event,
        redact::redact_event,
        room::{get_event_by_timestamp, get_room_event},
    },
    events::TimelineEventType,
};
use tertulia::{ClientEvent, Homeserver, Session, Transaction};

use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Action::Message, send)
        .endpoint_on(Action::Message, redact)
        .endpoint(event)
        .endpoint(at_moment)
}

async fn send(
    _: Homeserver,
    Matrix { request, from }: Matrix<send_message_event::v3::Request>,
) -> Result<send_message_event::v3::Response, ApiError> {
    // By its name, since ruma takes the type of a state event for an unknown one here.
    let kind = TimelineEventType::from(request.event_type.to_string());
    let content = request.body.into_json();
    let transaction = transaction(&from, request.txn_id);
    let event = from.room(&request.room_id).send(kind, content, Some(transaction)).await?;
    Ok(send_message_event::v3::Response::new(event))
}

async fn redact(
    _: Homeserver,
    Matrix { request, from }: Matrix<redact_event::v3::Request>,
) -> Result<redact_event::v3::Response, ApiError> {
    let transaction = transaction(&from, request.txn_id);
    let room = from.room(&request.room_id);
    let event = room.redact(&request.event_id, request.reason, Some(transaction)).await?;
    Ok(redact_event::v3::Response::new(event))
}

async fn event(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_room_event::v3::Request>,
) -> Result<Answer<ClientEvent>, ApiError> {
    Ok(Answer(from.room(&request.room_id).event(&request.event_id).await?))
}

async fn at_moment(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_event_by_timestamp::v1::Request>,
) -> Result<get_event_by_timestamp::v1::Response, ApiError> {
    let found = from.room(&request.room_id).event_at(request.ts, request.dir).await?;
    Ok(get_event_by_timestamp::v1::Response::new(found.event, found.at))
}

fn transaction(session: &Session, id: OwnedTransactionId) -> Transaction {
    Transaction { device: session.device().to_owned(), id }
}
