//! The content repository: files that users upload, and read again by `mxc://` URIs.
//!
//! A file is first written, synced and moved to its place, and only then its row is committed; a
//! row without a file cannot come about. A crash in between leaves a file without a row, which the
//! next start finds. A URI may be told before its file comes: then a row says who may upload it.

mod kind;
mod mending;
mod new_file;
mod picture;
mod read;
mod thumbnail;
mod upload;

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use ruma::{MxcUri, OwnedMxcUri, OwnedServerName, ServerName};

use crate::{
    Error, Homeserver, Result,
    core::Core,
    ports::Pieces,
    schema::{MEDIA, MediaRow, PENDING_MEDIA},
};

pub use mending::Mended;
pub use new_file::NewFile;
pub use thumbnail::ThumbnailWish;
pub(crate) use upload::forget_use;
pub use upload::{Label, ReservedMedia, Upload};

/// The longest that anyone waits for a file that has not come yet.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Homeserver {
    /// The file that `mxc://{server}/{id}` names.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is none, [`Error::NotYetUploaded`] if it is still to come.
    pub async fn media(&self, server: &ServerName, id: &str) -> Result<Media> {
        if !is_media_id(id) {
            return Err(Error::NotFound("file"));
        }
        let view = self.core.store.view().await?;
        let key = (server.to_owned(), id.to_owned());
        if let Some(row) = view.get(&MEDIA, &key).await? {
            return Ok(Media { core: self.core.clone(), key, row });
        }
        let pending = match self.core.is_local(server) {
            true => view.get(&PENDING_MEDIA, &(id.to_owned(),)).await?,
            false => None,
        };
        let now = self.core.now().get().into();
        let is_awaited = pending.is_some_and(|pending| pending.expires > now);
        Err(if is_awaited { Error::NotYetUploaded } else { Error::NotFound("file") })
    }

    /// The file at a URI, such as messages and profiles have it.
    ///
    /// ```
    /// # async fn show(server: tertulia::Homeserver, alice: tertulia::User) -> tertulia::Result<()> {
    /// if let Some(uri) = alice.avatar_url().await? {
    ///     let picture = server.file(&uri).await?;
    ///     println!("{} bytes of {:?}", picture.bytes().await?.len(), picture.content_type());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::media`]; [`Error::Invalid`] if it is no such URI.
    pub async fn file(&self, uri: &MxcUri) -> Result<Media> {
        let (server, id) = uri.parts().map_err(|_| Error::Invalid("the URI of the file"))?;
        self.media(server, id).await
    }

    /// The file that `mxc://{server}/{id}` names; if it is still to come, waits for it for up to
    /// `timeout`, or a minute if that is less.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::media`].
    pub async fn await_media(
        &self,
        server: &ServerName,
        id: &str,
        timeout: Duration,
    ) -> Result<Media> {
        let found = self.media(server, id).await;
        if timeout.is_zero() || !matches!(found, Err(Error::NotYetUploaded)) {
            return found;
        }
        let mut uploaded = self.core.store.watch([upload::uploaded_topic(id)]);
        let mut over = self.core.clock.sleep(timeout.min(LONGEST_WAIT));
        loop {
            let found = self.media(server, id).await;
            if !matches!(found, Err(Error::NotYetUploaded)) {
                return found;
            }
            tokio::select! {
                () = uploaded.changed() => {}
                () = &mut over => return found,
                () = self.core.stop.cancelled() => return found,
            }
        }
    }
}

/// A file of the content repository.
#[derive(Clone)]
pub struct Media {
    core: Arc<Core>,
    key: (OwnedServerName, String),
    row: MediaRow,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Media").field(&self.row).finish()
    }
}

impl Media {
    /// The URI that names it.
    pub fn uri(&self) -> OwnedMxcUri {
        let (server, id) = &self.key;
        format!("mxc://{server}/{id}").into()
    }

    /// The type its uploader gave, if it is a content type at all.
    pub fn content_type(&self) -> Option<&str> {
        self.row.content_type.as_deref()
    }

    /// The name its uploader gave.
    pub fn name(&self) -> Option<&str> {
        self.row.name.as_deref()
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.row.size
    }

    /// The SHA-256 of its bytes.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.row.sha256
    }

    /// Its bytes, from the one numbered `from` on, piece by piece.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the file is gone, [`Error::Media`] if it cannot be read.
    pub async fn read(&self, from: u64) -> Result<Pieces> {
        let pieces = self.core.blobs.read(self.row.blob, from).await;
        let pieces = pieces.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound("file"),
            _ => Error::Media(error),
        })?;
        self.note_read();
        Ok(pieces)
    }

    /// All of its bytes: [`Settings::max_upload_size`](crate::Settings::max_upload_size) of them at most. Of
    /// what may be large, [`Media::read`] needs less memory.
    ///
    /// # Errors
    ///
    /// Those of [`Media::read`].
    pub async fn bytes(&self) -> Result<Bytes> {
        let mut pieces = self.read(0).await?;
        let mut bytes = BytesMut::with_capacity(usize::try_from(self.size()).unwrap_or(0));
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }
}

/// Whether `id` may be a media ID: nothing else may become part of anything.
fn is_media_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=255).contains(&id.len()) && id.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests;
