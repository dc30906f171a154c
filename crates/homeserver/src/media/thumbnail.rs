//! Thumbnails: made when first asked for, away from those who wait, and then kept.
//!
//! Only a few are made at once, since each may need much memory, and only some wait for their turn.
//! Those who ask for the same thumbnail wait for the same making.

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use ruma::OwnedServerName;
use sha2::{Digest as _, Sha256};
use tertulia_protocol::{Resizing, ThumbnailSize};
use tertulia_storage::{Command, Partition, Tx};
use tokio::sync::Semaphore;

use super::{
    Media, NewFile,
    picture::{self, Drawn, Unfit},
};
use crate::{
    Error, Result, User,
    core::Core,
    schema::{
        BLOBS, BlobId, Drawing, MEDIA, MediaRow, THUMBNAILS, ThumbnailKind, ThumbnailOutcome,
        ThumbnailRow,
    },
};

/// The types of files that are looked at. What is inside decides further on; but nothing that a
/// browser could take for a page is ever told as a picture.
const TYPES: &[&str] = &["image/jpeg", "image/png", "image/apng", "image/gif", "image/webp"];
/// Those that can move.
const MOVING: &[&str] = &["image/png", "image/apng", "image/gif", "image/webp"];
/// The largest file that a thumbnail is made of.
const LARGEST: u64 = 20 * 1024 * 1024;
/// How many are made at once.
const AT_ONCE: usize = 2;
/// How many are being made or wait to be.
const QUEUE: usize = 64;
/// The version of the thumbnailer: a greater one tries again what others could not do.
const MAKER: u8 = 1;

/// What is shown in the place of a large picture until somebody opens it.
const SMALLER: ThumbnailWish =
    ThumbnailWish { width: 800, height: 600, resizing: Resizing::Scale, animated: false };

/// What someone wants a thumbnail to be like.
#[derive(Clone, Copy, Debug)]
pub struct ThumbnailWish {
    /// How many pixels it should have from left to right, at least.
    pub width: u64,
    /// How many pixels it should have from top to bottom, at least.
    pub height: u64,
    /// What becomes of pictures of another shape.
    pub resizing: Resizing,
    /// Whether it may move.
    pub animated: bool,
}

impl Media {
    /// A smaller picture of the file, or the file itself where it is small already.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the size is none, [`Error::NoThumbnail`] if the file is no picture that
    /// the server can read, [`Error::BodyTooLarge`] if it is too large, [`Error::Busy`] if too many
    /// thumbnails are being made.
    pub async fn thumbnail(&self, wish: ThumbnailWish) -> Result<Self> {
        let Some(kind) = self.kind(wish)? else { return Ok(self.clone()) };
        let (server, id) = self.key.clone();
        let key = (server, id, kind);
        let known = self.core.store.view().await?.get(&THUMBNAILS, &key).await?;
        let row = match known.filter(ThumbnailRow::holds) {
            Some(row) => row,
            None => self.make(key).await?,
        };
        match row.outcome {
            ThumbnailOutcome::Made(drawing) => Ok(self.drawn(drawing)),
            ThumbnailOutcome::Original => Ok(self.clone()),
            ThumbnailOutcome::TooLarge => Err(Error::BodyTooLarge("picture")),
            ThumbnailOutcome::Unreadable => Err(Error::NoThumbnail),
        }
    }

    /// What is to be made; nothing where the file stands for itself.
    fn kind(&self, wish: ThumbnailWish) -> Result<Option<ThumbnailKind>> {
        if wish.width == 0 || wish.height == 0 {
            return Err(Error::Invalid("the size of the thumbnail"));
        }
        if !self.is_of(TYPES) {
            return Err(Error::NoThumbnail);
        }
        if self.size() > LARGEST {
            return Err(Error::BodyTooLarge("picture"));
        }
        let size = ThumbnailSize::covering(wish.width, wish.height, wish.resizing);
        let can_move = self.is_of(MOVING);
        let animated = wish.animated && can_move;
        // What is larger than all thumbnails is the picture itself, unless that must be kept still.
        let is_itself = size.is_none() && (animated || !can_move);
        Ok((!is_itself).then_some(ThumbnailKind { size, animated }))
    }

    fn is_of(&self, types: &[&str]) -> bool {
        let own = self.content_type().unwrap_or_default();
        let own = own.split(';').next().unwrap_or_default().trim();
        types.iter().any(|kind| kind.eq_ignore_ascii_case(own))
    }

    /// What was drawn, as a file.
    fn drawn(&self, drawing: Drawing) -> Self {
        let Drawing { blob, content_type, size, sha256 } = drawing;
        let content_type = Some(content_type);
        let row = MediaRow { blob, content_type, size, sha256, ..self.row.clone() };
        Self { row, ..self.clone() }
    }

    /// Makes a thumbnail, or waits until whoever does it already is done.
    async fn make(&self, key: Key) -> Result<ThumbnailRow> {
        let workshop = self.core.local::<Workshop>();
        let making = workshop.take_on(&key, || {
            let task = make(self.core.clone(), workshop.clone(), self.clone(), key.clone());
            let task = self.core.tasks.spawn(task);
            task.map(|made| made.unwrap_or(Err(Failure::Broken))).boxed().shared()
        });
        Ok(making.ok_or(Error::Busy)?.await?)
    }

    /// Width and height of a picture; none if the file is none that the server can read.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the file is gone, [`Error::Media`] if it cannot be read.
    pub async fn dimensions(&self) -> Result<Option<(u32, u32)>> {
        if !self.is_of(TYPES) || self.size() > LARGEST {
            return Ok(None);
        }
        let workshop = self.core.local::<Workshop>();
        let _turn = workshop.turns.acquire().await.map_err(|_| Error::Busy)?;
        let picture = self.bytes().await?;
        let measured = tokio::task::spawn_blocking(move || picture::dimensions(&picture)).await;
        // What breaks the decoder is no picture.
        Ok(measured.unwrap_or_default())
    }

