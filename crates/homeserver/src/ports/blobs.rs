//! Where the bytes of uploaded files lie.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    io,
    ops::Bound,
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use parking_lot::Mutex;
use ruma::MilliSecondsSinceUnixEpoch;

use super::Random;
use crate::schema::BlobId;

impl BlobId {
    /// A name that no other blob has.
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self::from_number(u128::from_be_bytes(bytes))
    }
}

/// A blob's bytes, in order and piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// What is known of a kept blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundBlob {
    /// When it was written, in milliseconds since 1970, by the clock of whoever keeps it.
    pub written: u64,
}

/// A place for files that are written once, as a stream, and read as streams.
pub trait Blobs: Debug + Send + Sync + 'static {
    /// Begins to write the blob `id`. Nobody sees it before [`Incoming::keep`].
    fn begin(&self, id: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>>;

    /// The bytes of a kept blob, from the byte numbered `from` on. An unknown blob is an error of
    /// the kind [`io::ErrorKind::NotFound`].
    fn read(&self, id: BlobId, from: u64) -> BoxFuture<'_, io::Result<Pieces>>;

    /// When a kept blob was written; none if it is not there.
    fn find(&self, id: BlobId) -> BoxFuture<'_, io::Result<Option<FoundBlob>>>;

    /// Up to `limit` kept blobs in the order of their names, those behind `after`. One that is kept
    /// or forgotten meanwhile may be among them or not.
    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, io::Result<Vec<BlobId>>>;

    /// Forgets a blob. One that is not there is forgotten already.
    fn delete(&self, id: BlobId) -> BoxFuture<'_, io::Result<()>>;
}

/// A blob that is being written. Dropped before it is kept, it leaves nothing behind.
pub trait Incoming: Send {
    /// Adds `piece` to the end.
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>>;

    /// Ends the blob: when this returns without an error, the blob survives a loss of power.
    fn keep(self: Box<Self>) -> BoxFuture<'static, io::Result<()>>;
}

/// Blobs in memory: for tests, and for servers that are gone with their process.
#[derive(Clone, Default)]
pub struct MemoryBlobs {
    kept: Arc<Mutex<BTreeMap<BlobId, Kept>>>,
}

/// A blob in memory.
#[derive(Clone)]
struct Kept {
    pieces: Vec<Bytes>,
    written: u64,
}

impl MemoryBlobs {
    /// How many blobs are kept.
    pub fn count(&self) -> usize {
        self.kept.lock().len()
    }
}

impl Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBlobs({})", self.count())
    }
}

impl Blobs for MemoryBlobs {
    fn begin(&self, id: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>> {
        let kept = self.kept.clone();
        let incoming: Box<dyn Incoming> = Box::new(InMemory { id, pieces: Vec::new(), kept });
        Box::pin(async { Ok(incoming) })
    }

    fn read(&self, id: BlobId, from: u64) -> BoxFuture<'_, io::Result<Pieces>> {
        let found = self.kept.lock().get(&id).cloned();
        Box::pin(async move {
            let pieces = skip(found.ok_or(io::ErrorKind::NotFound)?.pieces, from);
            Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
        })
    }

    fn find(&self, id: BlobId) -> BoxFuture<'_, io::Result<Option<FoundBlob>>> {
        let found = self.kept.lock().get(&id).map(|blob| FoundBlob { written: blob.written });
        Box::pin(async move { Ok(found) })
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, io::Result<Vec<BlobId>>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let kept = self.kept.lock();
        let page = kept.range((from, Bound::Unbounded)).take(limit).map(|(id, _)| *id).collect();
        Box::pin(async move { Ok(page) })
    }

    fn delete(&self, id: BlobId) -> BoxFuture<'_, io::Result<()>> {
        self.kept.lock().remove(&id);
        Box::pin(async { Ok(()) })
    }
}

/// What is left of `pieces` after their first `count` bytes.
fn skip(mut pieces: Vec<Bytes>, mut count: u64) -> Vec<Bytes> {
    for piece in &mut pieces {
        let cut = usize::try_from(count).unwrap_or(usize::MAX).min(piece.len());
        piece.advance(cut);
        count -= cut as u64;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

struct InMemory {
    id: BlobId,
    pieces: Vec<Bytes>,
    kept: Arc<Mutex<BTreeMap<BlobId, Kept>>>,
}

impl Incoming for InMemory {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.pieces.push(piece);
        Box::pin(async { Ok(()) })
    }

    fn keep(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        let written = MilliSecondsSinceUnixEpoch::now().get().into();
        self.kept.lock().insert(self.id, Kept { pieces: self.pieces, written });
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
pub(super) mod conformance;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemRandom;

    #[tokio::test]
    async fn blobs_in_memory_keep_to_the_port() {
        let blobs = MemoryBlobs::default();
        conformance::check(&blobs, &|| blobs.count()).await;
    }

    #[test]
    fn names_are_hexadecimal_and_differ() {
        assert_eq!(BlobId::from_number(255).to_string(), format!("{:0>32}", "ff"));
        let [one, other] = [(); 2].map(|()| BlobId::random(&SystemRandom));
        assert_ne!(one, other);
        assert_eq!(BlobId::parse(&one.to_string()), Some(one));
        for name in ["", "ff", "+f", &"F".repeat(32), &"0".repeat(33), &"g".repeat(32)] {
            assert_eq!(BlobId::parse(name), None, "{name}");
        }
        assert_eq!(BlobId::from_number(one.number()), one);
        assert!(one.to_string().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
