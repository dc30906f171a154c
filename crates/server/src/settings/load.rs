//! Reading the settings: defaults, then a file, then the environment.

use std::{fs, path::Path};

use anyhow::{Context as _, anyhow, bail};
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::Serialized,
    value::{Dict, Map, Value},
};
use toml::de::DeTable;

use super::{
    Settings,
    names::{self, Places},
};

/// What every environment variable of ours begins with.
const PREFIX: &str = "TERTULIA_";
/// The environment variable that names the file; it is no setting.
const CONFIG: &str = "TERTULIA_CONFIG";

/// Settings, and where each came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What holds.
    pub(crate) settings: Settings,
    places: Places,
}

impl Loaded {
    /// Where a setting was made, or `None` for a default.
    pub(super) fn place(&self, mut name: &str) -> Option<&str> {
        loop {
            if let Some(place) = self.places.get(name) {
                return Some(place);
            }
            name = name.rsplit_once('.')?.0;
        }
    }
}

/// Reads `file`, if there is one, and the variables of the environment.
pub(crate) fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<Loaded> {
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    let mut places = Places::new();
    let file = file.map(read_file).transpose()?;
    for source in file.into_iter().chain([read_variables(variables)?]) {
        source.refuse_unknown_names()?;
        // A list is replaced as a whole, and a value by the later one.
        places.retain(|name, _| !source.places.contains_key(name));
        places.extend(source.places.clone());
        figment = figment.merge(source);
    }
    let settings = figment.extract_lossy().map_err(|error| explain(error, &places))?;
    Ok(Loaded { settings, places })
}

/// One place that settings come from.
struct Source {
    name: String,
    values: Dict,
    places: Places,
}

impl Source {
    fn refuse_unknown_names(&self) -> anyhow::Result<()> {
        let complaints: Vec<_> = self
            .places
            .iter()
            .filter(|(name, _)| {
                name.rsplit_once('.').is_none_or(|(section, _)| names::unknown(section).is_none())
            })
            .filter_map(|(name, place)| Some(format!("{place}: {}", names::unknown(name)?)))
            .collect();
        if complaints.is_empty() { Ok(()) } else { bail!(complaints.join("\n")) }
    }
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn read_file(path: &Path) -> anyhow::Result<Source> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    read_toml(&text, &path.display().to_string())
}

fn read_toml(text: &str, name: &str) -> anyhow::Result<Source> {
    let explain = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        anyhow!("{name}, line {line}: this is not TOML: {}", error.message())
    };
    let spans = DeTable::parse(text).map_err(explain)?;
    let table: toml::Table = toml::from_str(text).map_err(explain)?;
    let values = Value::serialize(table)?.into_dict().expect("a TOML document is a table");
    Ok(Source { name: name.to_owned(), values, places: names::lines(text, name, spans.get_ref()) })
}

fn read_variables(variables: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<Source> {
    let mut source =
        Source { name: "the environment".to_owned(), values: Dict::new(), places: Places::new() };
    for (variable, text) in variables {
        let Some(rest) = variable.strip_prefix(PREFIX).filter(|_| variable != CONFIG) else {
            continue;
        };
        let path: Vec<_> = rest.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        let value = read_variable(&text)
            .with_context(|| format!("the environment variable {variable} is no list"))?;
        source.places.insert(path.join("."), format!("environment variable {variable}"));
        insert(&mut source.values, &path, value);
    }
    Ok(source)
}

/// A list or table is written as in TOML; anything else is a text, which becomes what its setting needs.
fn read_variable(text: &str) -> anyhow::Result<Value> {
    if !text.starts_with(['[', '{']) {
        return Ok(Value::from(text));
    }
    let table: toml::Table = toml::from_str(&format!("value = {text}"))?;
    Ok(Value::serialize(&table["value"])?)
}

fn insert(values: &mut Dict, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        values.insert(first.clone(), value);
        return;
    }
    let section = values.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
    if let Value::Dict(_, section) = section {
        insert(section, rest, value);
    }
}

