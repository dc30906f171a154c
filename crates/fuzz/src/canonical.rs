//! Canonical JSON: the input is the content of an event, of another server or of a user here.

use std::sync::LazyLock;

use serde_json::{Value, value::RawValue};
use tertulia_protocol::{Draft, MAX_NESTING, Pdu};

use crate::room::{Room, room};

/// Room version 11: numbers must be integers, and the room has an ID of its own.
const VERSION: u8 = 10;

/// Between these an integer means the same to every reader of JSON.
const INTEGERS: std::ops::RangeInclusive<i64> = -(1 << 53) + 1..=(1 << 53) - 1;

/// An event around a content.
static AROUND: LazyLock<(String, String)> = LazyLock::new(|| {
    let event = room(VERSION).events.last().expect("the room has events");
    let mut event: Value = serde_json::from_str(event.json().get()).expect("it is JSON");
    event["type"] = "m.test".into();
    event["state_key"] = "".into();
    event["content"] = Value::String("HERE".to_owned());
    let text = event.to_string();
    let (before, behind) = text.split_once("\"HERE\"").expect("it was put there");
    (before.to_owned(), behind.to_owned())
});

/// What is taken has one form, which every reader of JSON reads alike; it is the same for both ways in.
pub(crate) fn run(input: &[u8]) {
    let Ok(content) = std::str::from_utf8(input) else {
        return;
    };
    let room = room(VERSION);
    let foreign = Pdu::parse(&format!("{}{content}{}", AROUND.0, AROUND.1), &room.rules);
    if let Ok(event) = &foreign {
        is_canonical(event.json().get());
    }
    let Ok(content) = RawValue::from_string(content.to_owned()) else {
        return;
    };
    let own = room.append(Draft {
        sender: Room::creator(),
        kind: "m.test".into(),
        state_key: Some(String::new()),
        content,
        redacts: None,
    });
    if let Ok(event) = own {
        is_canonical(event.json().get());
        let foreign = foreign.expect("what a user may say, others may");
        assert_eq!(foreign.content().get(), event.content().get(), "both ways lead to one form");
        assert!(nesting(event.content().get()) <= MAX_NESTING, "and are bounded in depth");
    }
}

/// Compares with what `serde_json` makes of the text by itself.
fn is_canonical(text: &str) {
    // By such keys it tells itself how to read what follows.
    if text.contains("$serde_json::private") {
        return;
    }
    let value: Value = serde_json::from_str(text).expect("canonical JSON is JSON");
    let again = serde_json::to_string(&value).expect("values can be written");
    assert_eq!(again, text, "sorted, without spaces, each key once, escaped in one way");
    numbers(&value);
}

fn numbers(value: &Value) {
    match value {
        Value::Number(number) => {
            let number = number.as_i64().expect("it is an integer");
            assert!(INTEGERS.contains(&number), "{number}");
        }
        Value::Array(items) => items.iter().for_each(numbers),
        Value::Object(members) => members.values().for_each(numbers),
        _ => {}
    }
}

/// How many objects and lists lie in each other in the text of a value.
fn nesting(text: &str) -> usize {
    let (mut depth, mut most, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_taken_or_refused() {
        let nested = "[".repeat(200);
        for content in
            ["{}", r#"{"b":1,"a":[null]}"#, "[]", "{", r#"{"a":1.5}"#, &nested, r#"{"a":"\ud800"}"#]
        {
            run(content.as_bytes());
        }
    }

    #[test]
    #[should_panic(expected = "sorted")]
    fn another_form_is_a_finding() {
        is_canonical(r#"{"b":1,"a":2}"#);
    }

    #[test]
    #[should_panic(expected = "9007199254740992")]
    fn a_number_that_readers_read_differently_is_a_finding() {
        is_canonical(r#"{"a":[9007199254740992]}"#);
    }

    #[test]
    fn nesting_is_counted_as_objects_and_lists() {
        for (text, depth) in
            [("1", 0), (r#""[[""#, 0), (r#""\"[""#, 0), (r#"{"a":[{},1],"b":[]}"#, 3)]
        {
            assert_eq!(nesting(text), depth, "{text}");
        }
    }
}
