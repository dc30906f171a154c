//! Where the bytes of uploaded files lie.

use std::{
    collections::HashMap,
    fmt::{self, Debug},
    io,
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use parking_lot::Mutex;

use super::Random;

/// The name of a blob. The server draws it by chance, so that nothing an uploader says is part of
/// a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(u128);

impl BlobId {
    /// A name that no other blob has.
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(u128::from_be_bytes(bytes))
    }

    /// The blob of this number.
    pub const fn from_number(number: u128) -> Self {
        Self(number)
    }

    /// The number that [`BlobId::from_number`] reads.
    pub const fn number(self) -> u128 {
        self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A blob's bytes, in order and piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// A place for files that are written once, as a stream, and read as streams.
pub trait Blobs: Debug + Send + Sync + 'static {
    /// Begins to write the blob `id`. Nobody sees it before [`Incoming::keep`].
    fn begin(&self, id: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>>;

    /// The bytes of a kept blob, from the byte numbered `from` on. An unknown blob is an error of
    /// the kind [`io::ErrorKind::NotFound`].
    fn read(&self, id: BlobId, from: u64) -> BoxFuture<'_, io::Result<Pieces>>;

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
    kept: Arc<Mutex<HashMap<BlobId, Vec<Bytes>>>>,
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
            let pieces = skip(found.ok_or(io::ErrorKind::NotFound)?, from);
            Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
        })
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
    kept: Arc<Mutex<HashMap<BlobId, Vec<Bytes>>>>,
}

impl Incoming for InMemory {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.pieces.push(piece);
        Box::pin(async { Ok(()) })
    }

    fn keep(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        self.kept.lock().insert(self.id, self.pieces);
        Box::pin(async { Ok(()) })
    }
}

/// What every place for blobs must keep to. `count` tells how many files of any kind lie there.
#[cfg(test)]
pub(super) async fn conformance(blobs: &dyn Blobs, count: impl Fn() -> usize) {
    use futures_util::TryStreamExt as _;

    async fn put(blobs: &dyn Blobs, id: BlobId, pieces: &[&'static [u8]]) {
        let mut incoming = blobs.begin(id).await.unwrap();
        for piece in pieces {
            incoming.write(Bytes::from_static(piece)).await.unwrap();
        }
        incoming.keep().await.unwrap();
    }
    async fn get(blobs: &dyn Blobs, id: BlobId, from: u64) -> io::Result<Vec<u8>> {
        let pieces: Vec<Bytes> = blobs.read(id, from).await?.try_collect().await?;
        Ok(pieces.concat())
    }
    let [first, second, third] = [1, 2, 3].map(BlobId::from_number);

    // What was kept is read as it was written, from any byte on.
    put(blobs, first, &[b"good ", b"", b"morning"]).await;
    put(blobs, second, &[]).await;
    assert_eq!(get(blobs, first, 0).await.unwrap(), b"good morning");
    assert_eq!(get(blobs, first, 3).await.unwrap(), b"d morning");
    assert_eq!(get(blobs, first, 5).await.unwrap(), b"morning");
    assert_eq!(get(blobs, first, 12).await.unwrap(), b"");
    assert_eq!(get(blobs, first, 1 << 40).await.unwrap(), b"");
    assert_eq!(get(blobs, second, 0).await.unwrap(), b"");
    assert_eq!(count(), 2);

    // What is being written is seen by nobody, and leaves nothing when it is given up.
    let mut incoming = blobs.begin(third).await.unwrap();
    incoming.write(Bytes::from(vec![7; 1 << 20])).await.unwrap();
    assert_eq!(get(blobs, third, 0).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    drop(incoming);
    assert_eq!(count(), 2);

    // Large blobs come in pieces.
    let mut incoming = blobs.begin(third).await.unwrap();
    for n in 0..64_u8 {
        incoming.write(Bytes::from(vec![n; 50_000])).await.unwrap();
    }
    incoming.keep().await.unwrap();
    let pieces: Vec<Bytes> = blobs.read(third, 0).await.unwrap().try_collect().await.unwrap();
    assert!(pieces.iter().all(|piece| piece.len() <= 256 * 1024));
    let whole = pieces.concat();
    assert_eq!(whole.len(), 64 * 50_000);
    assert!((0..64_u8).all(|n| whole[usize::from(n) * 50_000] == n));

    // What was deleted is gone; deleting it again is no error.
    for _ in 0..2 {
        blobs.delete(third).await.unwrap();
        assert_eq!(get(blobs, third, 0).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    assert_eq!(count(), 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemRandom;

    #[tokio::test]
    async fn blobs_in_memory_keep_to_the_port() {
        let blobs = MemoryBlobs::default();
        conformance(&blobs, || blobs.count()).await;
    }

    #[test]
    fn names_are_hexadecimal_and_differ() {
        assert_eq!(BlobId::from_number(255).to_string(), format!("{:0>32}", "ff"));
        let [one, other] = [(); 2].map(|()| BlobId::random(&SystemRandom));
        assert_ne!(one, other);
        assert_eq!(BlobId::from_number(one.number()), one);
        assert!(one.to_string().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
