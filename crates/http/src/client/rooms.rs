//! Making rooms ("Creation").

use ruma::{
    RoomAliasId, UserId,
    api::client::room::{
        Visibility,
        create_room::v3::{Request, Response, RoomPreset},
    },
    events::{AnyInitialStateEvent, StateEventType},
    serde::{JsonObject, Raw},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tertulia::{Homeserver, InitialState, NewRoom, Preset};

use super::directory::wanted;
use crate::{Action, ApiError, Endpoints as _, Matrix, Routes};

/// How many may be invited into a new room: each costs an event, and comes past the rate of invites.
const MOST_INVITED: usize = 100;
/// How many state events of its creator's own a new room may begin with.
const MOST_STATE: usize = 200;

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint_on(Action::RoomCreation, create)
}

async fn create(
    server: Homeserver,
    Matrix { request, from }: Matrix<Request>,
) -> Result<Response, ApiError> {
    let visibility = wanted(&request.visibility)?;
    let wishes = read(&server, from.id(), request)?;
    let made = from.create_room_as(wishes, visibility).await;
    let room = made.map_err(ApiError::of_new_room)?;
    Ok(Response::new(room.id().to_owned()))
}

/// What the request wishes for.
fn read(server: &Homeserver, creator: &UserId, request: Request) -> Result<NewRoom, ApiError> {
    if !request.invite_3pid.is_empty() {
        return Err(ApiError::third_parties_unsupported());
    }
    if request.invite.len() > MOST_INVITED {
        return Err(ApiError::invalid_param("too many are invited at once; invite some later"));
    }
    if request.initial_state.len() > MOST_STATE {
        let words = "`initial_state` has too many events; send some when the room is there";
        return Err(ApiError::invalid_param(words));
    }
    let default = || server.settings().default_room_version.clone();
    let version = request.room_version.unwrap_or_else(default);
    let alias = |name: String| RoomAliasId::parse(format!("#{name}:{}", server.name()));
    let alias = request.room_alias_name.map(alias).transpose();
    Ok(NewRoom {
        preset: preset(request.preset, &request.visibility)?,
        creation_content: object(request.creation_content)?,
        initial_state: request.initial_state.iter().map(initial).collect::<Result<_, _>>()?,
        power_levels: object(request.power_level_content_override)?,
        alias: alias.map_err(ApiError::invalid_param)?,
        name: request.name,
        topic: request.topic,
        invite: request.invite,
        is_direct: request.is_direct,
        ..NewRoom::new(creator.to_owned(), version)
    })
}

/// Without a preset, it follows from whether the room is to be listed.
fn preset(preset: Option<RoomPreset>, visibility: &Visibility) -> Result<Preset, ApiError> {
    Ok(match (preset, visibility) {
        (Some(RoomPreset::PublicChat), _) | (None, Visibility::Public) => Preset::PublicChat,
        (Some(RoomPreset::PrivateChat), _) | (None, Visibility::Private) => Preset::PrivateChat,
        (Some(RoomPreset::TrustedPrivateChat), _) => Preset::TrustedPrivateChat,
        (Some(_), _) => return Err(ApiError::bad_json("there is no such preset")),
        (None, _) => return Err(ApiError::bad_json("there is no such visibility")),
    })
}

fn object<T>(raw: Option<Raw<T>>) -> Result<JsonObject, ApiError> {
    let Some(raw) = raw else { return Ok(JsonObject::new()) };
    raw.deserialize_as_unchecked().map_err(ApiError::bad_json)
}

/// A state event to begin with, of a type that ruma need not know.
#[derive(Deserialize)]
struct Initial {
    #[serde(rename = "type")]
    kind: StateEventType,
    #[serde(default)]
    state_key: String,
    content: Box<RawValue>,
}

fn initial(raw: &Raw<AnyInitialStateEvent>) -> Result<InitialState, ApiError> {
    let event: Initial = raw.deserialize_as_unchecked().map_err(ApiError::bad_json)?;
    let Initial { kind, state_key, content } = event;
    Ok(InitialState { kind, state_key, content })
}
