use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use ruma::{MxcUri, OwnedMxcUri};

use super::*;
use crate::{MemoryBlobs, NewFile, Settings};
use tertulia_storage::MemoryEngine;

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    RgbImage::new(width, height).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

async fn find(server: &Homeserver, uri: &Value) -> crate::Media {
    let uri = OwnedMxcUri::from(uri.as_str().unwrap());
    let (name, id) = MxcUri::parts(&uri).unwrap();
    server.media(name, id).await.unwrap()
}

#[tokio::test]
async fn a_large_picture_comes_with_a_smaller_one() {
    let Chat { server, alice, bob, .. } = chat().await;
    let bytes = picture(1600, 300, ImageFormat::Jpeg);
    let size = bytes.len();
    let sea = NewFile::from_bytes("sea.jpg", bytes).with_caption("the sea");
    let sent = alice.send_image(sea).await.unwrap();
    let told = content(&bob, &sent).await;
    assert_eq!((&told["msgtype"], &told["body"]), (&json!("m.image"), &json!("the sea")));
    assert_eq!(told["filename"], "sea.jpg");
    let info = &told["info"];
    assert_eq!([&info["w"], &info["h"], &info["size"]], [&json!(1600), &json!(300), &json!(size)]);
    assert_eq!(info["mimetype"], "image/jpeg");
    let smaller = &info["thumbnail_info"];
    assert_eq!([&smaller["w"], &smaller["h"]], [&json!(800), &json!(150)]);
    let thumbnail = find(&server, &info["thumbnail_url"]).await;
    assert_eq!(thumbnail.content_type(), Some("image/jpeg"));
    assert_eq!(thumbnail.dimensions().await.unwrap(), Some((800, 150)));
    assert_eq!(smaller["size"], thumbnail.size());
    assert_eq!(find(&server, &told["url"]).await.size(), size as u64);
}

#[tokio::test]
async fn a_small_picture_stands_for_itself() {
    let Chat { alice, bob, .. } = chat().await;
    let small = NewFile::from_bytes("dot.png", picture(30, 20, ImageFormat::Png));
    let sent = alice.send_image(small).await.unwrap();
    let info = content(&bob, &sent).await["info"].clone();
    assert_eq!([&info["w"], &info["h"]], [&json!(30), &json!(20)]);
    assert_eq!(info.get("thumbnail_url"), None);
}

#[tokio::test]
async fn a_picture_that_the_server_cannot_read_is_shown_as_it_is() {
    let Chat { alice, bob, .. } = chat().await;
    for (name, bytes) in [("map.svg", &b"<svg/>"[..]), ("cut.png", b"\x89PNG\r\n\x1a\n")] {
        let sent = alice.send_image(NewFile::from_bytes(name, bytes)).await.unwrap();
        let told = content(&bob, &sent).await;
        assert_eq!((&told["msgtype"], told["info"].get("w")), (&json!("m.image"), None), "{name}");
    }
    let refused = alice.send_image(NewFile::from_bytes("a.pdf", "%PDF")).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
}

#[tokio::test]
async fn files_are_offered_and_songs_are_played() {
    let Chat { server, alice, bob, .. } = chat().await;
    for (name, msgtype) in
        [("plan.pdf", "m.file"), ("song.mp3", "m.audio"), ("film.mp4", "m.video"), ("", "m.file")]
    {
        let sent = alice.send_file(NewFile::from_bytes(name, "abc")).await.unwrap();
        let told = content(&bob, &sent).await;
        let shown = if name.is_empty() { "file" } else { name };
        assert_eq!((&told["msgtype"], &told["body"]), (&json!(msgtype), &json!(shown)), "{name}");
        assert_eq!(find(&server, &told["url"]).await.size(), 3);
    }
    let kept = NewFile::from_bytes("sea.png", picture(2, 2, ImageFormat::Png));
    let told = content(&bob, &alice.send_file(kept).await.unwrap()).await;
    assert_eq!((&told["msgtype"], &told["info"]["w"]), (&json!("m.file"), &json!(2)));
}

#[tokio::test]
async fn nothing_is_uploaded_where_one_may_not_speak() {
    let blobs = MemoryBlobs::default();
    let server = Homeserver::builder("x").unwrap().blobs(blobs.clone());
    let server = server.start(MemoryEngine::default()).await.unwrap();
    let room = public_room(&user(&server, "alice"), "11").await;
    let bob = user(&server, "bob").room(room.id());
    let refused = async || bob.send_file(NewFile::from_bytes("a", "a")).await.unwrap_err();
    assert!(matches!(refused().await, Error::Forbidden(_)));
    bob.join(None).await.unwrap();
    let levels = json!({ "users": { "@alice:x": 100 }, "events_default": 50 });
    room.send_state_event("m.room.power_levels", "", &levels).await.unwrap();
    assert!(matches!(refused().await, Error::Forbidden(_)));
    assert_eq!(blobs.count(), 0);
}

#[tokio::test]
async fn a_picture_is_sent_without_a_smaller_one_where_there_is_no_room_for_it() {
    let bytes = picture(900, 700, ImageFormat::Png);
    let most = bytes.len() as u64 + 1;
    let settings = Settings { max_media_per_user: Some(most), ..Settings::default() };
    let server = Homeserver::builder("x").unwrap().settings(settings);
    let server = server.start(MemoryEngine::default()).await.unwrap();
    let room = public_room(&user(&server, "alice"), "11").await;
    let sent = room.send_image(NewFile::from_bytes("a.png", bytes)).await.unwrap();
    let info = content(&room, &sent).await["info"].clone();
    assert_eq!((&info["w"], info.get("thumbnail_url")), (&json!(900), None));
}
