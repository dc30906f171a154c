//! Whether anything is asked on a connection. One that talks HTTP/2 stays open by itself for ever,
//! as long as its client says now and then that it is there.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{Request, Response},
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tower::Service;

/// The requests of one connection. Clones count the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    answered: AtomicU64,
}

impl Asked {
    /// How many requests were answered, if that is all there were.
    pub(super) fn idle(&self) -> Option<u64> {
        let answered = self.0.answered.load(Ordering::Acquire);
        (self.0.begun.load(Ordering::Acquire) == answered).then_some(answered)
    }

    fn begin(&self) -> Asking {
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        Asking(self.0.clone())
    }
}

/// A request whose answer is not out yet.
struct Asking(Arc<Counts>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::AcqRel);
    }
}

/// A service that counts what is asked, until the last byte of the answer was fetched.
#[derive(Clone, Debug)]
pub(super) struct Counting<S> {
    inner: S,
    asked: Asked,
}

impl<S> Counting<S> {
    pub(super) fn new(inner: S, asked: Asked) -> Self {
        Self { inner, asked }
    }
}

impl<S, B> Service<Request<B>> for Counting<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asking = self.asked.begin();
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|inner| Body::new(Answer { inner, _asking: asking })))
        })
    }
}

/// A body that is part of an answer as long as it is there.
struct Answer {
    inner: Body,
    _asking: Asking,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn a_request_is_open_until_its_answer_is_gone() {
        let asked = Asked::default();
        assert_eq!(asked.idle(), Some(0));
        let inner = tower::service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Body::from("four")))
        });
        let mut service = Counting::new(inner, asked.clone());
        let answering = service.call(Request::new(()));
        assert_eq!(asked.idle(), None);
        let answer = answering.await.unwrap();
        assert_eq!(asked.idle(), None);
        assert_eq!(answer.body().size_hint().exact(), Some(4));
        assert!(!answer.body().is_end_stream());
        assert_eq!(axum::body::to_bytes(answer.into_body(), 10).await.unwrap(), "four");
        assert_eq!(asked.idle(), Some(1));
        drop(service.call(Request::new(())));
        assert_eq!(asked.idle(), Some(2), "who gives up does not wait any longer");
    }
}
