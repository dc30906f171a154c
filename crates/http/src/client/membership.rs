//! Joining, inviting, leaving and removing ("Room membership").

use ruma::{
    api::client::membership::{
        ban_user, forget_room,
        invite_user::{self, v3::InvitationRecipient},
        join_room_by_id, joined_rooms, kick_user, leave_room, unban_user,
    },
    serde::JsonObject,
};
use serde::{Deserialize, de::IgnoredAny};
use tertulia::Homeserver;

use super::lenient::Beside;
use crate::{Action, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Action::Join, join)
        .endpoint_on(Action::Join, invite)
        .endpoint(leave)
        .endpoint(forget)
        .endpoint_on(Action::Message, kick)
        .endpoint_on(Action::Message, ban)
        .endpoint_on(Action::Message, unban)
        .endpoint(joined)
}

async fn join(
    _: Homeserver,
    Matrix { request, from }: Matrix<Beside<join_room_by_id::v3::Request, Joining>>,
) -> Result<join_room_by_id::v3::Response, ApiError> {
    let Beside { request, beside } = request;
    from.room(&request.room_id).join_saying(beside.words()).await?;
    Ok(join_room_by_id::v3::Response::new(request.room_id))
}

/// What one who joins says. The specification knows of a reason; as with other servers, whatever
/// else the client adds becomes part of the member event, too.
#[derive(Deserialize)]
pub(super) struct Joining {
    reason: Option<String>,
    /// Invitations by third parties are not there yet.
    #[serde(rename = "third_party_signed")]
    _third_party: Option<IgnoredAny>,
    #[serde(flatten)]
    words: JsonObject,
}

impl Joining {
    /// All of it that the member event shows.
    pub(super) fn words(self) -> JsonObject {
        let reason = self.reason.map(|reason| ("reason".to_owned(), reason.into()));
        self.words.into_iter().chain(reason).collect()
    }
}

async fn invite(
    _: Homeserver,
    Matrix { request, from }: Matrix<invite_user::v3::Request>,
) -> Result<invite_user::v3::Response, ApiError> {
    let InvitationRecipient::UserId(guest) = request.recipient else {
        return Err(ApiError::third_parties_unsupported());
    };
    from.room(&request.room_id).invite(&guest.user_id, guest.reason, false).await?;
    Ok(invite_user::v3::Response::new())
}

async fn leave(
    _: Homeserver,
    Matrix { request, from }: Matrix<leave_room::v3::Request>,
) -> Result<leave_room::v3::Response, ApiError> {
    from.room(&request.room_id).leave(request.reason).await?;
    Ok(leave_room::v3::Response::new())
}

async fn forget(
    _: Homeserver,
    Matrix { request, from }: Matrix<forget_room::v3::Request>,
) -> Result<forget_room::v3::Response, ApiError> {
    from.room(&request.room_id).forget().await?;
    Ok(forget_room::v3::Response::new())
}

async fn kick(
    _: Homeserver,
    Matrix { request, from }: Matrix<kick_user::v3::Request>,
) -> Result<kick_user::v3::Response, ApiError> {
    from.room(&request.room_id).kick(&request.user_id, request.reason).await?;
    Ok(kick_user::v3::Response::new())
}

async fn ban(
    _: Homeserver,
    Matrix { request, from }: Matrix<ban_user::v3::Request>,
) -> Result<ban_user::v3::Response, ApiError> {
    from.room(&request.room_id).ban(&request.user_id, request.reason).await?;
    Ok(ban_user::v3::Response::new())
}

async fn unban(
    _: Homeserver,
    Matrix { request, from }: Matrix<unban_user::v3::Request>,
) -> Result<unban_user::v3::Response, ApiError> {
    from.room(&request.room_id).unban(&request.user_id, request.reason).await?;
    Ok(unban_user::v3::Response::new())
}

async fn joined(
    _: Homeserver,
    Matrix { from, .. }: Matrix<joined_rooms::v3::Request>,
) -> Result<joined_rooms::v3::Response, ApiError> {
    Ok(joined_rooms::v3::Response::new(from.joined_rooms().await?))
}
