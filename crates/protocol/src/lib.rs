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
//! | How does a room replace another? | [`Upgrade`] → [`replacement_create`], [`Carried`] → [`Replacement`], [`ending`] |
//! | Who may join without an invitation? | [`restriction`], [`Power::inviters`], [`with_authoriser`] |
//! | Whose invites is a user told of? | [`InvitePermission`] → [`Welcome`], [`ContactPolicy`] |
//! | Who is whose friend? | [`DirectRoom`] → [`Friendship`] |
//! | Who may do what? | [`Power`], [`may_redact`] |
//! | Who may read what? | [`visibility`] |
//! | What must a sync tell? | [`sync`] |
//! | What does an event relate to, and does it count? | [`Relation`] |
//! | What does a room tell those outside? | [`Summary`], [`SpaceChild`] |
//! | What does a message say? | [`message`] |
//! | Which files does an event show? | [`media_uris`] |
//! | What kind of message is it? | [`MessageKind`] |
//! | Which messages has a user kept? | [`BookmarkType`] → [`Bookmark`], [`BookmarkIndex`] |
//! | Which thumbnail answers a request? | [`ThumbnailSize`], [`Reduction`] |
//! | What may people call themselves and their groups? | [`check_display_name`], [`check_topic`] |
//! | Which mailbox is meant by an address? | [`Email`] |
//! | What does a client get to see of an event? | [`Rendered`], [`stripped`], [`redact`] |
//!
//! ```
//! use ruma::{MilliSecondsSinceUnixEpoch, RoomVersionId, uint, user_id};
//! use tertulia_protocol::{AuthState, Known, NewRoom, Signer, Tip, append, create};
//!
//! let signer = Signer::from_seed("example.org".try_into()?, &[7; 32], "1")?;
//! let wishes = NewRoom::new(user_id!("@alice:example.org").to_owned(), RoomVersionId::V12);
//! let rules = wishes.version.rules().expect("version 12 is known");
//!
//! let (mut state, mut newest) = (AuthState::default(), None);
//! for draft in create(&wishes)? {
//!     let previous: Option<tertulia_protocol::Pdu> = newest.take();
//!     let tip = Tip {
//!         room: previous.as_ref().map(|event| event.room_id()),
//!         rules: &rules,
//!         prev_events: &Vec::from_iter(previous.as_ref().map(|event| event.event_id().clone())),
//!         depth: previous.as_ref().map_or(0, |event| event.depth()),
//!         state: &state,
//!         known: &Known::default(),
//!     };
//!     let event = append(&tip, draft, MilliSecondsSinceUnixEpoch(uint!(1)), &signer)?;
//!     state.insert(event.clone());
//!     newest = Some(event);
//! }
//! assert_eq!(newest.map(|event| event.depth()), Some(6));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Room versions 1 to 12 are data: ruma's `RoomVersionRules` decide, never a comparison of version numbers.

#![deny(missing_docs)]

mod admit;
mod append;
mod auth;
mod bookmark;
mod canonical;
mod client;
mod contact;
mod create;
mod display_name;
mod email;
mod format;
mod friend;
#[cfg(test)]
mod fuzz;
mod hash;
mod invites;
mod known;
mod media_uris;
pub mod message;
mod message_kind;
mod pdu;
mod power;
mod preview;
pub mod push;
mod redact;
mod relation;
mod request;
mod resolve;
mod restricted;
mod role;
mod signer;
mod space;
mod summary;
pub mod sync;
#[cfg(test)]
mod testing;
mod thumbnail;
mod upgrade;
mod verify;
pub mod visibility;

pub use admit::{Incoming, Purpose, Verdict, acl_allows, admit};
pub use append::{AppendError, Draft, Tip, append, co_sign};
pub use auth::{
    AuthState, Rejection, auth_slots, auth_slots_of, authorize, authorize_by_state,
    authorize_citations,
};
pub use bookmark::{
    Bookmark, BookmarkIndex, BookmarkNames, BookmarkType, INDEXED, body_preview, bookmark_id,
    item_with_preview, removed_item,
};
pub use canonical::MAX_NESTING;
pub use client::{Rendered, RoomIdShown, STRIPPED, content_for_clients, stripped, with_unsigned};
pub use contact::ContactPolicy;
pub use create::{
    InitialState, JsonObject, NewRoom, Preset, UnknownVersion, create, default_power_levels,
};
pub use display_name::{UnfitName, check_display_name, check_topic};
pub use email::{BadEmail, Email};
pub use format::Malformed;
pub use friend::{DirectRoom, Friendship, Place};
pub use invites::{InvitePermission, Welcome};
pub use known::{At, Known, Needs, ServerKey};
pub use media_uris::media_uris;
pub use message_kind::MessageKind;
pub use pdu::{Pdu, Slot, StateIds};
pub use power::Power;
pub use preview::{Preview, is_spoken};
pub use redact::{may_redact, redact};
pub use relation::{Relation, RelationKind};
pub use request::{RequestKind, RequestState};
pub use resolve::{Contention, Unresolved, contention, resolve, resolve_contended};
pub use restricted::{
    Restriction, allowed_rooms, restriction, with_authoriser, without_authoriser,
};
pub use role::{Role, RoleChange, changed_levels};
pub use signer::{InvalidKey, Signer};
pub use space::{SpaceChild, is_space};
pub use summary::{SUMMARY, Summary};
pub use thumbnail::{Reduction, Resizing, ThumbnailSize};
pub use upgrade::{
    Carried, Replacement, Upgrade, canonical_alias_of, carried_types, ending, predecessor,
    replaced_by, replacement_create,
};
pub use verify::{Dropped, Verified, verify};
