//! Matrix room logic as functions of their inputs: no clock, no randomness, no I/O.
//!
//! The caller loads what a function asks for, calls it, and writes down the result. What is not loaded yet is named in
//! [`Needs`]; load it, tell it to [`Known`], call again. The same inputs always give the same answer.
//!
//! | question | answer |
//! |---|---|
//! | What is an event? | [`Pdu`], parsed once and cheap to clone |
//! | How does a local user's wish become an event? | [`Draft`] and [`Tip`] → [`append`], with the state that [`auth_slots`] names |
//! | Is an event allowed? | [`authorize`] |
//! | What becomes of an event from elsewhere? | [`verify`] → [`Verified`], [`admit`] → [`Verdict`] |
//! | Which state do several branches lead to? | [`resolve`], [`resolve_contended`] |
//! | How does a room begin? | [`NewRoom`] → [`create`] |
//! | Who may do what? | [`Power`], [`may_redact`] |
//! | Who may read what? | [`visibility`] |
//! | What must a sync tell? | [`sync`] |
//! | What does a client get to see of an event? | [`client_event`], [`stripped`], [`redact`] |
//!
//! Room versions 1 to 12 are data: ruma's `RoomVersionRules` decide, never a comparison of version numbers.

mod admit;
mod append;
mod auth;
mod client;
mod create;
mod format;
#[cfg(test)]
mod fuzz;
mod hash;
mod known;
mod pdu;
mod power;
mod redact;
mod resolve;
mod signer;
pub mod sync;
#[cfg(test)]
mod testing;
mod verify;
pub mod visibility;

pub use admit::{Incoming, Purpose, Verdict, acl_allows, admit};
pub use append::{AppendError, Draft, Tip, append};
pub use auth::{
    AuthState, Rejection, auth_slots, auth_slots_of, authorize, authorize_by_state,
    authorize_citations,
};
pub use client::{Format, client_event, stripped, with_unsigned};
pub use create::{
    InitialState, JsonObject, NewRoom, Preset, UnknownVersion, create, default_power_levels,
};
pub use format::Malformed;
pub use known::{At, Known, Needs, ServerKey};
pub use pdu::{Pdu, Slot, StateIds};
pub use power::Power;
pub use redact::{may_redact, redact};
pub use resolve::{Contention, Unresolved, contention, resolve, resolve_contended};
pub use signer::{InvalidKey, Signer};
pub use verify::{Dropped, Verified, verify};
