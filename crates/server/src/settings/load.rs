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
    /// Where the setting of this path, such as `listeners.1.address`, was made, or `None` for a default.
    pub(super) fn place(&self, path: &str) -> Option<&str> {
        self.places.get(path).map(String::as_str)
    }

    /// Whether a setting of this name, such as `listeners.address`, was made.
    #[cfg(test)]
    pub(super) fn mentions(&self, name: &str) -> bool {
        let parts = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
        self.places.keys().any(|path| names::name(&parts(path)) == name)
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
        let replaces = |path: &str| source.places.keys().any(|new| names::leads_to(path, new));
        places.retain(|path, _| !replaces(path));
        places.extend(source.places.clone());
        figment = figment.merge(source);
    }
    let settings = figment.extract().map_err(|error| explain(error, &places))?;
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
            .filter(|(name, _)| !self.is_named_by_section(name))
            .filter_map(|(name, place)| Some(format!("{place}: {}", names::unknown(name)?)))
            .collect();
        if complaints.is_empty() { Ok(()) } else { bail!(complaints.join("\n")) }
    }

    /// Whether the section that a setting is in is there, too, and unknown, which says enough.
    fn is_named_by_section(&self, name: &str) -> bool {
        name.rsplit_once('.').is_some_and(|(section, _)| {
            self.places.contains_key(section) && names::unknown(section).is_some()
        })
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
        refuse_items(&path, &variable)?;
        let name = path.join(".");
        let value = match names::is_list(&name) {
            true => read_list(&text, &variable)?,
            false => names::as_needed(&name, text),
        };
        let place = format!("environment variable {variable}");
        for (within, _) in names::leaves(&value) {
            source.places.insert([path.clone(), within].concat().join("."), place.clone());
        }
        source.places.insert(name, place);
        insert(&mut source.values, &path, value);
    }
    Ok(source)
}

/// A list is set as a whole: nobody could say what becomes of its other items.
fn refuse_items(path: &[String], variable: &str) -> anyhow::Result<()> {
    let within = |parts: &usize| names::is_list(&path[..*parts].join("."));
    let Some(parts) = (1..path.len()).find(within) else { return Ok(()) };
    let list = path[..parts].join("__").to_uppercase();
    bail!(
        "environment variable {variable}: `{}` is a list, which is set as a whole: {PREFIX}{list}='[…]', with items \
         as in TOML",
        path[..parts].join(".")
    )
}

