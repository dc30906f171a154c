//! The Matrix HTTP APIs over a [`Homeserver`]: what comes in is a ruma request, already
//! authenticated; what goes out is a ruma response or shared JSON.
//!
//! ```text
//! router ─► observe (request ID, span, CORS, panics, rest of the body) ─► endpoint (identity, limits, body, ruma) ─► handler
//! ```

#![deny(missing_docs)]

mod access;
mod admin;
mod auth;
mod body;
mod client;
mod discovery;
mod endpoint;
mod error;
mod language;
mod limits;
mod media;
mod observe;
mod options;
mod own;
mod pages;
mod pieces;
mod places;
mod plain;
mod rest;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{Router, routing::any};
use tertulia::Homeserver;

pub use auth::Identify;
pub use endpoint::{Answer, Endpoints, Matrix, Reply, Terms, Whole};
pub use error::ApiError;
pub use limits::{Action, Rate, RateLimits};
pub use options::{Options, Support};
pub use places::{Place, Places};
pub use routes::{Routes, Served};

/// All routes of `server`, with the default [`Options`].
pub fn router(server: Homeserver) -> Router {
    router_with(server, Options::default())
}

/// All routes of `server`, to serve or to mount in a larger application.
///
/// To limit those who have not logged in by their address, serve it with
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router_with(server: Homeserver, options: Options) -> Router {
    assemble(routes(&options), &options).with_state(server)
}

/// All routes of `server`, to merge into an application that answers for itself at paths which are
/// nobody's. Those below `/_matrix` and `/_tertulia` are the server's, known or not.
///
/// Merge it, and do not nest it: clients know the paths.
///
/// ```
/// # async fn application(server: tertulia::Homeserver) -> axum::Router {
/// use axum::{Router, routing::get};
///
/// Router::new()
///     .route("/", get(async || "a page"))
///     .fallback(async || "no such page")
///     .merge(tertulia_http::mount(server, tertulia_http::Options::default()))
/// # }
/// ```
pub fn mount(server: Homeserver, options: Options) -> Router {
    let own = ["/_matrix/{*unknown}", "/_tertulia/{*unknown}"];
    let site = Arc::new(observe::Site::new(&options));
    let known = routes(&options).into_router();
    own.into_iter()
        .fold(known, |router, path| router.route(path, any(error::unknown_path)))
        .method_not_allowed_fallback(error::wrong_method)
        .layer(observe::Observe::new(site))
        .with_state(server)
}

/// All routes there are.
pub fn routes(options: &Options) -> Routes {
    Routes::new()
        .merge(discovery::routes(options))
        .merge(client::routes())
        .merge(media::routes())
        .merge(pages::routes())
        .merge(own::routes())
        .merge(admin::routes())
}

/// Puts what holds for every request around `routes`.
fn assemble(routes: Routes, options: &Options) -> Router<Homeserver> {
    let site = Arc::new(observe::Site::new(options));
    routes
        .into_router()
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(observe::Observe::new(site))
}
