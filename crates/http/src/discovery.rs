//! What a client asks before it knows anybody: which versions are spoken here, and where.

use bytes::Bytes;
use http::{Method, header::CONTENT_TYPE};
use ruma::api::{
    client::discovery::{
        discover_homeserver::{self, HomeserverInfo},
        discover_policy_server, discover_support,
    },
    federation::discovery::discover_homeserver as discover_server,
};
use serde_json::json;

use crate::{ApiError, Endpoints as _, Matrix, Options, Routes};

/// The versions of the specification whose clients can use this server.
const VERSIONS: [&str; 20] = [
    "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10",
    "v1.11", "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

pub(crate) fn routes(options: &Options) -> Routes {
    Routes::new().merge(servers(options)).merge(help(options))
}

/// Whom one turns to, and what a policy server signs with.
fn help(options: &Options) -> Routes {
    let support = options.support.clone();
    let is_set = support.page.is_some() || !support.contacts.is_empty();
    let mut told = discover_support::Response::with_contacts(support.contacts);
    told.support_page = support.page;
    let key = options.policy_server_key.clone();
    Routes::new()
        .endpoint(move |_, _: Matrix<discover_support::Request>| {
            let told = is_set.then(|| told.clone());
            let told = told.ok_or_else(|| ApiError::not_found("no support is set"));
            async { told }
        })
        .endpoint(move |_, _: Matrix<discover_policy_server::Request>| {
            let key = key.clone().ok_or_else(|| ApiError::not_found("there is no policy server"));
            async { Ok(discover_policy_server::Response::new(key?)) }
        })
}

/// Where clients and other servers find this one.
fn servers(options: &Options) -> Routes {
    let base_url = options.public_base_url.clone();
    let delegated = options.delegated_server.clone();
    Routes::new()
        .merge(versions())
        .endpoint(move |_, _: Matrix<discover_homeserver::Request>| {
            let told = base_url.clone().ok_or_else(|| ApiError::not_found("no base URL is set"));
            async { Ok(discover_homeserver::Response::new(HomeserverInfo::new(told?))) }
        })
        .endpoint(move |_, _: Matrix<discover_server::Request>| {
            let told = delegated.clone().ok_or_else(|| ApiError::not_found("nothing is delegated"));
            async { Ok(discover_server::Response::new(told?)) }
        })
}

/// Ruma has it that an access token may be sent along. It is not looked at: the answer is the same
/// for all, and a client whose session has ended needs it most.
fn versions() -> Routes {
    // Clients ask for rooms in common only where they are told of that.
    let features = json!({
        "org.matrix.msc4155": true,
        "org.matrix.msc4380": true,
        "uk.half-shot.msc2666.query_mutual_rooms": true,
    });
    let body = json!({ "versions": VERSIONS, "unstable_features": features });
    let body = Bytes::from(body.to_string());
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
    Routes::new().at(Method::GET, "/_matrix/client/versions", answer)
}
