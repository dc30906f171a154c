//! The client–server API, one file per section of the specification.

mod account;
mod account_data;
mod bearing;
mod capabilities;
mod device;
mod directory;
mod events;
mod filter;
mod interactive;
mod lenient;
mod members;
mod membership;
mod messages;
mod moderation;
mod notifications;
mod older;
mod openid;
mod people;
mod presence;
mod profile;
mod push_rules;
mod receipts;
mod register;
mod relations;
mod reports;
mod rooms;
mod rtc;
mod session;
mod spaces;
mod state;
mod sync;
mod threads;
mod threepid;
mod typing;
mod upgrades;

pub(crate) use register::Registered;
pub(crate) use threepid::Requested;

use crate::Routes;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .merge(account::routes())
        .merge(account_data::routes())
        .merge(capabilities::routes())
        .merge(device::routes())
        .merge(directory::routes())
        .merge(events::routes())
        .merge(filter::routes())
        .merge(members::routes())
        .merge(membership::routes())
        .merge(messages::routes())
        .merge(moderation::routes())
        .merge(openid::routes())
        .merge(notifications::routes())
        .merge(people::routes())
        .merge(older::routes())
        .merge(presence::routes())
        .merge(profile::routes())
        .merge(push_rules::routes())
        .merge(receipts::routes())
        .merge(register::routes())
        .merge(relations::routes())
        .merge(reports::routes())
        .merge(rooms::routes())
        .merge(rtc::routes())
        .merge(session::routes())
        .merge(spaces::routes())
        .merge(state::routes())
        .merge(sync::routes())
        .merge(threads::routes())
        .merge(threepid::routes())
        .merge(typing::routes())
        .merge(upgrades::routes())
}
