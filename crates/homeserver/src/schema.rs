//! Every table of the server, on one page.
//!
//! A table's number is part of the stored format: it is never reused. Records stand in the
//! submodules, by section. Rows whose key holds a [`Position`] get it from the commit.

mod accounts;
mod direct;
mod directory;
mod entry;
mod favourites;
mod generation;
#[cfg(test)]
mod golden;
mod mail;
mod media;
mod push;
mod relation;
mod report;
mod request;
mod rooms;
mod threepids;
mod upgrade;
mod userdata;

use bytes::Bytes;
use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedServerName,
    OwnedTransactionId, OwnedUserId,
};
use tertulia_storage::{Descending, Json, Position, Table, ValueError};

pub use accounts::{Account, DeviceRow, ExpiringToken, Profile, RemovedUser, Sighting, TokenPair};
pub use direct::{DirectBy, DirectListed, DirectWith, PairRow};
pub use directory::{ListedUser, PublicRoom, PublishedRoom};
pub use entry::Entry;
pub use favourites::{BookmarkKey, FavouriteList, FavouriteRow, Kept, SnapshotRow};
pub use generation::{Generation, Stage};
pub use mail::{Language, LetterKind, LetterRow};
pub use media::{
    BlobId, Drawing, MediaRow, MediaUse, PendingMedia, ThumbnailKind, ThumbnailOutcome,
    ThumbnailRow,
};
pub use push::{PushBlock, PushMention, PushRow, PushTally};
pub use relation::{Edit, Related, RelationRow, Thread};
pub use report::ReportRow;
pub use request::{OpenRequest, RequestBox, RequestPage, RequestRow};
pub use rooms::{
    AuthRow, EventMeta, Extremity, Gap, Member, Membership, MembershipKind, Ordinal, Overlay,
    RemovedRoom, RoomHead, StateChange, StateLogRow, StateRef, StateRow, TimelineRow, Verdict,
};
pub use threepids::{AddressRow, Proving, ThreepidSession};
pub use upgrade::UpgradeRow;
pub use userdata::{AccountDatum, AliasRow, ReceiptKind, ReceiptRow, Scope};

/// Room → its head: what every new event depends on. The row to guard when a room changes.
pub const HEADS: Table<(OwnedRoomId,), RoomHead> = Table::new(1, "heads");

/// Event → its canonical JSON, without `unsigned`. Never changes; a redaction is noted in [`EVENT_META`].
pub const EVENTS: Table<(OwnedEventId,), Bytes> = Table::new(2, "events");

/// Room and event → what the server made of it.
pub const EVENT_META: Table<(OwnedRoomId, OwnedEventId), EventMeta> = Table::new(3, "event_meta");

/// Room, stretch and place → event. The order in which the server shows a room.
pub const TIMELINE: Table<(OwnedRoomId, u32, Ordinal), TimelineRow> = Table::new(4, "timeline");

/// Room, generation, event type and state key → the event in force.
pub const STATE: Table<(OwnedRoomId, u32, String, String), StateRow> = Table::new(5, "state");

/// Room, generation, event type, state key and position, newest first → what took the slot then.
pub const STATE_LOG: Table<(OwnedRoomId, u32, String, String, Descending<Position>), StateLogRow> =
    Table::new(6, "state_log");

/// Room, generation and position → the slots that changed there.
pub const STATE_CHANGES: Table<(OwnedRoomId, u32, Position), (Vec<StateChange>,)> =
    Table::new(7, "state_changes");

/// Room and number → a state that is none of the room's current states, as differences.
pub const OVERLAYS: Table<(OwnedRoomId, u64), Overlay> = Table::new(8, "overlays");

/// Room and number → a state event and the numbers of those that authorised it, all smaller.
pub const AUTH: Table<(OwnedRoomId, u64), AuthRow> = Table::new(9, "auth");

/// Shard and position → what happened. The spine: everything a client can sync is an entry here.
pub const LOG: Table<(u16, Position), Entry> = Table::new(10, "log");

/// User and room → the user's membership. A projection of the room's member events.
pub const MEMBERSHIPS: Table<(OwnedUserId, OwnedRoomId), Membership> =
    Table::new(11, "memberships");

