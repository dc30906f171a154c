//! Files on their way out, for as long as somebody takes them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use tertulia::Pieces;
use tokio::{sync::Notify, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// How long the next piece of a file may lie untaken. There are buffers between here and the client,
/// which one at the end of a slow line takes some time to empty.
const PATIENCE: Duration = Duration::from_secs(300);

/// The pieces of a file. It is closed when nobody asks for the next piece for too long: a client
/// may keep its connection and never read on.
pub(super) struct Attended {
    /// Nothing once the file was closed.
    pieces: Arc<Mutex<Option<Pieces>>>,
    asked: Arc<Notify>,
    _closing: AbortOnDropHandle<()>,
}

impl Attended {
    pub(super) fn new(pieces: Pieces) -> Self {
        let (pieces, asked) = (Arc::new(Mutex::new(Some(pieces))), Arc::<Notify>::default());
        let closing = tokio::spawn(close(pieces.clone(), asked.clone()));
        Self { pieces, asked, _closing: AbortOnDropHandle::new(closing) }
    }
}

/// Closes the file once nobody asks for more of it.
async fn close(pieces: Arc<Mutex<Option<Pieces>>>, asked: Arc<Notify>) {
    while timeout(PATIENCE, asked.notified()).await.is_ok() {}
    pieces.lock().take();
}

impl Stream for Attended {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.asked.notify_one();
        match &mut *self.pieces.lock() {
            Some(pieces) => pieces.as_mut().poll_next(context),
            None => Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, TryStreamExt as _, stream};
    use tokio::time::{Instant, advance};

    use super::*;

    /// Tells when it is dropped.
    struct Alarm(Arc<Notify>);

    impl Drop for Alarm {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    /// A file of so many pieces, and what tells that it was closed.
    fn file(pieces: usize) -> (Attended, Arc<Notify>) {
        let closed = Arc::<Notify>::default();
        let alarm = Alarm(closed.clone());
        let pieces = stream::iter(0..pieces).map(move |_| {
            let _alarm = &alarm;
            Ok(Bytes::from_static(b"piece"))
        });
        (Attended::new(Box::pin(pieces)), closed)
    }

    // Time stands still in these tests, and leaps where everyone waits.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_taken_slowly_stays_open() {
        let (mut file, _) = file(100);
        for _ in 0..100 {
            tokio::task::yield_now().await;
            advance(PATIENCE - Duration::from_secs(1)).await;
            assert_eq!(file.next().await.unwrap().unwrap(), "piece");
        }
        assert!(file.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_nobody_takes_is_closed() {
        let (mut file, closed) = file(2);
        file.next().await.unwrap().unwrap();
        let begun = Instant::now();
        closed.notified().await;
        assert_eq!(begun.elapsed(), PATIENCE);
        let error = file.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "and does not look as if it had ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_was_taken_is_closed_at_once() {
        let (file, closed) = file(3);
        let begun = Instant::now();
        assert_eq!(file.try_collect::<Vec<_>>().await.unwrap().len(), 3);
        closed.notified().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
