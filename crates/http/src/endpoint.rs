//! The bridge between ruma's request types and axum's router.

use std::{pin::Pin, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequestParts as _, RawPathParams, Request},
    handler::Handler,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderValue, Method, header::CONTENT_TYPE, request::Parts};
use ruma::api::{
    IncomingRequest, IncomingRequestExt as _, Metadata, OutgoingResponse, OutgoingResponseExt as _,
    path_builder::PathBuilder as _,
};
use serde::Serialize;
use tertulia::Homeserver;

use crate::{
    Action, ApiError, Identify, Routes, access::Access, body, observe::Site, pieces::Pieces,
};

/// A parsed request `R` together with whom its endpoint's scheme proved it to come from.
pub struct Matrix<R>
where
    R: Metadata,
    R::Authentication: Identify,
{
    /// What is asked for.
    pub request: R,
    /// Who asks.
    pub from: <R::Authentication as Identify>::Identity,
}

/// An answer of this server's own shape, to be written as JSON: usually shared raw events in a
/// struct of references.
#[derive(Debug)]
pub struct Answer<T>(pub T);

/// A whole HTTP response, for what is not JSON: a file that streams, a page.
#[derive(Debug)]
pub struct Whole(pub Response);

/// What a handler of `R` may answer: ruma's response to `R`, an [`Answer`], or a [`Whole`] response.
pub trait Reply<R> {
    /// The answer as HTTP has it.
    ///
    /// # Errors
    ///
    /// 500 if it cannot be written, which is a mistake in this program.
    fn reply(self) -> Result<Response, ApiError>;
}

impl<R, T> Reply<R> for T
where
    R: IncomingRequest<OutgoingResponse = T>,
    T: OutgoingResponse,
{
    fn reply(self) -> Result<Response, ApiError> {
        let response = self.try_into_http_response::<Vec<u8>>().map_err(ApiError::internal)?;
        Ok(response.map(Body::from))
    }
}

impl<R, T: Serialize> Reply<R> for Answer<T> {
    fn reply(self) -> Result<Response, ApiError> {
        let mut body = Pieces::default();
        serde_json::to_writer(&mut body, &self.0).map_err(ApiError::internal)?;
        let mut response = Response::new(body.into_body());
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }
}

impl<R> Reply<R> for Whole {
    fn reply(self) -> Result<Response, ApiError> {
        Ok(self.0)
    }
}

/// The terms on which an endpoint is served.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    action: Option<Action>,
    largest_body: usize,
    also: &'static [&'static str],
    access: Access,
}

impl Terms {
    /// Accepts bodies of up to `bytes`; usually it is 1 MiB, and an event is at most 64 KiB of it.
    #[must_use]
    pub const fn largest_body(self, bytes: usize) -> Self {
        Self { largest_body: bytes, ..self }
    }

    /// Serves the endpoint at these paths, too, which ruma does not know.
    #[must_use]
    pub const fn also(self, paths: &'static [&'static str]) -> Self {
        Self { also: paths, ..self }
    }

    /// These terms for one path, open to those to whom it is.
    pub(crate) fn at(self, method: &Method, path: &str) -> Self {
        Self { access: Access::of(method, [path].into_iter()), ..self }
    }

    /// The body of a request, as [`body::read_object`] reads it.
    pub(crate) async fn read_object(self, method: &Method, body: Body) -> Result<Bytes, ApiError> {
        body::read_object(method, body, self.largest_body).await
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self { action: None, largest_body: 1 << 20, also: &[], access: Access::default() }
    }
}

/// The usual terms, with the rate limit of an action.
impl From<Action> for Terms {
    fn from(action: Action) -> Self {
        Self { action: Some(action), ..Self::default() }
    }
}

impl<R> Matrix<R>
where
    R: IncomingRequest,
    R::Authentication: Identify,
{
    /// Takes a request apart: who asks, whether he may ask again so soon, and only then what.
    async fn receive(
        request: Request,
        server: &Homeserver,
        terms: Terms,
    ) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let arguments = path_arguments(&mut parts, server).await?;
        let head = http::Request::from_parts(parts, ());
        let marked = R::RATE_LIMITED.then_some(Action::Other);
        let terms = Terms { action: terms.action.or(marked), ..terms };
        let from = admit::<R::Authentication>(server, &head, &arguments, terms).await?;
        let body = terms.read_object(head.method(), body).await?;
        let arguments = present(&arguments)?;
        let request = head.map(|()| body.as_ref());
        let request = R::try_from_http_request(request, &arguments)?;
        Ok(Self { request, from })
    }
}

/// Who asks for what is served on such terms, if they may ask for it now.
pub(crate) async fn admit<S: Identify>(
    server: &Homeserver,
    head: &http::Request<()>,
    arguments: &RawPathParams,
    terms: Terms,
) -> Result<S::Identity, ApiError> {
    let from = S::identify(server, head).await?;
    let given = arguments.iter().map(|(_, value)| value);
    terms.access.check(S::standing(&from), given)?;
    if let Some(site) = head.extensions().get::<Arc<Site>>() {
        if let Some(action) = terms.action {
            site.check(action, S::user(&from), head)?;
        }
        if let Some(address) = site.address(head) {
            S::seen(&from, address);
        }
    }
    Ok(from)
}

