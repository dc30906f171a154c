//! How the document writes what is answered: `…` stands for whatever it does not say, and `$name` for a value
//! that is called so from then on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Where these stand, an answer is for the next call only: each one names them anew.
const RENEWED: [&str; 7] =
    ["access_token", "refresh_token", "next_batch", "next", "end", "sid", "session"];

/// The values that have a name.
pub(crate) type Names = BTreeMap<String, String>;

/// Holds an answer against what the document shows of it, and names what it names.
pub(crate) fn compare(shown: &Value, given: &Value, names: &mut Names) -> Result<(), String> {
    match (shown, given) {
        (Value::String(shown), _) if shown == "…" => Ok(()),
        (Value::String(shown), Value::String(given)) => compare_text(shown, given, names),
        (Value::Object(shown), Value::Object(given)) => compare_objects(shown, given, names),
        (Value::Array(shown), Value::Array(given)) => compare_lists(shown, given, names),
        _ if shown == given => Ok(()),
        _ => Err(format!("{given} is not {shown}")),
    }
}

fn compare_objects(
    shown: &Map<String, Value>,
    given: &Map<String, Value>,
    names: &mut Names,
) -> Result<(), String> {
    for (key, value) in shown {
        if let Some(name) = value.as_str().and_then(whole_name)
            && RENEWED.contains(&key.as_str())
        {
            names.remove(name);
        }
        let key = filled(key, names);
        let Some(given) = given.get(&key) else {
            let keys: Vec<_> = given.keys().collect();
            return Err(format!("no {key} among {keys:?}"));
        };
        compare(value, given, names).map_err(|error| format!("{key}: {error}"))?;
    }
    Ok(())
}

/// Element by element; a `…` stands for any number of them.
fn compare_lists(shown: &[Value], given: &[Value], names: &mut Names) -> Result<(), String> {
    let Some((first, rest)) = shown.split_first() else {
        return if given.is_empty() { Ok(()) } else { Err(format!("{} more", given.len())) };
    };
    if first == "…" {
        let mut error = String::new();
        for skipped in 0..=given.len() {
            let mut tried = names.clone();
            match compare_lists(rest, &given[skipped..], &mut tried) {
                Ok(()) => {
                    *names = tried;
                    return Ok(());
                }
                Err(reason) => error = if error.is_empty() { reason } else { error },
            }
        }
        return Err(error);
    }
    let (next, others) = given.split_first().ok_or_else(|| format!("no {first}"))?;
    compare(first, next, names)?;
    compare_lists(rest, others, names)
}

/// Holds a text against what the document shows of it.
pub(crate) fn compare_text(shown: &str, given: &str, names: &mut Names) -> Result<(), String> {
    let mut tried = names.clone();
    if matches(shown, given, &mut tried) {
        *names = tried;
        return Ok(());
    }
    Err(format!("{given:?} is not {:?}", filled(shown, names)))
}

fn matches(shown: &str, given: &str, names: &mut Names) -> bool {
    if let Some(rest) = shown.strip_prefix('…') {
        let mut ends = given.char_indices().map(|(at, _)| at).chain([given.len()]);
        return ends.any(|at| matches(rest, &given[at..], names));
    }
    if let Some((name, rest)) = name_at(shown) {
        if let Some(value) = names.get(name).cloned() {
            return given.strip_prefix(&value).is_some_and(|given| matches(rest, given, names));
        }
        // What has no name yet goes up to what follows it.
        let ends = given.char_indices().map(|(at, _)| at).chain([given.len()]);
        for at in ends.filter(|at| *at > 0) {
            let mut tried = names.clone();
            tried.insert(name.to_owned(), given[..at].to_owned());
            if matches(rest, &given[at..], &mut tried) {
                *names = tried;
                return true;
            }
        }
        return false;
    }
    match (shown.chars().next(), given.chars().next()) {
        (Some(one), Some(other)) if one == other => {
            matches(&shown[one.len_utf8()..], &given[one.len_utf8()..], names)
        }
        (None, None) => true,
        _ => false,
    }
}

/// The name that a text begins with, and what follows it.
fn name_at(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('$')?;
    let end = text.find(|letter: char| letter != '_' && !letter.is_ascii_lowercase());
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    (!name.is_empty()).then_some((name, rest))
}

/// The name that a text is.
fn whole_name(text: &str) -> Option<&str> {
    name_at(text).filter(|(_, rest)| rest.is_empty()).map(|(name, _)| name)
}

/// A text with values in place of their names.
fn filled(text: &str, names: &Names) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let known = name_at(rest).and_then(|(name, after)| Some((names.get(name)?, after)));
        if let Some((value, after)) = known {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(shown: &Value, given: &Value, expected: bool) -> Names {
        let mut names = Names::from([("room".to_owned(), "!r".to_owned())]);
        assert_eq!(compare(shown, given, &mut names).is_ok(), expected, "{shown} {given}");
        names
    }

    #[test]
    fn what_is_shown_has_to_be_there_and_more_may_be() {
        let given = json!({ "a": 1, "b": ["x", "y", { "c": "mxc://s/m" }] });
        for shown in [
            json!({}),
            json!({ "a": "…" }),
            json!({ "a": 1, "b": ["x", "y", {}] }),
            json!({ "b": ["…"] }),
            json!({ "b": ["…", "y", "…"] }),
            json!({ "b": ["…", { "c": "mxc://…/m" }] }),
        ] {
            check(&shown, &given, true);
        }
        for shown in [
            json!({ "a": 2 }),
            json!({ "d": "…" }),
            json!({ "b": ["x", "y"] }),
            json!({ "b": ["x", "y", {}, {}] }),
            json!({ "b": ["…", "z", "…"] }),
            json!({ "b": ["…", { "c": "mxc://…/n" }] }),
            json!([]),
        ] {
            check(&shown, &given, false);
        }
    }

    #[test]
    fn values_are_named_once_and_tokens_again_and_again() {
        let names = check(&json!({ "e": "$event" }), &json!({ "e": "$abc" }), true);
        assert_eq!(names["event"], "$abc");
        check(&json!({ "r": "$room" }), &json!({ "r": "!r" }), true);
        check(&json!({ "r": "$room" }), &json!({ "r": "!other" }), false);
        check(&json!({ "$room": { "n": 1 } }), &json!({ "!r": { "n": 1 } }), true);
        check(&json!(["…", "$x", "b"]), &json!(["a", "c", "b"]), true);
        let names = check(&json!({ "next": "$room" }), &json!({ "next": "t" }), true);
        assert_eq!(names["room"], "t");
        let names = check(&json!("https://…?a=$a&b=$b"), &json!("https://x/y?a=1&b=22"), true);
        assert_eq!((names["a"].as_str(), names["b"].as_str()), ("1", "22"));
    }
}
