//! Groups.

use http::Method;
use ruma::{OwnedMxcUri, OwnedRoomId, OwnedRoomOrAliasId, OwnedUserId};
use serde::{Deserialize, Serialize};
use tertulia::{GroupMembers, Homeserver, Joined, NewGroup, Role};

use super::{
    Limit,
    endpoint::{Call, Nothing},
};
use crate::{Action, ApiError, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::POST, "/groups", Action::RoomCreation, create)
        .own(Method::POST, "/groups/join", Action::Join, join)
        .own(Method::GET, "/groups/{roomId}/members", Action::Other, members)
        .own(Method::PUT, "/groups/{roomId}/members/{userId}/role", Action::Other, set_role)
        .own(Method::POST, "/groups/{roomId}/hand_over", Action::Other, hand_over)
        .own(Method::PUT, "/groups/{roomId}/announcements", Action::Other, announce)
        .own(Method::POST, "/groups/{roomId}/leave", Action::Other, leave)
        .own(Method::POST, "/groups/{roomId}/dissolve", Action::Other, dissolve)
}

#[derive(Deserialize)]
struct OfGroup {
    #[serde(rename = "roomId")]
    room: OwnedRoomId,
}

#[derive(Deserialize)]
struct OfMember {
    #[serde(rename = "roomId")]
    room: OwnedRoomId,
    #[serde(rename = "userId")]
    user: OwnedUserId,
}

#[derive(Deserialize)]
struct Wish {
    name: Option<String>,
    topic: Option<String>,
    avatar_url: Option<OwnedMxcUri>,
    #[serde(default)]
    members: Vec<OwnedUserId>,
    #[serde(default)]
    public: bool,
}

#[derive(Serialize)]
struct Created {
    room_id: OwnedRoomId,
}

async fn create(_: Homeserver, call: Call<Nothing, Nothing, Wish>) -> Result<Created, ApiError> {
    let Wish { name, topic, avatar_url, members, public } = call.body;
    let wish = NewGroup { name, topic, avatar_url, members, public };
    let group = call.from.groups().create(wish).await?;
    Ok(Created { room_id: group.id().to_owned() })
}

#[derive(Deserialize)]
struct Which {
    group: OwnedRoomOrAliasId,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Entered {
    room_id: OwnedRoomId,
    joined: bool,
}

async fn join(_: Homeserver, call: Call<Nothing, Nothing, Which>) -> Result<Entered, ApiError> {
    let Which { group, reason } = call.body;
    Ok(match call.from.groups().join(&group, reason).await? {
        Joined::In(room_id) => Entered { room_id, joined: true },
        Joined::Asked(room_id) => Entered { room_id, joined: false },
    })
}

#[derive(Deserialize)]
struct Page {
    from: Option<OwnedUserId>,
    #[serde(default)]
    limit: Limit,
}

async fn members(_: Homeserver, call: Call<OfGroup, Page>) -> Result<GroupMembers, ApiError> {
    let Call { from, path, query, .. } = call;
    Ok(from.groups().members(&path.room, query.from.as_deref(), query.limit.0).await?)
}

#[derive(Deserialize)]
struct NewRole {
    role: Role,
}

async fn set_role(
    _: Homeserver,
    call: Call<OfMember, Nothing, NewRole>,
) -> Result<Nothing, ApiError> {
    let Call { from, path, body, .. } = call;
    from.groups().set_role(&path.room, &path.user, body.role).await?;
    Ok(Nothing {})
}

#[derive(Deserialize)]
struct ToWhom {
    user_id: OwnedUserId,
}

async fn hand_over(
    _: Homeserver,
    call: Call<OfGroup, Nothing, ToWhom>,
) -> Result<Nothing, ApiError> {
    let Call { from, path, body, .. } = call;
    from.groups().hand_over(&path.room, &body.user_id).await?;
    Ok(Nothing {})
}

#[derive(Deserialize)]
struct Announcements {
    only: bool,
}

async fn announce(
    _: Homeserver,
    call: Call<OfGroup, Nothing, Announcements>,
) -> Result<Nothing, ApiError> {
    let Call { from, path, body, .. } = call;
    from.groups().set_announcements_only(&path.room, body.only).await?;
    Ok(Nothing {})
}

async fn leave(_: Homeserver, call: Call<OfGroup>) -> Result<Nothing, ApiError> {
    call.from.groups().leave(&call.path.room).await?;
    Ok(Nothing {})
}

async fn dissolve(_: Homeserver, call: Call<OfGroup>) -> Result<Nothing, ApiError> {
    call.from.groups().dissolve(&call.path.room).await?;
    Ok(Nothing {})
}
