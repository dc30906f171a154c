//! Making accounts.

use ruma::{
    OwnedDeviceId, OwnedUserId,
    api::client::account::{
        check_registration_token_validity::v1 as token_validity,
        get_username_availability::v3 as availability,
        register::{RegistrationKind, v3 as register},
    },
};
use serde::Serialize;
use tertulia::{AccessToken, Homeserver, NewAccount, NewDevice, Proven, Secret, Session};

use super::{interactive::Interactive, session::Tokens};
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Action::Registration, register)
        .endpoint_on(Action::Registration, is_available)
        .endpoint_on(Action::Registration, is_token_valid)
}

/// An account that was made. Ruma's own type says `null` for the device that was not wanted.
#[derive(Serialize)]
pub(crate) struct Registered {
    user_id: OwnedUserId,
    #[serde(flatten)]
    login: Option<Login>,
}

/// The session that begins with an account, unless it is not wanted.
#[derive(Serialize)]
struct Login {
    device_id: OwnedDeviceId,
    #[serde(flatten)]
    tokens: Tokens,
}

impl Registered {
    pub(crate) fn with_session(session: &Session, token: AccessToken) -> Self {
        let login = Login { device_id: session.device().to_owned(), tokens: token.into() };
        Self { user_id: session.id().to_owned(), login: Some(login) }
    }
}

async fn register(
    server: Homeserver,
    call: Matrix<Interactive<register::Request>>,
) -> Result<Answer<Registered>, ApiError> {
    let call = call.request;
    match call.request.kind {
        RegistrationKind::User => {}
        RegistrationKind::Guest => return Ok(Answer(let_in(&server, call.request).await?)),
        _ => return Err(ApiError::invalid_param("there is no such kind of account")),
    }
    let guest = guest(&server, &call.request).await?;
    let mut account = account(&call.request);
    if guest.is_some() {
        // It is the guest's own.
        account.name = None;
    }
    let flows = server.may_register(&account).await?;
    let (request, Proven { email, .. }) = call.prove(&server, flows, None).await?;
    let account = NewAccount { email, ..account };
    match guest {
        Some(guest) => Ok(Answer(make_member(&guest, account).await?)),
        None => Ok(Answer(make_account(&server, account, request.inhibit_login).await?)),
    }
}

/// Opens an account for a guest. There is nothing to prove.
async fn let_in(server: &Homeserver, request: register::Request) -> Result<Registered, ApiError> {
    let (session, token) = server.register_guest(device(&request)).await?;
    Ok(Registered::with_session(&session, token))
}

/// The guest who registers to become a member, if it is one.
async fn guest(
    server: &Homeserver,
    request: &register::Request,
) -> Result<Option<Session>, ApiError> {
    match &request.guest_access_token {
        Some(token) => Ok(Some(server.guest(token, request.username.as_deref()).await?)),
        None => Ok(None),
    }
}

async fn make_member(guest: &Session, account: NewAccount) -> Result<Registered, ApiError> {
    let NewAccount { password, email, device, .. } = account;
    let (session, token) = guest.become_member(password.as_ref(), email, device).await?;
    Ok(Registered::with_session(&session, token))
}

async fn make_account(
    server: &Homeserver,
    account: NewAccount,
    inhibit_login: bool,
) -> Result<Registered, ApiError> {
    if inhibit_login {
        let user = server.create_user(account).await?;
        return Ok(Registered { user_id: user.id().to_owned(), login: None });
    }
    let (session, token) = server.register(account).await?;
    Ok(Registered::with_session(&session, token))
}

fn account(request: &register::Request) -> NewAccount {
    NewAccount {
        name: request.username.clone(),
        password: request.password.clone().map(Secret::new),
        device: device(request),
        ..NewAccount::default()
    }
}

fn device(request: &register::Request) -> NewDevice {
    NewDevice {
        id: request.device_id.clone(),
        display_name: request.initial_device_display_name.clone(),
        renewable: request.refresh_token,
    }
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