/// A list is written as in TOML; anything else is a text as it stands. The error quotes nothing of the text.
fn read_list(text: &str, variable: &str) -> anyhow::Result<Value> {
    let explain = |error: toml::de::Error| {
        anyhow!(
            "environment variable {variable}: this is no list as TOML has them: {}",
            error.message()
        )
    };
    let table: toml::Table = toml::from_str(&format!("value = {text}")).map_err(explain)?;
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
    // The item of a list that has no line of its own stands where the list does.
    let mut paths = (0..=error.path.len()).rev().map(|parts| error.path[..parts].join("."));
    match paths.find_map(|path| places.get(&path)) {
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
    fn contacts_are_read_and_what_is_wrong_with_one_is_said() {
        let toml = "support_contacts = [{ role = \"security\", matrix_id = \"@a:b\" }]";
        let contact = &loaded(toml, &[]).unwrap().settings.support_contacts[0];
        assert_eq!((contact.role, &contact.email_address), (SupportRole::Security, &None));
        for (contact, complaint) in [
            ("role = \"boss\"", "unknown variant: found `boss`, expected ``admin` or `security``"),
            ("email_address = \"a@b\"", "`support_contacts`: missing field `role`"),
            ("role = \"admin\", matrix_id = \"admin\"", "leading sigil is incorrect or missing"),
            ("role = \"admin\", mail = \"a@b\"", ""),
        ] {
            check(&format!("support_contacts = [{{ {contact} }}]"), &[], complaint);
        }
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
    fn only_a_variable_may_say_in_words_what_is_no_text() {
        for (setting, found) in [
            ("rate_limits = \"yes\"", "found string \"yes\", expected a boolean"),
            ("passwords.iterations = \"2\"", "found string \"2\", expected u32"),
            ("media.max_upload_mib = true", "found bool true, expected u64"),
            ("server_name = 5", "found signed int `5`, expected a string"),
        ] {
            let name = setting.split(' ').next().unwrap_or_default();
            let complaint = format!("line 2: `{name}`: invalid type: {found}");
            check(&format!("\n{setting}\n"), &[], &complaint);
        }
        for (text, is_on) in [("yes", true), ("on", true), ("1", true), ("FALSE", false)] {
            let settings = loaded("", &[("TERTULIA_RATE_LIMITS", text)]).unwrap().settings;
            assert_eq!(settings.rate_limits, is_on, "{text}");
        }
        let complaint = "TERTULIA_RATE_LIMITS: `rate_limits`: invalid type: found string \"maybe\", expected a boolean";
        check("", &[("TERTULIA_RATE_LIMITS", "maybe")], complaint);
    }

    #[test]
    fn a_secret_may_begin_like_a_list_and_is_never_quoted() {
        for secret in ["[SECRET]", "{tok", "[1]", "{ file = \"x\" }"] {
            let settings =
                loaded("", &[("TERTULIA_REGISTRATION__TOKEN", secret)]).unwrap().settings;
            assert_eq!(settings.registration.token, Some(Secret::Text(secret.to_owned())));
        }
        let broken = loaded("", &[("TERTULIA_LISTENERS", "[SECRET")]).unwrap_err();
        let broken = format!("{broken:#}");
        assert!(broken.contains("TERTULIA_LISTENERS") && !broken.contains("SECRET"), "{broken}");
    }

    #[test]
    fn an_item_of_a_list_is_not_set_by_itself() {
        let variable = [("TERTULIA_LISTENERS__0__ADDRESS", "127.0.0.1:1")];
        check(
            "",
            &variable,
            "environment variable TERTULIA_LISTENERS__0__ADDRESS: `listeners` is a list, which is set as a whole: \
             TERTULIA_LISTENERS='[…]', with items as in TOML",
        );
    }

    #[test]
    fn each_of_several_listeners_has_its_own_line() {
        let toml = "[[listeners]]\naddress = \"127.0.0.1:1\"\n[[listeners]]\n\naddress = \"127.0.0.1:2\"\n[logs]\nlevel = \"warn\"\n";
        let all = loaded(toml, &[]).unwrap();
        let line = |path: &str| all.place(path).and_then(|place| place.rsplit(' ').next());
        assert_eq!(line("listeners.0.address"), Some("2"));
        assert_eq!(line("listeners.1.address"), Some("5"));
        assert_eq!(line("listeners.1.certificate"), None, "nobody has set it");
        assert_eq!(line("logs.format"), None, "its section is no place");
        let listeners = [("TERTULIA_LISTENERS", "[{ address = \"127.0.0.1:3\" }]")];
        let all = loaded(toml, &listeners).unwrap();
        assert_eq!(
            all.place("listeners.0.address"),
            Some("environment variable TERTULIA_LISTENERS")
        );
        assert_eq!(all.place("listeners.1.address"), None, "a list is replaced as a whole");
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
        let nearest = "line 1: there is no setting `registraton`; did you mean `registration`?";
        check("[registraton]\nmode = \"open\"\n", &[], nearest);
        let nearest =
            "TERTULIA_LOG__LEVEL: there is no setting `log.level`; did you mean `logs.level`?";
        check("", &[("TERTULIA_LOG__LEVEL", "info")], nearest);
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
        let good = "[[listeners]]\naddress = \"127.0.0.1:1\"\n";
        let bad = format!("{good}[[listeners]]\naddress = \"here\"");
        let error = loaded(&bad, &[]).unwrap_err().to_string();
        assert!(error.contains("line 4: `listeners.address`"), "{error}");
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
