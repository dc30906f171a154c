//! Which files an event shows.

use ruma::OwnedMxcUri;
use serde_json::{Value, value::RawValue};

/// Where the content of an event names files: a picture or file, encrypted or not, its thumbnail, and
/// whose face it is.
const PLACES: [&str; 5] =
    ["/url", "/file/url", "/info/thumbnail_url", "/info/thumbnail_file/url", "/avatar_url"];

/// The longest URI that is taken for one.
const LONGEST: usize = 500;

/// The files that content shows, each once: at most one for each place where files are named.
///
/// Content without any costs no more than a glance at its text.
pub fn media_uris(content: &RawValue) -> Vec<OwnedMxcUri> {
    let text = content.get();
    // JSON may write the slashes with a backslash.
    if !text.contains("mxc:") {
        return Vec::new();
    }
    let content: Value = serde_json::from_str(text).unwrap_or_default();
    let named = PLACES.iter().filter_map(|place| content.pointer(place)?.as_str());
    let uris = named.filter(|uri| uri.len() <= LONGEST).map(OwnedMxcUri::from);
    let mut uris: Vec<_> = uris.filter(|uri| uri.is_valid()).collect();
    uris.sort_unstable();
    uris.dedup();
    uris
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn check(content: &Value, expected: &[&str]) {
        let uris = media_uris(&to_raw_value(content).unwrap());
        assert_eq!(uris, expected, "{content}");
    }

    #[test]
    fn files_are_found_where_events_name_them() {
        check(&json!({ "url": "mxc://x/a", "body": "mxc://x/b" }), &["mxc://x/a"]);
        check(&json!({ "file": { "url": "mxc://x/a", "key": {} } }), &["mxc://x/a"]);
        check(&json!({ "membership": "join", "avatar_url": "mxc://x/a" }), &["mxc://x/a"]);
        check(
            &json!({
                "url": "mxc://x/c",
                "info": { "thumbnail_url": "mxc://x/b", "thumbnail_file": { "url": "mxc://x/a" } },
            }),
            &["mxc://x/a", "mxc://x/b", "mxc://x/c"],
        );
        check(&json!({ "url": "mxc://x/a", "avatar_url": "mxc://x/a" }), &["mxc://x/a"]);
        let escaped = RawValue::from_string(r#"{"url":"mxc:\/\/x\/a"}"#.to_owned()).unwrap();
        assert_eq!(media_uris(&escaped), ["mxc://x/a"]);
    }

    #[test]
    fn what_names_no_file_names_none() {
        for content in [
            json!({ "body": "hello" }),
            json!({ "body": "mxc://x/a" }),
            json!({ "url": "https://x/a" }),
            json!({ "url": "mxc://x" }),
            json!({ "url": "mxc://x/../a" }),
            json!({ "url": "mxc:///a" }),
            json!({ "url": ["mxc://x/a"] }),
            json!({ "info": "mxc://x/a" }),
            json!({ "url": format!("mxc://x/{}", "a".repeat(500)) }),
            json!(["mxc://x/a"]),
            json!("mxc://x/a"),
        ] {
            check(&content, &[]);
        }
    }
}
