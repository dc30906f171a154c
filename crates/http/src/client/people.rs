//! Finding users, and what one shares with them ("User Directory", "Mutual Rooms").

use std::collections::BTreeMap;

use ruma::api::client::{
    membership::get_mutual_rooms::v1 as mutual_rooms, thirdparty::get_protocols,
    user_directory::search_users,
};
use tertulia::{FoundUsers, Homeserver, MutualRooms};

use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes, Terms};

/// Where clients ask for rooms in common that took part in trying that out.
const MUTUAL_UNSTABLE: [&str; 1] =
    ["/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms"];

pub(super) fn routes() -> Routes {
    let mutual_rooms = Terms::from(Action::Search).also(&MUTUAL_UNSTABLE);
    Routes::new()
        .endpoint_on(Action::Search, search)
        .endpoint_on(mutual_rooms, mutual)
        .endpoint(protocols)
}

async fn search(
    _: Homeserver,
    call: Matrix<search_users::v3::Request>,
) -> Result<Answer<FoundUsers>, ApiError> {
    let Matrix { request, from } = call;
    Ok(Answer(from.find_users(&request.search_term, Some(request.limit.into())).await?))
}

async fn mutual(
    _: Homeserver,
    call: Matrix<mutual_rooms::Request>,
) -> Result<Answer<MutualRooms>, ApiError> {
    let Matrix { request, from } = call;
    Ok(Answer(from.mutual_rooms(&request.user_id, request.from.as_deref()).await?))
}

/// Bridges to other networks are not served.
async fn protocols(
    _: Homeserver,
    _: Matrix<get_protocols::v3::Request>,
) -> Result<get_protocols::v3::Response, ApiError> {
    Ok(get_protocols::v3::Response::new(BTreeMap::new()))
}
