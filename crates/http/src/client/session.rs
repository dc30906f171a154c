//! Logging in and out.

use axum::Router;
use ruma::{
    OwnedDeviceId,
    api::client::session::{
        get_login_types::v3::{self as get_login_types, LoginType, PasswordLoginType},
        login, logout, logout_all,
    },
};
use serde::Deserialize;
use tertulia::{Error, Homeserver, NewDevice, Secret};

use super::lenient::{Identifier, Lenient};
use crate::{Action, ApiError, Endpoints as _, Matrix};

pub(crate) fn routes() -> Router<Homeserver> {
    Router::new()
        .endpoint(login_types)
        .endpoint_on(Action::Login, log_in)
        .endpoint(log_out)
        .endpoint(log_out_all)
}

async fn login_types(
    _: Homeserver,
    _: Matrix<get_login_types::Request>,
) -> Result<get_login_types::Response, ApiError> {
    let password = LoginType::Password(PasswordLoginType::new());
    Ok(get_login_types::Response::new(vec![password]))
}

/// How a client logs in. Ruma's own type breaks off where `type` is missing.
#[derive(Deserialize)]
struct Login {
    r#type: String,
    identifier: Option<Identifier>,
    user: Option<String>,
    password: Option<Secret>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
}

async fn log_in(
    server: Homeserver,
    call: Matrix<Lenient<login::v3::Request, Login>>,
) -> Result<login::v3::Response, ApiError> {
    let login = call.request.body;
    if login.r#type != "m.login.password" {
        return Err(Error::UnknownLoginType.into());
    }
    let password = login.password.ok_or_else(|| ApiError::missing_param("password"))?;
    // Nobody has a third-party identifier, so whoever gives one has the wrong password.
    let user = Identifier::user(login.identifier, login.user).unwrap_or_default();
    let device = NewDevice { id: login.device_id, display_name: login.initial_device_display_name };
    let (session, token) = server.login(&user, password.reveal(), device).await?;
    let (user, device) = (session.id().to_owned(), session.device().to_owned());
    Ok(login::v3::Response::new(user, token.reveal().to_owned(), device))
}

async fn log_out(
    _: Homeserver,
    call: Matrix<logout::v3::Request>,
) -> Result<logout::v3::Response, ApiError> {
    call.from.logout().await?;
    Ok(logout::v3::Response::new())
}

async fn log_out_all(
    _: Homeserver,
    call: Matrix<logout_all::v3::Request>,
) -> Result<logout_all::v3::Response, ApiError> {
    call.from.logout_all().await?;
    Ok(logout_all::v3::Response::new())
}
