//! The client–server API in process, through the real router, on an engine in memory.

mod capabilities;
mod discovery;
mod events;
mod limits;
mod members;
mod membership;
mod messages;
mod rooms;
mod state;
