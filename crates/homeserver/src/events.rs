//! Events: their way into a room, and the state of the room at each of them.
//!
//! A local event comes in by [`append`], a foreign one by [`admit`]; both end in [`place`], the
//! only function that gives an event its place. A room's state as others tell it comes in by a new
//! [`generation`] of it.

mod admit;
mod append;
mod bundle;
mod cache;
mod client_event;
mod contacts;
mod contention;
mod current;
mod direct;
mod eras;
mod erased;
mod filter;
mod fork;
mod generation;
mod guests;
mod history;
mod ignored;
mod invitations;
mod members;
mod newest;
mod place;
mod push;
mod redact;
mod relations;
mod replaced;
mod requests;
mod restricted;
mod roster;
mod shown_media;
mod sight;
mod slots;
mod thread;
mod token;

pub use admit::Admitted;
pub(crate) use append::{allowed, append, at_the_end};
pub use bundle::{Bundle, Reference, References, ThreadSummary};
pub(crate) use bundle::{Bundles, Bundling, has_bundle};
pub(crate) use cache::EventCache;
pub use client_event::{ClientEvent, Unsigned};
pub(crate) use contacts::{admits, contact_policy};
pub(crate) use current::{Head, current_rows, current_slots, guard_head, load_head, rules_of};
pub(crate) use direct::{
    Counted, direct_rooms, direct_with, end_direct, friendship, friendships, make_direct,
};
pub(crate) use eras::{base_at, era_at, eras};
pub(crate) use erased::{Reader, load_for};
pub use filter::EventFilter;
pub(crate) use filter::matches;
pub use generation::{Extent, NextGeneration};
pub(crate) use guests::{lets_guests_in, refuse_guest};
pub(crate) use history::{Base, FullState, current_state, slot_at, state_at};
pub(crate) use ignored::Ignored;
pub(crate) use invitations::{Invitations, says_who_is_welcome};
pub(crate) use members::MemberContent;
pub(crate) use newest::{NewestPlaces, Placed, PlacedRow};
pub(crate) use place::place;
pub(crate) use push::BLOCK;
pub(crate) use redact::{Shown, current_power, load_many_as_told, load_redacted, note_unseen};
pub(crate) use relations::{Place, check_sent, children_from, part_in_thread};
pub(crate) use replaced::{Replacements, load_pairs, load_replaced};
pub use requests::RequestCounts;
pub(crate) use requests::{
    KIND as REQUESTS_KIND, count as count_requests, reconsider as reconsider_requests,
    request_counts, void as void_request,
};
pub(crate) use roster::{member, members};
pub(crate) use shown_media::forget_media;
pub(crate) use sight::Sight;
pub(crate) use slots::SlotCache;
pub(crate) use thread::thread_root;
pub use token::TimelineToken;

#[cfg(test)]
mod admit_tests;
#[cfg(test)]
mod fork_laws;
#[cfg(test)]
mod generation_tests;
