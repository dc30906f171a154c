//! Values that must not be seen: they are written down as stars, whatever writes them.

use std::{fmt, fs, path::PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};

const STARS: &str = "********";

/// A secret in the settings, or the file it stands in.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a text, or { file = \"path\" }")]
pub(crate) enum Secret {
    /// The name of a file that holds the secret; white space around it does not belong to it.
    File {
        /// The file's name.
        file: PathBuf,
    },
    /// The secret itself.
    Text(String),
}

impl Secret {
    /// The secret, read from its file if it has one.
    pub(crate) fn reveal(&self) -> anyhow::Result<String> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File { file } => fs::read_to_string(file)
                .with_context(|| format!("the secret in {} cannot be read", file.display()))?
                .trim()
                .to_owned(),
        };
        match self {
            _ if !text.is_empty() => Ok(text),
            Self::File { file } => {
                bail!("the file {} should hold a secret and is empty", file.display())
            }
            Self::Text(_) => {
                bail!("a secret in the settings is empty: leave it out or give it a value")
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => write!(f, "the secret in {}", file.display()),
            Self::Text(_) => f.write_str(STARS),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::File { file } => {
                let mut secret = serializer.serialize_struct("Secret", 1)?;
                secret.serialize_field("file", file)?;
                secret.end()
            }
            Self::Text(_) => serializer.serialize_str(STARS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_written_down() {
        let secret = Secret::Text("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), STARS);
        assert_eq!(serde_json::to_string(&secret).unwrap(), format!("\"{STARS}\""));
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        fs::write(&file, " hunter2\n").unwrap();
        assert_eq!(Secret::File { file: file.clone() }.reveal().unwrap(), "hunter2");
        fs::write(&file, "\n").unwrap();
        assert!(
            Secret::File { file: file.clone() }
                .reveal()
                .unwrap_err()
                .to_string()
                .ends_with("is empty")
        );
        fs::remove_file(&file).unwrap();
        let error = Secret::File { file: file.clone() }.reveal().unwrap_err().to_string();
        assert_eq!(error, format!("the secret in {} cannot be read", file.display()));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(Secret::Text(String::new()).reveal().is_err());
        assert_eq!(Secret::Text("a".to_owned()).reveal().unwrap(), "a");
    }
}
