//! Blobs as files in a folder.
//!
//! `incoming/` holds what is being uploaded, `kept/ab/` the blobs whose names begin with `ab`. A
//! blob moves from one to the other in one step, after its bytes were synced to the disk.

use std::{
    collections::BinaryHeap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};

use super::blobs::{Blobs, FoundBlob, Incoming, Pieces};
use crate::schema::BlobId;

/// How much is read or written at once; one trip to a thread that may block.
const PIECE: usize = 128 * 1024;

/// Blobs as files in a folder, which belongs to this server alone, and to one store: what the store
/// knows nothing of is [deleted](crate::Homeserver::mend_media) when it is a day old.
#[derive(Clone, Debug)]
pub struct FileBlobs {
    folder: Arc<Path>,
}

impl FileBlobs {
    /// Uses `folder`, which is made if it is missing. What uploads left there that a crash
    /// interrupted is removed.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made, or not be written to.
    pub async fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder: Arc<Path> = folder.into().into();
        let blobs = Self { folder: folder.clone() };
        blocking(move || {
            let (incoming, kept) = (folder.join("incoming"), folder.join("kept"));
            make_folders(&kept, (0..=u8::MAX).map(|byte| format!("{byte:02x}")))?;
            make_folders(&folder, ["incoming".to_owned()])?;
            for left in fs::read_dir(&incoming)? {
                fs::remove_file(left?.path())?;
            }
            Ok(())
        })
        .await?;
        Ok(blobs)
    }

    fn place(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        let folder = self.folder.join("kept").join(&name[..2]);
        folder.join(name)
    }
}

impl Blobs for FileBlobs {
    fn begin(&self, id: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>> {
        let path = self.folder.join("incoming").join(id.to_string());
        let place = self.place(id);
        Box::pin(blocking(move || {
            let file = Arc::new(File::create_new(&path)?);
            let unfinished = Unfinished { path: Some(path) };
            let buffer = BytesMut::new();
            Ok(Box::new(IncomingFile { file, unfinished, place, buffer }) as Box<dyn Incoming>)
        }))
    }

    fn read(&self, id: BlobId, from: u64) -> BoxFuture<'_, io::Result<Pieces>> {
        Box::pin(read_file(self.place(id), from))
    }

