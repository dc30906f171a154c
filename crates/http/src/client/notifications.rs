//! What a user was notified of ("Listing Notifications").

use ruma::{OwnedRoomId, api::client::push::get_notifications::v3::Request, push::Action};
use serde::Serialize;
use tertulia::{ClientEvent, Homeserver};

use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

/// How many notifications are told to those who do not say.
const USUALLY: usize = 20;

pub(super) fn routes() -> Routes {
    Routes::new().endpoint(list)
}

#[derive(Serialize)]
struct Notifications {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    actions: Vec<Action>,
    event: ClientEvent,
    read: bool,
    room_id: OwnedRoomId,
    ts: u64,
}

async fn list(_: Homeserver, call: Matrix<Request>) -> Result<Answer<Notifications>, ApiError> {
    let Matrix { request: Request { from, limit, only, .. }, from: user } = call;
    let from = from.map(|from| from.parse()).transpose().map_err(ApiError::invalid_param)?;
    let limit = limit.map_or(USUALLY, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let told = user.notifications(from, limit, only.as_deref() == Some("highlight")).await?;
    let notification = |told: tertulia::Notification| {
        let tertulia::Notification { actions, event, room, ts, read } = told;
        Notification { actions, event, read, room_id: room, ts }
    };
    Ok(Answer(Notifications {
        next_token: told.next.map(|next| next.to_string()),
        notifications: told.notifications.into_iter().map(notification).collect(),
    }))
}
