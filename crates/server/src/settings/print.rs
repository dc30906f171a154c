//! `print-config`: each value, and where it came from.

use std::io::{self, Write};

use figment::value::Value;

use super::{Loaded, names};

/// Writes one line for each setting. Secrets are stars.
pub(crate) fn print(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    let values = Value::serialize(&loaded.settings).map_err(io::Error::other)?;
    let lines: Vec<_> = names::leaves(&values)
        .into_iter()
        .map(|(path, value)| (path.join("."), show(value)))
        .map(|(path, value)| (format!("{path} = {value}"), path))
        .collect();
    let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or_default();
    for (line, path) in lines {
        writeln!(out, "{line:width$}  # {}", loaded.place(&path).unwrap_or("default"))?;
    }
    Ok(())
}

fn show(value: &Value) -> String {
    match value {
        Value::Empty(..) => "not set".to_owned(),
        value => serde_json::to_string(value).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::load;

    fn printed(variables: &[(&str, &str)]) -> Vec<String> {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut out = Vec::new();
        print(&load(None, variables).unwrap(), &mut out).unwrap();
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn each_value_says_where_it_came_from() {
        let lines = printed(&[("TERTULIA_SERVER_NAME", "example.org")]);
        let has =
            |line: &str| assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
        has("server_name = \"example.org\" # environment variable TERTULIA_SERVER_NAME");
        has("listeners.0.address = \"127.0.0.1:8008\" # default");
        has("registration.token = not set # default");
        has("media.max_upload_mib = 50 # default");
    }

    #[test]
    fn no_secret_is_printed() {
        let lines = printed(&[
            ("TERTULIA_REGISTRATION__TOKEN", "hunter2"),
            ("TERTULIA_REGISTRATION__SHARED_SECRET__FILE", "/secret"),
        ]);
        assert!(!lines.iter().any(|line| line.contains("hunter2")));
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("registration.token = \"********\" # environment"))
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("registration.shared_secret.file = \"/secret\""))
        );
    }
}
