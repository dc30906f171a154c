//! Logging in and out.

use ruma::{
    OwnedDeviceId, OwnedUserId,
    api::client::session::{
        get_login_token,
        get_login_types::v3::{
            self as get_login_types, LoginType, PasswordLoginType, TokenLoginType,
        },
        login, logout, logout_all, refresh_token,
    },
};
use serde::{Deserialize, Serialize};
use tertulia::{AccessToken, Error, Homeserver, NewDevice, Renewal, Secret, Session};

use super::{
    account::OWNER,
    interactive::Interactive,
    lenient::{Identifier, Lenient, third_party},
};
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint(login_types)
        .endpoint_on(Action::Login, log_in)
        .endpoint_on(Action::Login, login_token)
        .endpoint_on(Action::Login, refresh)
        .endpoint(log_out)
        .endpoint(log_out_all)
}

async fn login_types(
    _: Homeserver,
    _: Matrix<get_login_types::Request>,
) -> Result<get_login_types::Response, ApiError> {
    let password = LoginType::Password(PasswordLoginType::new());
    let mut token = TokenLoginType::new();
    token.get_login_token = true;
    Ok(get_login_types::Response::new(vec![password, LoginType::Token(token)]))
}

/// How a client logs in. Ruma's own type breaks off where `type` is missing.
#[derive(Deserialize)]
struct Login {
    r#type: String,
    identifier: Option<Identifier>,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
    /// A third-party identifier as before version r0.4.
    medium: Option<String>,
    address: Option<String>,
}

/// The tokens of a session, as every answer that gives some tells them.
#[derive(Serialize)]
pub(super) struct Tokens {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl From<AccessToken> for Tokens {
    fn from(token: AccessToken) -> Self {
        let renewal = token.renewal();
        let milliseconds = |renewal: &Renewal| renewal.lifetime.as_millis().try_into().ok();
        Self {
            access_token: token.reveal().to_owned(),
            refresh_token: renewal.map(|renewal| renewal.refresh_token.reveal().to_owned()),
            expires_in_ms: renewal.and_then(milliseconds),
        }
    }
}

/// A session that was opened.
#[derive(Serialize)]
struct LoggedIn {
    user_id: OwnedUserId,
    device_id: OwnedDeviceId,
    #[serde(flatten)]
    tokens: Tokens,
}

async fn log_in(
    server: Homeserver,
    call: Matrix<Lenient<login::v3::Request, Login>>,
) -> Result<Answer<LoggedIn>, ApiError> {
    let (session, token) = open_session(&server, call.request.body).await?;
    let (user_id, device_id) = (session.id().to_owned(), session.device().to_owned());
    Ok(Answer(LoggedIn { user_id, device_id, tokens: token.into() }))
}

async fn open_session(
    server: &Homeserver,
    login: Login,
) -> Result<(Session, AccessToken), ApiError> {
    let device = NewDevice {
        id: login.device_id,
        display_name: login.initial_device_display_name,
        renewable: login.refresh_token,
    };
    match login.r#type.as_str() {
        "m.login.password" => {
            let password = login.password.ok_or_else(|| ApiError::missing_param("password"))?;
            let before = login.user.or_else(|| third_party(login.medium.as_deref(), login.address));
            // Nobody is called nothing, so whoever cannot be meant has the wrong password.
            let user = Identifier::user(login.identifier, before).unwrap_or_default();
            Ok(server.login(&user, password.reveal(), device).await?)
        }
        "m.login.token" => {
            let token = login.token.ok_or_else(|| ApiError::missing_param("token"))?;
            Ok(server.login_with_token(token.reveal(), device).await?)
        }
        _ => Err(Error::UnknownLoginType.into()),
    }
}

async fn login_token(
    server: Homeserver,
    call: Matrix<Interactive<get_login_token::v1::Request>>,
) -> Result<get_login_token::v1::Response, ApiError> {
    call.request.prove(&server, OWNER, Some(call.from.id())).await?;
    let pass = call.from.login_token().await?;
    Ok(get_login_token::v1::Response::new(pass.lifetime, pass.token.reveal().to_owned()))
}

async fn refresh(
    server: Homeserver,
    call: Matrix<refresh_token::v3::Request>,
) -> Result<Answer<Tokens>, ApiError> {
    let token = server.refresh(&call.request.refresh_token).await?;
    Ok(Answer(token.into()))
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
