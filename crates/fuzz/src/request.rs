//! Requests, through the real router to the real library over an engine in memory.
//!
//! An input is the method and the target of a request, a line for each header, an empty line, and the
//! body: `PUT /_matrix/client/v3/rooms/$ROOM/send/m.test/1`. Everywhere in it `$ROOM` and the other
//! words of [`World`] stand for what there is. Requests are those of Alice.

use std::{cell::RefCell, mem::ManuallyDrop, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use ruma::{MilliSecondsSinceUnixEpoch, RoomVersionId, uint};
use serde_json::Value;
use tertulia::{
    Clock, Homeserver, Label, NewAccount, NewRoom, PasswordCost, Preset, Registration, Secret,
    Settings,
};
use tertulia_http::{Options, RateLimits};
use tertulia_storage::MemoryEngine;
use tertulia_testkit::SeededRandom;
use tokio::{runtime::Runtime, time::timeout};
use tower::ServiceExt as _;

/// After so many requests the world begins anew, so that it stays small and what was found can be found again.
const REQUESTS: u32 = 500;
/// No request takes longer, as time does not pass where the server waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the server takes longer naps for than this is not for this world.
const NAP: Duration = Duration::from_secs(10 * 60);

/// Any request at all is answered, and not by an error of the server's own.
pub(crate) fn run(input: &[u8]) {
    // A runtime cannot end while its thread does.
    thread_local!(static WORLD: RefCell<Option<ManuallyDrop<World>>> = const { RefCell::new(None) });
    WORLD.with_borrow_mut(|place| {
        if let Some(world) = place.take_if(|world| world.asked == REQUESTS) {
            ManuallyDrop::into_inner(world).end();
        }
        let world = place.get_or_insert_with(|| ManuallyDrop::new(World::new()));
        world.asked += 1;
        if let Some(request) = world.request(input) {
            world.ask(request);
        }
    });
}

/// A server with a little of everything.
struct World {
    runtime: Runtime,
    server: Homeserver,
    router: Router,
    /// Words and what they stand for.
    words: Vec<(&'static str, String)>,
    token: HeaderValue,
    asked: u32,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("there is room for a runtime");
        let (server, words, token) = runtime.block_on(populate()).expect("a world can be made");
        let mut options = Options::default();
        options.rate_limits = RateLimits::off();
        let router = tertulia_http::router_with(server.clone(), options);
        let token = format!("Bearer {token}").parse().expect("a token is a header");
        Self { runtime, server, router, words, token, asked: 0 }
    }

    fn end(self) {
        self.runtime.block_on(self.server.shutdown());
    }

    /// What the input asks for, if that is a request.
    fn request(&self, input: &[u8]) -> Option<Request<Body>> {
        let input = self.words.iter().fold(input.to_vec(), |input, (word, meaning)| {
            replace(&input, word.as_bytes(), meaning.as_bytes())
        });
        let (head, body) = cut(&input, b"\n\n");
        let mut lines = head.split(|byte| *byte == b'\n');
        let (method, target) = cut(lines.next()?, b" ");
        let mut request = Request::new(Body::from(body.to_vec()));
        *request.method_mut() = Method::from_bytes(method).ok()?;
        *request.uri_mut() = Uri::try_from(target).ok()?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.token.clone());
        for line in lines.take(20) {
            let (name, value) = cut(line, b": ");
            let name = HeaderName::from_bytes(name).ok()?;
            headers.insert(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(request)
    }

    fn ask(&self, request: Request<Body>) {
        let router = self.router.clone();
        let answer = async {
            let Ok(response) = router.oneshot(request).await;
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("the body is in memory").to_bytes();
            Response::from_parts(head, body)
        };
        let answer = self.runtime.block_on(async { timeout(PATIENCE, answer).await });
        check(&answer.expect("an answer comes"));
    }
}

/// What holds for every answer.
fn check(answer: &Response<Bytes>) {
    let (status, body) = (answer.status(), String::from_utf8_lossy(answer.body()));
    assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if status.is_client_error() && is_json {
        let told: Value = serde_json::from_str(&body).expect("it says that it is JSON");
        // A stage of an interactive authentication is no error.
        assert!(told["errcode"].is_string() || told["flows"].is_array(), "{status} {body}");
    }
}

/// A server, the words for what is on it, and Alice's access token.
async fn populate() -> tertulia::Result<(Homeserver, Vec<(&'static str, String)>, String)> {
    let mut settings = Settings::default();
    settings.password_cost = PasswordCost::LEAST;
    settings.registration = Registration::Open;
    settings.max_upload_size = 1 << 16;
    settings.housekeeping = false;
    let server = Homeserver::builder("x")?
        .settings(settings)
        .clock(Still)
        .random(SeededRandom::new(1))
        .start(MemoryEngine::default())
        .await?;
    let (alice, token) = server.register("alice").await?;
    let password = Some(Secret::new("pw"));
    let bob = NewAccount { name: Some("bob".to_owned()), password, ..NewAccount::default() };
    let bob = server.create_user(bob).await?;
    let mut wishes = NewRoom::new(alice.id().to_owned(), RoomVersionId::V11);
    wishes.preset = Preset::PublicChat;
    let room = alice.create_room(wishes).await?;
    bob.room(room.id()).join(None).await?;
    let event = bob.room(room.id()).send_text("hello").await?;
    let mut upload = alice.upload(Label::default()).await?;
    upload.write(Bytes::from_static(b"a file")).await?;
    let media = upload.finish().await?;
    let media = media.media_id().unwrap_or_default().to_owned();
    let words = vec![
        ("$ROOM", room.id().to_string()),
        ("$EVENT", event.to_string()),
        ("$MEDIA", media),
        ("$DEVICE", alice.device().to_string()),
        ("$TOKEN", token.reveal().to_owned()),
    ];
    Ok((server, words, token.reveal().to_owned()))
}

/// A time that stands still: who waits a little is done at once, who waits long waits for ever.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(uint!(1_767_225_600) * uint!(1_000))
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if duration > NAP {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
        })
    }
}