/// Room and user → membership and profile in the room, where generation 0 of its state is in force.
/// A projection of the room's member events.
pub const MEMBERS: Table<(OwnedRoomId, OwnedUserId), Member> = Table::new(12, "members");

/// Room, user, device, endpoint and transaction → the event it made, so that a retried request
/// makes no second one.
pub const TRANSACTIONS: Table<
    (OwnedRoomId, OwnedUserId, OwnedDeviceId, String, OwnedTransactionId),
    (OwnedEventId,),
> = Table::new(13, "transactions");

/// Room and target → a redaction that arrived before the event it redacts.
pub const EARLY_REDACTIONS: Table<(OwnedRoomId, OwnedEventId), (OwnedEventId,)> =
    Table::new(14, "early_redactions");

/// Room, stretch and place → a hole in the timeline: what lies before is not here yet.
pub const GAPS: Table<(OwnedRoomId, u32, Ordinal), Gap> = Table::new(15, "gaps");

/// Room → why it was removed altogether, so that it does not come back by itself.
pub const REMOVED_ROOMS: Table<(OwnedRoomId,), RemovedRoom> = Table::new(16, "removed_rooms");

/// Room and number → a base of the room's state other than the one it began with: one that is being
/// written, that is or was in force, or that came to nothing.
pub const GENERATIONS: Table<(OwnedRoomId, u32), Generation> = Table::new(19, "generations");

/// Room, generation and user → membership and profile, as [`MEMBERS`], in later generations of the
/// room's state. A projection of its member events.
pub const GENERATION_MEMBERS: Table<(OwnedRoomId, u32, OwnedUserId), Member> =
    Table::new(20, "generation_members");

/// Room, stretch and position → what push rules see of the run of events that ends there. Every 64th
/// event ends one. A projection of [`TIMELINE`], by which unread messages are counted.
pub const PUSH_BLOCKS: Table<(OwnedRoomId, u32, Position), PushBlock> =
    Table::new(21, "push_blocks");
/// Room → that it is being replaced by another. The row goes when everything is in place.
pub const UPGRADES: Table<(OwnedRoomId,), UpgradeRow> = Table::new(28, "upgrades");

/// Room, event, kind of relation, stretch and place → an event that relates to it. A projection of
/// [`TIMELINE`] without what was redacted.
pub const RELATIONS: Table<(OwnedRoomId, OwnedEventId, u8, u32, Ordinal), RelationRow> =
    Table::new(25, "relations");

/// Room, event, user and the hash of a relation → how many events of the user relate so to the event:
/// which annotations there are, and who took part in a thread. A projection of [`RELATIONS`].
pub const RELATED_BY: Table<(OwnedRoomId, OwnedEventId, OwnedUserId, [u8; 32]), (u32,)> =
    Table::new(26, "related_by");

/// Room, stretch and place of the newest event of a thread → the root. The order in which threads
/// are listed.
pub const THREADS: Table<(OwnedRoomId, u32, Ordinal), (OwnedEventId,)> = Table::new(27, "threads");
/// Time and a number drawn by chance → what a user reported to the administrators.
pub const REPORTS: Table<(u64, u64), ReportRow> = Table::new(29, "reports");

/// Room → how often it may have been closed to guests since the last time that they were seen to have
/// left it. The row goes when they have.
pub const CLOSED_TO_GUESTS: Table<(OwnedRoomId,), (u64,)> = Table::new(30, "closed_to_guests");

/// Nothing → the server's name and signing key's public half; a store belongs to one server.
pub const SERVER: Table<(String,), Bytes> = Table::new(18, "server");

/// User → what the user tells everyone: the name of each profile field and its value.
pub const PROFILES: Table<(OwnedUserId,), Json<Profile>> = Table::new(40, "profiles");

/// User → the account. The row to guard when anything of a user changes.
pub const ACCOUNTS: Table<(OwnedUserId,), Account> = Table::new(41, "accounts");

/// User and device → the device and its session.
pub const DEVICES: Table<(OwnedUserId, OwnedDeviceId), DeviceRow> = Table::new(42, "devices");

/// User and SHA-256 of an access token → the device whose session it proves.
pub const TOKENS: Table<(OwnedUserId, [u8; 32]), (OwnedDeviceId,)> = Table::new(43, "tokens");

