//! The content repository: files up and down.

use std::{
    fs, io,
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::{StreamExt as _, poll, stream};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage, codecs::gif::GifEncoder};
use serde_json::json;
use tertulia::{FileBlobs, Homeserver};
use tertulia_storage::MemoryEngine;
use tertulia_testkit::{Answered, Call, Client, TestServer};

const UPLOAD: &str = "/_matrix/media/v3/upload";
const DOWNLOAD: &str = "/_matrix/client/v1/media/download";
const THUMBNAIL: &str = "/_matrix/client/v1/media/thumbnail";

/// Uploads a file and tells what stands behind `mxc://` in its URI.
async fn upload(client: &Client, kind: &str, bytes: &'static [u8]) -> String {
    let call = client.post(UPLOAD).header(header::CONTENT_TYPE, kind).body(bytes);
    place(&call.await)
}

fn place(answer: &Answered) -> String {
    let uri = answer.ok()["content_uri"].as_str().unwrap().to_owned();
    uri.strip_prefix("mxc://").unwrap().to_owned()
}

fn download(client: &Client, place: &str) -> Call {
    client.get(format!("{DOWNLOAD}/{place}"))
}

#[tokio::test]
async fn a_file_comes_back_as_it_went() {
    let alice = TestServer::start().await.user("alice").await;
    for path in [UPLOAD, "/_matrix/media/r0/upload", "/_matrix/media/v1/upload"] {
        let call = alice.post(path).query("filename", "grüße.txt").body("good morning");
        let place = place(&call.header(header::CONTENT_TYPE, "text/plain").await);
        assert!(place.starts_with("example.org/"), "{place}");
        let told = download(&alice, &place).await;
        assert_eq!(told.status, StatusCode::OK);
        assert_eq!(told.body, "good morning");
        assert_eq!(told.headers[header::CONTENT_LENGTH], "12");
        assert_eq!(told.headers[header::CONTENT_TYPE], "text/plain");
        let named = "inline; filename*=utf-8''gr%C3%BC%C3%9Fe.txt";
        assert_eq!(told.headers[header::CONTENT_DISPOSITION], named);
    }
}

#[tokio::test]
async fn a_file_without_label_is_bytes() {
    let alice = TestServer::start().await.user("alice").await;
    let place = place(&alice.post(UPLOAD).body("").await);
    let told = download(&alice, &place).await;
    assert_eq!((told.status, told.body.len()), (StatusCode::OK, 0));
    assert_eq!(told.headers[header::CONTENT_TYPE], "application/octet-stream");
    assert_eq!(told.headers[header::CONTENT_DISPOSITION], "attachment");
    let named = alice.get(format!("{DOWNLOAD}/{place}/other%20name.bin")).await;
    let expected = "attachment; filename=\"other name.bin\"";
    assert_eq!(named.headers[header::CONTENT_DISPOSITION], expected);
}

