//! A Matrix homeserver to embed: rooms, users and events over a store, without HTTP.
//!
//! Modules use only those to their left:
//! `schema → ports → core → log → events → rooms → users → … → lib`; a test holds them to it.

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
