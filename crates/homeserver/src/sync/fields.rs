//! Events cut down to the fields that a client asks for (`event_fields` of a filter).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The fields to keep, as paths (appendices, "Dot-separated property paths").
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    root: Node,
}

/// What is kept of an object, by the names of its members.
type Members = BTreeMap<String, Node>;

/// What is kept of one value.
#[derive(Clone, Debug)]
enum Node {
    /// All of it.
    Whole,
    /// These members, if it is an object.
    Members(Members),
}

impl Fields {
    /// Reads the paths as a filter writes them.
    pub(crate) fn new(paths: &[String]) -> Self {
        let mut root = Node::Members(Members::new());
        for path in paths {
            root.keep(segments(path).into_iter());
        }
        Self { root }
    }

    /// `event` with nothing but these fields.
    ///
    /// # Errors
    ///
    /// If `event` does not serialise.
    pub(crate) fn of(&self, event: &impl Serialize) -> serde_json::Result<Box<RawValue>> {
        let whole = to_raw_value(event)?;
        to_raw_value(&self.root.of(&whole).unwrap_or(Kept::Members(BTreeMap::new())))
    }
}

impl Node {
    /// Keeps what `path` leads to. A shorter path that is kept whole has the longer ones in it.
    fn keep(&mut self, mut path: impl Iterator<Item = String>) {
        let Self::Members(members) = self else { return };
        match path.next() {
            None => *self = Self::Whole,
            Some(name) => members.entry(name).or_insert(Self::Members(Members::new())).keep(path),
        }
    }

    /// What is kept of `value`; none if there is nothing of it.
    fn of<'a>(&self, value: &'a RawValue) -> Option<Kept<'a>> {
        let Self::Members(wanted) = self else { return Some(Kept::Whole(value)) };
        // Member by member: of what is not asked for, nobody needs to know what it is.
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
        let kept = |(name, node): (&String, &Self)| {
            Some((name.clone(), node.of(members.get(name).copied()?)?))
        };
        let kept: BTreeMap<_, _> = wanted.iter().filter_map(kept).collect();
        (!kept.is_empty()).then_some(Kept::Members(kept))
    }
}

/// What was kept of a value.
#[derive(Serialize)]
#[serde(untagged)]
enum Kept<'a> {
    Whole(&'a RawValue),
    Members(BTreeMap<String, Kept<'a>>),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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

    #[test]
    fn what_is_too_deep_to_be_read_can_be_kept_or_left_out() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for odd in [deep.as_str(), r#"{"$serde_json::private::RawValue":"x"}"#] {
            let event = format!(r#"{{"content":{{"body":"hi","odd":{odd}}},"type":"t"}}"#);
            let event = RawValue::from_string(event).unwrap();
            let kept = |path: &str| Fields::new(&[path.to_owned()]).of(&event).unwrap();
            assert_eq!(kept("content.body").get(), r#"{"content":{"body":"hi"}}"#);
            assert_eq!(kept("type").get(), r#"{"type":"t"}"#);
            assert_eq!(kept("content.odd").get(), format!(r#"{{"content":{{"odd":{odd}}}}}"#));
        }
    }
}
