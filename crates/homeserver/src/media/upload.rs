//! Uploading files, at once or into a URI that was told before.
//!
//! What a user has here is counted in one row, which each upload guards: so many may be uploaded at
//! once, and never more than the user may have.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use mime::Mime;
use ruma::{OwnedMxcUri, OwnedServerName, OwnedUserId, ServerName};
use sha2::{Digest as _, Sha256};
use tertulia_storage::{Command, Partition, Topic, Tx};

use super::is_media_id;
use crate::{
    Error, Result, User,
    core::Core,
    ports::Incoming,
    schema::{BLOBS, BlobId, MEDIA, MEDIA_USE, MediaRow, MediaUse, PENDING_MEDIA, PendingMedia},
    users,
};

/// The most bytes of a file's name.
const MAX_NAME: usize = 1_024;
/// The most bytes of a content type.
const MAX_TYPE: usize = 255;
/// How long the media IDs are that this server gives.
const ID_LENGTH: usize = 24;
/// How many URIs may wait for their files, for each user.
const MOST_PENDING: usize = 100;
/// How long a URI waits for its file: a day, as the specification recommends.
const PENDING_MS: u64 = 24 * 60 * 60_000;

/// What an uploader says of a file.
#[derive(Clone, Debug, Default)]
pub struct Label {
    /// Its content type.
    pub content_type: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// A URI whose file is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedMedia {
    /// The URI.
    pub uri: OwnedMxcUri,
    /// Until when the upload has to begin, in milliseconds since 1970.
    pub expires: u64,
}

/// What rings when the file of a URI has come.
pub(super) fn uploaded_topic(id: &str) -> Topic {
    Topic::of("media", id)
}

impl User {
    /// Begins to upload a file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the name is longer than 1,024 bytes, [`Error::Suspended`], [`Error::Media`]
    /// if there is no place for files.
    pub async fn upload(&self, label: Label) -> Result<Upload> {
        self.refuse_suspended()?;
        let id = self.core.random.word(ID_LENGTH);
        self.begin_upload(label, Target { id, reserved: None }).await
    }

    /// Tells a URI whose file this user uploads later.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyPending`] if too many wait for their files.
    pub async fn reserve_media(&self) -> Result<ReservedMedia> {
        self.refuse_suspended()?;
        let (id, now) = (self.core.random.word(ID_LENGTH), self.core.now().get().into());
        let uri = OwnedMxcUri::from(format!("mxc://{}/{id}", self.core.name));
        let expires = now + PENDING_MS;
        self.core.store.write(Reserve { user: self.id.clone(), id, now, expires }).await?;
        Ok(ReservedMedia { uri, expires })
    }

    /// Begins to upload the file of a URI that [`User::reserve_media`] told.
    ///
    /// # Errors
    ///
    /// Those of [`User::upload`]; [`Error::NotFound`] if it told no such URI, or too long ago,
    /// [`Error::Forbidden`] if it told it to someone else, [`Error::AlreadyUploaded`] if the file is
    /// here.
    pub async fn upload_to(&self, server: &ServerName, id: &str, label: Label) -> Result<Upload> {
        self.refuse_suspended()?;
        if !self.core.is_local(server) || !is_media_id(id) {
            return Err(Error::NotFound("reserved URI"));
        }
        let now = self.core.now().get().into();
        let view = self.core.store.view().await?;
        if let Some(row) = view.get(&MEDIA, &(server.to_owned(), id.to_owned())).await? {
            let is_own = row.uploader.is_some_and(|uploader| uploader == self.id);
            return Err(if is_own { Error::AlreadyUploaded } else { others() });
        }
        reserved(view.get(&PENDING_MEDIA, &(id.to_owned(),)).await?, self, now)?;
        self.begin_upload(label, Target { id: id.to_owned(), reserved: Some(now) }).await
    }

    async fn begin_upload(&self, label: Label, target: Target) -> Result<Upload> {
        if label.name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(Error::Invalid("the name of the file"));
        }
        let left = self.quota_left().await?;
        let blob = BlobId::random(&*self.core.random);
        let incoming = self.core.blobs.begin(blob).await?;
        let (core, uploader, hash) = (self.core.clone(), self.id.clone(), Sha256::new());
        Ok(Upload { core, uploader, label, target, blob, incoming, hash, size: 0, left })
    }

    /// How many bytes more the user may have here.
    async fn quota_left(&self) -> Result<u64> {
        let Some(quota) = self.core.settings.max_media_per_user else { return Ok(u64::MAX) };
        let view = self.core.store.view().await?;
        let used = view.get(&MEDIA_USE, &(self.id.clone(),)).await?.unwrap_or_default().bytes;
        Ok(quota.saturating_sub(used))
    }
}

fn others() -> Error {
    Error::Forbidden("the URI was made for another user".to_owned())
}

/// Whether `user` may upload into a URI from `now` on.
fn reserved(pending: Option<PendingMedia>, user: &User, now: u64) -> Result<()> {
    may_fill(pending, &user.id, now).map(drop)
}

fn may_fill(pending: Option<PendingMedia>, user: &OwnedUserId, begun: u64) -> Result<PendingMedia> {
    let pending = pending.ok_or(Error::NotFound("reserved URI"))?;
    if pending.creator != *user {
        return Err(others());
    }
    if pending.expires <= begun { Err(Error::NotFound("reserved URI")) } else { Ok(pending) }
}

/// Where a file shall be found.
struct Target {
    id: String,
    /// When the upload began, if the URI was told before.
    reserved: Option<u64>,
}

