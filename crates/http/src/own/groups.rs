//! Groups.

use http::Method;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use tertulia::{GroupMembers, Homeserver};

use super::{
    Limit,
    endpoint::{Call, OwnEndpoints as _},
};
use crate::{Action, ApiError, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().own(Method::GET, "/groups/{roomId}/members", Action::Other, members)
}

#[derive(Deserialize)]
struct OfGroup {
    #[serde(rename = "roomId")]
    room_id: OwnedRoomId,
}

#[derive(Deserialize)]
struct Page {
    from: Option<OwnedUserId>,
    #[serde(default)]
    limit: Limit,
}

async fn members(_: Homeserver, call: Call<OfGroup, Page>) -> Result<GroupMembers, ApiError> {
    let Call { from, path, query, .. } = call;
    Ok(from.groups().members(&path.room_id, query.from.as_deref(), query.limit.0).await?)
}
