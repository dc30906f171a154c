//! How present users are ("Presence").

use ruma::{
    UserId,
    api::client::presence::{get_presence, set_presence},
    presence::PresenceState,
};
use serde::Deserialize;
use tertulia::Homeserver;

use super::{account_data::check_own, lenient::Lenient};
use crate::{ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().endpoint(get).endpoint(set)
}

async fn get(
    _: Homeserver,
    call: Matrix<get_presence::v3::Request>,
) -> Result<get_presence::v3::Response, ApiError> {
    let presence = call.from.presence_of(&call.request.user_id).await?;
    let mut answer = get_presence::v3::Response::new(presence.state);
    answer.currently_active = Some(presence.currently_active);
    answer.last_active_ago = presence.last_active_ago.map(std::time::Duration::from_millis);
    answer.status_msg = presence.status;
    Ok(answer)
}

/// What a client says. Some write `null` where they say nothing.
#[derive(Deserialize)]
struct Said {
    presence: PresenceState,
    status_msg: Option<String>,
}

/// Whether there is such a state. Ruma reads any text as one.
pub(super) fn is_known(state: &PresenceState) -> bool {
    use PresenceState::{Offline, Online, Unavailable};
    [Offline, Online, Unavailable].contains(state)
}

async fn set(
    _: Homeserver,
    call: Matrix<Lenient<set_presence::v3::Request, Said>>,
) -> Result<set_presence::v3::Response, ApiError> {
    let Matrix { request: Lenient { path, body, .. }, from } = call;
    if !is_known(&body.presence) {
        return Err(ApiError::bad_json("`presence` is no state of presence"));
    }
    check_own(&from, &UserId::parse(&path[0]).map_err(ApiError::invalid_param)?)?;
    from.set_presence(body.presence, body.status_msg).await?;
    Ok(set_presence::v3::Response::new())
}
