//! Typing notifications.

use std::time::Duration;

use ruma::{
    RoomId, UInt, UserId,
    api::client::typing::create_typing_event::v3::{Request, Response},
};
use serde::Deserialize;
use tertulia::Homeserver;

use super::{account_data::check_own, lenient::Lenient};
use crate::{ApiError, Endpoints as _, Matrix, Routes};

/// How long one types who does not say how long.
const USUALLY: Duration = Duration::from_secs(30);

pub(super) fn routes() -> Routes {
    Routes::new().endpoint(set)
}

/// What a client says. Ruma's own type insists on the time-out, which may be left out.
#[derive(Deserialize)]
struct Typing {
    typing: bool,
    timeout: Option<UInt>,
}

async fn set(_: Homeserver, call: Matrix<Lenient<Request, Typing>>) -> Result<Response, ApiError> {
    let Matrix { request: Lenient { path, body, .. }, from } = call;
    let [room, user] = path.as_slice() else {
        return Err(ApiError::invalid_param("the path has a room and a user"));
    };
    let room = RoomId::parse(room).map_err(ApiError::invalid_param)?;
    check_own(&from, &UserId::parse(user).map_err(ApiError::invalid_param)?)?;
    if body.typing {
        let timeout = body.timeout.map_or(USUALLY, |timeout| Duration::from_millis(timeout.into()));
        from.start_typing(&room, timeout).await?;
    } else {
        from.stop_typing(&room).await?;
    }
    Ok(Response::new())
}
