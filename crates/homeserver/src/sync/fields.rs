//! Events cut down to the fields that a client asks for (`event_fields` of a filter).

use serde::Serialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

/// The fields to keep, as paths (appendices, "Dot-separated property paths").
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    paths: Vec<Vec<String>>,
}

impl Fields {
    /// Reads the paths as a filter writes them.
    pub(crate) fn new(paths: &[String]) -> Self {
        Self { paths: paths.iter().map(|path| segments(path)).collect() }
    }

    /// `event` with nothing but these fields.
    ///
    /// # Errors
    ///
    /// If `event` does not serialise.
    pub(crate) fn of(&self, event: &impl Serialize) -> serde_json::Result<Box<RawValue>> {
        let whole = serde_json::to_value(event)?;
        let mut kept = Map::new();
        for path in &self.paths {
            if let Some(value) = path.iter().try_fold(&whole, |value, part| value.get(part)) {
                insert(&mut kept, path, value.clone());
            }
        }
        to_raw_value(&kept)
    }
}

/// Splits at dots. A backslash takes a dot or a backslash after it as it is.
fn segments(path: &str) -> Vec<String> {
    let (mut segments, mut segment) = (Vec::new(), String::new());
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '.' => segments.push(std::mem::take(&mut segment)),
            '\\' => segment.push(characters.next_if(|c| matches!(c, '.' | '\\')).unwrap_or('\\')),
            other => segment.push(other),
        }
    }
    segments.push(segment);
    segments
}

fn insert(into: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut object = into;
    for part in parents {
        let inner = object.entry(part).or_insert_with(|| Value::Object(Map::new()));
        // A shorter path that was kept whole has this one in it already.
        let Value::Object(inner) = inner else { return };
        object = inner;
    }
    object.insert(last.clone(), value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(paths: &[&str], expected: Value) {
        let event = json!({
            "type": "m.room.message",
            "content": { "body": "hi", "m.relates_to": { "event_id": "$1" }, "a\\b": 1 },
        });
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let cut = Fields::new(&paths).of(&event).unwrap();
        assert_eq!(serde_json::from_str::<Value>(cut.get()).unwrap(), expected, "{paths:?}");
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        check(&[], json!({}));
        check(&["type"], json!({ "type": "m.room.message" }));
        check(&["content.body"], json!({ "content": { "body": "hi" } }));
        check(&["type", "nothing", "content.nothing"], json!({ "type": "m.room.message" }));
        check(&["type.body"], json!({}));
    }

    #[test]
    fn dots_in_names_are_escaped() {
        let related = json!({ "content": { "m.relates_to": { "event_id": "$1" } } });
        check(&["content.m\\.relates_to"], related.clone());
        check(&["content.m\\.relates_to.event_id"], related);
        check(&["content.m.relates_to"], json!({}));
        check(&["content.a\\\\b"], json!({ "content": { "a\\b": 1 } }));
        check(&["content.a\\b"], json!({ "content": { "a\\b": 1 } }));
    }

    #[test]
    fn paths_may_lie_in_each_other() {
        let body = json!({ "content": { "body": "hi", "a\\b": 1 } });
        check(&["content.body", "content.a\\b"], body);
        let whole = json!({
            "content": { "body": "hi", "m.relates_to": { "event_id": "$1" }, "a\\b": 1 },
        });
        check(&["content.body", "content"], whole.clone());
        check(&["content", "content.body"], whole);
    }
}
