//! The names of settings: which there are, where one was used, and which was probably meant.

use std::{collections::BTreeMap, sync::LazyLock};

use figment::value::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Settings;

/// Settings in which everything is set, as values.
static SAMPLE: LazyLock<Value> =
    LazyLock::new(|| Value::serialize(Settings::sample()).expect("settings are plain data"));

/// The name of every setting, such as `registration.mode`.
static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names: Vec<_> = leaves(&SAMPLE).into_iter().map(|(path, _)| name(&path)).collect();
    names.sort();
    names
});

/// What people can have meant: settings, and the sections in which they stand.
static MEANT: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let sections = |name: &'static str| name.match_indices('.').map(|(dot, _)| &name[..dot]);
    let mut names: Vec<&str> = KNOWN.iter().map(String::as_str).collect();
    names.extend(KNOWN.iter().flat_map(|name| sections(name)));
    names.sort_unstable();
    names.dedup();
    names
});

/// Tables in which anything may be named: what carries calls says what its type asks for, and translations are named by
/// languages.
const FREE: [&str; 2] = ["rtc_transports", "registration.terms.translations"];

/// The name of every setting, in alphabetical order.
#[cfg(test)]
pub(super) fn known() -> &'static [String] {
    &KNOWN
}

/// The places where settings were mentioned: path, such as `listeners.1.address` → line of a file, or environment variable.
pub(super) type Places = BTreeMap<String, String>;

/// Whether a setting, or one in it, is what `path` leads to.
pub(super) fn leads_to(path: &str, setting: &str) -> bool {
    path == setting || is_within(path, setting)
}

/// Whether the setting is a list.
pub(super) fn is_list(path: &str) -> bool {
    SAMPLE.find_ref(path).is_some_and(|value| value.as_array().is_some())
}

/// A text as the value that the setting needs, where it can be read so.
pub(super) fn as_needed(path: &str, text: String) -> Value {
    let text = Value::from(text);
    match SAMPLE.find_ref(path) {
        Some(Value::Bool(..)) => text.to_bool_lossy().map_or(text, Value::from),
        Some(Value::Num(..)) => text.to_num_lossy().map_or(text, Value::from),
        _ => text,
    }
}

/// What is wrong with the name of `path`, if no setting is called so.
pub(super) fn unknown(path: &str) -> Option<String> {
    let name = &name(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
    let is_known = KNOWN.iter().any(|known| known == name || is_within(known, name));
    let is_free = FREE.iter().any(|free| is_within(name, free));
    (!is_known && !is_free).then(|| match nearest(name) {
        (likeness, meant) if likeness > 0.5 => {
            format!("there is no setting `{name}`; did you mean `{meant}`?")
        }
        (_, meant) => format!("there is no setting `{name}`; the nearest one is `{meant}`"),
    })
}

fn is_within(name: &str, section: &str) -> bool {
    name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// What is most like `name`, and how much from 0 to 1.
fn nearest(name: &str) -> (f64, &'static str) {
    let likeness = |meant: &str| {
        let last = |name: &str| name.rsplit('.').next().map(str::to_owned).unwrap_or_default();
        let whole = strsim::normalized_damerau_levenshtein(name, meant);
        // A setting that stands in the wrong section is recognised by its last word.
        let word = strsim::normalized_damerau_levenshtein(&last(name), &last(meant));
        whole.max(word * 0.95)
    };
    let all = MEANT.iter().map(|meant| (likeness(meant), *meant));
    all.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are settings")
}

/// A path as a name: the place in a list is left out.
pub(super) fn name(path: &[String]) -> String {
    let is_index = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    path.iter().filter(|part| !is_index(part)).map(String::as_str).collect::<Vec<_>>().join(".")
}

/// Every value that holds no others, with the path that leads to it.
pub(super) fn leaves(value: &Value) -> Vec<(Vec<String>, &Value)> {
    let below = |part: String, value| {
        leaves(value).into_iter().map(move |(mut path, leaf)| {
            path.insert(0, part.clone());
            (path, leaf)
        })
    };
    match value {
        Value::Dict(_, dict) if !dict.is_empty() => {
            dict.iter().flat_map(|(key, value)| below(key.clone(), value)).collect()
        }
        Value::Array(_, items) if !items.is_empty() => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| below(index.to_string(), value))
            .collect(),
        leaf => vec![(Vec::new(), leaf)],
    }
}

/// The line of every key in a TOML document.
pub(super) fn lines(text: &str, file: &str, table: &DeTable<'_>) -> Places {
    let mut places = Places::new();
    note_table(table, "", &mut |name, offset| {
        let line = 1 + text[..offset].matches('\n').count();
        places.entry(name).or_insert_with(|| format!("{file}, line {line}"));
    });
    places
}

fn note_table(table: &DeTable<'_>, section: &str, note: &mut impl FnMut(String, usize)) {
    for (key, value) in table {
        let name = if section.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{section}.{}", key.get_ref())
        };
        note(name.clone(), key.span().start);
        note_value(value, &name, note);
    }
}

