//! Thumbnails.
//!
//! The server makes none yet: it answers with the picture itself, as the specification allows for
//! every size ("at least as large as asked for"), where that is of a type that thumbnails have.

use futures_util::TryStreamExt as _;
use tertulia::{Error, Media};

/// The types that a thumbnail may have.
const TYPES: &[&str] = &["image/jpeg", "image/png", "image/apng", "image/gif", "image/webp"];
/// The largest picture that is sent in place of a thumbnail, in bytes.
const LARGEST: u64 = 10 * 1024 * 1024;

/// Whether `media` can stand for a thumbnail of itself; `animated` tells whether it may, or must
/// not, move.
pub(super) async fn check(media: &Media, animated: Option<bool>) -> Result<(), Error> {
    let content_type = media.content_type().unwrap_or_default().to_ascii_lowercase();
    if !TYPES.contains(&content_type.as_str()) {
        return Err(Error::NoThumbnail);
    }
    if media.size() > LARGEST {
        return Err(Error::BodyTooLarge("picture"));
    }
    if animated == Some(false) && moves(&first_piece(media).await?) {
        return Err(Error::NoThumbnail);
    }
    Ok(())
}

async fn first_piece(media: &Media) -> Result<Vec<u8>, Error> {
    let first = media.read(0).await?.try_next().await?;
    Ok(first.unwrap_or_default().to_vec())
}

/// Whether a picture that begins so is an animation, as far as its beginning tells.
fn moves(beginning: &[u8]) -> bool {
    let find = |word: &[u8]| beginning.windows(word.len()).position(|part| part == word);
    if beginning.starts_with(b"GIF8") {
        return find(b"NETSCAPE2.0").is_some();
    }
    if beginning.starts_with(b"\x89PNG") {
        // The control chunk of an animation stands before the first data.
        return find(b"acTL")
            .is_some_and(|control| find(b"IDAT").is_none_or(|data| control < data));
    }
    if beginning.starts_with(b"RIFF") && beginning.get(8..16) == Some(b"WEBPVP8X") {
        return beginning.get(20).is_some_and(|flags| flags & 0b10 != 0);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_picture_tells_whether_it_moves() {
        let cases: [(&[u8], bool); 10] = [
            (b"", false),
            (b"plain text with NETSCAPE2.0 in it", false),
            (b"GIF89a.....", false),
            (b"GIF89a.....\x21\xff\x0bNETSCAPE2.0...", true),
            (b"\x89PNG\r\n\x1a\n....IHDR....IDAT..acTL", false),
            (b"\x89PNG\r\n\x1a\n....IHDR....acTL..IDAT", true),
            (b"RIFF....WEBPVP8 ....", false),
            (b"RIFF....WEBPVP8X....\x00", false),
            (b"RIFF....WEBPVP8X....\x02", true),
            (b"\xff\xd8\xff\xe0", false),
        ];
        for (beginning, expected) in cases {
            assert_eq!(moves(beginning), expected, "{}", beginning.escape_ascii());
        }
    }
}
