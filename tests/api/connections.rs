//! What only a real connection shows.

use std::time::Duration;

use serde_json::Value;
use tertulia_testkit::TestServer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn the_same_routes_answer_over_a_socket() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let listening = server.listen().await;
    let mut stream = TcpStream::connect(listening.address()).await.unwrap();
    let path = format!("/_matrix/client/v3/account/whoami?access_token={}", alice.token());
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["user_id"], alice.id());
}

#[tokio::test]
async fn a_sync_whose_connection_closes_frees_its_task_within_a_second() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let token = alice.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let listening = server.listen().await;
    let mut stream = TcpStream::connect(listening.address()).await.unwrap();
    let path = format!(
        "/_matrix/client/v3/sync?timeout=30000&since={token}&access_token={}",
        alice.token()
    );
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // The poll sleeps by the clock of the test, which nobody moves.
    server.clock().sleepers(1).await;
    drop(stream);
    let gone = tokio::time::timeout(Duration::from_secs(1), server.clock().awake());
    gone.await.expect("the poll ends with its connection");
    assert_eq!(server.homeserver().waiting_syncs(), 0);
}
