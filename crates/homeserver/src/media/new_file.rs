//! Files that a program uploads: from memory, from the disk, or as they come.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::{Label, Media, kind};
use crate::{
    Error, Homeserver, Result, User,
    ports::{Pieces, read_file},
};

/// A file to be uploaded, and what is said of it.
///
/// Its media type is guessed by its first bytes and its name, unless it is given.
///
/// ```
/// use tertulia::NewFile;
///
/// let drawn = NewFile::from_bytes("map.svg", "<svg/>").with_content_type("image/svg+xml");
/// let kept = NewFile::from_path("photographs/sea.jpg").with_caption("the sea, this morning");
/// # drop((drawn, kept));
/// ```
#[must_use]
pub struct NewFile {
    name: String,
    content_type: Option<String>,
    caption: Option<String>,
    source: Source,
}

/// Where the bytes come from.
enum Source {
    Bytes(Bytes),
    Path(PathBuf),
    Pieces(Pieces),
}

impl NewFile {
    /// A file of these bytes.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self::new(name.into(), Source::Bytes(bytes.into()))
    }

    /// The file at this path, under its own name. It is opened when it is uploaded, and never in
    /// memory as a whole.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self::new(name.unwrap_or_default(), Source::Path(path))
    }

    /// A file whose bytes come piece by piece, and are never in memory as a whole.
    pub fn from_stream(
        name: impl Into<String>,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        Self::new(name.into(), Source::Pieces(pieces.boxed()))
    }

    fn new(name: String, source: Source) -> Self {
        Self { name, content_type: None, caption: None, source }
    }

    /// Calls it so.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Says what it is, such as `image/png`.
    pub fn with_content_type(self, content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), ..self }
    }

    /// Says something of it, where it is sent as a message.
    pub fn with_caption(self, caption: impl Into<String>) -> Self {
        Self { caption: Some(caption.into()), ..self }
    }

    /// What is said of it.
    pub(crate) fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }
}

impl fmt::Debug for NewFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<&Path> for NewFile {
    fn from(path: &Path) -> Self {
        Self::from_path(path)
    }
}

impl From<PathBuf> for NewFile {
    fn from(path: PathBuf) -> Self {
        Self::from_path(path)
    }
}

impl Source {
    async fn open(self) -> Result<Pieces> {
        match self {
            Self::Bytes(bytes) => Ok(stream::iter([Ok(bytes)]).boxed()),
            Self::Path(path) => read_file(path, 0).await.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Error::NotFound("file to be uploaded"),
                _ => Error::Media(error),
            }),
            Self::Pieces(pieces) => Ok(pieces),
        }
    }
}

impl User {
    /// Uploads a file.
    ///
    /// # Errors
    ///
    /// Those of [`User::upload`], [`Upload::write`](crate::Upload::write) and
    /// [`Upload::finish`](crate::Upload::finish); [`Error::NotFound`] if there is no file at the path,
    /// [`Error::Invalid`] if the media type that was given is none.
    pub async fn upload_file(&self, file: impl Into<NewFile>) -> Result<Media> {
        let NewFile { name, content_type, source, .. } = file.into();
        if content_type.as_ref().is_some_and(|kind| kind.parse::<mime::Mime>().is_err()) {
            return Err(Error::Invalid("the media type"));
        }
        let mut pieces = source.open().await?;
        let first = pieces.try_next().await?.unwrap_or_default();
        let content_type = content_type.unwrap_or_else(|| kind::guess(&name, &first).to_owned());
        let name = Some(name).filter(|name| !name.is_empty());
        let mut upload = self.upload(Label { content_type: Some(content_type), name }).await?;
        upload.write(first).await?;
        while let Some(piece) = pieces.try_next().await? {
            upload.write(piece).await?;
        }
        let uri = upload.finish().await?;
        Homeserver { core: self.core.clone() }.file(&uri).await
    }
}

#[cfg(test)]
mod tests;
