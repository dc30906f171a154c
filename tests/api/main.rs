//! The client–server API in process, through the real router, on an engine in memory.

mod account_data;
mod capabilities;
mod directory;
mod discovery;
mod events;
mod filters;
mod limits;
mod media;
mod members;
mod membership;
mod messages;
mod push_rules;
mod receipts;
mod rooms;
mod state;
mod typing;
