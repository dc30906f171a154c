//! Hashes of events, and the IDs made of them.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId,
    canonical_json::RedactingSerializer,
    room_version_rules::{EventIdFormatVersion, RoomVersionRules},
};
use sha2::{Digest as _, Sha256};

use crate::format::{Malformed, bad};

/// The bytes that servers sign, and whose hash is the event's reference hash: the redacted event without signatures.
pub(crate) fn signable(
    event: &CanonicalJsonObject,
    rules: &RoomVersionRules,
) -> Result<String, Malformed> {
    RedactingSerializer::new()
        .rules(&rules.redaction)
        .custom_redacted_root_fields(&["signatures", "unsigned"])
        .serialize(event)
        .map_err(|error| Malformed::Json(error.to_string()))
}

/// The hash of the whole event, which its `hashes` promise.
pub(crate) fn content_hash(event: &CanonicalJsonObject) -> Result<String, Malformed> {
    RedactingSerializer::new()
        .custom_redacted_root_fields(&["hashes", "signatures", "unsigned"])
        .serialize(event)
        .map(|json| standard_base64(json.as_bytes()))
        .map_err(|error| Malformed::Json(error.to_string()))
}

/// The SHA-256 of `bytes` in the alphabet of `hashes`.
pub(crate) fn standard_base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(bytes))
}

/// The SHA-256 of `bytes` in the alphabet of URLs.
pub(crate) fn url_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// The ID of an event whose signable bytes are known.
pub(crate) fn event_id(
    event: &CanonicalJsonObject,
    signable: &str,
    rules: &RoomVersionRules,
) -> Result<OwnedEventId, Malformed> {
    let id = match rules.event_id_format {
        EventIdFormatVersion::V1 => {
            let id = event.get("event_id").and_then(CanonicalJsonValue::as_str);
            id.ok_or(bad("event_id", "is missing"))?.to_owned()
        }
        EventIdFormatVersion::V2 => format!("${}", standard_base64(signable.as_bytes())),
        _ => format!("${}", url_base64(signable.as_bytes())),
    };
    EventId::parse(id).map_err(|_| bad("event_id", "is not the ID of an event"))
}
