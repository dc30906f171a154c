//! The content repository: files that users upload, and read again by `mxc://` URIs.
//!
//! A file is first written, synced and moved to its place, and only then its row is committed; a
//! row without a file cannot come about. A crash in between leaves a file without a row.

mod picture;
mod thumbnail;

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use mime::Mime;
use ruma::{OwnedMxcUri, OwnedServerName, OwnedUserId, ServerName};
use sha2::{Digest as _, Sha256};
use tertulia_storage::{Command, Partition, Tx};

use crate::{
    Error, Homeserver, Result, User,
    core::Core,
    ports::{Incoming, Pieces},
    schema::{BlobId, MEDIA, MediaRow},
};

pub use thumbnail::ThumbnailWish;

/// The most bytes of a file's name.
const MAX_NAME: usize = 1_024;
/// The most bytes of a content type.
const MAX_TYPE: usize = 255;
/// How long the media IDs are that this server gives.
const ID_LENGTH: usize = 24;

/// What an uploader says of a file.
#[derive(Clone, Debug, Default)]
pub struct Label {
    /// Its content type.
    pub content_type: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

impl User {
    /// Begins to upload a file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the name is longer than 1,024 bytes, [`Error::Media`] if there is no
    /// place for files.
    pub async fn upload(&self, label: Label) -> Result<Upload> {
        if label.name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(Error::Invalid("the name of the file"));
        }
        let blob = BlobId::random(&*self.core.random);
        let incoming = self.core.blobs.begin(blob).await?;
        let (core, uploader) = (self.core.clone(), self.id.clone());
        Ok(Upload { core, uploader, label, blob, incoming, hash: Sha256::new(), size: 0 })
    }
}

/// A file that is being uploaded. Dropped before it is finished, it leaves nothing behind.
pub struct Upload {
    core: Arc<Core>,
    uploader: OwnedUserId,
    label: Label,
    blob: BlobId,
    incoming: Box<dyn Incoming>,
    hash: Sha256,
    size: u64,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Upload {
    /// Adds `piece` to the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::BodyTooLarge`] if the file gets larger than files may be, [`Error::Media`] if it
    /// cannot be written.
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.size += piece.len() as u64;
        if self.size > self.core.settings.max_upload_size {
            return Err(Error::BodyTooLarge("file"));
        }
        self.hash.update(&piece);
        Ok(self.incoming.write(piece).await?)
    }

    /// Ends the file and tells its URI. From then on it survives a loss of power.
    ///
    /// Once begun this goes on to its end, even if nobody waits for it any more: a file is not
    /// left without its row.
    ///
    /// # Errors
    ///
    /// [`Error::Media`] if the file cannot be kept.
    pub async fn finish(self) -> Result<OwnedMxcUri> {
        let tasks = self.core.tasks.clone();
        let finished = tasks.spawn(self.keep()).await;
        finished.map_err(|error| Error::Media(io::Error::other(error)))?
    }

    async fn keep(self) -> Result<OwnedMxcUri> {
        self.incoming.keep().await?;
        let core = self.core;
        let row = MediaRow {
            uploader: Some(self.uploader),
            content_type: self.label.content_type.filter(|kind| is_type(kind)),
            name: self.label.name,
            size: self.size,
            sha256: self.hash.finalize().into(),
            created: core.now().get().into(),
            blob: self.blob,
        };
        let (server, id) = (core.name.clone(), core.random.word(ID_LENGTH));
        let uri = OwnedMxcUri::from(format!("mxc://{server}/{id}"));
        if let Err(error) = core.store.write(StoreMedia { server, id, row }).await {
            core.blobs.delete(self.blob).await?;
            return Err(error);
        }
        Ok(uri)
    }
}

struct StoreMedia {
    server: OwnedServerName,
    id: String,
    row: MediaRow,
}

impl Command for StoreMedia {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("media", &self.id)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.server.clone(), self.id.clone());
        if tx.get_guarded(&MEDIA, &key).await?.is_some() {
            return Err(Error::Taken("media ID"));
        }
        tx.put(&MEDIA, &key, &self.row);
        Ok(())
    }
}

impl Homeserver {
    /// The file that `mxc://{server}/{id}` names.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is none.
    pub async fn media(&self, server: &ServerName, id: &str) -> Result<Media> {
        if !is_media_id(id) {
            return Err(Error::NotFound("file"));
        }
        let view = self.core.store.view().await?;
        let key = (server.to_owned(), id.to_owned());
        let row = view.get(&MEDIA, &key).await?.ok_or(Error::NotFound("file"))?;
        Ok(Media { core: self.core.clone(), key, row })
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
        self.core.blobs.read(self.row.blob, from).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound("file"),
            _ => Error::Media(error),
        })
    }
}

/// Whether `id` may be a media ID: nothing else may become part of anything.
fn is_media_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=255).contains(&id.len()) && id.bytes().all(is_allowed)
}

fn is_type(kind: &str) -> bool {
    kind.len() <= MAX_TYPE && kind.parse::<Mime>().is_ok()
}

#[cfg(test)]
mod tests;
