//! How a file is served, so that a browser that opens it comes to no harm.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE, X_CONTENT_TYPE_OPTIONS,
    },
};
use ruma::http_headers::{ContentDisposition, ContentDispositionType};
use tertulia::{Media, Pieces};

use super::attended::Attended;
use crate::ApiError;

/// The types that a browser may show in place ("Serving inline content").
const INLINE: &[&str] = &[
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What every answer with a file carries. A file never changes.
const ALWAYS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
         style-src 'unsafe-inline'; object-src 'self';",
    ),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "private, max-age=31536000, immutable"),
    (ACCEPT_RANGES, "bytes"),
];

/// Answers with `media`, or the part of it that `asked` asks for, called `name`.
pub(super) async fn serve(
    media: &Media,
    name: Option<&str>,
    asked: &HeaderMap,
) -> Result<Response, ApiError> {
    let tag = format!("\"{}\"", hex::encode(media.sha256()));
    let mut headers = headers(media.content_type(), name, &tag);
    if asked.get_all(IF_NONE_MATCH).iter().any(|known| known == tag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let size = media.size();
    let range = asked.get(RANGE).and_then(|range| range.to_str().ok());
    let (status, from, length) = match range.map_or(Part::Whole, |range| part(range, size)) {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Bytes { from, length } => {
            let told = format!("bytes {from}-{}/{size}", from + length - 1);
            headers.insert(CONTENT_RANGE, ascii(&told));
            (StatusCode::PARTIAL_CONTENT, from, length)
        }
        Part::Beyond => {
            headers.insert(CONTENT_RANGE, ascii(&format!("bytes */{size}")));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    headers.insert(CONTENT_LENGTH, length.into());
    let pieces = Attended::new(cut(media.read(from).await?, length));
    Ok((status, headers, Body::from_stream(pieces)).into_response())
}

fn headers(content_type: Option<&str>, name: Option<&str>, tag: &str) -> HeaderMap {
    let fixed = ALWAYS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    let mut headers = HeaderMap::from_iter(fixed);
    let content_type = content_type.unwrap_or(UNKNOWN_TYPE);
    headers.insert(CONTENT_TYPE, ascii(content_type));
    headers.insert(CONTENT_DISPOSITION, disposition(content_type, name));
    headers.insert(ETAG, ascii(tag));
    headers
}

/// A header of what was checked to be printable.
fn ascii(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

fn disposition(content_type: &str, name: Option<&str>) -> HeaderValue {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let kind = if INLINE.iter().any(|safe| safe.eq_ignore_ascii_case(essence)) {
        ContentDispositionType::Inline
    } else {
        ContentDispositionType::Attachment
    };
    let named = ContentDisposition::new(kind).with_filename(name.map(ToOwned::to_owned));
    ascii(&named.to_string())
}

/// What part of a file a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes { from: u64, length: u64 },
    Beyond,
}

/// Reads a `Range`. What is no single range of bytes is as if nothing was asked for.
fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let (from, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, size),
        (Err(_), Ok(count)) if first.trim().is_empty() => (size.saturating_sub(count), size),
        _ => return Part::Whole,
    };
    if from < end { Part::Bytes { from, length: end - from } } else { Part::Beyond }
}

/// The first `length` bytes of `pieces`; it is an error if there are fewer.
fn cut(pieces: Pieces, length: u64) -> Pieces {
    let cut = stream::try_unfold((pieces, length), async |(mut pieces, left)| {
        if left == 0 {
            return Ok(None);
        }
        let Some(mut piece) = pieces.try_next().await? else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - piece.len() as u64;
        Ok::<Option<(Bytes, _)>, std::io::Error>(Some((piece, (pieces, left))))
    });
    Box::pin(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_opens_in_place() {
        for safe in INLINE {
            assert_eq!(disposition(safe, None), "inline");
        }
        assert_eq!(disposition("TEXT/Plain; charset=utf-8", None), "inline");
        for unsafe_type in ["text/html", "image/svg+xml", "application/pdf", "", "text/plainx"] {
            assert_eq!(disposition(unsafe_type, None), "attachment");
        }
    }

    #[test]
    fn a_name_stays_a_name_whatever_is_in_it() {
        let check = |name: &str, expected: &str| {
            let header = disposition("image/png", Some(name));
            assert_eq!(header.to_str().unwrap(), expected, "{name:?}");
        };
        check("ascii", "inline; filename=ascii");
        check("name with spaces.png", "inline; filename=\"name with spaces.png\"");
        check("name;with;semicolons", "inline; filename=\"name;with;semicolons\"");
        check("quo\"te", "inline; filename=\"quo\\\"te\"");
        check("line\r\nbreak", "inline; filename=linebreak");
        check("\u{2615}", "inline; filename*=utf-8''%E2%98%95");
        check("../../etc/passwd", "inline; filename=\"../../etc/passwd\"");
    }

    #[test]
    fn a_range_is_one_range_of_bytes_or_none() {
        let bytes = |from, length| Part::Bytes { from, length };
        let cases = [
            ("bytes=0-", bytes(0, 10)),
            ("bytes=0-0", bytes(0, 1)),
            ("bytes=3-5", bytes(3, 3)),
            ("bytes=3-99", bytes(3, 7)),
            ("bytes=-4", bytes(6, 4)),
            ("bytes=-99", bytes(0, 10)),
            ("bytes=10-", Part::Beyond),
            ("bytes=10-12", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=5-3", Part::Whole),
            ("bytes=1-2,4-5", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ];
        for (range, expected) in cases {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
    }

    #[tokio::test]
    async fn a_part_ends_where_it_should() {
        async fn check(length: u64, expected: Option<&str>) {
            let pieces = ["good ", "morning"].map(|piece| Ok(Bytes::from(piece)));
            let pieces = cut(Box::pin(stream::iter(pieces)), length);
            let read = pieces.try_collect::<Vec<Bytes>>().await.ok().map(|read| read.concat());
            assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{length}");
        }
        check(0, Some("")).await;
        check(4, Some("good")).await;
        check(5, Some("good ")).await;
        check(7, Some("good mo")).await;
        check(12, Some("good morning")).await;
        check(13, None).await;
    }
}
