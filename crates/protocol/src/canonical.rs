//! Reading canonical JSON, and how deeply it may be nested.

use std::{collections::BTreeMap, fmt};

use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::format::{self, Malformed, bad};

/// How many objects and lists may lie in each other in what a local user says, the outermost included.
///
/// Readers of JSON commonly stop at 128. Between this and that lie the event around the content, `redacted_because` with
/// the event around it, and the answer to a sync around them all.
pub const MAX_NESTING: usize = 100;

/// Reads text as canonical JSON: an object, of integers within ±2⁵³, nested at most 127 deep.
pub(crate) fn canonical_object(json: &str) -> Result<CanonicalJsonObject, Malformed> {
    // A letter takes one byte in canonical form and six as an escape.
    if json.len() > 6 * format::MAX_EVENT {
        return Err(Malformed::TooLarge(json.len()));
    }
    let object = read_object(json)?;
    let size = serde_json::to_string(&object).map_or(0, |text| text.len());
    if size > format::MAX_EVENT {
        return Err(Malformed::TooLarge(size));
    }
    Ok(object)
}

/// The canonical form of a content that a client sent.
pub(crate) fn canonical_content(content: &RawValue) -> Result<CanonicalJsonObject, Malformed> {
    let CanonicalJsonValue::Object(content) = read(content.get())? else {
        return Err(bad("content", "must be an object"));
    };
    if nesting_of(content.values()) > MAX_NESTING {
        return Err(bad("content", "is nested too deeply"));
    }
    Ok(content)
}

/// Reads the text of an object of any size.
pub(crate) fn read_object(json: &str) -> Result<CanonicalJsonObject, Malformed> {
    match read(json)? {
        CanonicalJsonValue::Object(object) => Ok(object),
        _ => Err(Malformed::Json("it is no object".to_owned())),
    }
}

/// What can be read of the text of an event: a part of its content that is nested too deeply to be read is left out.
pub(crate) fn readable_object(json: &str) -> CanonicalJsonObject {
    read_object(json).unwrap_or_else(|_| readable_members(json, read_content))
}

fn read_content(json: &str) -> Option<CanonicalJsonValue> {
    let whole = read(json).ok();
    whole.or_else(|| Some(readable_members(json, |json| read(json).ok()).into()))
}

/// The members of an object that `read` can read, each by itself.
fn readable_members(
    json: &str,
    read: impl Fn(&str) -> Option<CanonicalJsonValue>,
) -> CanonicalJsonObject {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).unwrap_or_default();
    let readable = |(name, member): (String, &RawValue)| Some((name, read(member.get())?));
    members.into_iter().filter_map(readable).collect()
}

fn read(json: &str) -> Result<CanonicalJsonValue, Malformed> {
    let read = serde_json::from_str::<Canonical>(json);
    read.map(|Canonical(value)| value).map_err(|error| Malformed::Json(error.to_string()))
}

/// How deeply something is nested that has these members.
fn nesting_of<'a>(members: impl Iterator<Item = &'a CanonicalJsonValue>) -> usize {
    let nesting = |member: &CanonicalJsonValue| match member {
        CanonicalJsonValue::Object(object) => nesting_of(object.values()),
        CanonicalJsonValue::Array(list) => nesting_of(list.iter()),
        _ => 0,
    };
    1 + members.map(nesting).max().unwrap_or_default()
}

/// A value that is read as it stands. By way of `serde_json::Value`, an object with a key that only `serde_json` itself
/// should use would become the JSON in the text under that key.
struct Canonical(CanonicalJsonValue);

impl<'de> Deserialize<'de> for Canonical {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = CanonicalJsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canonical JSON, with integers within ±2⁵³")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Int::try_from(value).map(CanonicalJsonValue::Integer).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Int::try_from(value).map(CanonicalJsonValue::Integer).map_err(E::custom)
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Canonical(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = CanonicalJsonObject::new();
        while let Some((name, Canonical(value))) = members.next_entry()? {
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::nested;

    /// Whether a content is taken, and how it is written then.
    #[track_caller]
    fn check(content: &str, expected: Option<&str>) {
        let raw = RawValue::from_string(content.to_owned()).unwrap();
        let read = canonical_content(&raw).map(|read| serde_json::to_string(&read).unwrap());
        assert_eq!(read.as_deref().ok(), expected, "{content}");
    }

    #[test]
    fn keys_are_sorted_and_spaces_left_out() {
        check(r#"{ "b": [ 1, null ], "a": { "d": true, "c": "é\u00e9" } }"#, {
            Some(r#"{"a":{"c":"éé","d":true},"b":[1,null]}"#)
        });
        check(r#"{"a":1,"a":2}"#, Some(r#"{"a":2}"#));
    }

    #[test]
    fn only_objects_of_integers_that_every_reader_has_are_taken() {
        check(r#"{"n":[9007199254740991,-9007199254740991]}"#, {
            Some(r#"{"n":[9007199254740991,-9007199254740991]}"#)
        });
        for refused in ["9007199254740992", "-9007199254740992", "1.5", "1.0", "1e2", "1e400"] {
            check(&format!(r#"{{"n":{refused}}}"#), None);
        }
        for refused in ["[]", "1", "null", r#""{}""#] {
            check(refused, None);
        }
    }

    #[test]
    fn a_local_user_nests_less_than_readers_bear() {
        let allowed = nested(MAX_NESTING);
        check(&allowed, Some(&allowed));
        for depth in [MAX_NESTING + 1, 127, 128, 60_000] {
            check(&nested(depth), None);
        }
        check(&nested(MAX_NESTING).replace("{}", "[]"), Some(&allowed.replace("{}", "[]")));
        check(&nested(MAX_NESTING).replace("{}", "[[]]"), None);
    }

    #[test]
    fn no_key_is_more_than_a_key() {
        for key in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
            for text in [r#"{"a":1}"#, "not JSON", "1"] {
                let content = json!({ "x": { key: text } });
                let read = read_object(&content.to_string()).unwrap();
                let inner = read["x"].as_object().unwrap();
                assert_eq!(inner.len(), 1);
                assert_eq!(inner[key].as_str(), Some(text));
                check(&content.to_string(), Some(&content.to_string()));
            }
        }
    }

    #[test]
    fn what_is_read_of_an_event_is_what_can_be() {
        let readable = |content: &str| {
            let event = format!(r#"{{"content":{content},"type":"m.test"}}"#);
            let object = readable_object(&event);
            assert_eq!(object["type"].as_str(), Some("m.test"));
            serde_json::from_str::<Value>(&serde_json::to_string(&object["content"]).unwrap())
        };
        assert_eq!(readable(r#"{"b":1}"#).unwrap(), json!({ "b": 1 }));
        for depth in [128, 1_000, 30_000] {
            let deep = nested(depth);
            let left = json!({ "membership": "join" });
            let content = format!(r#"{{"a":{deep},"membership":"join"}}"#);
            assert_eq!(readable(&content).unwrap(), left, "{depth}");
        }
    }
}
