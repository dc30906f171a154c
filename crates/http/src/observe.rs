//! What holds for every request, known or not: it has an ID and a span, it answers browsers of any
//! origin, a panic in its handler is its own affair, and what its handler leaves of its body is
//! thrown away. One layer does it all, to keep the floor of a round trip low.

use std::{
    convert::Infallible,
    future::ready,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request},
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use governor::clock::DefaultClock;
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    },
};
use ruma::UserId;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use crate::{
    Action, ApiError, Options,
    limits::{Limits, Subject},
    places::{Place, Places},
    rest::Rest,
};

/// How long who asks for too much at once is told to wait.
const PAUSE: Duration = Duration::from_secs(1);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all requests share: the counts of the rate limits.
#[derive(Debug)]
pub(crate) struct Site {
    limits: Limits,
    places: Option<Places>,
    trust_forwarded_for: bool,
}

impl Site {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            limits: Limits::new(&options.rate_limits, &DefaultClock::default()),
            places: options.requests_at_once.map(Places::new),
            trust_forwarded_for: options.trust_forwarded_for,
        }
    }

    /// Counts one `action` of `user`, or of the address if there is none.
    pub(crate) fn check(
        &self,
        action: Action,
        user: Option<&UserId>,
        head: &http::Request<()>,
    ) -> Result<(), ApiError> {
        let subject = match (user, self.address(head)) {
            (Some(user), _) => Subject::User(user),
            (None, Some(address)) => Subject::Address(address),
            (None, None) => Subject::Unknown,
        };
        self.limits.check(action, subject).map_err(ApiError::too_many_requests)
    }

    /// A place for a request, if its address has one left; none is needed where it is not known.
    fn place<T>(&self, request: &http::Request<T>) -> Result<Option<Place>, ApiError> {
        let Some((places, address)) = self.places.as_ref().zip(self.address(request)) else {
            return Ok(None);
        };
        let place = places.take(address);
        place.map(Some).ok_or_else(|| ApiError::too_many_requests(PAUSE))
    }

    /// Where a request came from. The last forwarded address is the one that the nearest proxy saw;
    /// those before it are what the client says.
    pub(crate) fn address<T>(&self, request: &http::Request<T>) -> Option<IpAddr> {
        if self.trust_forwarded_for
            && let Some(chain) = request.headers().get_all(FORWARDED_FOR).iter().next_back()
            && let Some(last) = chain.to_str().ok().and_then(|chain| chain.rsplit(',').next())
            && let Ok(address) = last.trim().parse()
        {
            return Some(address);
        }
        let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
        connection.map(|ConnectInfo(address)| address.ip())
    }
}

/// The layer around all routes.
#[derive(Clone, Debug)]
pub(crate) struct Observe {
    site: Arc<Site>,
}

impl Observe {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site }
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, site: self.site.clone() }
    }
}

/// A route under observation.
#[derive(Clone, Debug)]
pub(crate) struct Observed<S> {
    inner: S,
    site: Arc<Site>,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if request.method() == Method::OPTIONS {
            return Box::pin(ready(Ok(open(StatusCode::NO_CONTENT.into_response()))));
        }
        let place = match self.site.place(&request) {
            Ok(place) => place,
            Err(error) => return Box::pin(ready(Ok(open(error.into_response())))),
        };
        let id = format!("{:016x}", rand::random::<u64>());
        let span = span(&request, &id);
        request.extensions_mut().insert(self.site.clone());
        let rest = Rest::of(&mut request);
        let serving = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let observed = async move {
            let _place = place;
            let begun = Instant::now();
            let response = match serving.await {
                Ok(Ok(response)) => response,
                Err(_) => panicked(),
            };
            finish(&response, begun);
            // Who was too slow was waited for already.
            if let Some(rest) = rest.filter(|_| response.status() != StatusCode::REQUEST_TIMEOUT) {
                rest.discard().await;
            }
            Ok(identify(open(response), &id))
        };
        Box::pin(observed.instrument(span))
    }
}

/// Names the request in the logs. The path and the query carry what must not be there, so only the
/// route's pattern is told.
fn span(request: &Request, id: &str) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let method = request.method().as_str();
    tracing::info_span!("request", id, method, route, status = tracing::field::Empty)
}

fn finish(response: &Response, begun: Instant) {
    let status = response.status().as_u16();
    Span::current().record("status", status);
    tracing::debug!(status, latency_us = begun.elapsed().as_micros() as u64, "answered");
}

fn panicked() -> Response {
    tracing::error!("a handler panicked; its message went where panics go");
    ApiError::unknown().into_response()
}

/// Lets browsers of any origin read the response.
fn open(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With, Content-Type, Authorization"),
    );
    response
}

/// Tells the request's ID, by which its lines in the log are found.
fn identify(mut response: Response, id: &str) -> Response {
    let id = HeaderValue::from_str(id).expect("hexadecimal digits are a header's value");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}
