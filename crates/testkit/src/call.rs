//! One request to a router in this process, and its answer.

use std::pin::Pin;

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::record;

/// A path of the server.
///
/// Made from segments, which are percent-encoded and stand below `/_matrix/client/v3`, or from a
/// text, which is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// That of Tertulia's own API with these segments.
    pub fn own<const N: usize>(segments: [&str; N]) -> Self {
        Self::below("/_tertulia/client/v1", segments)
    }

    fn below<const N: usize>(root: &str, segments: [&str; N]) -> Self {
        let mut path = root.to_owned();
        for segment in segments {
            path.push('/');
            path.push_str(&encode(segment));
        }
        Self(path)
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(segments: [&str; N]) -> Self {
        Self::below("/_matrix/client/v3", segments)
    }
}

impl From<&str> for Path {
    fn from(path: &str) -> Self {
        Self(path.to_owned())
    }
}

impl From<String> for Path {
    fn from(path: String) -> Self {
        Self(path)
    }
}

/// Percent-encodes all but what RFC 3986 calls unreserved.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A request to be. It is sent by `.await`.
#[derive(Debug)]
#[must_use = "a call is sent by awaiting it"]
pub struct Call {
    router: Router,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Body,
}

impl Call {
    /// A request to `router`, without identity and body.
    pub fn new(router: Router, method: Method, path: impl Into<Path>) -> Self {
        let Path(target) = path.into();
        Self { router, method, target, headers: HeaderMap::new(), body: Body::empty() }
    }

    /// Adds a parameter to the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.target.contains('?') { '&' } else { '?' };
        self.target.push(mark);
        self.target.push_str(&format!("{}={}", encode(name), encode(value)));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("tests send headers that can be sent");
        self.headers.append(name, value);
        self
    }

    /// Shows an access token.
    pub fn token(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Sends JSON.
    pub fn json(self, body: Value) -> Self {
        record::sent(&body);
        let body = body.to_string();
        self.header(header::CONTENT_TYPE, "application/json").body(body)
    }

    /// Sends a body as it is.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    async fn send(self) -> Answered {
        let uri: Uri = self.target.parse().expect("tests ask for what can be asked for");
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        let response = self.router.oneshot(request).await.expect("a router always answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body is in memory").to_bytes();
        Answered { status: parts.status, headers: parts.headers, body }
    }
}

impl IntoFuture for Call {
    type Output = Answered;
    type IntoFuture = Pin<Box<dyn Future<Output = Answered> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answered {
    /// The JSON of the body.
    ///
    /// # Panics
    ///
    /// If it is no JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{} with a body that is no JSON ({error})", self.status),
        }
    }

    /// The JSON of a success.
    ///
    /// # Panics
    ///
    /// If the request was refused.
    #[track_caller]
    pub fn ok(&self) -> Value {
        let body = self.json();
        assert_eq!(self.status, StatusCode::OK, "{body}");
        body
    }

    /// The JSON of a refusal.
    ///
    /// # Panics
    ///
    /// If the status or the code are others.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        let refusal = (self.status.as_u16(), body["errcode"].as_str().unwrap_or("no code"));
        assert_eq!(refusal, (status, code), "{body}");
        assert!(body["error"].is_string(), "an error says why: {body}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        body
    }

    /// The status and the error code, of which there is none in a success.
    pub fn outcome(&self) -> (u16, Option<String>) {
        let code = serde_json::from_slice::<Value>(&self.body).ok();
        let code = code.and_then(|body| body["errcode"].as_str().map(str::to_owned));
        (self.status.as_u16(), code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded_and_texts_are_not() {
        let encoded = Path::from(["rooms", "!a:b", "state", "m.room.name", ""]);
        assert_eq!(encoded.0, "/_matrix/client/v3/rooms/%21a%3Ab/state/m.room.name/");
        assert_eq!(Path::from("/!a:b").0, "/!a:b");
    }

    #[tokio::test]
    async fn queries_are_appended() {
        let call = Call::new(Router::new(), Method::GET, "/x").query("a", "1 2").query("b", "ü");
        assert_eq!(call.target, "/x?a=1%202&b=%C3%BC");
        assert_eq!(call.await.status, StatusCode::NOT_FOUND);
    }
}