/// User and device → when the device was last heard of.
pub const LAST_SEEN: Table<(OwnedUserId, OwnedDeviceId), Sighting> = Table::new(44, "last_seen");

/// User → that the user was removed altogether. The closed account keeps the name.
pub const REMOVED_USERS: Table<(OwnedUserId,), RemovedUser> = Table::new(45, "removed_users");

/// User → since when what the user wrote is hidden from those who come later.
pub const ERASED: Table<(OwnedUserId,), (Position,)> = Table::new(46, "erased");

/// User and SHA-256 of an access token that expires → the session it proves until then.
pub const EXPIRING_TOKENS: Table<(OwnedUserId, [u8; 32]), ExpiringToken> =
    Table::new(47, "expiring_tokens");

/// User and SHA-256 of a refresh token → the device whose session it renews.
pub const REFRESH_TOKENS: Table<(OwnedUserId, [u8; 32]), (OwnedDeviceId,)> =
    Table::new(48, "refresh_tokens");

/// User and SHA-256 of a login token → until when it opens a session, in milliseconds since 1970.
pub const LOGIN_TOKENS: Table<(OwnedUserId, [u8; 32]), (u64,)> = Table::new(49, "login_tokens");

/// User and SHA-256 of an OpenID token → until when it says who the user is, as [`LOGIN_TOKENS`].
pub const OPENID_TOKENS: Table<(OwnedUserId, [u8; 32]), (u64,)> = Table::new(50, "openid_tokens");

/// User → what the user said last of how present they are; none where that is nothing.
pub const STATUSES: Table<(OwnedUserId,), (String,)> = Table::new(51, "statuses");

/// User, scope and type → account data. `m.push_rules` has a row once it differs from the default.
pub const ACCOUNT_DATA: Table<(OwnedUserId, Scope, String), AccountDatum> =
    Table::new(60, "account_data");

/// User and position → the account data that was set there and not since. Sync reads it forwards.
pub const ACCOUNT_DATA_CHANGES: Table<(OwnedUserId, Position), (Scope, String)> =
    Table::new(61, "account_data_changes");

/// User and the hash of a filter → the filter, as JSON.
pub const FILTERS: Table<(OwnedUserId, String), (String,)> = Table::new(62, "filters");

/// User → how many filters are stored.
pub const FILTER_COUNTS: Table<(OwnedUserId,), (u32,)> = Table::new(63, "filter_counts");

/// Room, user, kind and thread → up to where the user has read. The thread is empty for a receipt
/// that does not know threads.
pub const RECEIPTS: Table<(OwnedRoomId, OwnedUserId, ReceiptKind, String), ReceiptRow> =
    Table::new(64, "receipts");

/// Room and position → the receipt that was given there and not since. Sync reads it forwards.
pub const RECEIPT_CHANGES: Table<(OwnedRoomId, Position), (OwnedUserId, ReceiptKind, String)> =
    Table::new(65, "receipt_changes");

/// Server and media ID → a file.
pub const MEDIA: Table<(OwnedServerName, String), MediaRow> = Table::new(66, "media");

/// Server, media ID and kind of thumbnail → what came of the wish for it.
pub const THUMBNAILS: Table<(OwnedServerName, String, ThumbnailKind), ThumbnailRow> =
    Table::new(70, "thumbnails");

/// Media ID → the URI of this server that waits for its file.
pub const PENDING_MEDIA: Table<(String,), PendingMedia> = Table::new(71, "pending_media");

/// User → what the user has in the content repository. The row to guard when a file is added.
pub const MEDIA_USE: Table<(OwnedUserId,), MediaUse> = Table::new(72, "media_use");

/// Server, media ID and event → the room of an event that shows the file. A projection of the event,
/// which is gone when the event is redacted, or its room removed.
pub const MEDIA_EVENTS: Table<(OwnedServerName, String, OwnedEventId), (OwnedRoomId,)> =
    Table::new(73, "media_events");

/// Blob → the server and the media ID of the file whose bytes it holds, or of whose thumbnail.
pub const BLOBS: Table<(BlobId,), (OwnedServerName, String)> = Table::new(74, "blobs");

/// What is gone through to mend files and rows → the key of what was looked at last.
pub const MEDIA_MENDING: Table<(String,), Bytes> = Table::new(75, "media_mending");

