//! A user's devices.

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId,
    api::client::device::{
        delete_device::v3 as delete_device, delete_devices::v3 as delete_devices,
        get_device::v3 as get_device, get_devices::v3 as get_devices,
        update_device::v3 as update_device,
    },
};
use serde::Serialize;
use tertulia::{Device, Homeserver};

use super::{account::OWNER, interactive::Interactive};
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint(list)
        .endpoint(get)
        .endpoint_on(Action::Other, rename)
        .endpoint_on(Action::Login, delete)
        .endpoint_on(Action::Login, delete_several)
}

/// A device as its user sees it. Ruma's own type says `null` for what is not known.
#[derive(Serialize)]
struct Shown {
    device_id: OwnedDeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ts: Option<MilliSecondsSinceUnixEpoch>,
}

impl From<Device> for Shown {
    fn from(device: Device) -> Self {
        Self {
            device_id: device.id,
            display_name: device.display_name,
            last_seen_ip: device.last_seen_from,
            last_seen_ts: device.last_seen,
        }
    }
}

/// All devices of a user.
#[derive(Serialize)]
struct Devices {
    devices: Vec<Shown>,
}

async fn list(
    _: Homeserver,
    call: Matrix<get_devices::Request>,
) -> Result<Answer<Devices>, ApiError> {
    let devices = call.from.devices().await?;
    Ok(Answer(Devices { devices: devices.into_iter().map(Shown::from).collect() }))
}

async fn get(_: Homeserver, call: Matrix<get_device::Request>) -> Result<Answer<Shown>, ApiError> {
    let found = call.from.find_device(&call.request.device_id).await?;
    Ok(Answer(found.into()))
}

async fn rename(
    _: Homeserver,
    call: Matrix<update_device::Request>,
) -> Result<update_device::Response, ApiError> {
    let Matrix { request, from } = call;
    match request.display_name {
        Some(name) => from.rename_device(&request.device_id, name).await?,
        // Nothing is changed, but whether the device exists is told all the same.
        None => drop(from.find_device(&request.device_id).await?),
    }
    Ok(update_device::Response::new())
}

async fn delete(
    server: Homeserver,
    call: Matrix<Interactive<delete_device::Request>>,
) -> Result<delete_device::Response, ApiError> {
    let (request, _) = call.request.prove(&server, OWNER, Some(call.from.id())).await?;
    call.from.delete_devices(vec![request.device_id]).await?;
    Ok(delete_device::Response::new())
}

async fn delete_several(
    server: Homeserver,
    call: Matrix<Interactive<delete_devices::Request>>,
) -> Result<delete_devices::Response, ApiError> {
    let (request, _) = call.request.prove(&server, OWNER, Some(call.from.id())).await?;
    call.from.delete_devices(request.devices).await?;
    Ok(delete_devices::Response::new())
}
