//! Making an account in one request.

use http::Method;
use ruma::{OwnedDeviceId, api::auth_scheme::NoAccessToken};
use serde::Deserialize;
use tertulia::{EmailProof, Homeserver, NewAccount, NewDevice, Secret, SignUp};

use super::endpoint::{Call, Nothing};
use crate::{Action, ApiError, Routes, client::Registered};

pub(super) fn routes() -> Routes {
    Routes::new().own(Method::POST, "/register", Action::Registration, register)
}

/// What Matrix' endpoint takes in several requests.
#[derive(Deserialize)]
struct Wish {
    username: Option<String>,
    nickname: Option<String>,
    password: Secret,
    email: Option<Shown>,
    #[serde(default)]
    terms_accepted: bool,
    registration_token: Option<Secret>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
}

/// What shows that an address is somebody's, as `email/submit` takes it.
#[derive(Deserialize)]
pub(super) struct Shown {
    sid: String,
    client_secret: Secret,
    token: Option<Secret>,
}

impl Shown {
    /// The session, and what its mail said.
    pub(super) fn parted(self) -> (EmailProof, Option<Secret>) {
        (EmailProof { session: self.sid, client_secret: self.client_secret }, self.token)
    }
}

impl From<Wish> for SignUp {
    fn from(wish: Wish) -> Self {
        let (email, code) = wish.email.map(Shown::parted).unzip();
        let device = NewDevice {
            id: wish.device_id,
            display_name: wish.initial_device_display_name,
            renewable: wish.refresh_token,
        };
        let account = NewAccount {
            name: wish.username,
            password: Some(wish.password),
            display_name: wish.nickname,
            email,
            device,
            ..NewAccount::default()
        };
        Self {
            account,
            code: code.flatten(),
            terms_accepted: wish.terms_accepted,
            registration_token: wish.registration_token,
        }
    }
}

async fn register(
    server: Homeserver,
    call: Call<Nothing, Nothing, Wish, NoAccessToken>,
) -> Result<Registered, ApiError> {
    let (session, token) = server.sign_up(call.body.into()).await?;
    Ok(Registered::with_session(&session, token))
}
