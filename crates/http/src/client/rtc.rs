//! What carries calls of many (MSC4143). Ruma keeps the endpoint behind a feature.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::Method;
use ruma::api::auth_scheme::AccessToken;
use serde::Serialize;
use tertulia::{Homeserver, JsonObject};

use crate::{Action, Answer, ApiError, Identify as _, Reply, Routes, observe::Site};

const PATHS: [&str; 2] = [
    "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
    "/_matrix/client/v1/rtc/transports",
];

pub(crate) fn routes() -> Routes {
    PATHS.into_iter().fold(Routes::new(), |router, path| router.at(Method::GET, path, transports))
}

#[derive(Serialize)]
struct Transports<'a> {
    rtc_transports: &'a [JsonObject],
}

async fn transports(State(server): State<Homeserver>, request: Request) -> Response {
    let told = async {
        let head = request.map(drop);
        let from = AccessToken::identify(&server, &head).await?;
        if let Some(site) = head.extensions().get::<Arc<Site>>() {
            site.check(Action::Other, Some(from.id()), &head)?;
        }
        Reply::<()>::reply(Answer(Transports { rtc_transports: server.rtc_transports() }))
    };
    told.await.unwrap_or_else(ApiError::into_response)
}