    /// A smaller picture of the file, as a file that `user` uploads; none if there cannot be one, or
    /// none is needed.
    ///
    /// # Errors
    ///
    /// Those of [`User::upload_file`].
    pub(crate) async fn upload_smaller(&self, user: &User) -> Result<Option<Self>> {
        let smaller = match self.thumbnail(SMALLER).await {
            Ok(smaller) if smaller.row.blob == self.row.blob => return Ok(None),
            Err(Error::NoThumbnail | Error::BodyTooLarge(_) | Error::Busy) => return Ok(None),
            smaller => smaller?,
        };
        let file = NewFile::from_stream(String::new(), smaller.read(0).await?);
        let content_type = smaller.content_type().unwrap_or_default();
        match user.upload_file(file.with_content_type(content_type)).await {
            Err(Error::QuotaReached) => Ok(None),
            uploaded => uploaded.map(Some),
        }
    }
}

impl ThumbnailRow {
    /// Whether it is still what this version would find.
    fn holds(&self) -> bool {
        matches!(self.outcome, ThumbnailOutcome::Made(_)) || self.maker == MAKER
    }
}

type Key = (OwnedServerName, String, ThumbnailKind);
type Making = Shared<BoxFuture<'static, Result<ThumbnailRow, Failure>>>;

/// Why a thumbnail is not there, other than that there can be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The file is gone.
    Gone,
    /// The server is stopping.
    Stopping,
    /// The log tells.
    Broken,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone => Self::NotFound("file"),
            Failure::Stopping => Self::Busy,
            Failure::Broken => Self::Media(io::Error::other("a thumbnail could not be made")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if matches!(error, Error::NotFound(_)) {
            return Self::Gone;
        }
        tracing::error!(%error, "a thumbnail could not be made");
        Self::Broken
    }
}

/// What is being made.
struct Workshop {
    making: Mutex<HashMap<Key, Making>>,
    turns: Semaphore,
}

impl Default for Workshop {
    fn default() -> Self {
        Self { making: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Workshop {
    /// The making of this thumbnail, which is begun unless it was; none if there is too much to do.
    fn take_on(&self, key: &Key, begin: impl FnOnce() -> Making) -> Option<Making> {
        let mut making = self.making.lock();
        if let Some(begun) = making.get(key) {
            return Some(begun.clone());
        }
        if making.len() >= QUEUE {
            return None;
        }
        let begun = begin();
        making.insert(key.clone(), begun.clone());
        Some(begun)
    }
}

/// Takes a thumbnail off the list when it is done, or was given up.
struct Done(Arc<Workshop>, Key);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.making.lock().remove(&self.1);
    }
}

/// Makes a thumbnail when it is its turn.
async fn make(
    core: Arc<Core>,
    workshop: Arc<Workshop>,
    media: Media,
    key: Key,
) -> Result<ThumbnailRow, Failure> {
    let _done = Done(workshop.clone(), key.clone());
    let _turn = tokio::select! {
        turn = workshop.turns.acquire() => turn.map_err(|_| Failure::Stopping)?,
        () = core.stop.cancelled() => return Err(Failure::Stopping),
    };
    let picture = media.bytes().await?;
    let kind = key.2;
    let drawn = tokio::task::spawn_blocking(move || picture::draw(&picture, kind)).await;
    let drawn = drawn.unwrap_or_else(|error| {
        // A decoder gave up on what it was given; it would do so again.
        tracing::warn!(%error, media = key.1, "a picture broke the decoder");
        Err(Unfit::Unreadable)
    });
    Ok(keep(&core, key, drawn).await?)
}

/// Keeps what came of a thumbnail.
async fn keep(core: &Core, key: Key, drawn: Result<Option<Drawn>, Unfit>) -> Result<ThumbnailRow> {
    let outcome = match drawn {
        Ok(Some(drawn)) => ThumbnailOutcome::Made(write(core, drawn).await?),
        Ok(None) => ThumbnailOutcome::Original,
        Err(Unfit::TooLarge) => ThumbnailOutcome::TooLarge,
        Err(Unfit::Unreadable) => ThumbnailOutcome::Unreadable,
    };
    let row = ThumbnailRow { maker: MAKER, outcome };
    let kept = core.store.write(StoreThumbnail { key, row: row.clone() }).await;
    if let (Err(_), ThumbnailOutcome::Made(drawing)) = (&kept, &row.outcome) {
        core.blobs.delete(drawing.blob).await?;
    }
    kept?;
    Ok(row)
}

async fn write(core: &Core, drawn: Drawn) -> Result<Drawing> {
    let Drawn { bytes, content_type } = drawn;
    let blob = BlobId::random(&*core.random);
    let (size, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
    let mut incoming = core.blobs.begin(blob).await?;
    incoming.write(Bytes::from(bytes)).await?;
    incoming.keep().await?;
    Ok(Drawing { blob, content_type: content_type.to_owned(), size, sha256 })
}

/// Writes down what came of a thumbnail, if its picture is still there.
struct StoreThumbnail {
    key: Key,
    row: ThumbnailRow,
}

impl Command for StoreThumbnail {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("media", &self.key.1)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let (server, id, _) = self.key.clone();
        let media = (server, id);
        tx.get_guarded(&MEDIA, &media).await?.ok_or(Error::NotFound("file"))?;
        if let ThumbnailOutcome::Made(drawing) = &self.row.outcome {
            tx.put(&BLOBS, &(drawing.blob,), &media);
        }
        tx.put(&THUMBNAILS, &self.key, &self.row);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
