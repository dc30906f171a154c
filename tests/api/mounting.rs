//! The routes inside of an application that has pages, a fallback and middleware of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tertulia_http::{Options, Rate, RateLimits};
use tertulia_testkit::{Answered, Call, Client, TestServer};

use crate::people::{open_server, register};

const FORWARDED_FOR: header::HeaderName = header::HeaderName::from_static("x-forwarded-for");

fn unlimited() -> Options {
    let mut options = Options::default();
    options.rate_limits = RateLimits::off();
    options
}

/// An application with the server's routes in it.
fn application(server: &TestServer, options: Options) -> Router {
    Router::new()
        .route("/", get(async || "the first page"))
        .route("/notes/{name}", post(async |body: String| body))
        .nest("/admin", Router::new().route("/users", get(async || "all of them")))
        .fallback((StatusCode::NOT_FOUND, "there is no such page"))
        .merge(tertulia_http::mount(server.homeserver().clone(), options))
}

async fn call(app: &Router, method: Method, path: &str) -> Answered {
    Call::new(app.clone(), method, path).await
}

#[track_caller]
fn is_page(answer: &Answered, status: u16, body: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.body), (status, body.as_bytes()));
    // Whether other origins read the application's pages is not for Matrix to say.
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

/// The client of a user, through the application.
fn through(app: &Router, client: &Client) -> Client {
    let id = client.id().try_into().unwrap();
    Client::new(app.clone(), id, client.device().into(), client.token())
}

#[tokio::test]
async fn pages_are_the_applications() {
    let app = application(&TestServer::start().await, unlimited());
    is_page(&call(&app, Method::GET, "/").await, 200, "the first page");
    is_page(&call(&app, Method::GET, "/admin/users").await, 200, "all of them");
    for nowhere in ["/nowhere", "/admin/nowhere", "/matrix", "/.well-known/acme"] {
        is_page(&call(&app, Method::GET, nowhere).await, 404, "there is no such page");
    }
    is_page(&call(&app, Method::POST, "/").await, 405, "");
    is_page(&call(&app, Method::OPTIONS, "/").await, 405, "");
    // A body may be larger than any that Matrix knows, as far as axum itself has it.
    let note = "n".repeat(1_000_000);
    let kept = Call::new(app, Method::POST, "/notes/long").body(note.clone()).await;
    is_page(&kept, 200, &note);
}

#[tokio::test]
async fn what_is_below_matrix_is_the_servers_known_or_not() {
    let server = TestServer::start().await;
    let app = application(&server, unlimited());
    let alice = through(&app, &server.user("alice").await);
    assert_eq!(alice.get(["account", "whoami"]).await.ok()["user_id"], alice.id());
    let room = alice.create_room(json!({})).await;
    alice.send(&room, "hello").await;
    alice.own(Method::GET, ["chats"]).await.ok();
    for unknown in ["/_matrix/client/v3/nothing", "/_matrix/nothing", "/_tertulia/client/v1/x"] {
        call(&app, Method::GET, unknown).await.refused(404, "M_UNRECOGNIZED");
    }
    alice.post(["account", "whoami"]).await.refused(405, "M_UNRECOGNIZED");
    let path = "/_matrix/client/v3/account/whoami";
    let preflight = call(&app, Method::OPTIONS, path).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    call(&app, Method::GET, path).await.refused(401, "M_MISSING_TOKEN");
}

/// Counts what comes in, and signs what goes out.
async fn signed(State(seen): State<Arc<AtomicUsize>>, request: Request, next: Next) -> Response {
    seen.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("ours"));
    response
}

#[tokio::test]
async fn the_applications_middleware_is_around_all_of_it() {
    let server = TestServer::start().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let layer = middleware::from_fn_with_state(seen.clone(), signed);
    let app = application(&server, unlimited()).layer(layer);
    let paths = ["/", "/nowhere", "/_matrix/client/versions", "/_matrix/nothing"];
    for path in paths {
        let answer = call(&app, Method::GET, path).await;
        assert_eq!(answer.headers[header::SERVER], "ours", "{path}");
    }
    assert_eq!(seen.load(Ordering::Relaxed), paths.len());
}

#[tokio::test]
async fn below_a_path_clients_find_it_whose_base_url_has_that_path() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let matrix = tertulia_http::mount(server.homeserver().clone(), unlimited());
    let app = Router::new().nest("/chat", matrix).fallback((StatusCode::NOT_FOUND, "no page"));
    let get =
        async |path: &str| Call::new(app.clone(), Method::GET, path).token(alice.token()).await;
    let found = get("/chat/_matrix/client/v3/account/whoami").await;
    assert_eq!(found.ok()["user_id"], alice.id());
    get("/chat/_matrix/client/v3/nothing").await.refused(404, "M_UNRECOGNIZED");
    is_page(&get("/_matrix/client/v3/account/whoami").await, 404, "no page");
}

#[tokio::test]
async fn limits_hold_in_an_application_too() {
    let server = open_server().await;
    let [alice, bob] = [register(&server, "alice").await, register(&server, "bob").await];
    let mut options = unlimited();
    options.rate_limits.message = Some(Rate::new(1, 0.001));
    options.rate_limits.login = Some(Rate::new(1, 0.001));
    options.trust_forwarded_for = true;
    let app = application(&server, options);
    let room = alice.create_room_with(&[&bob]).await;
    let text = json!({ "msgtype": "m.text", "body": "x" });
    let send = async |client: &Client, transaction| {
        let path = ["rooms", &*room, "send", "m.room.message", transaction];
        through(&app, client).put(path).json(text.clone()).await
    };
    send(&alice, "1").await.ok();
    send(&alice, "2").await.refused(429, "M_LIMIT_EXCEEDED");
    send(&bob, "1").await.ok();
    let log_in = async |address: &str| {
        let call = Call::new(app.clone(), Method::POST, ["login"]).json(json!({ "type": "x" }));
        call.header(FORWARDED_FOR, address).await.status.as_u16()
    };
    assert_eq!((log_in("192.0.2.1").await, log_in("192.0.2.1").await), (400, 429));
    assert_eq!(log_in("198.51.100.1").await, 400, "another address");
    is_page(&call(&app, Method::GET, "/").await, 200, "the first page");
    // No handler reads more than its endpoint may need.
    let long = json!({ "status_msg": "x".repeat(1_100_000), "presence": "online" });
    let path = ["presence", bob.id(), "status"];
    through(&app, &bob).put(path).json(long).await.refused(413, "M_TOO_LARGE");
}
