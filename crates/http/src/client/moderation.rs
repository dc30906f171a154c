//! What administrators do and know ("Account moderation", "Server administration").

use std::collections::BTreeMap;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedUserId,
    api::client::admin::{
        get_user_info::v3 as whois, is_user_locked::v1 as is_locked,
        is_user_suspended::v1 as is_suspended, lock_user::v1 as lock, suspend_user::v1 as suspend,
    },
};
use serde::Serialize;
use tertulia::{Device, Homeserver, Restriction};

use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint(lock)
        .endpoint(is_locked)
        .endpoint(suspend)
        .endpoint(is_suspended)
        .endpoint(whois)
}

async fn lock(
    _: Homeserver,
    Matrix { request, from }: Matrix<lock::Request>,
) -> Result<lock::Response, ApiError> {
    from.restrict(&request.user_id, Restriction::Lock, request.locked).await?;
    Ok(lock::Response::new(request.locked))
}

async fn is_locked(
    _: Homeserver,
    Matrix { request, from }: Matrix<is_locked::Request>,
) -> Result<is_locked::Response, ApiError> {
    let locked = from.is_restricted(&request.user_id, Restriction::Lock).await?;
    Ok(is_locked::Response::new(locked))
}

async fn suspend(
    _: Homeserver,
    Matrix { request, from }: Matrix<suspend::Request>,
) -> Result<suspend::Response, ApiError> {
    from.restrict(&request.user_id, Restriction::Suspension, request.suspended).await?;
    Ok(suspend::Response::new(request.suspended))
}

async fn is_suspended(
    _: Homeserver,
    Matrix { request, from }: Matrix<is_suspended::Request>,
) -> Result<is_suspended::Response, ApiError> {
    let suspended = from.is_restricted(&request.user_id, Restriction::Suspension).await?;
    Ok(is_suspended::Response::new(suspended))
}

/// A user's devices, each with the one session on it. Ruma's own type says `null` for what is not
/// known.
#[derive(Serialize)]
struct Whois {
    user_id: OwnedUserId,
    devices: BTreeMap<OwnedDeviceId, Sessions>,
}

#[derive(Serialize)]
struct Sessions {
    sessions: [Connections; 1],
}

#[derive(Serialize)]
struct Connections {
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    last_seen: MilliSecondsSinceUnixEpoch,
}

impl From<&Device> for Sessions {
    fn from(device: &Device) -> Self {
        let ip = device.last_seen_from.clone();
        let connection = device.last_seen.map(|last_seen| Connection { ip, last_seen });
        Self { sessions: [Connections { connections: connection.into_iter().collect() }] }
    }
}

async fn whois(
    _: Homeserver,
    Matrix { request, from }: Matrix<whois::Request>,
) -> Result<Answer<Whois>, ApiError> {
    let devices = from.devices_of(&request.user_id).await?;
    let devices = devices.iter().map(|device| (device.id.clone(), device.into())).collect();
    Ok(Answer(Whois { user_id: request.user_id, devices }))
}
