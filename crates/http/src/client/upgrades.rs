//! Replacing rooms by newer ones ("Room upgrades").

use ruma::api::client::room::upgrade_room::v3::{Request, Response};
use tertulia::Homeserver;

use crate::{Action, ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().endpoint_on(Action::RoomCreation, upgrade)
}

async fn upgrade(_: Homeserver, call: Matrix<Request>) -> Result<Response, ApiError> {
    let Matrix { request, from } = call;
    let room = from.room(&request.room_id);
    let new = room.upgrade(&request.new_version, request.additional_creators).await?;
    Ok(Response::new(new.id().to_owned()))
}
