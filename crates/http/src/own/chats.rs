//! Chats.

use http::Method;
use ruma::OwnedRoomId;
use serde::Deserialize;
use tertulia::{Chat, ChatKind, ChatsPage, ChatsQuery, Homeserver};

use super::{
    Limit,
    endpoint::{Call, Nothing},
};
use crate::{Action, ApiError, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::GET, "/chats", Action::Other, list)
        .own(Method::GET, "/chats/{roomId}", Action::Other, one)
        .own(Method::GET, "/groups", Action::Other, groups)
}

#[derive(Deserialize)]
struct Page {
    kind: Option<ChatKind>,
    from: Option<String>,
    #[serde(default)]
    limit: Limit,
}

impl From<Page> for ChatsQuery {
    fn from(page: Page) -> Self {
        Self { kind: page.kind, from: page.from, limit: page.limit.0 }
    }
}

async fn list(_: Homeserver, call: Call<Nothing, Page>) -> Result<ChatsPage, ApiError> {
    Ok(call.from.chats().list(&call.query.into()).await?)
}

async fn groups(_: Homeserver, call: Call<Nothing, Page>) -> Result<ChatsPage, ApiError> {
    let query = ChatsQuery { kind: Some(ChatKind::Group), ..call.query.into() };
    Ok(call.from.chats().list(&query).await?)
}

#[derive(Deserialize)]
struct OfRoom {
    #[serde(rename = "roomId")]
    room: OwnedRoomId,
}

async fn one(_: Homeserver, call: Call<OfRoom>) -> Result<Chat, ApiError> {
    Ok(call.from.chats().get(&call.path.room).await?)
}