/// A file that is being uploaded. Dropped before it is finished, it leaves nothing behind.
pub struct Upload {
    core: Arc<Core>,
    uploader: OwnedUserId,
    label: Label,
    target: Target,
    blob: BlobId,
    incoming: Box<dyn Incoming>,
    hash: Sha256,
    size: u64,
    /// How many bytes more the uploader may have here.
    left: u64,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Upload {
    /// Refuses a file of so many bytes before they have come.
    ///
    /// # Errors
    ///
    /// [`Error::BodyTooLarge`] if files may not be so large, [`Error::QuotaReached`] if the user
    /// may not have as much.
    pub fn announce(&self, size: u64) -> Result<()> {
        if size > self.core.settings.max_upload_size {
            return Err(Error::BodyTooLarge("file"));
        }
        if size > self.left { Err(Error::QuotaReached) } else { Ok(()) }
    }

    /// Adds `piece` to the end of the file.
    ///
    /// # Errors
    ///
    /// Those of [`Upload::announce`] for all that came so far, [`Error::Media`] if it cannot be
    /// written.
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.size += piece.len() as u64;
        self.announce(self.size)?;
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
    /// [`Error::Media`] if the file cannot be kept, [`Error::QuotaReached`] if others of the user's
    /// came in between, [`Error::AlreadyUploaded`] or [`Error::NotFound`] if the URI was used, or
    /// forgotten.
    pub async fn finish(self) -> Result<OwnedMxcUri> {
        let tasks = self.core.tasks.clone();
        let finished = tasks.spawn(self.keep()).await;
        finished.map_err(|error| Error::Media(io::Error::other(error)))?
    }

    async fn keep(self) -> Result<OwnedMxcUri> {
        self.incoming.keep().await?;
        let core = self.core;
        let row = MediaRow {
            uploader: Some(self.uploader.clone()),
            content_type: self.label.content_type.filter(|kind| is_type(kind)),
            name: self.label.name,
            size: self.size,
            sha256: self.hash.finalize().into(),
            created: core.now().get().into(),
            blob: self.blob,
            last_read: None,
            missing: None,
        };
        let (uploader, server, target) = (self.uploader, core.name.clone(), self.target);
        let uri = OwnedMxcUri::from(format!("mxc://{server}/{}", target.id));
        let quota = core.settings.max_media_per_user;
        let store = StoreMedia { uploader, server, target, row, quota };
        if let Err(error) = core.store.write(store).await {
            core.blobs.delete(self.blob).await?;
            return Err(error);
        }
        Ok(uri)
    }
}

/// Writes down a file that is kept. Its own rows belong to no partition; the count of what its
/// uploader has is the uploader's.
struct StoreMedia {
    uploader: OwnedUserId,
    server: OwnedServerName,
    target: Target,
    row: MediaRow,
    quota: Option<u64>,
}

impl Command for StoreMedia {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.uploader)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::refuse_closed(tx, &self.uploader).await?;
        let id = &self.target.id;
        let key = (self.server.clone(), id.clone());
        if tx.get_guarded(&MEDIA, &key).await?.is_some() {
            return Err(Error::AlreadyUploaded);
        }
        let user = (self.uploader.clone(),);
        let mut usage = tx.get_guarded(&MEDIA_USE, &user).await?.unwrap_or_default();
        if let Some(begun) = self.target.reserved {
            let pending = tx.get_guarded(&PENDING_MEDIA, &(id.clone(),)).await?;
            may_fill(pending, &self.uploader, begun)?;
            tx.delete(&PENDING_MEDIA, &(id.clone(),));
            usage.pending.retain(|(other, _)| other != id);
            tx.wake(uploaded_topic(id));
        }
        usage.bytes += self.row.size;
        if self.quota.is_some_and(|quota| usage.bytes > quota) {
            return Err(Error::QuotaReached);
        }
        tx.put(&MEDIA_USE, &user, &usage);
        tx.put(&BLOBS, &(self.row.blob,), &key);
        tx.put(&MEDIA, &key, &self.row);
        Ok(())
    }
}

/// Keeps a URI for a user's file. Those that have waited too long are forgotten.
struct Reserve {
    user: OwnedUserId,
    id: String,
    now: u64,
    expires: u64,
}

impl Command for Reserve {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::refuse_closed(tx, &self.user).await?;
        let user = (self.user.clone(),);
        let mut usage = tx.get_guarded(&MEDIA_USE, &user).await?.unwrap_or_default();
        for (id, _) in usage.pending.extract_if(.., |(_, expires)| *expires <= self.now) {
            tx.delete(&PENDING_MEDIA, &(id,));
        }
        if usage.pending.len() >= MOST_PENDING {
            return Err(Error::TooManyPending);
        }
        usage.pending.push((self.id.clone(), self.expires));
        tx.put(&MEDIA_USE, &user, &usage);
        let pending = PendingMedia { creator: self.user.clone(), expires: self.expires };
        tx.put(&PENDING_MEDIA, &(self.id.clone(),), &pending);
        Ok(())
    }
}

/// Deletes what is counted of a user. The files stay.
pub(crate) async fn forget_use(tx: &mut Tx, user: &OwnedUserId) -> Result<()> {
    let key = (user.clone(),);
    let Some(MediaUse { pending, .. }) = tx.get_guarded(&MEDIA_USE, &key).await? else {
        return Ok(());
    };
    for (id, _) in pending {
        tx.delete(&PENDING_MEDIA, &(id,));
    }
    tx.delete(&MEDIA_USE, &key);
    Ok(())
}

fn is_type(kind: &str) -> bool {
    kind.len() <= MAX_TYPE && kind.parse::<Mime>().is_ok()
}

#[cfg(test)]
mod tests;
