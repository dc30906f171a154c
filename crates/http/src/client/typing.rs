//! Typing notifications.

use axum::Router;
use ruma::api::client::typing::create_typing_event::{self, v3::Typing};
use tertulia::Homeserver;

use super::account_data::check_own;
use crate::{ApiError, Endpoints as _, Matrix};

pub(super) fn routes() -> Router<Homeserver> {
    Router::new().endpoint(set)
}

async fn set(
    _: Homeserver,
    call: Matrix<create_typing_event::v3::Request>,
) -> Result<create_typing_event::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    match request.state {
        Typing::Yes(info) => from.start_typing(&request.room_id, info.timeout).await?,
        Typing::No => from.stop_typing(&request.room_id).await?,
    }
    Ok(create_typing_event::v3::Response::new())
}
