use std::{io, path::PathBuf};

/// Why a directory cannot be opened as a store, in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the store in {path} is in use by process {pid}: stop it first, or choose another directory"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that holds it.
        pid: u32,
    },
    /// The directory cannot be made or written.
    #[error("cannot write in {path} ({reason}): {}", advice(reason))]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said. It is part of the sentence, so that it is no source.
        reason: io::Error,
    },
    /// RocksDB cannot read what lies there.
    #[error("the store in {path} cannot be opened: {reason}")]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What RocksDB said.
        reason: String,
    },
}

/// What to do where the system refuses to write.
fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::PermissionDenied => {
            "make it writable for this user, or choose another directory"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or choose another directory"
        }
        _ => "choose another directory",
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn check(kind: io::ErrorKind, advice: &str) {
        let error = OpenError::NotWritable { path: "/a".into(), reason: kind.into() };
        assert_eq!(error.to_string(), format!("cannot write in /a ({kind}): {advice}"));
        assert!(error.source().is_none(), "the cause is told once");
    }

    #[test]
    fn the_advice_fits_the_cause() {
        use io::ErrorKind as Kind;
        check(Kind::NotFound, "choose another directory");
        check(Kind::NotADirectory, "choose another directory");
        check(Kind::ReadOnlyFilesystem, "choose another directory");
        check(Kind::StorageFull, "make room there, or choose another directory");
        let permission = "make it writable for this user, or choose another directory";
        check(Kind::PermissionDenied, permission);
    }
}
