//! Message bookmarks in account data (MSC4438): one item for each, which is the truth, and an index
//! that says in which order they are shown.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UInt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The only version of the schema.
const VERSION: u32 = 1;
/// The most bytes of the ID of a bookmark that counts as one.
const MAX_ID: usize = 128;
/// The most bytes of an item that counts as one.
const MAX_ITEM: usize = 64 * 1024;
/// How many characters of a message a preview has.
const PREVIEW: usize = 120;
/// How many bookmarks an index lists.
pub const INDEXED: usize = 1_000;

/// Under which names bookmarks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BookmarkNames {
    /// Those of the proposal, until it is accepted.
    Unstable,
    /// Those that it will have then.
    Stable,
}

impl BookmarkNames {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unstable, Self::Stable];

    /// The type of the index.
    pub fn index(self) -> &'static str {
        match self {
            Self::Unstable => "org.matrix.msc4438.bookmarks.index",
            Self::Stable => "m.bookmarks.index",
        }
    }

    /// How the types of items begin.
    pub fn item_prefix(self) -> &'static str {
        match self {
            Self::Unstable => "org.matrix.msc4438.bookmark.",
            Self::Stable => "m.bookmark.",
        }
    }
}

/// What a type of global account data is to bookmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookmarkType<'a> {
    /// The index under these names.
    Index(BookmarkNames),
    /// The item of a bookmark: under which names, and its ID.
    Item(BookmarkNames, &'a str),
}

impl<'a> BookmarkType<'a> {
    /// What `kind` is to bookmarks, if anything. An item of an ID longer than 128 bytes is none.
    pub fn of(kind: &'a str) -> Option<Self> {
        BookmarkNames::ALL.into_iter().find_map(|names| {
            if kind == names.index() {
                return Some(Self::Index(names));
            }
            let id = kind.strip_prefix(names.item_prefix())?;
            is_id(id).then_some(Self::Item(names, id))
        })
    }
}

/// Whether this is the ID of a bookmark that counts as one.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && !id.contains('\0')
}

/// A bookmark, as its item says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// The room of the message.
    pub room_id: OwnedRoomId,
    /// The message.
    pub event_id: OwnedEventId,
    /// When the message was sent, in milliseconds since 1970.
    pub event_ts: u64,
    /// When the bookmark was made, in milliseconds since 1970.
    pub bookmarked_ts: u64,
    /// Who sent the message.
    pub sender: Option<OwnedUserId>,
    /// How the room was called.
    pub room_name: Option<String>,
    /// How the message begins.
    pub body_preview: Option<String>,
    /// The `msgtype` of the message.
    pub msgtype: Option<String>,
}

/// An item as it is written.
#[derive(Serialize, Deserialize)]
struct Item<'a> {
    version: u32,
    bookmark_id: std::borrow::Cow<'a, str>,
    uri: String,
    room_id: OwnedRoomId,
    event_id: OwnedEventId,
    event_ts: UInt,
    bookmarked_ts: UInt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender: Option<OwnedUserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_preview: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    msgtype: Option<String>,
    #[serde(default, skip_serializing)]
    deleted: bool,
}

impl Bookmark {
    /// The bookmark `id` whose item has this content; none if it is malformed or was removed.
    pub fn read(id: &str, content: &str) -> Option<Self> {
        if content.len() > MAX_ITEM {
            return None;
        }
        let item: Item<'_> = serde_json::from_str(content).ok()?;
        let is_whole =
            item.version == VERSION && item.bookmark_id == id && item.uri.starts_with("matrix:");
        // No identifier has this sign, though not everyone refuses it.
        let is_odd = [item.room_id.as_str(), item.event_id.as_str()].concat().contains('\0');
        (is_whole && !is_odd && !item.deleted).then_some(Self {
            room_id: item.room_id,
            event_id: item.event_id,
            event_ts: item.event_ts.into(),
            bookmarked_ts: item.bookmarked_ts.into(),
            sender: item.sender,
            room_name: item.room_name,
            body_preview: item.body_preview,
            msgtype: item.msgtype,
        })
    }

    /// The content of the item of the bookmark `id`.
    pub fn item(&self, id: &str) -> String {
        let item = Item {
            version: VERSION,
            bookmark_id: id.into(),
            uri: self.uri(),
            room_id: self.room_id.clone(),
            event_id: self.event_id.clone(),
            event_ts: UInt::new_saturating(self.event_ts),
            bookmarked_ts: UInt::new_saturating(self.bookmarked_ts),
            sender: self.sender.clone(),
            room_name: self.room_name.clone(),
            body_preview: self.body_preview.clone(),
            msgtype: self.msgtype.clone(),
            deleted: false,
        };
        serde_json::to_string(&item).expect("an item is JSON")
    }

    /// The proposal's form of a Matrix URI: it encodes the sigils, too.
    fn uri(&self) -> String {
        let (room, event) = (encoded(self.room_id.as_str()), encoded(self.event_id.as_str()));
        format!("matrix:roomid/{room}/e/{event}")
    }

    /// The kind of the message: as the item has it, else as its event of this type and `msgtype`.
    pub fn kind(&self, event: Option<(&str, Option<&str>)>) -> crate::MessageKind {
        let (event_type, msgtype) = event.unzip();
        crate::MessageKind::of(event_type, self.msgtype.as_deref().or(msgtype.flatten()))
    }
}

