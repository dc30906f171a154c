//! Servers to test against: whole ones, in this process, over the real router, on an engine in
//! memory, with a time and a chance that the test drives.
//!
//! ```no_run
//! # async fn test() {
//! use serde_json::json;
//! use tertulia_testkit::TestServer;
//!
//! let server = TestServer::start().await;
//! let (alice, bob) = (server.user("alice").await, server.user("bob").await);
//! let room = alice.create_room(json!({ "preset": "public_chat" })).await;
//! bob.join(&room).await;
//! bob.put(["rooms", &room, "state", "m.room.name", ""])
//!     .json(json!({ "name": "ours" }))
//!     .await
//!     .refused(403, "M_FORBIDDEN");
//! # }
//! ```

mod call;
mod client;
mod clock;
mod mailbox;
mod random;
mod record;
mod server;
mod smtp;
mod socket;

pub use call::{Answered, Call, Path};
pub use client::Client;
pub use clock::{DrivenClock, Leap};
pub use mailbox::{MailBox, code_in};
pub use random::SeededRandom;
pub use record::Recording;
pub use server::{TestServer, TestServerBuilder};
pub use smtp::{ReceivedMail, SmtpSink, SmtpSinkBuilder};
pub use socket::Listening;
