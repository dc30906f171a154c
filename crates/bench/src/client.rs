//! A Matrix client reduced to its requests: cheap enough that a load test measures the server and not itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a request brought no answer that the caller can use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whether the server acted on the request is unknown.
    #[error("no answer: {0}")]
    Unanswered(#[source] reqwest::Error),
    /// The server answered, and said no.
    #[error("{path} was refused with {status} {code}: {message}")]
    Refused {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The Matrix error code, empty if the answer had none.
        code: String,
        /// The server's words.
        message: String,
        /// The whole answer, which user-interactive authentication continues from.
        body: serde_json::Value,
    },
    /// The answer is not what the specification promises.
    #[error("{path} was answered with something unexpected: {reason}")]
    Odd {
        /// What was asked for.
        path: String,
        /// What is wrong with the answer.
        reason: serde_json::Error,
    },
}

impl Error {
    /// The Matrix error code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// True if the server may or may not have acted: the connection broke before the answer was there.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Error::Unanswered(_))
    }

    /// How long the server asks us to wait, if it limits the rate of requests.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused { status: 429, body, .. } => {
                let milliseconds = body.get("retry_after_ms").and_then(serde_json::Value::as_u64);
                Some(Duration::from_millis(milliseconds.unwrap_or(1_000)))
            }
            _ => None,
        }
    }
}

/// The result of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who asks whom: a server's address and, once logged in, an access token. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    token: Option<Arc<str>>,
}

impl Client {
    /// A client of the server at `base` (`http://127.0.0.1:8008`) that has not logged in.
    pub fn new(base: &str) -> Client {
        // The first to ask installs the provider; that a second one finds it there is as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .build()
            .expect("the options are compatible with each other");
        Client { http, base: base.trim_end_matches('/').into(), token: None }
    }

    /// The same server, as whoever the access token belongs to.
    pub fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.into()), ..self.clone() }
    }

    /// The access token, if logged in.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The address that requests go to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for `path`, with `query` encoded behind it.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        self.json(path, self.request(Method::GET, path).query(query)).await
    }

    /// Puts `body` as JSON.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.json(path, self.request(Method::PUT, path).json(body)).await
    }

    /// Posts `body` as JSON.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.json(path, self.request(Method::POST, path).json(body)).await
    }

    /// Deletes what is at `path`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(path, self.request(Method::DELETE, path)).await
    }

    /// Posts bytes of a media type.
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: &str,
        bytes: Bytes,
    ) -> Result<T> {
        let request = self.request(Method::POST, path).header("content-type", kind).body(bytes);
        self.json(path, request).await
    }

    /// Asks for bytes.
    pub async fn get_bytes(&self, path: &str) -> Result<Bytes> {
        let (status, body) = exchange(self.request(Method::GET, path)).await?;
        if status.is_success() { Ok(body) } else { Err(refusal(path, status, &body)) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn json<T: DeserializeOwned>(&self, path: &str, request: RequestBuilder) -> Result<T> {
        let (status, body) = exchange(request).await?;
        if !status.is_success() {
            return Err(refusal(path, status, &body));
        }
        serde_json::from_slice(&body).map_err(|reason| Error::Odd { path: path.to_owned(), reason })
    }
}

async fn exchange(request: RequestBuilder) -> Result<(StatusCode, Bytes)> {
    let response = request.send().await.map_err(Error::Unanswered)?;
    let status = response.status();
    Ok((status, response.bytes().await.map_err(Error::Unanswered)?))
}

fn refusal(path: &str, status: StatusCode, body: &[u8]) -> Error {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text =
        |name: &str| body.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (code, message) = (text("errcode"), text("error"));
    Error::Refused { path: path.to_owned(), status: status.as_u16(), code, message, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Error {
        refusal("/path", StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_refusal_tells_the_servers_code_and_words() {
        let error = refused(403, r#"{"errcode":"M_FORBIDDEN","error":"not in the room"}"#);
        assert_eq!(error.code(), Some("M_FORBIDDEN"));
        assert_eq!(error.to_string(), "/path was refused with 403 M_FORBIDDEN: not in the room");
        assert!(!error.is_unanswered());
    }

    #[test]
    fn a_refusal_without_json_is_still_a_refusal() {
        assert_eq!(refused(502, "<html>").code(), Some(""));
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        let wait = |body| refused(429, body).retry_after();
        assert_eq!(
            wait(r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":20}"#),
            Some(Duration::from_millis(20))
        );
        assert_eq!(wait("{}"), Some(Duration::from_secs(1)));
        assert_eq!(refused(403, r#"{"retry_after_ms":20}"#).retry_after(), None);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_leaves_a_request_unanswered() {
        let error = Client::new("http://127.0.0.1:1").get_bytes("/").await.unwrap_err();
        assert!(error.is_unanswered(), "{error}");
    }

    #[test]
    fn the_address_may_end_in_a_slash() {
        assert_eq!(Client::new("http://localhost/").base(), "http://localhost");
    }
}