/// `part` of a URI, with everything encoded that may have a meaning there.
fn encoded(part: &str) -> String {
    let mut out = String::with_capacity(part.len() + 16);
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The ID that this server gives a bookmark of a message: the same one whenever it is made.
pub fn bookmark_id(room: &RoomId, event: &EventId) -> String {
    let mut hash = Sha256::new();
    for part in [room.as_str(), event.as_str()] {
        hash.update(part);
        hash.update([0]);
    }
    format!("tertulia_{}", BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..18]))
}

/// What an item needs to be one.
const REQUIRED: [&str; 7] =
    ["version", "bookmark_id", "uri", "room_id", "event_id", "event_ts", "bookmarked_ts"];

/// The item with this content as one that was removed. It can be brought back, and says of the message
/// no more than which one it is.
pub fn removed_item(content: &str) -> String {
    changed_item(content, |item| {
        item.retain(|key, _| REQUIRED.contains(&key.as_str()));
        item.insert("deleted".to_owned(), true.into());
    })
}

/// The item with this content and this beginning of the message, if any, in the place of its own.
pub fn item_with_preview(content: &str, preview: Option<&str>) -> String {
    changed_item(content, |item| match preview {
        Some(preview) => drop(item.insert("body_preview".to_owned(), preview.into())),
        None => drop(item.remove("body_preview")),
    })
}

fn changed_item(content: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut item: Map<String, Value> = serde_json::from_str(content).unwrap_or_default();
    change(&mut item);
    Value::Object(item).to_string()
}

/// The beginning of what a message says, on one line.
pub fn body_preview(body: &str) -> Option<String> {
    // A text that begins with much white space has none.
    let beginning: String = body.chars().take(8 * PREVIEW).collect();
    let mut preview = String::new();
    for word in beginning.split_whitespace() {
        if !preview.is_empty() {
            preview.push(' ');
        }
        preview.push_str(word);
        if let Some((end, _)) = preview.char_indices().nth(PREVIEW) {
            preview.truncate(end);
            preview.push('\u{2026}');
            break;
        }
    }
    (!preview.is_empty()).then_some(preview)
}

/// What an index says of itself; which bookmarks it lists follows from the items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookmarkIndex {
    /// How often it changed. It never goes back.
    #[serde(default, deserialize_with = "lenient")]
    pub revision: u64,
    /// When it changed last, in milliseconds since 1970.
    #[serde(default, deserialize_with = "lenient")]
    pub updated_ts: u64,
}

/// The greatest revision that a client's write brings. As many more remain before numbers end in JSON.
const MAX_REVISION: u64 = 1 << 52;

impl BookmarkIndex {
    /// What the index with this content says of itself.
    pub fn read(content: &str) -> Self {
        serde_json::from_str(content).unwrap_or_default()
    }

    /// The content without the list.
    pub fn header(self) -> String {
        serde_json::to_string(&self).expect("numbers are JSON")
    }

    /// The index after a bookmark came or went.
    #[must_use]
    pub fn changed(self, now: u64) -> Self {
        Self { revision: (self.revision + 1).min(2 * MAX_REVISION - 1), updated_ts: now }
    }

    /// The index after a client wrote it with this content, and the order in which the client shows
    /// the bookmarks. Of a revision that is no newer than this one, the next one is made.
    pub fn written(self, content: &str, now: u64) -> (Self, Vec<String>) {
        let mut next = self.changed(now);
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let revision = content.get("revision").and_then(Value::as_u64);
        let revision = revision.filter(|revision| *revision <= MAX_REVISION);
        next.revision = next.revision.max(revision.unwrap_or(0));
        let ids = content.get("bookmark_ids").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().filter_map(Value::as_str);
        let ids = ids.filter(|id| is_id(id));
        let mut known = BTreeSet::new();
        let order = ids.filter(|id| known.insert(*id)).take(INDEXED).map(str::to_owned);
        (next, order.collect())
    }

    /// The content as clients see it: it lists `newest`, in the order that a client wished for.
    pub fn content(self, newest: Vec<String>, order: &[String]) -> String {
        #[derive(Serialize)]
        struct Content {
            version: u32,
            revision: u64,
            updated_ts: u64,
            bookmark_ids: Vec<String>,
        }
        let content = Content {
            version: VERSION,
            revision: self.revision,
            updated_ts: self.updated_ts,
            bookmark_ids: arranged(newest, order),
        };
        serde_json::to_string(&content).expect("an index is JSON")
    }
}

/// Bookmarks, newest first, in the `order` that a client gave them: those it did not name come before.
pub fn arranged(newest: Vec<String>, order: &[String]) -> Vec<String> {
    let there: BTreeSet<_> = newest.iter().map(String::as_str).collect();
    let named: BTreeSet<_> = order.iter().map(String::as_str).collect();
    let others = newest.iter().filter(|id| !named.contains(id.as_str()));
    let others: Vec<_> = others.cloned().collect();
    let in_order = order.iter().filter(|id| there.contains(id.as_str())).cloned();
    others.into_iter().chain(in_order).collect()
}

/// A number that somebody may have written otherwise.
fn lenient<'de, D: serde::Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    Ok(Value::deserialize(input)?.as_u64().unwrap_or(0).min(2 * MAX_REVISION - 1))
}

#[cfg(test)]
mod tests;