/// The values of the path's parameters, percent-decoded and in order.
pub(crate) async fn path_arguments(
    parts: &mut Parts,
    server: &Homeserver,
) -> Result<RawPathParams, ApiError> {
    if ![parts.uri.path(), parts.uri.query().unwrap_or_default()].into_iter().all(is_encoded) {
        return Err(ApiError::invalid_param("the URI is percent-encoded wrongly"));
    }
    RawPathParams::from_request_parts(parts, server).await.map_err(ApiError::invalid_param)
}

/// Whether each `%` of a path or a query has its two digits, and all is UTF-8 once it is decoded.
/// Readers take the one as it stands and put U+FFFD for the other, so that a mistake of the client's
/// would name something else.
fn is_encoded(text: &str) -> bool {
    let mut decoded = Vec::with_capacity(text.len());
    let mut pieces = text.as_bytes().split(|&byte| byte == b'%');
    decoded.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        let Some((digits, rest)) = piece.split_at_checked(2) else { return false };
        let mut byte = [0];
        if hex::decode_to_slice(digits, &mut byte).is_err() {
            return false;
        }
        decoded.extend_from_slice(&byte);
        decoded.extend_from_slice(rest);
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// The values alone. The specification requires each parameter of a path; only a state key may be
/// empty, and has paths of its own for that.
fn present(arguments: &RawPathParams) -> Result<Vec<&str>, ApiError> {
    let value = |(name, value)| match value {
        "" => Err(ApiError::invalid_param(format!("`{name}` in the path is empty"))),
        value => Ok(value),
    };
    arguments.iter().map(value).collect()
}

/// Adding ruma endpoints to a router.
pub trait Endpoints: Sized {
    /// Serves `R` at every path it has had, stable and unstable, with `handler`.
    fn endpoint<R, A, F, Fut>(self, handler: F) -> Self
    where
        R: IncomingRequest + Send + 'static,
        R::Authentication: Identify,
        A: Reply<R>,
        F: Fn(Homeserver, Matrix<R>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ApiError>> + Send + 'static,
    {
        self.endpoint_on(Terms::default(), handler)
    }

    /// Like [`Endpoints::endpoint`], on other than the usual terms: [`Terms`], or an [`Action`]
    /// whose rate is limited. Without one, the specification says whether it is [`Action::Other`].
    fn endpoint_on<R, A, F, Fut>(self, terms: impl Into<Terms>, handler: F) -> Self
    where
        R: IncomingRequest + Send + 'static,
        R::Authentication: Identify,
        A: Reply<R>,
        F: Fn(Homeserver, Matrix<R>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ApiError>> + Send + 'static;
}

impl Endpoints for Routes {
    fn endpoint_on<R, A, F, Fut>(self, terms: impl Into<Terms>, handler: F) -> Self
    where
        R: IncomingRequest + Send + 'static,
        R::Authentication: Identify,
        A: Reply<R>,
        F: Fn(Homeserver, Matrix<R>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ApiError>> + Send + 'static,
    {
        let mut terms = terms.into();
        terms.access = Access::of(&R::METHOD, R::PATH_BUILDER.all_paths());
        let route = Route(Arc::new(move |server, request| {
            let handler = handler.clone();
            Box::pin(async move {
                let served = serve(server, request, terms, handler).await;
                served.unwrap_or_else(ApiError::into_response)
            })
        }));
        let history = R::PATH_BUILDER;
        let paths = history.all_paths().chain(terms.also.iter().copied());
        paths.fold(self, |router, path| router.at(R::METHOD, path, route.clone()))
    }
}

async fn serve<R, A, F, Fut>(
    server: Homeserver,
    request: Request,
    terms: Terms,
    handler: F,
) -> Result<Response, ApiError>
where
    R: IncomingRequest,
    R::Authentication: Identify,
    A: Reply<R>,
    F: Fn(Homeserver, Matrix<R>) -> Fut,
    Fut: Future<Output = Result<A, ApiError>>,
{
    let call = Matrix::<R>::receive(request, &server, terms).await?;
    handler(server, call).await?.reply()
}

/// Any endpoint, with its types forgotten, so that axum's machinery is compiled once and not per
/// endpoint.
#[derive(Clone)]
pub(crate) struct Route(pub(crate) Arc<dyn Fn(Homeserver, Request) -> Serving + Send + Sync>);

pub(crate) type Serving = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Handler<(), Homeserver> for Route {
    type Future = Serving;

    fn call(self, request: Request, server: Homeserver) -> Serving {
        (self.0)(server, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_has_two_digits_and_makes_utf_8() {
        for good in ["", "/a/b", "a=%25&b=%2F", "%e2%82%AC", "é", "%00", "a+b"] {
            assert!(is_encoded(good), "{good}");
        }
        for bad in ["%", "a%", "%2", "%2/", "%zz", "%%", "%ff", "%C0%80", "%e2%82/%AC", "%c3&%a9"] {
            assert!(!is_encoded(bad), "{bad}");
        }
    }
}
