//! Aliases of rooms, and joining and knocking by them.

use axum::Router;
use ruma::{
    RoomOrAliasId,
    api::client::{
        alias::{create_alias, delete_alias, get_alias},
        knock::knock_room,
        membership::join_room_by_id_or_alias,
        room::aliases,
    },
};
use tertulia::Homeserver;

use super::{lenient::Lenient, membership::Joining};
use crate::{Action, ApiError, Endpoints as _, Matrix, Terms};

/// Clients that took part in trying knocking out under the old prefix.
const KNOCK_R0: [&str; 1] = ["/_matrix/client/r0/knock/{room_id_or_alias}"];

pub(super) fn routes() -> Router<Homeserver> {
    Router::new()
        .endpoint(create)
        .endpoint(get)
        .endpoint(delete)
        .endpoint(list)
        .endpoint_on(Action::Join, join)
        .endpoint_on(Terms::from(Action::Join).also(&KNOCK_R0), knock)
}

async fn create(
    _: Homeserver,
    call: Matrix<create_alias::v3::Request>,
) -> Result<create_alias::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    from.create_alias(&request.room_alias, &request.room_id).await?;
    Ok(create_alias::v3::Response::new())
}

async fn get(
    server: Homeserver,
    call: Matrix<get_alias::v3::Request>,
) -> Result<get_alias::v3::Response, ApiError> {
    let (room, servers) = server.resolve_alias(&call.request.room_alias).await?;
    Ok(get_alias::v3::Response::new(room, servers))
}

async fn delete(
    _: Homeserver,
    call: Matrix<delete_alias::v3::Request>,
) -> Result<delete_alias::v3::Response, ApiError> {
    call.from.delete_alias(&call.request.room_alias).await?;
    Ok(delete_alias::v3::Response::new())
}

async fn list(
    _: Homeserver,
    call: Matrix<aliases::v3::Request>,
) -> Result<aliases::v3::Response, ApiError> {
    let aliases = call.from.room(&call.request.room_id).aliases().await?;
    Ok(aliases::v3::Response::new(aliases))
}

async fn join(
    _: Homeserver,
    call: Matrix<Lenient<join_room_by_id_or_alias::v3::Request, Joining>>,
) -> Result<join_room_by_id_or_alias::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let named = RoomOrAliasId::parse(&request.path[0]).map_err(ApiError::invalid_param)?;
    let room = from.room_id(&named).await?;
    from.room(&room).join_saying(request.body.words()).await?;
    Ok(join_room_by_id_or_alias::v3::Response::new(room))
}

async fn knock(
    _: Homeserver,
    call: Matrix<knock_room::v3::Request>,
) -> Result<knock_room::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let room = from.knock(&request.room_id_or_alias, request.reason).await?;
    Ok(knock_room::v3::Response::new(room.id().to_owned()))
}
