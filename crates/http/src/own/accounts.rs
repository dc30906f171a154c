//! Accounts, where Matrix takes several requests for one thing.

use http::Method;
use ruma::{OwnedClientSecret, OwnedDeviceId, UInt, api::auth_scheme::NoAccessToken};
use serde::Deserialize;
use tertulia::{
    CodeRequest, EmailProof, Homeserver, NewAccount, NewDevice, Proving, Secret, SignUp,
};

use super::endpoint::{Call, Nothing};
use crate::{
    Action, ApiError, Routes,
    client::{Registered, Requested},
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::POST, "/register", Action::Registration, register)
        .own(Method::POST, "/account/email/requestToken", Action::Mail, mail_to_change)
        .own(Method::PUT, "/account/email", Action::Login, change_email)
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

/// As Matrix' endpoints have it that send a mail.
#[derive(Deserialize)]
struct Asked {
    client_secret: OwnedClientSecret,
    email: String,
    send_attempt: UInt,
}

async fn mail_to_change(
    server: Homeserver,
    call: Call<Nothing, Nothing, Asked>,
) -> Result<Requested, ApiError> {
    let Call { from, body: Asked { client_secret, email, send_attempt }, language, .. } = call;
    let (client_secret, attempt) = (client_secret.as_str(), send_attempt.into());
    let wish = CodeRequest { email: &email, client_secret, attempt, language };
    let sid = from.request_code(Proving::Change, wish).await?;
    Ok(Requested::new(&server, sid))
}

/// The password stands in the request itself: an application knows that it is asked for, and stages would only be a
/// second way to say the same.
#[derive(Deserialize)]
struct Change {
    email: Shown,
    password: Secret,
}

async fn change_email(
    server: Homeserver,
    call: Call<Nothing, Nothing, Change>,
) -> Result<Nothing, ApiError> {
    let Call { from, body: Change { email, password }, language, .. } = call;
    from.confirm_password(&password).await?;
    let (proof, code) = email.parted();
    if let Some(code) = code {
        server.submit_code(&proof, &code).await?;
    }
    from.change_email(&proof, language).await?;
    Ok(Nothing {})
}
