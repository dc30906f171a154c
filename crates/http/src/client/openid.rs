//! Telling services who a user is ("OpenID"), and clients how to reach a TURN server.

use ruma::{
    api::{
        client::{
            account::request_openid_token::v3 as request_token,
            voip::get_turn_server_info::v3 as turn,
        },
        federation::openid::get_openid_userinfo::v1 as user_info,
    },
    authentication::TokenType,
};
use serde::Serialize;
use tertulia::{Error, Homeserver, TurnCredentials};

use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(request_token).endpoint(user_info).endpoint(turn_server)
}

async fn request_token(
    server: Homeserver,
    call: Matrix<request_token::Request>,
) -> Result<request_token::Response, ApiError> {
    if call.request.user_id != call.from.id() {
        let others = "this is another user's identity".to_owned();
        return Err(Error::Forbidden(others).into());
    }
    let pass = call.from.openid_token().await?;
    let (token, name) = (pass.token.reveal().to_owned(), server.name().to_owned());
    Ok(request_token::Response::new(token, TokenType::Bearer, name, pass.lifetime))
}

async fn user_info(
    server: Homeserver,
    call: Matrix<user_info::Request>,
) -> Result<user_info::Response, ApiError> {
    Ok(user_info::Response::new(server.openid_user(&call.request.access_token).await?))
}

/// Credentials for a TURN server; an empty object where there is none, as clients know it.
#[derive(Serialize)]
struct TurnServer {
    #[serde(flatten)]
    credentials: Option<Credentials>,
}

#[derive(Serialize)]
struct Credentials {
    username: String,
    password: String,
    uris: Vec<String>,
    ttl: u64,
}

impl From<TurnCredentials> for Credentials {
    fn from(credentials: TurnCredentials) -> Self {
        Self {
            username: credentials.username,
            password: credentials.password.reveal().to_owned(),
            uris: credentials.uris,
            ttl: credentials.lifetime.as_secs(),
        }
    }
}

async fn turn_server(
    _: Homeserver,
    call: Matrix<turn::Request>,
) -> Result<Answer<TurnServer>, ApiError> {
    let credentials = call.from.turn_credentials().map(Credentials::from);
    Ok(Answer(TurnServer { credentials }))
}
