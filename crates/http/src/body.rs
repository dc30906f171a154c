//! Reading the body of a request: bounded in size and time, and a JSON object.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::Method;
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{ApiError, plain::Plain};

/// How long the body of a JSON endpoint may take, from its first byte to its last.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the next piece of a file may take. A file as a whole may take as long as it likes.
const PATIENCE_BETWEEN_PIECES: Duration = Duration::from_secs(60);

/// The body of a request for a JSON endpoint, at most `limit` bytes.
///
/// What a `GET` carries is ignored. No body at all means `{}`, except for `PUT`, where a client that
/// forgot its body would otherwise overwrite something.
pub(crate) async fn read_object(
    method: &Method,
    body: Body,
    limit: usize,
) -> Result<Bytes, ApiError> {
    if *method == Method::GET || *method == Method::HEAD {
        return Ok(Bytes::new());
    }
    let body = read(body, limit).await?;
    if body.is_empty() && *method != Method::PUT {
        return Ok(Bytes::from_static(b"{}"));
    }
    check_object(&body)?;
    Ok(body)
}

/// What a body that was read says. `GET` has none, which says as little as `{}`.
pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(ApiError::bad_json)
}

async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let whole = timeout(PATIENCE, Limited::new(body, limit).collect()).await;
    match whole.map_err(|_| ApiError::too_slow(PATIENCE))? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::body_too_large(limit)),
        Err(_) => Err(ApiError::not_json("the body ended early")),
    }
}

/// The next piece of a file that is coming in; none at its end.
pub(crate) async fn next_piece(body: &mut BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    let piece = timeout(PATIENCE_BETWEEN_PIECES, body.try_next()).await;
    let piece = piece.map_err(|_| ApiError::too_slow(PATIENCE_BETWEEN_PIECES))?;
    piece.map_err(ApiError::interrupted)
}

/// Refuses what is no JSON object, and JSON that not every reader can take. serde would read a
/// struct from an array, too, and pass over what nobody asked for without looking at it.
fn check_object(body: &[u8]) -> Result<(), ApiError> {
    let text = std::str::from_utf8(body).map_err(ApiError::not_json)?;
    match serde_json::from_str::<Plain>(text) {
        Ok(_) if text.trim_start().starts_with('{') => Ok(()),
        Ok(_) => Err(ApiError::bad_json("the body must be a JSON object")),
        Err(error) if error.is_data() || is_too_great(&error) => Err(ApiError::bad_json(error)),
        Err(error) => Err(ApiError::not_json(error)),
    }
}

/// Whether there is nothing wrong with the JSON but a number that no type here holds. serde tells so in
/// words only.
fn is_too_great(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    async fn check(method: Method, body: &'static str, expected: Result<&str, &str>) {
        let read = read_object(&method, Body::from(body), 20).await;
        let read = read.as_ref().map(|body| std::str::from_utf8(body).unwrap());
        assert_eq!(read.map_err(ApiError::code), expected, "{method} {body:?}");
    }

    #[tokio::test]
    async fn a_body_is_an_object_or_nothing() {
        check(Method::POST, r#"{"a": 1}"#, Ok(r#"{"a": 1}"#)).await;
        check(Method::POST, " \r\n{}", Ok(" \r\n{}")).await;
        check(Method::POST, "", Ok("{}")).await;
        check(Method::DELETE, "", Ok("{}")).await;
        check(Method::PUT, "", Err("M_NOT_JSON")).await;
        check(Method::POST, " ", Err("M_NOT_JSON")).await;
        check(Method::POST, "[]", Err("M_BAD_JSON")).await;
        check(Method::POST, "null", Err("M_BAD_JSON")).await;
        check(Method::POST, "[", Err("M_NOT_JSON")).await;
        check(Method::POST, "hello", Err("M_NOT_JSON")).await;
    }

    #[tokio::test]
    async fn what_a_get_carries_is_ignored() {
        check(Method::GET, "nonsense that is far too long", Ok("")).await;
    }

    #[tokio::test]
    async fn bodies_are_bounded() {
        check(Method::POST, r#"{"a": "1234567890"}"#, Ok(r#"{"a": "1234567890"}"#)).await;
        check(Method::POST, r#"{"a": "12345678901234"}"#, Err("M_TOO_LARGE")).await;
    }

    /// A body of so many bytes of white space before its `{}`, one every so many seconds.
    fn drip(count: usize, seconds: u64) -> Body {
        let bytes = std::iter::repeat_n(" ", count).chain(["{", "}"]);
        Body::from_stream(stream::iter(bytes).then(move |byte| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(byte)
        }))
    }

    // Time stands still in these tests, and leaps where everyone waits.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_not_waited_for() {
        let read = read_object(&Method::POST, drip(1, 5), 20).await;
        assert_eq!(read.unwrap(), " {}");
        let begun = tokio::time::Instant::now();
        let read = read_object(&Method::POST, drip(1_000, 5), 2_000).await;
        assert_eq!(read.unwrap_err().code(), "M_UNKNOWN");
        assert_eq!(begun.elapsed(), PATIENCE);
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let read = read_object(&Method::PUT, silent, 20).await;
        assert_eq!(read.unwrap_err().code(), "M_UNKNOWN");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_may_take_long_but_not_stand_still() {
        let mut file = drip(100, 59).into_data_stream();
        let mut length = 0;
        while let Some(piece) = next_piece(&mut file).await.unwrap() {
            length += piece.len();
        }
        assert_eq!(length, 102);
        let mut stalled = drip(100, 61).into_data_stream();
        assert_eq!(next_piece(&mut stalled).await.unwrap_err().code(), "M_UNKNOWN");
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_json() {
        let broken = std::io::Error::other("gone");
        let chunks: [Result<&str, _>; 2] = [Ok("{"), Err(broken)];
        let body = Body::from_stream(stream::iter(chunks));
        let read = read_object(&Method::POST, body, 20).await;
        assert_eq!(read.unwrap_err().code(), "M_NOT_JSON");
    }
}
