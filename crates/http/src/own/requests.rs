//! Requests.

use http::Method;
use serde::Deserialize;
use tertulia::{Homeserver, RequestBox, RequestsPage};

use super::{
    Limit,
    endpoint::{Call, Nothing},
};
use crate::{Action, ApiError, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::GET, "/requests/received", Action::Other, received)
        .own(Method::GET, "/requests/sent", Action::Other, sent)
        .own(Method::POST, "/requests/seen", Action::Other, mark_seen)
        .own(Method::POST, "/requests/{requestId}/accept", Action::Join, accept)
        .own(Method::POST, "/requests/{requestId}/refuse", Action::Other, refuse)
        .own(Method::POST, "/requests/{requestId}/withdraw", Action::Other, withdraw)
        .own(Method::DELETE, "/requests/{requestId}", Action::Other, dismiss)
}

#[derive(Deserialize)]
struct Page {
    from: Option<String>,
    #[serde(default)]
    limit: Limit,
}

async fn received(_: Homeserver, call: Call<Nothing, Page>) -> Result<RequestsPage, ApiError> {
    list(call, RequestBox::Received).await
}

async fn sent(_: Homeserver, call: Call<Nothing, Page>) -> Result<RequestsPage, ApiError> {
    list(call, RequestBox::Sent).await
}

async fn list(call: Call<Nothing, Page>, of: RequestBox) -> Result<RequestsPage, ApiError> {
    let Page { from, limit } = call.query;
    Ok(call.from.requests().list(of, from.as_deref(), limit.0).await?)
}

async fn mark_seen(_: Homeserver, call: Call) -> Result<Nothing, ApiError> {
    call.from.requests().mark_seen().await?;
    Ok(Nothing {})
}

#[derive(Deserialize)]
struct OfRequest {
    #[serde(rename = "requestId")]
    request: String,
}

async fn accept(_: Homeserver, call: Call<OfRequest>) -> Result<Nothing, ApiError> {
    call.from.requests().accept(&call.path.request).await?;
    Ok(Nothing {})
}

async fn refuse(_: Homeserver, call: Call<OfRequest>) -> Result<Nothing, ApiError> {
    call.from.requests().refuse(&call.path.request).await?;
    Ok(Nothing {})
}

async fn withdraw(_: Homeserver, call: Call<OfRequest>) -> Result<Nothing, ApiError> {
    call.from.requests().withdraw(&call.path.request).await?;
    Ok(Nothing {})
}

async fn dismiss(_: Homeserver, call: Call<OfRequest>) -> Result<Nothing, ApiError> {
    call.from.requests().dismiss(&call.path.request).await?;
    Ok(Nothing {})
}
