//! Plain JSON: what can be passed on to every reader of JSON, and means the same to all of them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use tertulia::MAX_NESTING;

/// Keys by which `serde_json` tells itself how to read what follows. From a client they would not be
/// kept as they are.
const KEYS_OF_THE_READER: [&str; 2] =
    ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// Any JSON whose objects and lists are nested at most [`MAX_NESTING`] deep and have ordinary keys.
/// What it says is dropped.
pub(crate) struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Nested(0).deserialize(deserializer)
    }
}

/// A value inside so many objects and lists.
#[derive(Clone, Copy)]
struct Nested(usize);

impl Nested {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.0 {
            MAX_NESTING => {
                Err(E::custom(format_args!("it is nested more than {MAX_NESTING} deep")))
            }
            depth => Ok(Self(depth + 1)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Plain;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Plain, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
        Ok(Plain)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let inside = self.deeper()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Plain, A::Error> {
        let inside = self.deeper()?;
        while let Some(key) = members.next_key::<Cow<'_, str>>()? {
            if KEYS_OF_THE_READER.contains(&&*key) {
                return Err(A::Error::custom(format_args!("a key must not be `{key}`")));
            }
            members.next_value_seed(inside)?;
        }
        Ok(Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `json` is plain; if not, whether it is JSON at all.
    #[track_caller]
    fn check(json: &str, expected: Result<(), bool>) {
        let read = serde_json::from_str::<Plain>(json).map(|_| ());
        assert_eq!(read.map_err(|error| error.is_data()), expected, "{json}");
    }

    #[test]
    fn ordinary_json_is_plain() {
        for json in ["{}", "[]", "null", "true", "-1", "18446744073709551615", "1.5e3", r#""é\n""#]
        {
            check(json, Ok(()));
        }
        check(r#"{"a": [1, {"b": [null, false]}], "c": {"$": "serde_json"}, "c": ""}"#, Ok(()));
    }

    #[test]
    fn what_nobody_asked_for_must_be_json_too() {
        for json in ["", "{", "[1,]", r#"{"a"}"#, "nul", r#"{"a":"\ud800"}"#, r#""\x""#] {
            check(json, Err(false));
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        check(&lists(MAX_NESTING), Ok(()));
        check(&objects(MAX_NESTING), Ok(()));
        check(&format!("[{},{}]", lists(MAX_NESTING - 1), lists(MAX_NESTING - 1)), Ok(()));
        for depth in [MAX_NESTING + 1, 127, 128, 100_000] {
            check(&lists(depth), Err(true));
            check(&objects(depth), Err(true));
        }
    }

    #[test]
    fn keys_that_the_reader_of_json_keeps_for_itself_are_refused() {
        for key in KEYS_OF_THE_READER {
            check(&format!(r#"{{"{key}":"1"}}"#), Err(true));
            check(&format!(r#"{{"a":[{{"b":1,"{key}":"1"}}]}}"#), Err(true));
            let hidden = key.replace('$', r"\u0024");
            check(&format!(r#"{{"{hidden}":"1"}}"#), Err(true));
            check(&format!(r#"["{key}"]"#), Ok(()));
        }
    }
}
