//! Making pictures smaller, on a thread that may take its time.
//!
//! What the bytes are is told by the bytes. They come from strangers: how large the picture is, and
//! what it will need, is asked before anything of it is decoded.

use std::io::Cursor;

use image::{
    AnimationDecoder as _, DynamicImage, Frame, Frames, ImageDecoder, ImageError, ImageFormat,
    ImageReader, Limits, RgbaImage,
    codecs::{
        gif::{GifDecoder, GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::PngDecoder,
        webp::WebPDecoder,
    },
    guess_format,
    metadata::Orientation,
};
use tertulia_protocol::{Reduction, ThumbnailSize};

use crate::schema::ThumbnailKind;

/// The most pixels of a side.
const LONGEST_SIDE: u32 = 16_384;
/// The most pixels of a picture: those of a good camera.
const MOST_PIXELS: u64 = 50_000_000;
/// The most bytes that a picture may take while it is decoded.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// How much work an animation may be before it is shown at rest.
const PATIENCE: Patience = Patience { decoded: 100_000_000, encoded: 12_000_000 };
/// The most bytes of an animation that was made smaller.
const LARGEST_ANIMATION: usize = 8 * 1024 * 1024;
/// How hastily the colours of an animation are chosen, from 1 to 30.
const HASTE: i32 = 20;

/// How like the picture a JPEG is, out of 100.
const QUALITY: u8 = 85;

/// A thumbnail that was made.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: &'static str,
}

/// Why there is no thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It would take too much to make one.
    TooLarge,
    /// This is no picture, or a broken one.
    Unreadable,
}

impl From<ImageError> for Unfit {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge,
            _ => Self::Unreadable,
        }
    }
}

/// How many pixels are worked through.
#[derive(Clone, Copy, Debug)]
struct Patience {
    decoded: u64,
    encoded: u64,
}

/// Makes the thumbnail of a picture; none if the picture itself will do.
pub(super) fn draw(bytes: &[u8], kind: ThumbnailKind) -> Result<Option<Drawn>, Unfit> {
    let format = guess_format(bytes)?;
    let mut decoder = open(bytes, format)?;
    let orientation = decoder.orientation()?;
    let reduction = kind.size.and_then(|size| reduce(size, decoder.dimensions(), orientation));
    let moves = || moves(bytes, format);
    if reduction.is_none() && (kind.animated || !moves()) {
        return Ok(None);
    }
    if kind.animated
        && let Some(reduction) = reduction
        && moves()
        && let Some(drawn) = animate(bytes, format, reduction, PATIENCE)
    {
        return Ok(Some(drawn));
    }
    let whole = DynamicImage::from_decoder(decoder)?;
    let mut still = match reduction {
        Some(reduction) => shrink(&whole, reduction),
        None => whole,
    };
    still.apply_orientation(orientation);
    encode(&still, format).map(Some)
}

/// Width and height of a picture as it is looked at; none if this is none, or too large to be shown.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let format = guess_format(bytes).ok()?;
    let mut decoder = open(bytes, format).ok()?;
    let (width, height) = decoder.dimensions();
    let orientation = decoder.orientation().ok()?;
    Some(if lies(orientation) { (height, width) } else { (width, height) })
}

/// Begins to decode, once it is known that this takes no more than it may.
fn open(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, Unfit> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let is_large = u64::from(width) * u64::from(height) > MOST_PIXELS
        || width.max(height) > LONGEST_SIDE
        || decoder.total_bytes() > MOST_MEMORY;
    match (is_large, width.min(height)) {
        (true, _) => Err(Unfit::TooLarge),
        (false, 0) => Err(Unfit::Unreadable),
        (false, _) => Ok(decoder),
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    limits
}

/// How the picture as it is stored is to be reduced, where `orientation` says how it is held.
fn reduce(
    size: ThumbnailSize,
    (width, height): (u32, u32),
    orientation: Orientation,
) -> Option<Reduction> {
    match lies(orientation) {
        true => size.reduce((height, width)).map(Reduction::turned),
        false => size.reduce((width, height)),
    }
}

/// Whether a picture is stored lying on its side.
fn lies(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Whether a picture is an animation.
fn moves(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Gif => frames(bytes, format).is_some_and(|frames| frames.take(2).count() == 2),
        ImageFormat::WebP => {
            WebPDecoder::new(Cursor::new(bytes)).is_ok_and(|decoder| decoder.has_animation())
        }
        ImageFormat::Png => PngDecoder::with_limits(Cursor::new(bytes), limits())
            .and_then(|decoder| decoder.is_apng())
            .unwrap_or(false),
        _ => false,
    }
}

/// The frames of a picture that may move, each of them whole.
fn frames(bytes: &[u8], format: ImageFormat) -> Option<Frames<'_>> {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(bytes).ok()?;
            decoder.set_limits(limits()).ok()?;
            Some(decoder.into_frames())
        }
        ImageFormat::WebP => {
            let mut decoder = WebPDecoder::new(bytes).ok()?;
            decoder.set_limits(limits()).ok()?;
            Some(decoder.into_frames())
        }
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(bytes, limits()).ok()?;
            Some(decoder.apng().ok()?.into_frames())
        }
        _ => None,
    }
}

/// Makes an animation smaller, frame by frame. None if it is broken, or that is too much work.
fn animate(
    bytes: &[u8],
    format: ImageFormat,
    reduction: Reduction,
    mut patience: Patience,
) -> Option<Drawn> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut out, HASTE);
    encoder.set_repeat(Repeat::Infinite).ok()?;
    for frame in frames(bytes, format)? {
        let frame = frame.ok()?;
        let (delay, picture) = (frame.delay(), frame.into_buffer());
        patience.decoded = patience.decoded.checked_sub(pixels(&picture))?;
        let picture = shrink(&picture.into(), reduction).into_rgba8();
        patience.encoded = patience.encoded.checked_sub(pixels(&picture))?;
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).ok()?;
    }
    drop(encoder);
    (out.len() <= LARGEST_ANIMATION).then_some(Drawn { bytes: out, content_type: "image/gif" })
}

fn pixels(picture: &RgbaImage) -> u64 {
    u64::from(picture.width()) * u64::from(picture.height())
}

/// Makes the whole smaller and cuts out the middle.
fn shrink(picture: &DynamicImage, reduction: Reduction) -> DynamicImage {
    let (width, height) = reduction.whole;
    let whole = picture.thumbnail_exact(width, height);
    let (left, top) = ((width - reduction.middle.0) / 2, (height - reduction.middle.1) / 2);
    whole.crop_imm(left, top, reduction.middle.0, reduction.middle.1)
}

/// A picture without anything that its maker wrote beside it. What is a drawing stays sharp, what
/// is a photograph is small.
fn encode(picture: &DynamicImage, was: ImageFormat) -> Result<Drawn, Unfit> {
    let mut bytes = Vec::new();
    let is_drawing = matches!(was, ImageFormat::Png | ImageFormat::Gif);
    if is_drawing || picture.color().has_alpha() {
        // Sixteen bits for each colour are more than anyone sees in a thumbnail.
        let picture = match picture.color().has_alpha() {
            true => DynamicImage::from(picture.to_rgba8()),
            false => DynamicImage::from(picture.to_rgb8()),
        };
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        return Ok(Drawn { bytes, content_type: "image/png" });
    }
    picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(Drawn { bytes, content_type: "image/jpeg" })
}

#[cfg(test)]
mod tests;