/// What stands before and behind the first `mark`; nothing is behind where there is none.
fn cut<'a>(input: &'a [u8], mark: &[u8]) -> (&'a [u8], &'a [u8]) {
    match input.windows(mark.len()).position(|window| window == mark) {
        Some(at) => (&input[..at], &input[at + mark.len()..]),
        None => (input, &[]),
    }
}

fn replace(input: &[u8], word: &[u8], meaning: &[u8]) -> Vec<u8> {
    let (mut replaced, mut rest) = (Vec::with_capacity(input.len()), input);
    while let Some(at) = rest.windows(word.len()).position(|window| window == word) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(meaning);
        rest = &rest[at + word.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_what_there_is() {
        let world = World::new();
        let request =
            world.request(b"PUT /$ROOM?a=$EVENT\nrange: bytes=1-\n\n{\"$DEVICE\":1}\n\n").unwrap();
        assert_eq!(request.method(), Method::PUT);
        assert!(request.uri().path().starts_with("/!"), "{}", request.uri());
        assert!(request.uri().query().unwrap().starts_with("a=$"), "{}", request.uri());
        assert_eq!(request.headers()["range"], "bytes=1-");
        assert!(request.headers().contains_key(AUTHORIZATION));
        for nothing in ["", "GET", "GET \\", "G\0 /", "GET /\n: "] {
            assert!(world.request(nothing.as_bytes()).is_none(), "{nothing:?}");
        }
    }

    #[test]
    fn alice_is_who_asks() {
        let world = World::new();
        let request = world.request(b"GET /_matrix/client/v3/account/whoami\n\n").unwrap();
        let answer = world.runtime.block_on(world.router.clone().oneshot(request)).unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    #[test]
    fn the_world_begins_anew() {
        for _ in 0..REQUESTS + 2 {
            run(b"POST /_matrix/client/v3/rooms/$ROOM/leave");
        }
    }

    #[test]
    #[should_panic(expected = "unknown")]
    fn an_error_of_the_server_s_own_is_a_finding() {
        let body = Bytes::from_static(b"unknown");
        check(&Response::builder().status(500).body(body).unwrap());
    }
}
