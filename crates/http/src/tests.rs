//! The bridge and what is around it, with handlers that real endpoints do not have: some hang, some
//! panic, some say secrets.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use http::{HeaderName, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use ruma::api::client::{
    account::whoami,
    message::send_message_event,
    room::{get_room_event, report_room},
    state::{get_state_event_for_key, send_state_event},
};
use serde_json::{Value, json};
use tertulia::Homeserver;
use tertulia_storage::MemoryEngine;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower::ServiceExt as _;

use crate::{
    Action, Answer, ApiError, Endpoints as _, Matrix, Options, Rate, RateLimits, Routes, Terms,
    assemble,
};

/// `routes` as they are served, and the token of a user.
async fn serve(routes: Routes, options: Options) -> (Router, String) {
    let server = Homeserver::start("example.org", MemoryEngine::default()).await.unwrap();
    let (_, token) = server.register("alice").await.unwrap();
    (assemble(routes, &options).with_state(server), token.reveal().to_owned())
}

async fn ask(router: &Router, method: Method, target: &str, body: &str) -> Response {
    let body = Body::from(body.to_owned());
    let request = Request::builder().method(method).uri(target).body(body).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn json_of(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn with_token(target: &str, token: &str) -> String {
    let mark = if target.contains('?') { '&' } else { '?' };
    format!("{target}{mark}access_token={token}")
}

/// Answers what it was asked, as the bridge understood it.
fn echo() -> Routes {
    Routes::new()
        .endpoint(|_, call: Matrix<send_message_event::v3::Request>| async move {
            let r = call.request;
            Ok(Answer(json!([r.room_id, r.event_type, r.txn_id, r.body])))
        })
        .endpoint_on(
            Terms::default().largest_body(100).also(&[
                "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
                "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/",
            ]),
            |_, call: Matrix<send_state_event::v3::Request>| async move {
                let r = call.request;
                Ok(Answer(json!([r.room_id, r.event_type, r.state_key])))
            },
        )
        .endpoint_on(
            Terms::default().also(&["/_matrix/client/v3/rooms/{room_id}/state/{event_type}/"]),
            |_, call: Matrix<get_state_event_for_key::v3::Request>| async move {
                Ok(Answer(json!([call.request.state_key, call.request.format])))
            },
        )
        .endpoint(|_, call: Matrix<report_room::v3::Request>| async move {
            Ok(Answer(json!([call.request.room_id, call.request.reason])))
        })
}

#[tokio::test]
async fn paths_mean_the_same_however_they_are_encoded() {
    let (router, token) = serve(echo(), Options::default()).await;
    let put = async |path: &str| {
        let path = with_token(&format!("/_matrix/client/{path}"), &token);
        json_of(ask(&router, Method::PUT, &path, "{}").await).await
    };
    for room in ["!r:example.org", "%21r%3Aexample.org", "!r%3aexample.org"] {
        for prefix in ["v3", "r0"] {
            let expected = json!(["!r:example.org", "m.room.message", "$#@", {}]);
            for transaction in ["$%23@", "%24%23%40"] {
                let path = format!("{prefix}/rooms/{room}/send/m.room.message/{transaction}");
                assert_eq!(put(&path).await, (StatusCode::OK, expected.clone()), "{path}");
            }
        }
        for (rest, key) in [("", ""), ("/", ""), ("/@a%3Ab", "@a:b"), ("/a%2Fb%20%C3%BC", "a/b ü")]
        {
            let path = format!("v3/rooms/{room}/state/m.custom{rest}");
            let expected = json!(["!r:example.org", "m.custom", key]);
            assert_eq!(put(&path).await, (StatusCode::OK, expected), "{path}");
        }
    }
}

#[tokio::test]
async fn a_path_that_is_not_what_it_should_be_is_an_invalid_parameter() {
    let (router, token) = serve(echo(), Options::default()).await;
    for path in [
        "rooms/r/send/m.x/t",
        "rooms/%FF/send/m.x/t",
        "rooms/!r:x/send//t",
        "rooms/!r:x/state//",
        "rooms/!r:x/state//key",
        "rooms//state/m.x",
    ] {
        let path = with_token(&format!("/_matrix/client/v3/{path}"), &token);
        let (status, body) = json_of(ask(&router, Method::PUT, &path, "{}").await).await;
        assert_eq!(
            (status, &body["errcode"]),
            (StatusCode::BAD_REQUEST, &json!("M_INVALID_PARAM"))
        );
    }
}

#[tokio::test]
async fn one_path_serves_several_methods_and_no_others() {
    let (router, token) = serve(echo(), Options::default()).await;
    let target = with_token("/_matrix/client/v3/rooms/!r:x/state/m.custom/", &token);
    for (method, status) in [
        (Method::PUT, StatusCode::OK),
        (Method::GET, StatusCode::OK),
        (Method::HEAD, StatusCode::OK),
        (Method::OPTIONS, StatusCode::NO_CONTENT),
        (Method::POST, StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, StatusCode::METHOD_NOT_ALLOWED),
        (Method::PATCH, StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let response = ask(&router, method.clone(), &target, "{}").await;
        assert_eq!(response.status(), status, "{method}");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
            assert_eq!(json_of(response).await.1["errcode"], "M_UNRECOGNIZED");
        }
    }
}

#[tokio::test]
async fn bodies_are_what_the_endpoint_takes() {
    let (router, token) = serve(echo(), Options::default()).await;
    let target = with_token("/_matrix/client/v3/rooms/!r:x/report", &token);
    for (body, expected) in [
        (r#"{"reason": "spam"}"#, Ok("spam")),
        ("{}", Ok("")),
        ("", Ok("")),
        (r#"{"reason": 1}"#, Err("M_BAD_JSON")),
        ("[]", Err("M_BAD_JSON")),
        ("1", Err("M_BAD_JSON")),
        ("{", Err("M_NOT_JSON")),
        (r#"{"reason": "\ud800"}"#, Err("M_NOT_JSON")),
        ("reason=spam", Err("M_NOT_JSON")),
    ] {
        let (status, answer) = json_of(ask(&router, Method::POST, &target, body).await).await;
        match expected {
            Ok(reason) => assert_eq!(answer, json!(["!r:x", reason]), "{body}"),
            Err(code) => assert_eq!(
                (status.as_u16(), answer["errcode"].as_str()),
                (400, Some(code)),
                "{body}"
            ),
        }
    }
}

#[tokio::test]
async fn bodies_are_bounded_by_the_terms_of_the_endpoint() {
    let (router, token) = serve(echo(), Options::default()).await;
    let body = json!({ "text": "x".repeat(200) }).to_string();
    let state = with_token("/_matrix/client/v3/rooms/!r:x/state/m.x/y", &token);
    let (status, answer) = json_of(ask(&router, Method::PUT, &state, &body).await).await;
    assert_eq!(
        (status, &answer["errcode"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("M_TOO_LARGE"))
    );
    let message = with_token("/_matrix/client/v3/rooms/!r:x/send/m.x/y", &token);
    assert_eq!(ask(&router, Method::PUT, &message, &body).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn who_proves_nothing_gets_nothing() {
    let (router, token) = serve(echo(), Options::default()).await;
    let target = "/_matrix/client/v3/rooms/!r:x/report";
    let ask_as = async |authorization: &str| {
        let request = Request::post(target).header("authorization", authorization);
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (status, body) = json_of(response).await;
        (status.as_u16(), body["errcode"].as_str().map(str::to_owned))
    };
    let missing = (401, Some("M_MISSING_TOKEN".to_owned()));
    let unknown = (401, Some("M_UNKNOWN_TOKEN".to_owned()));
    assert_eq!(ask_as(&format!("Bearer {token}")).await, (200, None));
    assert_eq!(ask_as(&format!("bearer {token}")).await, (200, None));
    assert_eq!(ask_as("Bearer wrong").await, unknown);
    assert_eq!(ask_as("Bearer ").await, unknown);
    assert_eq!(ask_as("Basic YTpi").await, missing);
    // Before the body is looked at.
    let (_, body) = json_of(ask(&router, Method::POST, target, "nonsense").await).await;
    assert_eq!(body["errcode"], "M_MISSING_TOKEN");
    let wrong = with_token(target, "wrong");
    let (_, body) = json_of(ask(&router, Method::POST, &wrong, "nonsense").await).await;
    assert_eq!(body["errcode"], "M_UNKNOWN_TOKEN");
    assert_ne!(body["soft_logout"], true);
}

#[tokio::test]
async fn every_answer_lets_browsers_read_it() {
    let (router, token) = serve(echo(), Options::default()).await;
    let known = with_token("/_matrix/client/v3/rooms/!r:x/report", &token);
    for (method, target) in [
        (Method::POST, known.as_str()),
        (Method::PUT, known.as_str()),
        (Method::OPTIONS, known.as_str()),
        (Method::OPTIONS, "/nowhere"),
        (Method::GET, "/nowhere"),
        (Method::POST, "/_matrix/client/v3/rooms/!r:x/report"),
    ] {
        let response = ask(&router, method.clone(), target, "").await;
        let headers = response.headers();
        let allow = |what: &'static str| {
            let name = format!("access-control-allow-{what}");
            headers[HeaderName::try_from(name).unwrap()].to_str().unwrap().to_owned()
        };
        assert_eq!(allow("origin"), "*", "{method} {target}");
        assert_eq!(allow("methods"), "GET, POST, PUT, DELETE, OPTIONS");
        assert_eq!(allow("headers"), "X-Requested-With, Content-Type, Authorization");
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_recognised() {
    let (router, _) = serve(echo(), Options::default()).await;
    for target in ["/", "/_matrix/client/v3/nonsense", "/_matrix/client/v9/rooms/!r:x/report"] {
        for method in [Method::GET, Method::PUT] {
            let (status, body) = json_of(ask(&router, method, target, "").await).await;
            assert_eq!(
                (status, &body["errcode"]),
                (StatusCode::NOT_FOUND, &json!("M_UNRECOGNIZED"))
            );
        }
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_of_one_request() {
    let routes = Routes::new().endpoint(|_, call: Matrix<whoami::v3::Request>| async move {
        assert_ne!(call.from.id(), "@alice:example.org", "this user makes handlers panic");
        Ok(whoami::v3::Response::new(call.from.id().to_owned(), false))
    });
    let (router, token) = serve(routes, Options::default()).await;
    let target = with_token("/_matrix/client/v3/account/whoami", &token);
    for _ in 0..2 {
        let (status, body) = json_of(ask(&router, Method::GET, &target, "").await).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body, json!({ "errcode": "M_UNKNOWN", "error": "internal error" }));
    }
}

#[tokio::test]
async fn one_who_repeats_an_action_too_often_is_told_when_to_come_back() {
    let rate_limits = RateLimits { message: Some(Rate::new(2, 0.4)), ..RateLimits::off() };
    let options = Options { rate_limits, ..Options::default() };
    let routes = Routes::new()
        .endpoint_on(Action::Message, |_, _: Matrix<report_room::v3::Request>| async {
            Ok(Answer(json!({})))
        });
    let (router, token) = serve(routes, options).await;
    let target = with_token("/_matrix/client/v3/rooms/!r:x/report", &token);
    for _ in 0..2 {
        assert_eq!(ask(&router, Method::POST, &target, "").await.status(), StatusCode::OK);
    }
    let refused = ask(&router, Method::POST, &target, "").await;
    let seconds: u64 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((2..=3).contains(&seconds), "{seconds}");
    let (status, body) = json_of(refused).await;
    assert_eq!(
        (status, &body["errcode"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("M_LIMIT_EXCEEDED"))
    );
    assert!((1_000..=2_500).contains(&body["retry_after_ms"].as_u64().unwrap()), "{body}");
    // Who has no token is not counted, since nobody knows who it is.
    let nobody = ask(&router, Method::POST, "/_matrix/client/v3/rooms/!r:x/report", "").await;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
}

/// What a tracing subscriber wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Writes down everything, at every level, until the guard is dropped.
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn secrets_never_reach_the_log() {
    let log = Log::default();
    let _guard = log.begin();
    let (router, token) = serve(echo(), Options::default()).await;
    let message =
        format!("/_matrix/client/v3/rooms/!r:x/send/m.x/t?secret=hush-query&access_token={token}");
    ask(&router, Method::PUT, &message, r#"{"body": "hush-body"}"#).await;
    ask(&router, Method::PUT, &message, r#"{"body": hush-malformed"#).await;
    ask(&router, Method::PUT, &with_token("/hush-path", "hush-token"), "hush-body").await;
    let report = with_token("/_matrix/client/v3/rooms/!r:x/report", &token);
    ask(&router, Method::POST, &report, r#"{"reason": ["hush-wrong-type"]}"#).await;
    let header = Request::post("/_matrix/client/v3/rooms/!r:x/report")
        .header("authorization", "Bearer hush-header")
        .header("cookie", "hush-cookie");
    router.oneshot(header.body(Body::from("hush-body")).unwrap()).await.unwrap();
    let text = log.text();
    assert!(!text.contains("hush") && !text.contains(&token), "{text}");
}

#[tokio::test]
async fn the_log_names_the_request_by_id_method_route_and_status() {
    let log = Log::default();
    let _guard = log.begin();
    let (router, token) = serve(echo(), Options::default()).await;
    let target = with_token("/_matrix/client/r0/rooms/!r:x/send/m.x/t", &token);
    let response = ask(&router, Method::PUT, &target, "{}").await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    ask(&router, Method::GET, "/nowhere", "").await;
    let text = log.text();
    let answered = text.lines().find(|line| line.contains("answered")).unwrap();
    for part in [
        format!("id=\"{id}\"").as_str(),
        "method=\"PUT\"",
        "route=\"/_matrix/client/r0/rooms/{room_id}/send/{event_type}/{txn_id}\"",
        "status=200",
        "latency_us=",
    ] {
        assert!(answered.contains(part), "{part} in {answered}");
    }
    assert!(text.contains("route=\"unknown\""), "{text}");
}

/// Tells when it is dropped.
struct Alarm(mpsc::UnboundedSender<&'static str>);

impl Drop for Alarm {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[tokio::test]
async fn a_poll_whose_connection_closes_ends_within_a_second() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let routes = Routes::new().endpoint(move |_, _: Matrix<get_room_event::v3::Request>| {
        let tell = tell.clone();
        async move {
            let _alarm = Alarm(tell.clone());
            tell.send("begun").unwrap();
            std::future::pending::<()>().await;
            Err::<Answer<()>, _>(ApiError::unknown())
        }
    });
    let (router, token) = serve(routes, Options::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    let mut client = TcpStream::connect(address).await.unwrap();
    let target = with_token("/_matrix/client/v3/rooms/!r:x/event/$e", &token);
    let head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(told.recv().await, Some("begun"));
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(1), told.recv()).await;
    assert_eq!(ended, Ok(Some("dropped")));
    serving.abort();
}

#[tokio::test]
async fn who_sends_all_of_a_body_before_reading_reads_why_it_was_refused() {
    const LENGTH: usize = 16 << 20;
    let (router, token) = serve(echo(), Options::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    for (target, code) in [
        (with_token("/_matrix/client/v3/rooms/!r:x/state/m.x", &token), "M_TOO_LARGE"),
        (with_token("/_matrix/client/v3/rooms/!r:x/state/m.x", "wrong"), "M_UNKNOWN_TOKEN"),
        ("/nowhere".to_owned(), "M_UNRECOGNIZED"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "PUT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {LENGTH}\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b' '; LENGTH]).await.expect("nobody hangs up");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(code), "{answer}");
    }
    serving.abort();
}

#[tokio::test]
async fn a_client_without_a_token_is_told_apart_by_its_address() {
    use ruma::api::client::account::get_username_availability::v3 as available;
    let rate_limits = RateLimits { registration: Some(Rate::new(1, 0.01)), ..RateLimits::off() };
    let options = Options { rate_limits, trust_forwarded_for: true, ..Options::default() };
    let routes = Routes::new()
        .endpoint_on(Action::Registration, |_, _: Matrix<available::Request>| async {
            Ok(available::Response::new(true))
        });
    let (router, _) = serve(routes, options).await;
    let ask_from = async |forwarded: &str| {
        let request = Request::get("/_matrix/client/v3/register/available?username=a")
            .header("x-forwarded-for", forwarded);
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.status().as_u16()
    };
    assert_eq!(ask_from("192.0.2.1").await, 200);
    assert_eq!(ask_from("192.0.2.2").await, 200);
    assert_eq!(ask_from("192.0.2.1").await, 429);
    assert_eq!(ask_from("192.0.2.9, 192.0.2.1").await, 429, "what the client claims");
}

#[tokio::test]
async fn an_answer_of_ruma_and_one_of_our_own_are_both_json() {
    let routes = echo().endpoint(|_, call: Matrix<whoami::v3::Request>| async move {
        Ok(whoami::v3::Response::new(call.from.id().to_owned(), false))
    });
    let (router, token) = serve(routes, Options::default()).await;
    for target in ["account/whoami", "rooms/!r:x/state/m.x/y"] {
        let target = with_token(&format!("/_matrix/client/v3/{target}"), &token);
        let response = ask(&router, Method::GET, &target, "").await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json", "{target}");
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_address_has_only_so_many_requests_at_once() {
    let (entered, mut entries) = mpsc::unbounded_channel();
    let hanging = Routes::new().endpoint(move |_, _: Matrix<whoami::v3::Request>| {
        let entered = entered.clone();
        async move {
            entered.send(()).unwrap();
            std::future::pending::<Result<whoami::v3::Response, ApiError>>().await
        }
    });
    let options = Options {
        requests_at_once: std::num::NonZeroU32::new(1),
        trust_forwarded_for: true,
        ..Options::default()
    };
    let (router, token) = serve(hanging, options).await;
    let ask_from = |forwarded: &str| {
        let target = with_token("/_matrix/client/v3/account/whoami", &token);
        let request = Request::builder().uri(target).header("x-forwarded-for", forwarded);
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let waiting = tokio::spawn(ask_from("192.0.2.1"));
    entries.recv().await.unwrap();
    let (status, body) = json_of(ask_from("192.0.2.1").await.unwrap()).await;
    assert_eq!((status.as_u16(), body["errcode"].as_str()), (429, Some("M_LIMIT_EXCEEDED")));
    let other = tokio::spawn(ask_from("192.0.2.2"));
    entries.recv().await.unwrap();
    // Who gives up makes room.
    waiting.abort();
    waiting.await.unwrap_err();
    let again = tokio::spawn(ask_from("192.0.2.1"));
    entries.recv().await.unwrap();
    other.abort();
    again.abort();
}
