//! What only a connection shows: requests that do not end, or are no HTTP.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use tertulia_testkit::{Listening, TestServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Sends these bytes and no more, and tells what comes back until the server closes.
async fn send(listening: &Listening, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(listening.address()).await.unwrap();
    // The server may close before it has read all of it.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const VERSIONS: &str = "GET /_matrix/client/versions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";

#[tokio::test]
async fn what_is_no_http_ends_its_own_connection_only() {
    let server = TestServer::start().await;
    let listening = server.listen().await;
    let header = format!("{VERSIONS}x-long: {}\r\n\r\n", "a".repeat(1 << 20));
    let headers = format!("{VERSIONS}{}\r\n", "x-many: a\r\n".repeat(10_000));
    let login = "POST /_matrix/client/v3/login HTTP/1.1\r\nhost: x\r\n";
    let cut_off = format!("{login}content-length: 100\r\n\r\n{{\"type\":");
    let lengths = format!("{login}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}} ");
    let chunks = format!("{login}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}");
    let expected: [(&[u8], &str); 8] = [
        (b"\x00\xff\x16\x03\x01 nonsense\r\n\r\n", "HTTP/1.1 400"),
        (b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /_matrix/client/versions HTTP/1.1\r\nhost", ""),
        (header.as_bytes(), "HTTP/1.1 431"),
        (headers.as_bytes(), "HTTP/1.1 431"),
        (cut_off.as_bytes(), ""),
        (lengths.as_bytes(), "HTTP/1.1 400"),
        (chunks.as_bytes(), "HTTP/1.1 400"),
    ];
    for (bytes, begins) in expected {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let answer = send(&listening, bytes).await;
        assert!(answer.starts_with(begins), "{shown:?}: {}", &answer[..answer.len().min(200)]);
        let good = send(&listening, format!("{VERSIONS}\r\n").as_bytes()).await;
        assert!(good.starts_with("HTTP/1.1 200"), "after {shown:?}");
    }
}

/// Time leaps where everyone waits.
#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_not_waited_for() {
    let server = TestServer::start().await;
    let slow = stream::repeat(" ").then(|drop| async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok::<_, std::io::Error>(drop)
    });
    let login = server.call(http::Method::POST, ["login"]);
    let answer = login.body(axum::body::Body::from_stream(slow)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(server.call(http::Method::GET, ["login"]).await.status, StatusCode::OK);
}
