//! Telling the administrators of what should not be ("Reporting Content").

use ruma::{
    RoomId,
    api::client::{
        reporting::report_user,
        room::{report_content, report_room},
    },
};
use serde::Deserialize;
use tertulia::Homeserver;

use super::lenient::Lenient;
use crate::{Action, ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Action::Report, room)
        .endpoint_on(Action::Report, event)
        .endpoint_on(Action::Report, user)
}

/// Why a room is reported. Ruma lets it be left out, as v1.13 did; it is required since v1.14.
#[derive(Deserialize)]
struct Reason {
    reason: String,
}

async fn room(
    _: Homeserver,
    call: Matrix<Lenient<report_room::v3::Request, Reason>>,
) -> Result<report_room::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let room = RoomId::parse(&request.path[0]).map_err(ApiError::invalid_param)?;
    from.room(&room).report(&request.body.reason).await?;
    Ok(report_room::v3::Response::new())
}

async fn event(
    _: Homeserver,
    call: Matrix<report_content::v3::Request>,
) -> Result<report_content::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let reason = request.reason.unwrap_or_default();
    from.room(&request.room_id).report_event(&request.event_id, &reason).await?;
    Ok(report_content::v3::Response::new())
}

async fn user(
    _: Homeserver,
    call: Matrix<report_user::v3::Request>,
) -> Result<report_user::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    from.report(&request.user_id, &request.reason).await?;
    Ok(report_user::v3::Response::new())
}
