//! What an event must look like before anyone asks whether it is allowed.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, RoomId, int, room_version_rules::RoomVersionRules,
};

/// The greatest size of an event in bytes, as canonical JSON with its signatures.
pub(crate) const MAX_EVENT: usize = 65_536;
const MAX_FIELD: usize = 255;
const MAX_PREV_EVENTS: usize = 20;
const MAX_AUTH_EVENTS: usize = 10;

/// The JSON is not an event of its room version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The text is no JSON object with integers within ±2⁵³.
    #[error("not canonical JSON: {0}")]
    Json(String),
    /// The event has more bytes than the specification allows.
    #[error("an event has at most {MAX_EVENT} bytes, this one has {0}")]
    TooLarge(usize),
    /// A field has more bytes than the specification allows.
    #[error("the field `{0}` has more than 255 bytes")]
    TooLong(&'static str),
    /// A field is absent, or of the wrong type.
    #[error("the field `{field}` {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

pub(crate) fn bad(field: &'static str, problem: &'static str) -> Malformed {
    Malformed::Field { field, problem }
}

/// Checks the fields every event has, their types and lengths.
pub(crate) fn check(
    event: &CanonicalJsonObject,
    rules: &RoomVersionRules,
) -> Result<(), Malformed> {
    let format = &rules.event_format;
    let kind = required_string(event, "type")?;
    required_string(event, "sender")?;
    string(event, "state_key")?;
    let room = if kind != "m.room.create" || format.require_room_create_room_id {
        Some(required_string(event, "room_id")?)
    } else {
        None
    };
    if format.require_event_id {
        required_string(event, "event_id")?;
    }
    if !matches!(event.get("content"), Some(CanonicalJsonValue::Object(_))) {
        return Err(bad("content", "must be an object"));
    }
    array(event, "prev_events", MAX_PREV_EVENTS)?;
    let auth = array(event, "auth_events", MAX_AUTH_EVENTS)?;
    if let Some(room) = room
        && !format.allow_room_create_in_auth_events
    {
        create_is_not_cited(room, auth)?;
    }
    match event.get("depth") {
        Some(CanonicalJsonValue::Integer(depth)) if *depth >= int!(0) => Ok(()),
        _ => Err(bad("depth", "must be an integer that is not negative")),
    }
}

/// Where the room ID is the hash of the create event, no event cites the create event again.
fn create_is_not_cited(room: &str, auth: &[CanonicalJsonValue]) -> Result<(), Malformed> {
    let room = <&RoomId>::try_from(room).map_err(|_| bad("room_id", "is not the ID of a room"))?;
    let cited = auth
        .iter()
        .filter_map(CanonicalJsonValue::as_str)
        .any(|id| id.strip_prefix('$') == Some(room.strip_sigil()));
    if cited {
        return Err(bad("auth_events", "must not name the create event"));
    }
    Ok(())
}

fn string<'a>(
    event: &'a CanonicalJsonObject,
    field: &'static str,
) -> Result<Option<&'a str>, Malformed> {
    match event.get(field) {
        None => Ok(None),
        Some(CanonicalJsonValue::String(text)) if text.len() <= MAX_FIELD => Ok(Some(text)),
        Some(CanonicalJsonValue::String(_)) => Err(Malformed::TooLong(field)),
        Some(_) => Err(bad(field, "must be a string")),
    }
}

fn required_string<'a>(
    event: &'a CanonicalJsonObject,
    field: &'static str,
) -> Result<&'a str, Malformed> {
    string(event, field)?.ok_or(bad(field, "is missing"))
}

fn array<'a>(
    event: &'a CanonicalJsonObject,
    field: &'static str,
    limit: usize,
) -> Result<&'a [CanonicalJsonValue], Malformed> {
    match event.get(field) {
        Some(CanonicalJsonValue::Array(items)) if items.len() <= limit => Ok(items),
        Some(CanonicalJsonValue::Array(_)) => Err(bad(field, "has too many entries")),
        _ => Err(bad(field, "must be an array")),
    }
}