#[tokio::test]
async fn a_browser_that_opens_a_file_comes_to_no_harm() {
    let alice = TestServer::start().await.user("alice").await;
    let place = upload(&alice, "text/html", b"<script>alert(1)</script>").await;
    let told = download(&alice, &place).await;
    assert_eq!(told.headers[header::CONTENT_DISPOSITION], "attachment");
    assert_eq!(told.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(told.headers["cross-origin-resource-policy"], "cross-origin");
    let policy = told.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'; script-src 'none';"), "{policy}");
}

#[tokio::test]
async fn old_clients_find_files_without_a_token() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let bytes = picture(8, 8, ImageFormat::Png);
    let place = upload_picture(&alice, "image/png", bytes.clone()).await;
    for version in ["v3", "r0", "v1"] {
        for what in [format!("download/{place}"), format!("download/{place}/name.png")] {
            let path = format!("/_matrix/media/{version}/{what}?allow_remote=false&timeout_ms=5");
            let told = server.call(Method::GET, path).await;
            assert_eq!((told.status, &told.body[..]), (StatusCode::OK, &bytes[..]));
        }
        let path = format!("/_matrix/media/{version}/thumbnail/{place}?width=8&height=8");
        assert_eq!(server.call(Method::GET, path).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn uploading_and_the_newer_endpoints_need_a_token() {
    let server = TestServer::start().await;
    let place = upload(&server.user("alice").await, "image/png", b"\x89PNG").await;
    server.call(Method::POST, UPLOAD).body("a").await.refused(401, "M_MISSING_TOKEN");
    for path in [
        format!("{DOWNLOAD}/{place}"),
        format!("{DOWNLOAD}/{place}/name"),
        format!("{THUMBNAIL}/{place}?width=8&height=8"),
        "/_matrix/client/v1/media/config".to_owned(),
        "/_matrix/media/v3/config".to_owned(),
    ] {
        server.call(Method::GET, path).await.refused(401, "M_MISSING_TOKEN");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let alice = TestServer::start().await.user("alice").await;
    let place = upload(&alice, "image/png", b"\x89PNG").await;
    let id = place.rsplit('/').next().unwrap();
    for place in [
        "example.org/unknown".to_owned(),
        format!("elsewhere.org/{id}"),
        "example.org/..".to_owned(),
        "example.org/..%2F..%2Fetc%2Fpasswd".to_owned(),
        "example.org/%00".to_owned(),
        format!("example.org/{id}%20"),
    ] {
        download(&alice, &place).await.refused(404, "M_NOT_FOUND");
        let thumbnail = alice.get(format!("{THUMBNAIL}/{place}?width=8&height=8")).await;
        thumbnail.refused(404, "M_NOT_FOUND");
    }
    download(&alice, &format!("not%20a%20server/{id}")).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_part_of_a_file_is_sent_alone() {
    let alice = TestServer::start().await.user("alice").await;
    let place = upload(&alice, "video/mp4", b"0123456789").await;
    let part = |range: &str| download(&alice, &place).header(header::RANGE, range);
    let told = part("bytes=2-4").await;
    assert_eq!(told.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(told.body, "234");
    assert_eq!(told.headers[header::CONTENT_RANGE], "bytes 2-4/10");
    assert_eq!(told.headers[header::CONTENT_LENGTH], "3");
    assert_eq!(part("bytes=-3").await.body, "789");
    let told = part("bytes=10-").await;
    assert_eq!(told.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(told.headers[header::CONTENT_RANGE], "bytes */10");
    let whole = part("bytes=1-2,4-5").await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 10));
}

#[tokio::test]
async fn a_file_that_a_client_has_is_not_sent_again() {
    let alice = TestServer::start().await.user("alice").await;
    let place = upload(&alice, "video/mp4", b"0123456789").await;
    let tag = download(&alice, &place).await.headers[header::ETAG].clone();
    let again = download(&alice, &place).header(header::IF_NONE_MATCH, tag.to_str().unwrap());
    let told = again.await;
    assert_eq!((told.status, told.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test(start_paused = true)]
async fn files_are_of_a_bounded_size() {
    let server = TestServer::builder().settings(|it| it.max_upload_size = 1_000).start().await;
    let alice = server.user("alice").await;
    for path in
        ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config", "/_matrix/media/v1/config"]
    {
        assert_eq!(alice.get(path).await.ok(), json!({ "m.upload.size": 1_000 }));
    }
    place(&alice.post(UPLOAD).body(vec![0; 1_000]).await);
    alice.post(UPLOAD).body(vec![0; 1_001]).await.refused(413, "M_TOO_LARGE");
    // One that says so is refused before it has come.
    let unread = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let announced = alice.post(UPLOAD).header(header::CONTENT_LENGTH, "1001").body(unread);
    announced.await.refused(413, "M_TOO_LARGE");
    let named = alice.post(UPLOAD).query("filename", &"a".repeat(2_000)).body("a");
    named.await.refused(400, "M_INVALID_PARAM");
}

/// Asks for a URI and tells what stands behind `mxc://` in it.
async fn reserve(client: &Client) -> String {
    place(&client.post("/_matrix/media/v1/create").await)
}

fn fill(client: &Client, place: &str) -> Call {
    client.put(format!("{UPLOAD}/{place}")).header(header::CONTENT_TYPE, "text/plain")
}

#[tokio::test]
async fn a_file_can_come_after_its_uri() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let told = alice.post("/_matrix/media/v1/create").await;
    let now = 1_767_225_600_000_u64;
    assert_eq!(told.ok()["unused_expires_at"], now + 24 * 60 * 60 * 1_000);
    let place = place(&told);
    fill(&bob, &place).body("b").await.refused(403, "M_FORBIDDEN");
    assert_eq!(fill(&alice, &place).query("filename", "a.txt").body("a").await.ok(), json!({}));
    let told = download(&bob, &place).await;
    assert_eq!((told.status, &told.body[..]), (StatusCode::OK, &b"a"[..]));
    assert_eq!(told.headers[header::CONTENT_DISPOSITION], "inline; filename=a.txt");
    fill(&alice, &place).body("c").await.refused(409, "M_CANNOT_OVERWRITE_MEDIA");
    fill(&bob, &place).body("c").await.refused(403, "M_FORBIDDEN");
    for unknown in ["example.org/unknown", "elsewhere.org/a", "example.org/..%2Fa"] {
        fill(&alice, unknown).body("a").await.refused(404, "M_NOT_FOUND");
    }
    fill(&alice, "not%20a%20server/a").body("a").await.refused(400, "M_INVALID_PARAM");
    server.call(Method::PUT, format!("{UPLOAD}/{place}")).await.refused(401, "M_MISSING_TOKEN");
    let create = server.call(Method::POST, "/_matrix/media/v1/create").await;
    create.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_uri_without_a_file_expires() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let place = reserve(&alice).await;
    let begun = fill(&alice, &place).body("a");
    server.clock().advance(Duration::from_secs(24 * 60 * 60));
    begun.await.refused(404, "M_NOT_FOUND");
    download(&alice, &place).query("timeout_ms", "0").await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn only_so_many_files_are_waited_for() {
    let alice = TestServer::start().await.user("alice").await;
    for _ in 0..100 {
        reserve(&alice).await;
    }
    alice.post("/_matrix/media/v1/create").await.refused(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn who_downloads_early_waits_until_the_file_comes() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let place = reserve(&alice).await;
    let early = tokio::spawn(download(&alice, &place).into_future());
    let small = format!("{THUMBNAIL}/{place}?width=8&height=8&timeout_ms=999999999999");
    let thumbnail = tokio::spawn(alice.get(small).into_future());
    server.clock().sleepers(2).await;
    let bytes = picture(8, 8, ImageFormat::Png);
    let call = alice.put(format!("{UPLOAD}/{place}")).header(header::CONTENT_TYPE, "image/png");
    call.body(bytes.clone()).await.ok();
    assert_eq!(early.await.unwrap().body, bytes);
    assert_eq!(thumbnail.await.unwrap().body, bytes);
}

#[tokio::test]
async fn who_downloads_early_waits_only_so_long() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let place = reserve(&alice).await;
    download(&alice, &place).query("timeout_ms", "0").await.refused(504, "M_NOT_YET_UPLOADED");
    for (timeout, seconds) in [("", 20), ("?timeout_ms=5000", 5), ("?timeout_ms=9999999", 60)] {
        let call = alice.get(format!("{DOWNLOAD}/{place}{timeout}"));
        let early = tokio::spawn(call.into_future());
        server.clock().sleepers(1).await;
        server.clock().advance(Duration::from_millis(seconds * 1_000 - 1));
        tokio::task::yield_now().await;
        assert!(!early.is_finished());
        server.clock().advance(Duration::from_millis(1));
        early.await.unwrap().refused(504, "M_NOT_YET_UPLOADED");
    }
}

#[tokio::test]
async fn a_user_may_have_so_many_bytes_here() {
    let server =
        TestServer::builder().settings(|it| it.max_media_per_user = Some(1_000)).start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    place(&alice.post(UPLOAD).body(vec![0; 600]).await);
    alice.post(UPLOAD).body(vec![0; 401]).await.refused(403, "M_FORBIDDEN");
    let reserved = reserve(&alice).await;
    fill(&alice, &reserved).body(vec![0; 401]).await.refused(403, "M_FORBIDDEN");
    fill(&alice, &reserved).body(vec![0; 400]).await.ok();
    place(&bob.post(UPLOAD).body(vec![0; 1_000]).await);
}

/// A picture of one colour, as a file of this kind.
fn picture(width: u32, height: u32, kind: ImageFormat) -> Vec<u8> {
    let mut bytes = io::Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height).write_to(&mut bytes, kind).unwrap();
    bytes.into_inner()
}

/// An animation of two frames.
fn animation(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for colour in [0, 255] {
        let frame = RgbaImage::from_pixel(width, height, Rgba([colour, 0, 0, 255]));
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    bytes
}

async fn upload_picture(client: &Client, kind: &str, bytes: Vec<u8>) -> String {
    place(&client.post(UPLOAD).header(header::CONTENT_TYPE, kind).body(bytes).await)
}

fn thumbnail(client: &Client, place: &str, query: &str) -> Call {
    client.get(format!("{THUMBNAIL}/{place}?{query}"))
}

#[tokio::test]
async fn a_thumbnail_is_of_the_next_larger_size() {
    let alice = TestServer::start().await.user("alice").await;
    let bytes = picture(1_000, 500, ImageFormat::Png);
    let place = upload_picture(&alice, "image/png", bytes.clone()).await;
    for (query, expected) in [
        ("width=20&height=20&method=crop", (32, 32)),
        ("width=33&height=20&method=crop", (96, 96)),
        ("width=20&height=20&method=scale", (320, 160)),
        ("width=20&height=20", (320, 160)),
        ("width=400&height=20&animated=true", (640, 320)),
        ("width=800&height=600&animated=false", (800, 400)),
        ("width=801&height=600&animated=false", (1_000, 500)),
    ] {
        let told = thumbnail(&alice, &place, query).await;
        assert_eq!(told.status, StatusCode::OK, "{query}");
        let shown = image::load_from_memory(&told.body).unwrap();
        assert_eq!((shown.width(), shown.height()), expected, "{query}");
        assert_eq!(told.headers[header::CONTENT_TYPE], "image/png");
        assert_eq!(told.headers[header::CONTENT_DISPOSITION], "inline");
        assert_eq!(told.headers["cross-origin-resource-policy"], "cross-origin");
        assert_eq!(told.headers[header::CONTENT_LENGTH], told.body.len().to_string().as_str());
    }
    let small = upload_picture(&alice, "image/png", picture(8, 8, ImageFormat::Png)).await;
    let told = thumbnail(&alice, &small, "width=32&height=32&method=crop").await;
    assert_eq!(told.body, picture(8, 8, ImageFormat::Png), "nothing is blown up");
}

#[tokio::test]
async fn a_thumbnail_moves_only_where_that_is_wished() {
    let alice = TestServer::start().await.user("alice").await;
    let place = upload_picture(&alice, "image/gif", animation(400, 300)).await;
    let size = "width=320&height=240";
    for (more, kind) in
        [("", "image/png"), ("&animated=false", "image/png"), ("&animated=true", "image/gif")]
    {
        let told = thumbnail(&alice, &place, &format!("{size}{more}")).await;
        assert_eq!(told.headers[header::CONTENT_TYPE], kind, "{more}");
        let shown = image::load_from_memory(&told.body).unwrap();
        assert_eq!((shown.width(), shown.height()), (320, 240));
    }
}

#[tokio::test]
async fn what_cannot_be_drawn_has_no_thumbnail() {
    let alice = TestServer::start().await.user("alice").await;
    let size = "width=8&height=8";
    for kind in ["text/plain", "text/html", "image/svg+xml", "video/mp4", "image/png"] {
        let other = upload(&alice, kind, b"<svg xmlns='http://www.w3.org/2000/svg'/>").await;
        thumbnail(&alice, &other, size).await.refused(400, "M_UNKNOWN");
    }
    let place = upload_picture(&alice, "image/png", picture(8, 8, ImageFormat::Png)).await;
    for query in ["width=-8&height=8", "width=8&height=a", "width=0&height=8", "width=8&height=0"] {
        thumbnail(&alice, &place, query).await.refused(400, "M_INVALID_PARAM");
    }
    thumbnail(&alice, &place, "width=8").await.refused(400, "M_MISSING_PARAM");
    let large = upload_picture(&alice, "image/png", vec![0; 21 * 1024 * 1024]).await;
    thumbnail(&alice, &large, size).await.refused(413, "M_TOO_LARGE");
    // A picture of more pixels than anyone has, in a few bytes.
    let mut bomb = animation(8, 8);
    bomb[6..10].copy_from_slice(&[0xff; 4]);
    let bomb = upload_picture(&alice, "image/gif", bomb).await;
    thumbnail(&alice, &bomb, size).await.refused(413, "M_TOO_LARGE");
}

/// How many files lie in `folder`, at any depth.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// A server that keeps files in `folder`, and a client of it.
async fn server_on(folder: &Path) -> (Router, Client) {
    let blobs = FileBlobs::open(folder).await.unwrap();
    let server = Homeserver::builder("example.org").unwrap().blobs(blobs);
    let server = server.start(MemoryEngine::default()).await.unwrap();
    let (session, token) = server.register("alice").await.unwrap();
    let (user, device) = (session.id().to_owned(), session.device().to_owned());
    let router = tertulia_http::router(server);
    (router.clone(), Client::new(router, user, device, token.reveal()))
}

/// A body of `count` pieces of 64 KiB, and how many of them were asked for.
fn pieces(count: usize) -> (stream::BoxStream<'static, std::io::Result<Bytes>>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let pieces = stream::iter(0..count).map(move |n| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from(vec![n as u8; 64 * 1024]))
    });
    (pieces.boxed(), asked)
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, alice) = server_on(folder.path()).await;
    let (sent, _) = pieces(10);
    let broken = sent.chain(stream::iter([Err(std::io::Error::other("gone"))]));
    let refused = alice.post(UPLOAD).body(Body::from_stream(broken)).await;
    refused.refused(400, "M_UNKNOWN");
    assert_eq!(files(folder.path()), 0);
}

#[tokio::test]
async fn an_upload_whose_connection_is_gone_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, alice) = server_on(folder.path()).await;
    let (sent, asked) = pieces(10);
    let stalled = sent.chain(stream::pending());
    {
        let mut uploading = pin!(alice.post(UPLOAD).body(Body::from_stream(stalled)).into_future());
        while asked.load(Ordering::Relaxed) < 10 {
            assert!(poll!(&mut uploading).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(files(folder.path()), 1);
    }
    assert_eq!(files(folder.path()), 0);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stands_still_ends_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, alice) = server_on(folder.path()).await;
    let (sent, asked) = pieces(10);
    let stalled = alice.post(UPLOAD).body(Body::from_stream(sent.chain(stream::pending()))).await;
    stalled.refused(408, "M_UNKNOWN");
    assert_eq!(asked.load(Ordering::Relaxed), 10);
    assert_eq!(files(folder.path()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_is_waited_for_while_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_, alice) = server_on(folder.path()).await;
    let (sent, _) = pieces(10);
    let slow = sent.then(|piece| async {
        tokio::time::sleep(std::time::Duration::from_secs(50)).await;
        piece
    });
    place(&alice.post(UPLOAD).body(Body::from_stream(slow)).await);
    assert_eq!(files(folder.path()), 1);
}

#[tokio::test]
async fn ten_megabytes_stream_up_and_down() {
    let folder = tempfile::tempdir().unwrap();
    let (router, alice) = server_on(folder.path()).await;
    let (sent, _) = pieces(160);
    let place = place(&alice.post(UPLOAD).body(Body::from_stream(sent)).await);
    assert_eq!(files(folder.path()), 1);
    let request = http::Request::get(format!("{DOWNLOAD}/{place}"));
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", alice.token()));
    let response = tower::ServiceExt::oneshot(router, request.body(Body::empty()).unwrap());
    let mut body = response.await.unwrap().into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() <= 256 * 1024, "a piece of {} bytes", piece.len());
        let is_right = |(n, byte): (usize, &u8)| usize::from(*byte) == (read + n) / (64 * 1024);
        assert!(piece.iter().enumerate().all(is_right));
        read += piece.len();
    }
    assert_eq!(read, 160 * 64 * 1024);
}
