use std::sync::atomic::{AtomicUsize, Ordering};

use image::{DynamicImage, ImageFormat, RgbaImage};
use tertulia_storage::{Direction, MemoryEngine};

use super::*;
use crate::{
    Blobs, FoundBlob, Homeserver, Incoming, Label, MemoryBlobs, Pieces, User,
    testing::{server, user},
};

fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = DynamicImage::from(RgbaImage::new(width, height));
    picture.write_to(&mut io::Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

async fn upload(user: &User, content_type: &str, bytes: Vec<u8>) -> Media {
    let label = Label { content_type: Some(content_type.to_owned()), ..Label::default() };
    let mut upload = user.upload(label).await.unwrap();
    upload.write(bytes.into()).await.unwrap();
    let uri = upload.finish().await.unwrap();
    let (name, id) = uri.parts().unwrap();
    Homeserver { core: user.core.clone() }.media(name, id).await.unwrap()
}

fn wish(width: u64, height: u64, resizing: Resizing) -> ThumbnailWish {
    ThumbnailWish { width, height, resizing, animated: false }
}

const SMALL: ThumbnailWish =
    ThumbnailWish { width: 20, height: 20, resizing: Resizing::Crop, animated: false };

async fn rows(server: &Homeserver) -> Vec<(Key, ThumbnailRow)> {
    let view = server.core.store.view().await.unwrap();
    view.scan(&THUMBNAILS, &(), Direction::Forward, 100).await.unwrap()
}

async fn dimensions(media: &Media) -> (u32, u32) {
    let picture = image::load_from_memory(&media.bytes().await.unwrap()).unwrap();
    (picture.width(), picture.height())
}

#[tokio::test]
async fn a_thumbnail_is_made_once_for_each_size() {
    let blobs = MemoryBlobs::default();
    let server = Homeserver::builder("x").unwrap().blobs(blobs.clone());
    let server = server.start(MemoryEngine::default()).await.unwrap();
    let media = upload(&user(&server, "alice"), "image/png", picture(400, 200)).await;
    for _ in 0..2 {
        for (width, height) in [(20, 20), (32, 32), (1, 30)] {
            let small = media.thumbnail(wish(width, height, Resizing::Crop)).await.unwrap();
            assert_eq!(dimensions(&small).await, (32, 32));
            assert_eq!(small.content_type(), Some("image/png"));
            assert_eq!(small.size(), small.bytes().await.unwrap().len() as u64);
            assert_eq!(small.sha256()[..], Sha256::digest(small.bytes().await.unwrap())[..]);
        }
    }
    assert_eq!((blobs.count(), rows(&server).await.len()), (2, 1));
    let scaled = media.thumbnail(wish(100, 100, Resizing::Scale)).await.unwrap();
    assert_eq!(dimensions(&scaled).await, (320, 160));
    assert_eq!((blobs.count(), rows(&server).await.len()), (3, 2));
    // A picture is its own largest thumbnail.
    let itself = media.thumbnail(wish(640, 480, Resizing::Scale)).await.unwrap();
    assert_eq!(itself.sha256(), media.sha256());
    let itself = media.thumbnail(wish(9_999, 9_999, Resizing::Scale)).await.unwrap();
    assert_eq!(itself.sha256(), media.sha256());
    assert_eq!(blobs.count(), 3);
}

#[tokio::test]
async fn only_pictures_have_thumbnails() {
    let server = server().await;
    let alice = user(&server, "alice");
    for kind in ["text/html", "image/svg+xml", "text/plain", "application/octet-stream"] {
        let media = upload(&alice, kind, picture(400, 200)).await;
        let refused = media.thumbnail(SMALL).await.unwrap_err();
        assert!(matches!(refused, Error::NoThumbnail), "{kind}: {refused}");
    }
    assert_eq!(rows(&server).await.len(), 0);
    let page = upload(&alice, "IMAGE/PNG; a=b", b"<svg/>".to_vec()).await;
    for _ in 0..2 {
        assert!(matches!(page.thumbnail(SMALL).await.unwrap_err(), Error::NoThumbnail));
        assert_eq!(rows(&server).await.len(), 1, "what cannot be done is not tried again");
    }
    let none = page.thumbnail(wish(0, 20, Resizing::Crop)).await.unwrap_err();
    assert!(matches!(none, Error::Invalid(_)));
    let large = upload(&alice, "image/png", vec![0; LARGEST as usize + 1]).await;
    assert!(matches!(large.thumbnail(SMALL).await.unwrap_err(), Error::BodyTooLarge(_)));
}

#[tokio::test]
async fn what_an_older_thumbnailer_could_not_do_is_tried_again() {
    let server = server().await;
    let media = upload(&user(&server, "alice"), "image/png", picture(400, 200)).await;
    let (name, id) = media.key.clone();
    let kind = media.kind(SMALL).unwrap().unwrap();
    let row = ThumbnailRow { maker: MAKER - 1, outcome: ThumbnailOutcome::TooLarge };
    server.core.store.write(StoreThumbnail { key: (name, id, kind), row }).await.unwrap();
    assert_eq!(dimensions(&media.thumbnail(SMALL).await.unwrap()).await, (32, 32));
}

/// Blobs that tell how many read at once, and make readers wait.
#[derive(Clone, Debug)]
struct Slow {
    blobs: MemoryBlobs,
    reading: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Blobs for Slow {
    fn begin(&self, id: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>> {
        self.blobs.begin(id)
    }

    fn read(&self, id: BlobId, from: u64) -> BoxFuture<'_, io::Result<Pieces>> {
        Box::pin(async move {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let now = self.reading.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(now <= AT_ONCE, "{now} at once");
            self.gate.acquire().await.unwrap().forget();
            self.reading.fetch_sub(1, Ordering::Relaxed);
            self.blobs.read(id, from).await
        })
    }

    fn find(&self, id: BlobId) -> BoxFuture<'_, io::Result<Option<FoundBlob>>> {
        self.blobs.find(id)
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, io::Result<Vec<BlobId>>> {
        self.blobs.list(after, limit)
    }

    fn delete(&self, id: BlobId) -> BoxFuture<'_, io::Result<()>> {
        self.blobs.delete(id)
    }
}

async fn slow_server() -> (Homeserver, Slow) {
    let slow = Slow {
        blobs: MemoryBlobs::default(),
        reading: Arc::default(),
        reads: Arc::default(),
        gate: Arc::new(Semaphore::new(0)),
    };
    let server = Homeserver::builder("x").unwrap().blobs(slow.clone());
    (server.start(MemoryEngine::default()).await.unwrap(), slow)
}

/// Lets `count` ask for a thumbnail of each picture.
fn ask(pictures: &[Media], count: usize) -> Vec<tokio::task::JoinHandle<Result<Media>>> {
    let all = pictures.iter().flat_map(|media| std::iter::repeat_n(media, count));
    all.map(|media| {
        let media = media.clone();
        tokio::spawn(async move { media.thumbnail(SMALL).await })
    })
    .collect()
}

#[tokio::test]
async fn those_who_want_the_same_wait_for_one_making() {
    let (server, slow) = slow_server().await;
    let alice = user(&server, "alice");
    let media = upload(&alice, "image/png", picture(100, 100)).await;
    let asking = ask(&[media], 200);
    while slow.reading.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    slow.gate.add_permits(1);
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(slow.reads.load(Ordering::Relaxed), 1);
    assert_eq!(slow.blobs.count(), 2);
    assert!(server.core.local::<Workshop>().making.lock().is_empty());
}

#[tokio::test]
async fn only_a_few_are_made_at_once_and_only_some_wait() {
    let (server, slow) = slow_server().await;
    let alice = user(&server, "alice");
    let mut pictures = Vec::new();
    for n in 0..=QUEUE {
        pictures.push(upload(&alice, "image/png", picture(50 + n as u32, 50)).await);
    }
    let last = pictures.pop().unwrap();
    let asking = ask(&pictures, 1);
    let workshop = server.core.local::<Workshop>();
    while workshop.making.lock().len() < QUEUE || slow.reading.load(Ordering::Relaxed) < AT_ONCE {
        tokio::task::yield_now().await;
    }
    assert!(matches!(last.thumbnail(SMALL).await.unwrap_err(), Error::Busy));
    slow.gate.add_permits(QUEUE + 1);
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    last.thumbnail(SMALL).await.unwrap();
    assert_eq!(slow.blobs.count(), 2 * (QUEUE + 1));
}

#[tokio::test]
async fn a_making_goes_on_without_those_who_wait_and_ends_with_the_server() {
    let (server, slow) = slow_server().await;
    let alice = user(&server, "alice");
    let mut pictures = Vec::new();
    for _ in 0..=AT_ONCE {
        pictures.push(upload(&alice, "image/png", picture(100, 100)).await);
    }
    let asking = ask(&pictures, 1);
    while slow.reading.load(Ordering::Relaxed) < AT_ONCE {
        tokio::task::yield_now().await;
    }
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    server.core.stop.cancel();
    slow.gate.add_permits(AT_ONCE);
    server.core.tasks.close();
    server.core.tasks.wait().await;
    assert_eq!(rows(&server).await.len(), AT_ONCE, "the last had not begun");
    assert!(server.core.local::<Workshop>().making.lock().is_empty());
}

#[tokio::test]
async fn a_picture_whose_file_is_gone_is_not_found() {
    let server = server().await;
    let media = upload(&user(&server, "alice"), "image/png", picture(100, 100)).await;
    server.core.blobs.delete(media.row.blob).await.unwrap();
    assert!(matches!(media.read(0).await.err().unwrap(), Error::NotFound(_)));
    assert!(matches!(media.thumbnail(SMALL).await.unwrap_err(), Error::NotFound(_)));
    assert_eq!(rows(&server).await.len(), 0);
}
