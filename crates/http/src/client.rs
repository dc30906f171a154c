//! The client–server API, one file per section of the specification.

mod capabilities;
mod events;
mod members;
mod membership;
mod messages;
mod rooms;
mod state;

use axum::Router;
use tertulia::Homeserver;

pub(crate) fn routes() -> Router<Homeserver> {
    Router::new()
        .merge(capabilities::routes())
        .merge(events::routes())
        .merge(members::routes())
        .merge(membership::routes())
        .merge(messages::routes())
        .merge(rooms::routes())
        .merge(state::routes())
}