    fn find(&self, id: BlobId) -> BoxFuture<'_, io::Result<Option<FoundBlob>>> {
        let place = self.place(id);
        Box::pin(blocking(move || match fs::metadata(place) {
            Ok(file) => {
                let written = file.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                let written = u64::try_from(written.as_millis()).unwrap_or(u64::MAX);
                Ok(Some(FoundBlob { written }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }))
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, io::Result<Vec<BlobId>>> {
        let kept = self.folder.join("kept");
        Box::pin(blocking(move || {
            let first = after.map_or(0, |after| after.number().to_be_bytes()[0]);
            let mut page = Vec::new();
            for byte in first..=u8::MAX {
                let folder = kept.join(format!("{byte:02x}"));
                page.extend(first_names(&folder, after, limit - page.len())?);
                if page.len() == limit {
                    break;
                }
            }
            Ok(page)
        }))
    }

    fn delete(&self, id: BlobId) -> BoxFuture<'_, io::Result<()>> {
        let place = self.place(id);
        Box::pin(blocking(move || match fs::remove_file(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }))
    }
}

/// The first `limit` names of blobs in a folder behind `after`, in order. No more are ever in memory.
fn first_names(folder: &Path, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>> {
    let mut first = BinaryHeap::with_capacity(limit + 1);
    for entry in fs::read_dir(folder)? {
        // What has another name is not this server's.
        let Some(id) = entry?.file_name().to_str().and_then(BlobId::parse) else { continue };
        if after.is_some_and(|after| id <= after) {
            continue;
        }
        first.push(id);
        if first.len() > limit {
            first.pop();
        }
    }
    Ok(first.into_sorted_vec())
}

/// The bytes of a file, from the one numbered `from` on.
pub(crate) async fn read_file(path: PathBuf, from: u64) -> io::Result<Pieces> {
    let file = blocking(move || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(file)
    })
    .await?;
    Ok(stream::try_unfold(file, next_piece).boxed())
}

async fn next_piece(file: File) -> io::Result<Option<(Bytes, File)>> {
    blocking(move || {
        let mut piece = Vec::with_capacity(PIECE);
        (&file).take(PIECE as u64).read_to_end(&mut piece)?;
        Ok((!piece.is_empty()).then(|| (piece.into(), file)))
    })
    .await
}

/// A file being written. Small pieces are gathered before they go to the disk.
struct IncomingFile {
    file: Arc<File>,
    unfinished: Unfinished,
    place: PathBuf,
    buffer: BytesMut,
}

impl Incoming for IncomingFile {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.buffer.extend_from_slice(&piece);
        Box::pin(async move {
            if self.buffer.len() < PIECE {
                return Ok(());
            }
            let (file, bytes) = (self.file.clone(), self.buffer.split());
            blocking(move || (&*file).write_all(&bytes)).await
        })
    }

    fn keep(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(blocking(move || {
            (&*self.file).write_all(&self.buffer)?;
            self.file.sync_all()?;
            self.unfinished.move_to(&self.place)
        }))
    }
}

/// The path of a file that is removed unless it is finished.
struct Unfinished {
    path: Option<PathBuf>,
}

impl Unfinished {
    /// Moves the finished file to `place`, and makes sure that the disk knows.
    fn move_to(mut self, place: &Path) -> io::Result<()> {
        let folder = place.parent().expect("a blob lies in a folder");
        let path = self.path.take().expect("a file is moved once");
        if let Err(error) = fs::rename(&path, place) {
            self.path = Some(path);
            return Err(error);
        }
        File::open(folder)?.sync_all()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(path) = &self.path else { return };
        if let Err(error) = fs::remove_file(path) {
            // The next start tries again.
            tracing::warn!(%error, "an interrupted upload could not be removed");
        }
    }
}

/// Makes folders in `parent`, and makes sure that the disk knows.
fn make_folders(parent: &Path, names: impl IntoIterator<Item = String>) -> io::Result<()> {
    for name in names {
        fs::create_dir_all(parent.join(name))?;
    }
    File::open(parent)?.sync_all()
}

/// Does `work` where it may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::{super::blobs::conformance, *};

    /// How many files lie in `folder`, at any depth.
    fn files(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
    }

    #[tokio::test]
    async fn blobs_in_files_keep_to_the_port() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).await.unwrap();
        conformance::check(&blobs, &|| files(folder.path())).await;
    }

    #[tokio::test]
    async fn what_a_crash_left_is_removed_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).await.unwrap();
        let kept = BlobId::from_number(1);
        blobs.begin(kept).await.unwrap().keep().await.unwrap();
        let lost = blobs.begin(BlobId::from_number(2)).await.unwrap();
        std::mem::forget(lost);
        assert_eq!(files(folder.path()), 2);

        let again = FileBlobs::open(folder.path()).await.unwrap();
        assert_eq!(files(folder.path()), 1);
        drop(again.read(kept, 0).await.unwrap());
    }

    #[tokio::test]
    async fn blobs_are_spread_over_folders_by_the_first_byte_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).await.unwrap();
        let id = BlobId::from_number(0xab << 120);
        blobs.begin(id).await.unwrap().keep().await.unwrap();
        assert!(folder.path().join("kept").join("ab").join(id.to_string()).is_file());
    }

    #[tokio::test]
    async fn only_blobs_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).await.unwrap();
        let id = BlobId::from_number(0xab << 120);
        blobs.begin(id).await.unwrap().keep().await.unwrap();
        for name in [".nfs1", "README", "ab", &"AB".repeat(16), &"0".repeat(33)] {
            fs::write(folder.path().join("kept").join("ab").join(name), "").unwrap();
        }
        assert_eq!(blobs.list(None, 10).await.unwrap(), [id]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        FileBlobs::open(file.join("media")).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_blob_that_cannot_be_moved_to_its_place_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).await.unwrap();
        fs::remove_dir(folder.path().join("kept").join("00")).unwrap();
        let incoming = blobs.begin(BlobId::from_number(1)).await.unwrap();
        incoming.keep().await.unwrap_err();
        assert_eq!(files(&folder.path().join("incoming")), 0);
    }
}
