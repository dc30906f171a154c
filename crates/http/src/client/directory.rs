//! Aliases of rooms, joining and knocking by them, and the public room directory.

use ruma::{
    RoomId, ServerName,
    api::client::{
        alias::{create_alias, delete_alias, get_alias},
        directory::{
            get_public_rooms, get_public_rooms_filtered, get_room_visibility, set_room_visibility,
        },
        knock::knock_room,
        membership::join_room_by_id_or_alias,
        room::{self, aliases},
    },
    directory::RoomNetwork,
};
use serde::Deserialize;
use tertulia::{Error, Homeserver, PublicRoomsPage, PublicRoomsQuery, Visibility};

use super::{
    bearing::Bearing,
    lenient::{Beside, Lenient},
    membership::Joining,
};
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes, Terms};

/// Clients that took part in trying knocking out under the old prefix.
const KNOCK_R0: [&str; 1] = ["/_matrix/client/r0/knock/{room_id_or_alias}"];

pub(super) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Action::Other, create)
        .endpoint(get)
        .endpoint_on(Action::Other, delete)
        .endpoint(list)
        .endpoint(get_visibility)
        .endpoint_on(Action::Other, set_visibility)
        .endpoint_on(Action::Search, public_rooms)
        .endpoint_on(Action::Search, find_public_rooms)
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

async fn get_visibility(
    server: Homeserver,
    call: Matrix<get_room_visibility::v3::Request>,
) -> Result<get_room_visibility::v3::Response, ApiError> {
    let visibility = match server.visibility(&call.request.room_id).await? {
        Visibility::Public => room::Visibility::Public,
        Visibility::Private => room::Visibility::Private,
    };
    Ok(get_room_visibility::v3::Response::new(visibility))
}

/// What a room's visibility is to be: public, if nothing is said.
#[derive(Deserialize)]
struct Wish {
    #[serde(default = "public")]
    visibility: room::Visibility,
}

fn public() -> room::Visibility {
    room::Visibility::Public
}

async fn set_visibility(
    _: Homeserver,
    call: Matrix<Lenient<set_room_visibility::v3::Request, Wish>>,
) -> Result<set_room_visibility::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let room = RoomId::parse(&request.path[0]).map_err(ApiError::invalid_param)?;
    from.room(&room).set_visibility(wanted(&request.body.visibility)?).await?;
    Ok(set_room_visibility::v3::Response::new())
}

/// The visibility that a client wishes for a room.
pub(super) fn wanted(visibility: &room::Visibility) -> Result<Visibility, ApiError> {
    match visibility {
        room::Visibility::Public => Ok(Visibility::Public),
        room::Visibility::Private => Ok(Visibility::Private),
        _ => Err(ApiError::bad_json("there is no such visibility")),
    }
}

async fn public_rooms(
    server: Homeserver,
    call: Matrix<Bearing<get_public_rooms::v3::Request>>,
) -> Result<Answer<PublicRoomsPage>, ApiError> {
    let Bearing { request, token } = call.request;
    if !server.settings().directory.open {
        token.prove(&server).await?;
    }
    refuse_foreign(&server, request.server.as_deref())?;
    let limit = request.limit.map(u64::from);
    let query = PublicRoomsQuery { limit, since: request.since, ..PublicRoomsQuery::default() };
    Ok(Answer(server.public_rooms(&query).await?))
}

/// What a client looks for. Ruma takes an empty list of types for none at all, and does not mind
/// what the networks are.
#[derive(Deserialize)]
struct Sought {
    #[serde(default)]
    filter: Types,
    #[serde(rename = "include_all_networks")]
    _all_networks: Option<bool>,
    #[serde(rename = "third_party_instance_id")]
    _network: Option<String>,
}

#[derive(Default, Deserialize)]
struct Types {
    room_types: Option<Vec<Option<String>>>,
}

async fn find_public_rooms(
    server: Homeserver,
    call: Matrix<Beside<get_public_rooms_filtered::v3::Request, Sought>>,
) -> Result<Answer<PublicRoomsPage>, ApiError> {
    let Beside { request, beside } = call.request;
    refuse_foreign(&server, request.server.as_deref())?;
    // There is no network but Matrix.
    if let RoomNetwork::ThirdParty(_) = request.room_network {
        return Ok(Answer(PublicRoomsPage::default()));
    }
    let query = PublicRoomsQuery {
        limit: request.limit.map(u64::from),
        since: request.since,
        room_types: beside.filter.room_types,
        search: request.filter.generic_search_term,
    };
    Ok(Answer(server.public_rooms(&query).await?))
}

/// This server tells of its own rooms only.
fn refuse_foreign(server: &Homeserver, asked: Option<&ServerName>) -> Result<(), Error> {
    if asked.is_none_or(|asked| asked == server.name()) {
        return Ok(());
    }
    let reason = "this server does not federate yet: it lists no rooms of another server";
    Err(Error::Forbidden(reason.to_owned()))
}

async fn join(
    _: Homeserver,
    call: Matrix<Beside<join_room_by_id_or_alias::v3::Request, Joining>>,
) -> Result<join_room_by_id_or_alias::v3::Response, ApiError> {
    let Matrix { request: Beside { request, beside }, from } = call;
    let room = from.room_id(&request.room_id_or_alias).await?;
    from.room(&room).join_saying(beside.words()).await?;
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
