//! What a file is, where nobody says so.

use image::guess_format;

/// What is known by the end of a name.
const ENDINGS: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("vcf", "text/vcard"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// The media type of a file that is called so and begins so. What the bytes say goes before the name.
pub(super) fn guess(name: &str, beginning: &[u8]) -> &'static str {
    if let Ok(format) = guess_format(beginning) {
        return format.to_mime_type();
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let known = ending.and_then(|ending| ENDINGS.iter().find(|(known, _)| **known == ending));
    known.map_or("application/octet-stream", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use mime::Mime;

    use super::*;

    #[track_caller]
    fn check(name: &str, beginning: &[u8], expected: &str) {
        assert_eq!(guess(name, beginning), expected, "{name}");
    }

    #[test]
    fn what_the_bytes_say_goes_before_the_name() {
        check("a.png", b"", "image/png");
        check("a.png", b"\xff\xd8\xff\xe0", "image/jpeg");
        check("", b"\x89PNG\r\n\x1a\n", "image/png");
        check("report.PDF", b"%PDF-1.7", "application/pdf");
        check("archive.tar.gz", b"", "application/gzip");
        for nothing in ["", "README", "a.", ".", "a.unknown", "a.pdf/b"] {
            check(nothing, b"text", "application/octet-stream");
        }
    }

    #[test]
    fn endings_are_in_order_and_name_media_types() {
        assert!(ENDINGS.is_sorted_by_key(|(ending, _)| ending));
        for (ending, kind) in ENDINGS {
            assert!(kind.parse::<Mime>().is_ok(), "{ending}");
            check(&format!("a.{ending}"), b"", kind);
        }
    }
}
