//! Choosing events by what a client filters for (client-server API, "Filtering").

use ruma::{OwnedRoomId, OwnedUserId, api::client::filter::RoomEventFilter};
use serde_json::value::RawValue;
use tertulia_protocol::Pdu;

/// Which events of a room a client asks for.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    types: Option<Vec<String>>,
    not_types: Vec<String>,
    senders: Option<Vec<OwnedUserId>>,
    not_senders: Vec<OwnedUserId>,
    rooms: Option<Vec<OwnedRoomId>>,
    not_rooms: Vec<OwnedRoomId>,
    contains_url: Option<bool>,
    /// Whether only the members that the events need are told.
    pub lazy_members: bool,
    /// Whether members the client knows are told again.
    pub redundant_members: bool,
}

impl From<RoomEventFilter> for EventFilter {
    fn from(filter: RoomEventFilter) -> Self {
        use ruma::api::client::filter::{LazyLoadOptions, UrlFilter};
        let (lazy_members, redundant_members) = match filter.lazy_load_options {
            LazyLoadOptions::Enabled { include_redundant_members } => {
                (true, include_redundant_members)
            }
            LazyLoadOptions::Disabled => (false, false),
        };
        Self {
            types: filter.types,
            not_types: filter.not_types,
            senders: filter.senders,
            not_senders: filter.not_senders,
            rooms: filter.rooms,
            not_rooms: filter.not_rooms,
            contains_url: filter.url_filter.map(|url| url == UrlFilter::EventsWithUrl),
            lazy_members,
            redundant_members,
        }
    }
}

impl EventFilter {
    /// Asks for events of these types only; `*` stands for any run of characters.
    pub fn of_types(types: &[&str]) -> Self {
        let types = types.iter().map(|kind| (*kind).to_owned()).collect();
        Self { types: Some(types), ..Self::default() }
    }

    /// Whether the client asks for `pdu`. Of one that was redacted it asks for what is left.
    pub(crate) fn passes(&self, pdu: &Pdu, redacted: bool) -> bool {
        self.passes_type(&pdu.kind().to_string())
            && self.senders.as_ref().is_none_or(|some| some.iter().any(|id| id == pdu.sender()))
            && !self.not_senders.iter().any(|id| id == pdu.sender())
            && self.rooms.as_ref().is_none_or(|some| some.iter().any(|id| id == pdu.room_id()))
            && !self.not_rooms.iter().any(|id| id == pdu.room_id())
            && self.contains_url.is_none_or(|wanted| wanted == (has_url(pdu) && !redacted))
    }

    fn passes_type(&self, kind: &str) -> bool {
        self.types.as_ref().is_none_or(|some| some.iter().any(|pattern| matches(pattern, kind)))
            && !self.not_types.iter().any(|pattern| matches(pattern, kind))
    }
}

/// Whether the content has a `url`, which no redaction leaves.
fn has_url(pdu: &Pdu) -> bool {
    #[derive(serde::Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        url: Option<&'a RawValue>,
    }
    pdu.content_as::<Content<'_>>()
        .is_some_and(|content| content.url.is_some_and(|url| url.get().starts_with('"')))
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
    }
    last.map_or(rest.is_empty(), |part: &str| rest.ends_with(part))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for text in no {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        check("m.room.message", &["m.room.message"], &["m.room.messages", "m.room", ""]);
        check("m.room.*", &["m.room.", "m.room.member"], &["m.roo", "x.m.room.member"]);
        check("*", &["", "anything"], &[]);
        check("a*b*c", &["abc", "axxbyyc", "abbcc"], &["ab", "acb", "abcd"]);
        check("*.b", &["a.b", ".b", ".b.b"], &["a.bc"]);
        check("aa*a", &["aaa", "aaxa"], &["aa"]);
    }
}