/// Alias → the room it stands for. The row in which an alias is claimed.
pub const ALIASES: Table<(OwnedRoomAliasId,), AliasRow> = Table::new(67, "aliases");

/// Room and alias → nothing. A projection of [`ALIASES`].
pub const ROOM_ALIASES: Table<(OwnedRoomId, OwnedRoomAliasId), ()> = Table::new(68, "room_aliases");

/// Room → that its members want it in the public room directory.
pub const PUBLISHED_ROOMS: Table<(OwnedRoomId,), PublishedRoom> = Table::new(69, "published_rooms");

/// Number of joined members, most first, and room → what the public room directory shows of it. A
/// projection of [`PUBLISHED_ROOMS`] and the rooms' states.
pub const PUBLIC_ROOMS: Table<(Descending<u64>, OwnedRoomId), PublicRoom> =
    Table::new(76, "public_rooms");

/// Room → under which number of members it stands in [`PUBLIC_ROOMS`].
pub const PUBLIC_ROOM_PLACES: Table<(OwnedRoomId,), (u64,)> = Table::new(77, "public_room_places");

/// Nothing → how many rooms are in [`PUBLIC_ROOMS`].
pub const PUBLIC_ROOM_COUNT: Table<(), (u64,)> = Table::new(78, "public_room_count");

/// Room → that everyone may join or read it. A projection of the room's state.
pub const OPEN_ROOMS: Table<(OwnedRoomId,), ()> = Table::new(79, "open_rooms");

/// Room → that it was opened to all or closed, and its members are still listed as before.
pub const REOPENED_ROOMS: Table<(OwnedRoomId,), ()> = Table::new(82, "reopened_rooms");

/// User → what the user directory shows of them. A projection of accounts, profiles and memberships.
pub const LISTED_USERS: Table<(OwnedUserId,), ListedUser> = Table::new(80, "listed_users");

/// Whether everyone may find the user, a word of the name, and the user → nothing. A projection of
/// [`LISTED_USERS`].
pub const USER_WORDS: Table<(bool, String, OwnedUserId), ()> = Table::new(81, "user_words");

/// Room → the owner who is ending the group that it is. The row goes when everyone has left.
pub const DISSOLVED_GROUPS: Table<(OwnedRoomId,), (OwnedUserId,)> =
    Table::new(150, "dissolved_groups");

/// User, other, room and what makes it so → nothing: a room that is direct for a user of this server.
/// A projection of invites, and of the user's `m.direct`, which follows.
pub const DIRECT: Table<(OwnedUserId, OwnedUserId, OwnedRoomId, DirectBy), ()> =
    Table::new(120, "direct");

/// User, room and what makes it so → with whom the room is direct: [`DIRECT`] the other way round.
pub const DIRECT_WITH: Table<(OwnedUserId, OwnedRoomId, DirectBy), DirectWith> =
    Table::new(121, "direct_with");

/// Two users, the lesser first, → the request of one to be the other's friend, until it is placed.
/// The row in which both who ask at once meet.
pub const PAIRS: Table<(OwnedUserId, OwnedUserId), PairRow> = Table::new(122, "pairs");

/// User and room → that the server put the room into the user's `m.direct`. The row goes with the
/// entry, if the user leaves the room.
pub const DIRECT_LISTED: Table<(OwnedUserId, OwnedRoomId), DirectListed> =
    Table::new(123, "direct_listed");

/// User, page and position, newest first → a request on that page. A projection of invites, knocks and
/// what answers them.
pub const REQUESTS: Table<(OwnedUserId, RequestBox, Descending<Position>), RequestRow> =
    Table::new(140, "requests");

/// Room and who is invited to it or knocks → on whose pages that stands. The row goes with the answer.
pub const OPEN_REQUESTS: Table<(OwnedRoomId, OwnedUserId), OpenRequest> =
    Table::new(141, "open_requests");

/// User and position, newest first → a request that waits, by one of whom the user does not want to hear: it
/// comes onto the user's page when they do.
pub const HIDDEN_REQUESTS: Table<(OwnedUserId, Descending<Position>), RequestRow> =
    Table::new(143, "hidden_requests");

