//! Favourites: messages that a user keeps.

use http::Method;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use tertulia::{Favourite, FavouritesPage, FavouritesQuery, Homeserver, MessageKind, Told};

use super::{
    Limit,
    endpoint::{Call, Nothing},
};
use crate::{Action, ApiError, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::GET, "/favourites", Action::Other, list)
        .own(Method::POST, "/favourites", Action::Other, keep)
        .own(Method::GET, "/favourites/{favouriteId}", Action::Other, get)
        .own(Method::DELETE, "/favourites/{favouriteId}", Action::Other, drop)
}

#[derive(Deserialize)]
struct Page {
    kind: Option<MessageKind>,
    room_id: Option<OwnedRoomId>,
    words: Option<String>,
    from: Option<String>,
    #[serde(default)]
    limit: Limit,
}

async fn list(_: Homeserver, call: Call<Nothing, Page>) -> Result<FavouritesPage, ApiError> {
    let Page { kind, room_id: room, words, from, limit } = call.query;
    let query = FavouritesQuery { kind, room, words, from, limit: limit.0 };
    Ok(call.from.favourites().list(&query).await?)
}

#[derive(Deserialize)]
struct Message {
    room_id: OwnedRoomId,
    event_id: OwnedEventId,
    msgtype: Option<String>,
    preview: Option<String>,
}

async fn keep(_: Homeserver, call: Call<Nothing, Nothing, Message>) -> Result<Favourite, ApiError> {
    let Message { room_id, event_id, msgtype, preview } = call.body;
    let told = Told { msgtype, preview };
    Ok(call.from.favourites().keep(&room_id, &event_id, told).await?)
}

#[derive(Deserialize)]
struct Which {
    #[serde(rename = "favouriteId")]
    favourite_id: String,
}

async fn get(_: Homeserver, call: Call<Which>) -> Result<Favourite, ApiError> {
    Ok(call.from.favourites().get(&call.path.favourite_id).await?)
}

async fn drop(_: Homeserver, call: Call<Which>) -> Result<Nothing, ApiError> {
    call.from.favourites().drop(&call.path.favourite_id).await?;
    Ok(Nothing {})
}
