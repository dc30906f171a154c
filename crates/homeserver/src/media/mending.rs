//! Brings files and their rows back together, at every start and beside all else.
//!
//! A crash between keeping a file and writing its row leaves a file that nobody will ever ask for;
//! a restored backup may lack files that rows tell of. What is without a row for a day is deleted;
//! of a row whose file is gone this is noted. It is done in pages, and each start goes on where the
//! one before was interrupted.

use std::ops::Bound;

use ruma::OwnedServerName;
use tertulia_storage::{Command, Direction, Durability, Key as _, Partition, Table, Tx, View};

use crate::{
    Error, Homeserver, Result,
    core::Core,
    schema::{
        BLOBS, BlobId, MEDIA, MEDIA_MENDING, MEDIA_USE, MediaRow, THUMBNAILS, ThumbnailKind,
        ThumbnailOutcome, ThumbnailRow,
    },
    users,
};

/// How many rows or files are looked at together.
const PAGE: usize = 200;

/// How old a file without a row becomes before it is deleted: until then it may be one whose row is
/// about to be written, or an administrator may be restoring a backup.
const PATIENCE_MS: u64 = 24 * 60 * 60_000;

/// What one mending did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// How many files were deleted that had no row.
    pub deleted: u64,
    /// How many rows were found that have lost their file.
    pub missing: u64,
}

impl Homeserver {
    /// Goes through all files and their rows once, and mends what does not fit together.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] or [`Error::Media`] if the store or the files cannot be read or written.
    /// The next call goes on from there.
    pub async fn mend_media(&self) -> Result<Mended> {
        let mut mending = Mending { core: &self.core, done: Mended::default() };
        mending.rows().await?;
        mending.thumbnails().await?;
        mending.files(self.core.now().get().into()).await?;
        for stage in [Stage::Rows, Stage::Thumbnails, Stage::Files] {
            mending.reach(stage, None).await?;
        }
        Ok(mending.done)
    }
}

/// What is gone through, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Rows,
    Thumbnails,
    Files,
}

impl Stage {
    fn name(self) -> String {
        let name = match self {
            Self::Rows => "rows",
            Self::Thumbnails => "thumbnails",
            Self::Files => "files",
        };
        name.to_owned()
    }
}

struct Mending<'a> {
    core: &'a Core,
    done: Mended,
}

impl Mending<'_> {
    /// Sees to it that each row's file is there, and known to be its.
    async fn rows(&mut self) -> Result<()> {
        while let Some(page) = self.page(Stage::Rows, &MEDIA).await? {
            let blobs: Vec<_> = page.iter().map(|(_, row)| (row.blob,)).collect();
            let owners = self.core.store.view().await?.get_many(&BLOBS, &blobs).await?;
            for (((server, id), row), owner) in page.iter().zip(owners) {
                let is_missing = self.core.blobs.find(row.blob).await?.is_none();
                let is_known = owner.is_some();
                if is_missing && row.missing.is_none() {
                    tracing::warn!(media = id, blob = %row.blob, "the file of a row is gone");
                    self.done.missing += 1;
                }
                if !is_known || is_missing != row.missing.is_some() {
                    let now = self.core.now().get().into();
                    let missing = is_missing.then_some(now);
                    let key = (server.clone(), id.clone());
                    self.core.store.write(MendRow { key, row: row.clone(), missing }).await?;
                }
            }
            self.reach(Stage::Rows, page.last().map(|(key, _)| key.encode())).await?;
        }
        Ok(())
    }

    /// Forgets thumbnails whose files are gone: they are made again when someone asks.
    async fn thumbnails(&self) -> Result<()> {
        while let Some(page) = self.page(Stage::Thumbnails, &THUMBNAILS).await? {
            for (key, row) in &page {
                if let ThumbnailOutcome::Made(drawing) = &row.outcome
                    && self.core.blobs.find(drawing.blob).await?.is_none()
                {
                    let forget = ForgetThumbnail { key: key.clone(), row: row.clone() };
                    self.core.store.write(forget).await?;
                }
            }
            self.reach(Stage::Thumbnails, page.last().map(|(key, _)| key.encode())).await?;
        }
        Ok(())
    }

    /// Deletes files that have had no row for long. A clock that leaps while this goes on makes none
    /// older: `begun` is when it began.
    async fn files(&mut self, begun: u64) -> Result<()> {
        loop {
            let after = self.reached::<(BlobId,)>(Stage::Files).await?.map(|(blob,)| blob);
            let page = self.core.blobs.list(after, PAGE).await?;
            let Some(last) = page.last().copied() else { return Ok(()) };
            let keys: Vec<_> = page.iter().map(|blob| (*blob,)).collect();
            let owners = self.core.store.view().await?.get_many(&BLOBS, &keys).await?;
            let ownerless = page.into_iter().zip(owners).filter(|(_, owner)| owner.is_none());
            for (blob, _) in ownerless {
                let found = self.core.blobs.find(blob).await?;
                let is_old = found.is_some_and(|it| it.written.saturating_add(PATIENCE_MS) < begun);
                if is_old {
                    tracing::info!(%blob, "a file without a row is deleted");
                    self.core.blobs.delete(blob).await?;
                    self.done.deleted += 1;
                }
            }
            self.reach(Stage::Files, Some((last,).encode())).await?;
        }
    }

    /// The next page of a table; none at its end.
    async fn page<K: tertulia_storage::Key, V: tertulia_storage::Value>(
        &self,
        stage: Stage,
        table: &Table<K, V>,
    ) -> Result<Option<Vec<(K, V)>>> {
        let last = self.reached::<K>(stage).await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let view: View = self.core.store.view().await?;
        let page = view.scan_from(table, &(), from, Direction::Forward, PAGE).await?;
        Ok((!page.is_empty()).then_some(page))
    }

    /// What was looked at last.
    async fn reached<K: tertulia_storage::Key>(&self, stage: Stage) -> Result<Option<K>> {
        let view = self.core.store.view().await?;
        let reached = view.get(&MEDIA_MENDING, &(stage.name(),)).await?;
        // One that cannot be read is as good as none.
        Ok(reached.and_then(|key| K::decode(&key).ok()))
    }

    async fn reach(&self, stage: Stage, last: Option<Vec<u8>>) -> Result<()> {
        self.core.store.write(Reach { stage, last }).await?;
        Ok(())
    }
}