fn note_value(value: &Spanned<DeValue<'_>>, name: &str, note: &mut impl FnMut(String, usize)) {
    match value.get_ref() {
        DeValue::Table(table) => note_table(table, name, note),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note_value(item, &format!("{name}.{index}"), note);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(name: &str) -> String {
        unknown(name).unwrap_or_default().split('`').nth(3).unwrap_or_default().to_owned()
    }

    #[test]
    fn every_setting_is_known_by_its_whole_name() {
        for name in [
            "server_name",
            "listeners.address",
            "listeners.key",
            "registration.token.file",
            "logs.level",
        ] {
            assert!(known().iter().any(|known| known == name), "{name}");
            assert_eq!(unknown(name), None);
        }
        assert_eq!(unknown("listeners"), None);
        assert_eq!(unknown("registration.token"), None);
    }

    #[test]
    fn a_misspelt_setting_gets_the_nearest_one_named() {
        assert_eq!(meant("sever_name"), "server_name");
        assert_eq!(meant("registration.mdoe"), "registration.mode");
        assert_eq!(meant("listeners.adress"), "listeners.address");
        assert_eq!(meant("log.level"), "logs.level");
    }

    #[test]
    fn a_misspelt_section_gets_the_nearest_one_named() {
        assert_eq!(meant("registraton"), "registration");
        assert_eq!(meant("log"), "logs");
        assert_eq!(meant("listener"), "listeners");
        assert_eq!(meant("registration.tokn"), "registration.token");
    }

    #[test]
    fn a_setting_in_the_wrong_section_is_found() {
        assert_eq!(meant("open_to_others"), "registration.open_to_others");
        assert_eq!(meant("storage.max_upload_mib"), "media.max_upload_mib");
    }

    #[test]
    fn from_far_away_the_nearest_setting_is_named_all_the_same() {
        let error = unknown("zzz").unwrap();
        assert!(error.starts_with("there is no setting `zzz`; the nearest one is `"), "{error}");
        assert_eq!(unknown(&meant("zzz")), None);
        assert_eq!(meant("colour.mod"), "registration.mode");
    }

    #[test]
    fn what_is_free_may_be_called_anything() {
        for name in ["rtc_transports.livekit_service_url", "registration.terms.translations.zh.url"]
        {
            assert_eq!(unknown(name), None, "{name}");
        }
        assert_eq!(meant("registration.terms.translation"), "registration.terms.translations");
        assert_eq!(meant("registration.terms.ids"), "registration.terms.id");
    }

    #[test]
    fn a_text_becomes_what_its_setting_needs() {
        let needed = |path, text: &str| as_needed(path, text.to_owned());
        assert_eq!(needed("rate_limits", "off").to_bool(), Some(false));
        assert_eq!(needed("media.max_upload_mib", "7").to_u128(), Some(7));
        for (path, text) in [
            ("rate_limits", "seldom"),
            ("media.max_upload_mib", "many"),
            ("registration.token", "7"),
            ("server_name", "true"),
            ("nothing", "1"),
        ] {
            assert_eq!(needed(path, text).as_str(), Some(text), "{path}");
        }
    }

    #[test]
    fn every_key_knows_its_line() {
        let text = "a = 1\n\n[b]\nc = 2\n\n[[d]]\ne = 3\n[[d]]\nf = { g = 4 }\n";
        let table = DeTable::parse(text).unwrap();
        let places = lines(text, "x.toml", table.get_ref());
        for (name, line) in
            [("a", 1), ("b", 3), ("b.c", 4), ("d.0.e", 7), ("d.1.f", 9), ("d.1.f.g", 9)]
        {
            assert_eq!(places[name], format!("x.toml, line {line}"), "{name}");
        }
    }

    #[test]
    fn the_listeners_are_the_list() {
        assert!(is_list("listeners"));
        for name in ["server_name", "registration", "registration.token", "nothing"] {
            assert!(!is_list(name), "{name}");
        }
    }
}
