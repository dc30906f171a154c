//! A Matrix homeserver to embed: rooms, users and events over a store, without HTTP.
//!
//! Modules use only those to their left:
//! `schema → ports → core → log → events → rooms → users → … → lib`; a test holds them to it.

mod core;
mod error;
mod events;
mod log;
mod ports;
mod rooms;
mod schema;
mod server;
mod settings;
#[cfg(test)]
mod testing;

pub use core::User;
pub use error::{Error, Result};
pub use events::{ClientEvent, EventFilter, RoomIdShown, TimelineToken, Unsigned};
pub use ports::{Clock, Random, SystemClock, SystemRandom};
pub use rooms::{Context, JoinedMember, MembersQuery, MessagesQuery, Page, Room, Transaction};
pub use server::{Builder, Homeserver};
pub use settings::Settings;
pub use tertulia_protocol::{InitialState, NewRoom, Preset};