/// Notes how far a stage has come; nothing stands for its beginning.
struct Reach {
    stage: Stage,
    last: Option<Vec<u8>>,
}

impl Command for Reach {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("mending", "media")
    }

    fn durability(&self) -> Durability {
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.stage.name(),);
        match &self.last {
            Some(last) => tx.put(&MEDIA_MENDING, &key, &last.clone().into()),
            None if tx.get(&MEDIA_MENDING, &key).await?.is_some() => {
                tx.delete(&MEDIA_MENDING, &key);
            }
            None => {}
        }
        Ok(())
    }
}

/// Notes whose a file is, if that was not known, and since when it is gone.
struct MendRow {
    key: (OwnedServerName, String),
    row: MediaRow,
    missing: Option<u64>,
}

impl Command for MendRow {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        match &self.row.uploader {
            Some(uploader) => users::partition(uploader),
            None => Partition::of("media", &self.key.1),
        }
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let row = tx.get_guarded(&MEDIA, &self.key).await?;
        let Some(row) = row.filter(|row| row.blob == self.row.blob) else { return Ok(()) };
        let blob = (row.blob,);
        if tx.get_guarded(&BLOBS, &blob).await?.is_none() {
            tx.put(&BLOBS, &blob, &self.key);
            self.count(tx).await?;
        }
        tx.put(&MEDIA, &self.key, &MediaRow { missing: self.missing, ..row });
        Ok(())
    }
}

impl MendRow {
    /// Counts a file of before files were counted, unless nobody has it any more.
    async fn count(&self, tx: &mut Tx) -> Result<()> {
        let Some(uploader) = &self.row.uploader else { return Ok(()) };
        if matches!(users::refuse_closed(tx, uploader).await, Err(Error::Deactivated)) {
            return Ok(());
        }
        let key = (uploader.clone(),);
        let mut usage = tx.get_guarded(&MEDIA_USE, &key).await?.unwrap_or_default();
        usage.bytes += self.row.size;
        tx.put(&MEDIA_USE, &key, &usage);
        Ok(())
    }
}

/// Forgets a thumbnail, unless it was made again.
struct ForgetThumbnail {
    key: (OwnedServerName, String, ThumbnailKind),
    row: ThumbnailRow,
}

impl Command for ForgetThumbnail {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("media", &self.key.1)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        if tx.get_guarded(&THUMBNAILS, &self.key).await? == Some(self.row.clone()) {
            tx.delete(&THUMBNAILS, &self.key);
            if let ThumbnailOutcome::Made(drawing) = &self.row.outcome {
                tx.delete(&BLOBS, &(drawing.blob,));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