/// User → up to where the user has looked at requests received.
pub const REQUESTS_SEEN: Table<(OwnedUserId,), (Position,)> = Table::new(142, "requests_seen");

/// Hour that the server lived → how far the log was settled when it was over.
pub const HOURS: Table<(u64,), (Position,)> = Table::new(90, "hours");

/// Housekeeping job → the last key that it looked at, where it was interrupted or has more to do.
pub const JOB_CURSORS: Table<(String,), (Bytes,)> = Table::new(91, "job_cursors");

/// When it is tried next, in milliseconds since 1970, and a number drawn by chance → a mail that is on
/// its way. It is put in the commit of what it is about.
pub const MAIL_QUEUE: Table<(u64, u64), LetterRow> = Table::new(100, "mail_queue");

/// Session of proving an address → that its mail came to nothing, until a time in milliseconds since
/// 1970 after which nobody asks.
pub const UNDELIVERED_MAIL: Table<(String,), (u64,)> = Table::new(101, "undelivered_mail");

/// User and bookmark → what it is about, if it counts. A projection of the items in [`ACCOUNT_DATA`]
/// and of [`SNAPSHOTS`], as the next four.
pub const FAVOURITES: Table<(OwnedUserId, BookmarkKey), FavouriteRow> =
    Table::new(130, "favourites");

/// User, list, time of keeping, newest first, and bookmark → nothing.
pub const FAVOURITE_LISTS: Table<(OwnedUserId, FavouriteList, Descending<u64>, BookmarkKey), ()> =
    Table::new(131, "favourite_lists");

/// User → how many bookmarks count.
pub const FAVOURITE_COUNTS: Table<(OwnedUserId,), (u32,)> = Table::new(132, "favourite_counts");

/// Room, event, user and bookmark → how the bookmark knows the event.
pub const KEPT_EVENTS: Table<(OwnedRoomId, OwnedEventId, OwnedUserId, BookmarkKey), (Kept,)> =
    Table::new(133, "kept_events");

/// Server, media ID, user and bookmark → nothing: the snapshot shows the file, which is kept for its
/// sake as it is for an event's in [`MEDIA_EVENTS`].
pub const FAVOURITE_MEDIA: Table<(OwnedServerName, String, OwnedUserId, BookmarkKey), ()> =
    Table::new(134, "favourite_media");

/// User and bookmark → the message as the user saw it when keeping it. No event need be there for it.
pub const SNAPSHOTS: Table<(OwnedUserId, BookmarkKey), SnapshotRow> = Table::new(135, "snapshots");

/// User and type of an index of bookmarks → their IDs in the order in which a client shows them.
pub const BOOKMARK_ORDERS: Table<(OwnedUserId, String), (Vec<String>,)> =
    Table::new(136, "bookmark_orders");

/// Room and event, which is empty for all of the room → how often it was noted that snapshots of it may
/// have to be blanked: it was redacted, or the room was removed. The row goes when that is done.
pub const UNSEEN_EVENTS: Table<(OwnedRoomId, String), (u64,)> = Table::new(137, "unseen_events");

/// Nothing → that rooms that were there before chats have a note of what was said last.
pub const CHATS_ADOPTED: Table<(), ()> = Table::new(151, "chats_adopted");

/// Nothing → that favourites were made of the bookmarks that were there before there were any.
pub const BOOKMARKS_ADOPTED: Table<(), ()> = Table::new(138, "bookmarks_adopted");

/// A hash of an e-mail address, and one of what it is proven for and of a client secret → the session in
/// which that is done. Both are in the session's ID.
pub const THREEPID_SESSIONS: Table<([u8; 16], [u8; 16]), ThreepidSession> =
    Table::new(105, "threepid_sessions");

/// E-mail address → the user whose it is. The row in which an address is claimed.
pub const ADDRESSES: Table<(String,), (OwnedUserId,)> = Table::new(106, "addresses");

/// User and e-mail address → since when it is the user's. Written with [`ADDRESSES`].
pub const USER_ADDRESSES: Table<(OwnedUserId, String), AddressRow> =
    Table::new(107, "user_addresses");

/// The error for a tag that this version of the program does not know.
fn unknown(what: &str, tag: u8) -> ValueError {
    ValueError::Invalid(format!("an unknown {what}, {tag}"))
}