/// Says of a value that does not fit where it stands.
fn explain(error: figment::Error, places: &Places) -> anyhow::Error {
    let name = names::name(&error.path);
    match places.get(&name) {
        Some(place) => anyhow!("{place}: `{name}`: {}", error.kind),
        None => anyhow!("`{name}`: {}", error.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    fn loaded(toml: &str, variables: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("tertulia.toml");
        fs::write(&file, toml)?;
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Some(&file), variables)
    }

    #[track_caller]
    fn check(toml: &str, variables: &[(&str, &str)], complaint: &str) {
        let error = loaded(toml, variables).unwrap_err().to_string();
        assert!(error.ends_with(complaint), "{error}");
    }

    #[test]
    fn nothing_chosen_means_the_defaults() {
        assert_eq!(load(None, []).unwrap().settings, Settings::default());
        assert_eq!(loaded("", &[]).unwrap().settings, Settings::default());
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let toml = "server_name = \"a.example\"\nmedia.max_upload_mib = 5\n";
        let all = loaded(toml, &[("TERTULIA_SERVER_NAME", "b.example"), ("HOME", "/")]).unwrap();
        assert_eq!(all.settings.server_name, "b.example");
        assert_eq!(all.settings.media.max_upload_mib, 5);
        assert_eq!(all.settings.rooms, Settings::default().rooms);
        assert_eq!(all.place("server_name"), Some("environment variable TERTULIA_SERVER_NAME"));
        assert!(all.place("media.max_upload_mib").unwrap().ends_with("tertulia.toml, line 2"));
        assert_eq!(all.place("rooms.default_version"), None);
    }

    #[test]
    fn variables_become_what_their_setting_needs() {
        let variables = [
            ("TERTULIA_CONFIG", "elsewhere.toml"),
            ("TERTULIA_RATE_LIMITS", "false"),
            ("TERTULIA_PASSWORDS__MEMORY_KIB", "64"),
            ("TERTULIA_REGISTRATION__TOKEN", "12345"),
            ("TERTULIA_REGISTRATION__SHARED_SECRET__FILE", "/secret"),
            ("TERTULIA_ROOMS__DEFAULT_VERSION", "10"),
            ("TERTULIA_LISTENERS", "[{ address = \"127.0.0.1:1\" }, { address = \"[::1]:2\" }]"),
        ];
        let settings = loaded("", &variables).unwrap().settings;
        assert!(!settings.rate_limits);
        assert_eq!(settings.passwords.memory_kib, 64);
        assert_eq!(settings.registration.token, Some(Secret::Text("12345".to_owned())));
        assert_eq!(
            settings.registration.shared_secret,
            Some(Secret::File { file: "/secret".into() })
        );
        assert_eq!(settings.rooms.default_version.as_str(), "10");
        assert_eq!(settings.listeners.len(), 2);
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_line_and_the_nearest_one() {
        let nearest =
            "tertulia.toml, line 2: there is no setting `sever_name`; did you mean `server_name`?";
        check("\nsever_name = \"x\"\n", &[], nearest);
        let nearest =
            "line 3: there is no setting `registration.mod`; did you mean `registration.mode`?";
        check("rate_limits = true\n[registration]\nmod = 1\n", &[], nearest);
        let variable = [("TERTULIA_LOGS__LEVLE", "info")];
        check(
            "",
            &variable,
            "TERTULIA_LOGS__LEVLE: there is no setting `logs.levle`; did you mean `logs.level`?",
        );
    }

    #[test]
    fn an_unknown_section_is_named_once() {
        let error = loaded("[colours]\nred = 1\nblue = 2\n", &[]).unwrap_err().to_string();
        assert_eq!(error.matches("there is no setting").count(), 1, "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_its_line() {
        check(
            "\nrate_limits = 5\n",
            &[],
            "line 2: `rate_limits`: invalid type: found signed int `5`, expected a boolean",
        );
        let error = loaded("[registration]\nmode = \"opne\"", &[]).unwrap_err().to_string();
        assert!(
            error.contains("line 2: `registration.mode`") && error.contains("`open`"),
            "{error}"
        );
        let error = loaded("[[listeners]]\naddress = \"here\"", &[]).unwrap_err().to_string();
        assert!(error.contains("line 2: `listeners.address`"), "{error}");
    }

    #[test]
    fn broken_toml_is_named_with_its_line() {
        let error = loaded("a = 1\nb = [\n", &[]).unwrap_err().to_string();
        assert!(error.contains("tertulia.toml, line "), "{error}");
        assert!(error.contains("this is not TOML"), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let error = load(Some(Path::new("/nowhere/x.toml")), []).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/x.toml cannot be read");
    }
}
