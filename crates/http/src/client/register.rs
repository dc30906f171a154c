//! Making accounts.

use axum::Router;
use ruma::api::client::account::{
    check_registration_token_validity::v1 as token_validity,
    get_username_availability::v3 as availability,
    register::{RegistrationKind, v3 as register},
};
use tertulia::{Error, Homeserver, NewAccount, NewDevice, Secret};

use super::interactive::Interactive;
use crate::{Action, ApiError, Endpoints as _, Matrix};

pub(crate) fn routes() -> Router<Homeserver> {
    Router::new()
        .endpoint_on(Action::Registration, register)
        .endpoint_on(Action::Registration, is_available)
        .endpoint_on(Action::Registration, is_token_valid)
}

async fn register(
    server: Homeserver,
    call: Matrix<Interactive<register::Request>>,
) -> Result<register::Response, ApiError> {
    let call = call.request;
    if call.request.kind != RegistrationKind::User {
        return Err(Error::NoGuests.into());
    }
    let flows = server.registration_flows()?;
    // What is wrong with the name is said before the client goes through the stages.
    if let Some(name) = &call.request.username {
        server.available(name).await?;
    }
    let (request, _) = call.prove(&server, flows, None).await?;
    make_account(&server, request).await
}

async fn make_account(
    server: &Homeserver,
    request: register::Request,
) -> Result<register::Response, ApiError> {
    let account = NewAccount {
        name: request.username,
        password: request.password.map(Secret::new),
        admin: false,
        device: NewDevice {
            id: request.device_id,
            display_name: request.initial_device_display_name,
        },
    };
    if request.inhibit_login {
        let user = server.create_user(account).await?;
        return Ok(register::Response::new(user.id().to_owned()));
    }
    let (session, token) = server.register(account).await?;
    let mut response = register::Response::new(session.id().to_owned());
    response.access_token = Some(token.reveal().to_owned());
    response.device_id = Some(session.device().to_owned());
    Ok(response)
}

async fn is_available(
    server: Homeserver,
    call: Matrix<availability::Request>,
) -> Result<availability::Response, ApiError> {
    server.available(&call.request.username).await?;
    Ok(availability::Response::new(true))
}

async fn is_token_valid(
    server: Homeserver,
    call: Matrix<token_validity::Request>,
) -> Result<token_validity::Response, ApiError> {
    server.registration_flows()?;
    let valid = server.allows_registration(&Secret::new(call.request.token));
    Ok(token_validity::Response::new(valid))
}
