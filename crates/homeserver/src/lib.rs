//! A Matrix homeserver to embed: rooms, users and events over a store, without HTTP.
//!
//! ```
//! use futures_util::TryStreamExt as _;
//! use tertulia::{ChatsQuery, Homeserver, MemoryEngine, NewDevice, NewFile, NewGroup, Told};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> tertulia::Result<()> {
//! let server = Homeserver::start("example.org", MemoryEngine::default()).await?;
//! let (alice, bob) = (server.create_user("alice").await?, server.create_user("bob").await?);
//! let mut news = alice.updates();
//!
//! // Friends have a room for the two. Whoever holds a `Room` acts in it as its user.
//! alice.friends().request(bob.id(), Some("We met at the market".to_owned())).await?;
//! let chat = bob.friends().accept(alice.id()).await?;
//! let hello = chat.send_text("Hello, Alice!").await?;
//! chat.send_file(NewFile::from_bytes("list.txt", "apples, pears")).await?;
//!
//! // Groups have a name and members.
//! let walkers = NewGroup { name: Some("Walkers".to_owned()), public: true, ..NewGroup::default() };
//! let walkers = alice.groups().create(walkers).await?;
//! bob.room(walkers.id()).join(None).await?;
//!
//! // Alice is told what happens, answers, and keeps what was said.
//! let is_hello = |event: &tertulia::ClientEvent| event.id() == hello;
//! while let Some(update) = news.try_next().await? && !update.events().any(is_hello) {}
//! alice.room(chat.id()).react(&hello, "👋").await?;
//! alice.favourites().keep(chat.id(), &hello, Told::default()).await?;
//! assert_eq!(alice.chats().list(&ChatsQuery::default()).await?.chats.len(), 2);
//!
//! // Her own client goes on with this token, where the crate `tertulia-http` serves it.
//! let (_session, token) = alice.open_session(NewDevice::default()).await?;
//! assert!(token.reveal().starts_with("tertulia."));
//! server.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! | to | see |
//! |---|---|
//! | start, and give it parts of one's own | [`Homeserver::builder`], [`Builder`], [`Settings`] |
//! | keep data on the disk | `RocksEngine` of the crate `tertulia-rocksdb`, [`FileBlobs`] |
//! | make users, and log them in | [`Homeserver::create_user`], [`Homeserver::login`], [`User::open_session`] |
//! | talk | [`Room`]: [`Room::send_text`], [`Room::send_file`], [`Room::history`], [`Room::members`] … |
//! | have what a chat application shows | [`Chats`], [`Friends`], [`Groups`], [`Requests`], [`Favourites`] |
//! | hear what happens | [`User::updates`], [`Chats::changes`], [`Session::sync`] |
//! | stop | [`Homeserver::shutdown`] |
//!
//! `docs/embedding.md` tells the rest, with programs in `crates/examples`. Modules use only those to their left:
//! `schema → ports → core → log → events → rooms → users → … → lib`; a test holds them to it.

#![deny(missing_docs)]

mod account_data;
mod accounts;
mod chats;
mod company;
mod core;
mod devices;
mod directory;
mod error;
mod events;
mod favourites;
mod followers;
mod friends;
mod groups;
mod housekeeping;
mod log;
mod mail;
mod media;
mod messages;
mod ports;
mod presence;
mod receipts;
mod reports;
mod requests;
mod rooms;
mod schema;
mod server;
mod settings;
pub mod sync;
#[cfg(test)]
mod testing;
mod typing;
mod unread;
mod upgrades;
mod users;
mod words;

pub use account_data::push_rules::PushRuleChange;
pub use accounts::{
    Attempt, Challenge, CodeRequest, Credential, EmailAddress, EmailProof, Flow, NewAccount,
    Operation, OtherSessions, Pass, ProfileField, Proof, Proven, Remains, Restriction, SignUp,
    Stage, TurnCredentials,
};
pub use chats::{Chat, ChatChange, ChatHero, ChatKind, Chats, ChatsPage, ChatsQuery, LastMessage};
pub use core::{Homeserver, User};
pub use devices::{AccessToken, Device, NewDevice, Renewal, Session};
pub use directory::{
    FoundUser, FoundUsers, HierarchyPage, HierarchyQuery, MutualRooms, PublicRoomsPage,
    PublicRoomsQuery, RoomPreview, RoomSummary, SpaceRoom, Visibility,
};
pub use error::{Error, Result};
pub use events::{
    Admitted, Bundle, ClientEvent, EventFilter, Extent, NextGeneration, Reference, References,
    ThreadSummary, TimelineToken, Unsigned,
};
pub use favourites::{Favourite, Favourites, FavouritesPage, FavouritesQuery, KeptMessage, Told};
pub use friends::{FoundPeople, FoundPerson, Friend, Friends, FriendsPage};
pub use groups::{GroupMember, GroupMembers, Groups, Joined, NewGroup};
pub use mail::MailTemplates;
#[cfg(feature = "smtp")]
pub use mail::{Encryption, Smtp, SmtpError, SmtpServer};
pub use media::{Label, Media, Mended, NewFile, ReservedMedia, ThumbnailWish, Upload};
pub use messages::{History, RoomMember};
pub use ports::{
    Blobs, Clock, FileBlobs, FoundBlob, Incoming, Mail, MailError, Mailer, MemoryBlobs, Pieces,
    Random, SystemClock, SystemRandom,
};
pub use presence::Presence;
pub use receipts::ReadMarks;
pub use reports::{Report, ReportId, Reported};
pub use requests::{Request, RequestBox, RequestCounts, Requests, RequestsPage};
pub use rooms::{
    Context, JoinedMember, MembersQuery, MessagesQuery, Moment, Page, RelationsPage,
    RelationsQuery, Room, RoomNews, ThreadsPage, ThreadsQuery, Transaction,
};
/// Matrix's types, of the version that this library speaks: identifiers, and the contents of events.
pub use ruma;
pub use schema::{BlobId, Language, MembershipKind, Proving};
pub use server::Builder;
pub use settings::{
    Directory, PasswordCost, Publishers, Registration, Secret, Settings, Terms, TermsText,
    TurnServer, TurnUsers,
};
pub use sync::{StateFor, SyncFilter, SyncRequest, SyncToken, Update, Updates};
pub use tertulia_protocol::{
    AppendError, BadEmail, ContactPolicy, Email, Friendship, InitialState, JsonObject, MAX_NESTING,
    Malformed, MessageKind, NewRoom, Preset, RequestKind, RequestState, Resizing, Role,
    RoomIdShown, Summary, UnfitName,
};
pub use tertulia_storage::{Durability, Engine, Error as StorageError, MemoryEngine, StoreOptions};
pub use unread::{Notification, Notifications, UnreadCounts};
pub use users::Standing;
