//! Making accounts with a shared secret, as administrators' scripts do. Off unless a secret is set.

use axum::{extract::State, response::Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use tertulia::{Error, Homeserver, NewAccount, Secret};

use crate::{Answer, ApiError, Reply, Routes, body};

const PATH: &str = "/_synapse/admin/v1/register";
const LARGEST_BODY: usize = 1 << 16;

pub(crate) fn routes() -> Routes {
    Routes::new().at(Method::GET, PATH, nonce).at(Method::POST, PATH, register)
}

/// What signs requests, if making accounts so is on.
fn secret(server: &Homeserver) -> Result<&Secret, ApiError> {
    let secret = server.settings().registration_shared_secret.as_ref();
    secret.ok_or_else(|| ApiError::unrecognized("registration with a shared secret is off"))
}

#[derive(Serialize)]
struct Nonce {
    nonce: String,
}

async fn nonce(State(server): State<Homeserver>) -> Result<Response, ApiError> {
    secret(&server)?;
    answer(Nonce { nonce: server.nonce() })
}

/// An account to be made, signed by someone who knows the secret.
#[derive(Deserialize)]
struct Request {
    nonce: String,
    username: String,
    displayname: Option<String>,
    password: Secret,
    #[serde(default)]
    admin: bool,
    user_type: Option<String>,
    mac: String,
}

#[derive(Serialize)]
struct Registered {
    access_token: String,
    user_id: OwnedUserId,
    home_server: OwnedServerName,
    device_id: OwnedDeviceId,
}

async fn register(
    State(server): State<Homeserver>,
    request: axum::extract::Request,
) -> Result<Response, ApiError> {
    let secret = secret(&server)?;
    let body = body::read_object(&Method::POST, request.into_body(), LARGEST_BODY).await?;
    let request: Request = body::parsed(&body)?;
    if !server.spend_nonce(&request.nonce) {
        return Err(Error::Invalid("the nonce").into());
    }
    if !request.is_signed_with(secret) {
        return Err(Error::Forbidden("the request is not signed with the secret".to_owned()).into());
    }
    answer(make_account(&server, request).await?)
}

async fn make_account(server: &Homeserver, request: Request) -> Result<Registered, ApiError> {
    let account = NewAccount {
        name: Some(request.username),
        password: Some(request.password),
        display_name: request.displayname,
        admin: request.admin,
        ..NewAccount::default()
    };
    let (session, token) = server.register(account).await?;
    Ok(Registered {
        access_token: token.reveal().to_owned(),
        user_id: session.id().to_owned(),
        home_server: server.name().to_owned(),
        device_id: session.device().to_owned(),
    })
}

impl Request {
    /// Whether `mac` is the HMAC-SHA1 of the other fields under `secret`, as Synapse has it.
    fn is_signed_with(&self, secret: &Secret) -> bool {
        let Ok(mac) = hex::decode(&self.mac) else { return false };
        let mut hmac = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes())
            .expect("HMAC takes keys of any length");
        let admin = if self.admin { "admin" } else { "notadmin" };
        hmac.update(
            [&self.nonce, &self.username, self.password.reveal(), admin].join("\0").as_bytes(),
        );
        if let Some(user_type) = &self.user_type {
            hmac.update(b"\0");
            hmac.update(user_type.as_bytes());
        }
        hmac.verify_slice(&mac).is_ok()
    }
}

fn answer<T: Serialize>(body: T) -> Result<Response, ApiError> {
    // The endpoint is none of ruma's, so there is no request type that the answer belongs to.
    <Answer<T> as Reply<()>>::reply(Answer(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a signature that was made with `printf … | openssl dgst -sha1 -hmac s3cret`.
    fn check(admin: bool, user_type: Option<&str>, mac: &str, expected: bool) {
        let request = Request {
            nonce: "thisisanonce".to_owned(),
            username: "pepper_roni".to_owned(),
            displayname: None,
            password: Secret::new("pizza".to_owned()),
            admin,
            user_type: user_type.map(ToOwned::to_owned),
            mac: mac.to_owned(),
        };
        let secret = Secret::new("s3cret".to_owned());
        assert_eq!(request.is_signed_with(&secret), expected, "{admin} {user_type:?} {mac}");
    }

    const ADMIN: &str = "9b314484b95d34f6c6b11700b792da8512238699";
    const NO_ADMIN: &str = "a8b8837c8c649db69f16714326f6c59e923429bc";
    const BOT: &str = "6204902e44e880874573474e286535f8f3361456";

    #[test]
    fn the_signature_covers_everything_that_counts() {
        check(true, None, ADMIN, true);
        check(false, None, NO_ADMIN, true);
        check(false, Some("bot"), BOT, true);
        check(false, None, &NO_ADMIN.to_uppercase(), true);
        check(true, None, NO_ADMIN, false);
        check(false, None, ADMIN, false);
        check(false, None, BOT, false);
        check(false, Some("support"), BOT, false);
    }

    #[test]
    fn what_is_no_signature_does_not_pass() {
        for mac in ["", "00", "not hex", &NO_ADMIN[..38], &format!("{NO_ADMIN}00")] {
            check(false, None, mac, false);
        }
    }
}
