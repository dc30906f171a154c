//! The client–server API, one file per section of the specification.

mod account_data;
mod capabilities;
mod directory;
mod events;
mod filter;
mod members;
mod membership;
mod messages;
mod push_rules;
mod receipts;
mod rooms;
mod state;
mod typing;
mod sync;

use axum::Router;
use tertulia::Homeserver;

pub(crate) fn routes() -> Router<Homeserver> {
    Router::new()
        .merge(account_data::routes())
        .merge(capabilities::routes())
        .merge(directory::routes())
        .merge(events::routes())
        .merge(filter::routes())
        .merge(members::routes())
        .merge(membership::routes())
        .merge(messages::routes())
        .merge(push_rules::routes())
        .merge(receipts::routes())
        .merge(rooms::routes())
        .merge(state::routes())
        .merge(typing::routes())
        .merge(sync::routes())
}
