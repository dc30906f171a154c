use image::{Delay, GenericImageView as _, ImageEncoder as _, Rgba, codecs::png::PngEncoder};
use tertulia_protocol::Resizing;

use super::*;

const CROP: ThumbnailSize = ThumbnailSize { width: 32, height: 32, resizing: Resizing::Crop };
const SCALE: ThumbnailSize = ThumbnailSize { width: 320, height: 240, resizing: Resizing::Scale };

fn still(size: ThumbnailSize) -> ThumbnailKind {
    ThumbnailKind { size: Some(size), animated: false }
}

fn moving(size: ThumbnailSize) -> ThumbnailKind {
    ThumbnailKind { size: Some(size), animated: true }
}

/// A picture that is red on the left and blue on the right.
fn halves(width: u32, height: u32) -> DynamicImage {
    let colour = |x, _| if x < width / 2 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 0, 255, 255]) };
    RgbaImage::from_fn(width, height, colour).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    let is_opaque = format == ImageFormat::Jpeg;
    let picture = if is_opaque { picture.to_rgb8().into() } else { picture.clone() };
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// An animation of so many frames.
fn animation(width: u32, height: u32, frames: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for n in 0..frames {
        let picture = RgbaImage::from_pixel(width, height, Rgba([n * 40, 0, 0, 255]));
        let delay = Delay::from_numer_denom_ms(100, 1);
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).unwrap();
    }
    drop(encoder);
    bytes
}

fn drawn(bytes: &[u8], kind: ThumbnailKind) -> (DynamicImage, &'static str) {
    let drawn = draw(bytes, kind).unwrap().expect("a thumbnail is made");
    (image::load_from_memory(&drawn.bytes).unwrap(), drawn.content_type)
}

#[test]
fn pictures_of_each_kind_become_smaller() {
    for (format, content_type) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Gif, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, "image/png"),
    ] {
        let bytes = encoded(&halves(640, 400), format);
        let (picture, told) = drawn(&bytes, still(SCALE));
        assert_eq!((picture.dimensions(), told), ((320, 200), content_type), "{format:?}");
        let (left, right) = (picture.get_pixel(20, 100).0, picture.get_pixel(300, 100).0);
        assert!(left[0] > 200 && left[2] < 50, "{format:?} {left:?}");
        assert!(right[2] > 200 && right[0] < 50, "{format:?} {right:?}");
        assert_eq!(drawn(&bytes, still(CROP)).0.dimensions(), (32, 32));
    }
    let opaque = DynamicImage::from(halves(640, 400).to_rgb8());
    assert_eq!(drawn(&encoded(&opaque, ImageFormat::WebP), still(CROP)).1, "image/jpeg");
}

#[test]
fn a_small_picture_stands_for_itself() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let bytes = encoded(&halves(30, 20), format);
        for kind in [still(CROP), still(SCALE), moving(SCALE)] {
            assert!(draw(&bytes, kind).unwrap().is_none(), "{format:?} {kind:?}");
        }
    }
}

#[test]
fn deep_colours_become_those_that_are_seen() {
    let deep = DynamicImage::from(halves(640, 400).to_rgba16());
    let (picture, _) = drawn(&encoded(&deep, ImageFormat::Png), still(SCALE));
    assert_eq!(picture.color(), image::ColorType::Rgba8);
    let grey = DynamicImage::from(halves(640, 400).to_luma16());
    let (picture, _) = drawn(&encoded(&grey, ImageFormat::Png), still(SCALE));
    assert_eq!(picture.color(), image::ColorType::Rgb8);
}

#[test]
fn a_picture_is_shown_as_its_camera_was_held() {
    // The smallest Exif there is: one entry, the orientation.
    let exif = |orientation: u8| {
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
        exif
    };
    let held = |orientation: u8| {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        halves(640, 400).to_rgb8().write_with_encoder(encoder).unwrap();
        bytes
    };
    let red_at = |bytes: &[u8], x, y| drawn(bytes, still(SCALE)).0.get_pixel(x, y).0[0] > 200;
    assert_eq!(drawn(&held(1), still(SCALE)).0.dimensions(), (320, 200));
    assert!(red_at(&held(1), 10, 100));
    assert!(red_at(&held(3), 310, 100), "upside down");
    for (orientation, y) in [(6, 10), (8, 230)] {
        assert_eq!(drawn(&held(orientation), still(SCALE)).0.dimensions(), (150, 240));
        assert!(red_at(&held(orientation), 75, y), "on its side: {orientation}");
    }
}

