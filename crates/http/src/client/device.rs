//! A user's devices.

use axum::Router;
use ruma::api::client::device::{
    self, delete_device::v3 as delete_device, delete_devices::v3 as delete_devices,
    get_device::v3 as get_device, get_devices::v3 as get_devices,
    update_device::v3 as update_device,
};
use tertulia::{Device, Homeserver};

use super::{account::OWNER, interactive::Interactive};
use crate::{Action, ApiError, Endpoints as _, Matrix};

pub(crate) fn routes() -> Router<Homeserver> {
    Router::new()
        .endpoint(list)
        .endpoint(get)
        .endpoint(rename)
        .endpoint_on(Action::Login, delete)
        .endpoint_on(Action::Login, delete_several)
}

async fn list(
    _: Homeserver,
    call: Matrix<get_devices::Request>,
) -> Result<get_devices::Response, ApiError> {
    let devices = call.from.devices().await?;
    Ok(get_devices::Response::new(devices.into_iter().map(show).collect()))
}

async fn get(
    _: Homeserver,
    call: Matrix<get_device::Request>,
) -> Result<get_device::Response, ApiError> {
    let found = call.from.find_device(&call.request.device_id).await?;
    Ok(get_device::Response::new(show(found)))
}

fn show(found: Device) -> device::Device {
    let mut device = device::Device::new(found.id);
    device.display_name = found.display_name;
    device.last_seen_ip = found.last_seen_from;
    device.last_seen_ts = found.last_seen;
    device
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
