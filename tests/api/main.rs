//! The client–server API in process, through the real router, on an engine in memory.

mod account;
mod account_data;
mod admin;
mod capabilities;
mod connections;
mod device;
mod directory;
mod discovery;
mod events;
mod filters;
mod limits;
mod media;
mod members;
mod membership;
mod messages;
mod people;
mod profile;
mod push_rules;
mod receipts;
mod register;
mod rooms;
mod secrets;
mod session;
mod state;
mod sync;
mod typing;
