//! What is left of a request's body when its answer is ready.
//!
//! Many clients send all of a body before they look for an answer. Where the connection closes in
//! between, they learn that it broke off and never why. So what is left is read and thrown away for
//! a while before the answer goes out.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{Version, header::EXPECT};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::timeout;

/// How many bytes are thrown away at most.
const MOST: usize = 64 << 20;
/// How long they may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the next of them may take. Who sends nothing may well be listening.
const PATIENCE_BETWEEN_PIECES: Duration = Duration::from_secs(2);

/// What is left of the body of a request that somebody else answers.
#[derive(Debug)]
pub(crate) struct Rest(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    body: Body,
    /// Whether its end was reached, or it broke off.
    has_ended: bool,
    /// Whether the client sends it: one that waits for "100 Continue" does so once it was read from.
    is_coming: bool,
}

impl Rest {
    /// Takes hold of the body of `request`, which can be read as before. There is nothing to hold
    /// where there is no body, nor in HTTP/2, where the answer does not close the connection.
    pub(crate) fn of(request: &mut Request) -> Option<Self> {
        use http_body::Body as _;
        if request.body().is_end_stream() || request.version() >= Version::HTTP_2 {
            return None;
        }
        let is_coming = !request.headers().contains_key(EXPECT);
        let body = mem::take(request.body_mut());
        let shared = Arc::new(Mutex::new(Shared { body, has_ended: false, is_coming }));
        *request.body_mut() = Body::new(Held(shared.clone()));
        Some(Self(shared))
    }

    /// Reads what is left and throws it away, within bounds.
    pub(crate) async fn discard(self) {
        let mut left = MOST;
        let discard = async {
            while left > 0 {
                let next = poll_fn(|context| self.0.lock().poll(context));
                let Ok(Some(Ok(frame))) = timeout(PATIENCE_BETWEEN_PIECES, next).await else {
                    return;
                };
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            }
        };
        if self.0.lock().is_coming {
            // Either it came, or nobody waits for it any longer.
            let _ = timeout(PATIENCE, discard).await;
        }
    }
}

impl Shared {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.is_coming = true;
        let polled = http_body::Body::poll_frame(Pin::new(&mut self.body), context);
        self.has_ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

/// The body as whoever answers reads it.
struct Held(Arc<Mutex<Shared>>);

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0.lock().poll(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;
    use tokio::time::Instant;

    use super::*;

    const PIECE: usize = 1 << 20;

    /// A request whose body is so many pieces, one after each so many milliseconds; and how many were read.
    fn request(pieces: usize, milliseconds: u64) -> (Request, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let count = read.clone();
        let body = stream::iter(0..pieces).then(move |_| {
            let count = count.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from_static(&[0; PIECE]))
            }
        });
        (Request::new(Body::from_stream(body)), read)
    }

    /// How many pieces of a body are read once the first few were read by who answers.
    async fn check(mut request: (Request, Arc<AtomicUsize>), before: usize, expected: usize) {
        let rest = Rest::of(&mut request.0).unwrap();
        let mut body = request.0.into_body();
        for _ in 0..before {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        rest.discard().await;
        assert_eq!(request.1.load(Ordering::Relaxed), expected);
    }

    // Time stands still in these tests, and leaps where everyone waits.
    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_read_to_its_end() {
        check(request(5, 0), 0, 5).await;
        check(request(5, 1_000), 2, 5).await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_much_is_thrown_away() {
        check(request(200, 0), 0, MOST / PIECE).await;
        check(request(200, 0), 3, 3 + MOST / PIECE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowly_is_not_waited_for() {
        let begun = Instant::now();
        check(request(200, 1_500), 0, 6).await;
        assert_eq!(begun.elapsed(), PATIENCE);
        let begun = Instant::now();
        check(request(1, 100_000), 0, 0).await;
        assert_eq!(begun.elapsed(), PATIENCE_BETWEEN_PIECES);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_for_what_is_not_wanted() {
        let expecting = || {
            let mut request = request(5, 0);
            request.0.headers_mut().insert(EXPECT, "100-continue".parse().unwrap());
            request
        };
        check(expecting(), 0, 0).await;
        check(expecting(), 1, 5).await;
    }

    #[tokio::test]
    async fn what_was_read_is_left_alone() {
        let mut request =
            Request::new(Body::from_stream(stream::iter([Ok::<_, std::io::Error>("a")])));
        let rest = Rest::of(&mut request).unwrap();
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "a");
        rest.discard().await;
        let mut broken: Request = Request::new(Body::from_stream(stream::iter([Err::<&str, _>(
            std::io::Error::other("gone"),
        )])));
        let rest = Rest::of(&mut broken).unwrap();
        broken.into_body().collect().await.unwrap_err();
        rest.discard().await;
    }

    #[tokio::test]
    async fn a_body_looks_as_it_did_before() {
        let mut request = Request::new(Body::from("four"));
        assert!(Rest::of(&mut request).is_some());
        let body = request.into_body();
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(4));
        assert!(!http_body::Body::is_end_stream(&body));
        assert!(Rest::of(&mut Request::new(Body::empty())).is_none());
        let mut modern = Request::new(Body::from("four"));
        *modern.version_mut() = Version::HTTP_2;
        assert!(Rest::of(&mut modern).is_none());
    }
}
