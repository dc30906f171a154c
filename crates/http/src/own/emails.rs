//! Showing what a mail said: the code that somebody typed, or the page that its link opens.

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::Method;
use ruma::api::auth_scheme::NoAccessToken;
use serde::{Deserialize, Serialize};
use tertulia::{EmailProof, Homeserver, Language, Secret};

use super::endpoint::{Call, Nothing};
use crate::{Action, ApiError, Routes, endpoint::path_arguments, language::language, pages::page};

const CONFIRM: &str = include_str!("confirm.html");
const CONFIRM_IN_CHINESE: &str = include_str!("confirm.zh.html");

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::POST, "/email/submit", Action::Login, submit)
        .at(Method::GET, "/_tertulia/client/v1/email/confirm", ask)
        .own(Method::POST, "/email/confirm", Action::Login, confirm)
}

/// What a client submits, as identity servers take it.
#[derive(Deserialize)]
struct Submitted {
    sid: String,
    client_secret: Secret,
    token: Secret,
}

#[derive(Serialize)]
struct Success {
    success: bool,
}

async fn submit(
    server: Homeserver,
    call: Call<Nothing, Nothing, Submitted, NoAccessToken>,
) -> Result<Success, ApiError> {
    let Submitted { sid, client_secret, token } = call.body;
    server.submit_code(&EmailProof { session: sid, client_secret }, &token).await?;
    Ok(Success { success: true })
}

/// A page that asks whether it was meant. Programs look at links in mails before people do, so the link by itself
/// does nothing.
async fn ask(State(server): State<Homeserver>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if let Err(error) = path_arguments(&mut parts, &server).await {
        return error.into_response();
    }
    let text = match language(&http::Request::from_parts(parts, ())) {
        Language::Chinese => CONFIRM_IN_CHINESE,
        _ => CONFIRM,
    };
    page(text.to_owned())
}

/// What the page sends, from its own address.
#[derive(Deserialize)]
struct Confirmed {
    session: String,
    token: Secret,
}

async fn confirm(
    server: Homeserver,
    call: Call<Nothing, Nothing, Confirmed, NoAccessToken>,
) -> Result<Nothing, ApiError> {
    server.follow_link(&call.body.session, &call.body.token).await?;
    Ok(Nothing {})
}