#[test]
fn an_animation_moves_where_that_is_wished() {
    let bytes = animation(400, 300, 3);
    let drawing = draw(&bytes, moving(SCALE)).unwrap().unwrap();
    assert_eq!(drawing.content_type, "image/gif");
    let frames = frames(&drawing.bytes, ImageFormat::Gif).unwrap().collect_frames().unwrap();
    assert_eq!(frames.len(), 3);
    for frame in &frames {
        assert_eq!(frame.buffer().dimensions(), (320, 240));
        assert_eq!(frame.delay().numer_denom_ms(), (100, 1));
    }
    assert_eq!(drawn(&bytes, still(SCALE)).1, "image/png");
    // What is small already moves by itself, unless it must not.
    let small = animation(30, 20, 2);
    assert!(draw(&small, moving(SCALE)).unwrap().is_none());
    let (picture, content_type) = drawn(&small, still(SCALE));
    assert_eq!((picture.dimensions(), content_type), ((30, 20), "image/png"));
    let whole = ThumbnailKind { size: None, animated: false };
    assert_eq!(drawn(&bytes, whole).0.dimensions(), (400, 300));
    assert!(draw(&encoded(&halves(400, 300), ImageFormat::Gif), whole).unwrap().is_none());
}

#[test]
fn an_animation_that_is_too_much_work_is_shown_at_rest() {
    let bytes = animation(400, 300, 3);
    let reduction = SCALE.reduce((400, 300)).unwrap();
    let moves = |decoded, encoded| {
        animate(&bytes, ImageFormat::Gif, reduction, Patience { decoded, encoded }).is_some()
    };
    let (whole, small) = (3 * 400 * 300, 3 * 320 * 240);
    assert!(moves(whole, small));
    assert!(!moves(whole - 1, small));
    assert!(!moves(whole, small - 1));
}

/// A PNG that says it is of this size and holds next to nothing.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&halves(1, 1), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = checksum(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The CRC-32 of PNG.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
    };
    !bytes.iter().fold(!0, step)
}

#[test]
fn a_picture_that_would_take_too_much_is_not_decoded() {
    for (width, height) in [(16_385, 1), (1, 16_385), (10_000, 10_000), (60_000, 60_000)] {
        let refused = draw(&bomb(width, height), still(SCALE)).unwrap_err();
        assert_eq!(refused, Unfit::TooLarge, "{width}x{height}");
    }
    // One that may be so large, and is not.
    assert_eq!(draw(&bomb(5_000, 5_000), still(SCALE)).unwrap_err(), Unfit::Unreadable);
    // A GIF says its size in its first bytes.
    let mut gif = animation(8, 8, 2);
    gif[6..10].copy_from_slice(&[0xff; 4]);
    assert_eq!(draw(&gif, still(SCALE)).unwrap_err(), Unfit::TooLarge);
    assert_eq!(draw(&gif, moving(SCALE)).unwrap_err(), Unfit::TooLarge);
    // Four bytes for each pixel are few enough, eight are not.
    let mut deep = Vec::new();
    let black = [0; 8];
    PngEncoder::new(&mut deep).write_image(&black, 1, 1, image::ExtendedColorType::Rgba16).unwrap();
    let mut deep_bomb = bomb(7_000, 7_000);
    assert_eq!(draw(&deep_bomb, still(SCALE)).unwrap_err(), Unfit::Unreadable);
    deep_bomb[24..26].copy_from_slice(&deep[24..26]);
    let sum = checksum(&deep_bomb[12..29]);
    deep_bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(draw(&deep_bomb, still(SCALE)).unwrap_err(), Unfit::TooLarge);
}

#[test]
fn what_is_no_picture_gets_no_thumbnail() {
    let png = encoded(&halves(400, 300), ImageFormat::Png);
    let gif = animation(400, 300, 2);
    let cases: [&[u8]; 9] = [
        b"",
        b"\x89PNG",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><script>alert(1)</script></html>",
        b"BM\x1e\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x01\0\x01\0\x01\0\x18\0\0\0\xff\0",
        b"GIF89a",
        b"RIFF\xff\xff\xff\xffWEBPVP8X",
        &png[..png.len() / 2],
        &gif[..60],
    ];
    for bytes in cases {
        for kind in [still(SCALE), moving(SCALE)] {
            let refused = draw(bytes, kind).unwrap_err();
            assert_eq!(refused, Unfit::Unreadable, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn a_picture_is_measured_as_it_is_looked_at() {
    for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Jpeg, ImageFormat::WebP] {
        assert_eq!(dimensions(&encoded(&halves(6, 4), format)), Some((6, 4)), "{format:?}");
    }
    for nothing in [&b""[..], b"text", b"\x89PNG\r\n\x1a\n"] {
        assert_eq!(dimensions(nothing), None);
    }
}
