use std::{
    fs,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, extract::ConnectInfo, routing::get};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tokio_util::io::ReaderStream;

use super::*;

/// Where the certificates of these tests are; they are worth nothing elsewhere.
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");

fn plain() -> Listener {
    Listener { address: "127.0.0.1:0".parse().unwrap(), certificate: None, key: None }
}

fn secure(folder: &Path) -> Listener {
    Listener {
        certificate: Some(folder.join("a.pem")),
        key: Some(folder.join("a.key.pem")),
        ..plain()
    }
}

/// Puts one of the two certificates where a listener looks.
fn install(folder: &Path, name: &str) {
    for (from, to) in [(format!("{name}.pem"), "a.pem"), (format!("{name}.key.pem"), "a.key.pem")] {
        fs::copy(PathBuf::from(CERTIFICATES).join(from), folder.join(to)).unwrap();
    }
}

fn serve(listeners: &[Listener], router: &Router) -> (Vec<SocketAddr>, Serving) {
    let bound = Listeners::bind(listeners).unwrap();
    let addresses = bound.0.iter().map(|bound| bound.address).collect();
    (addresses, bound.serve(router, None).unwrap())
}

fn hello() -> Router {
    Router::new().route(
        "/",
        get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.ip().to_string() }),
    )
}

/// A client that trusts one of the two certificates.
fn client(name: &str) -> reqwest::Client {
    // Someone else may have chosen the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = fs::read(PathBuf::from(CERTIFICATES).join(format!("{name}.pem"))).unwrap();
    let root = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).pool_max_idle_per_host(0).build().unwrap()
}

async fn body(client: &reqwest::Client, url: String) -> Result<String, reqwest::Error> {
    client.get(url).send().await?.text().await
}

#[tokio::test]
async fn every_listener_serves_everything() {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "first");
    let (addresses, _serving) = serve(&[plain(), secure(folder.path())], &hello());
    let client = client("first");
    assert_eq!(body(&client, format!("http://{}/", addresses[0])).await.unwrap(), "127.0.0.1");
    let port = addresses[1].port();
    let response = client.get(format!("https://localhost:{port}/")).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), "127.0.0.1");
}

#[tokio::test]
async fn a_certificate_read_again_holds_for_new_connections() {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "first");
    let (addresses, serving) = serve(&[secure(folder.path())], &hello());
    let url = || format!("https://localhost:{}/", addresses[0].port());
    assert!(body(&client("second"), url()).await.is_err());
    install(folder.path(), "second");
    serving.reload_certificates();
    assert!(body(&client("second"), url()).await.is_ok());
    assert!(body(&client("first"), url()).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_does_not_read_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "first");
    let (addresses, serving) = serve(&[secure(folder.path())], &hello());
    fs::write(folder.path().join("a.pem"), "not a certificate").unwrap();
    serving.reload_certificates();
    let url = format!("https://localhost:{}/", addresses[0].port());
    assert!(body(&client("first"), url).await.is_ok());
}

#[tokio::test]
async fn certificate_and_key_have_to_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || Listeners::bind(&[secure(folder.path())]).err().unwrap().to_string();
    assert!(refused().contains("cannot be read"));
    install(folder.path(), "first");
    fs::copy(PathBuf::from(CERTIFICATES).join("second.key.pem"), folder.path().join("a.key.pem"))
        .unwrap();
    assert!(refused().contains("do not go together"));
    fs::write(folder.path().join("a.pem"), "").unwrap();
    assert!(refused().contains("there is no certificate"));
}

#[tokio::test]
async fn a_port_in_use_is_told_in_one_sentence() {
    let (addresses, _serving) = serve(&[plain()], &hello());
    let again = Listener { address: addresses[0], ..plain() };
    let error = Listeners::bind(&[again]).err().unwrap().to_string();
    assert!(error.starts_with(&format!("{} is in use: stop the program", addresses[0])), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_told_in_one_sentence() {
    let listener = Listener { address: "192.0.2.1:1".parse().unwrap(), ..plain() };
    let error = Listeners::bind(&[listener]).err().unwrap().to_string();
    assert!(error.contains("cannot be listened on"), "{error}");
}

/// Answers `/` when told to.
fn patient() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asking, answering) = (asked.clone(), answer.clone());
    let router = Router::new().route(
        "/",
        get(|| async move {
            asking.notify_one();
            answering.notified().await;
            "late"
        }),
    );
    (router, asked, answer)
}

#[tokio::test]
async fn who_waits_is_answered_before_a_listener_closes() {
    let (router, asked, answer) = patient();
    let (addresses, serving) = serve(&[plain()], &router);
    let client = client("first");
    let url = format!("http://{}/", addresses[0]);
    let waiting = tokio::spawn(async move { body(&client, url).await });
    asked.notified().await;
    let closing = tokio::spawn(serving.close(Duration::from_secs(60)));
    answer.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), "late");
    closing.await.unwrap().unwrap();
    assert!(TcpStream::connect(addresses[0]).await.is_err());
}

#[tokio::test]
async fn patience_with_the_slow_ends() {
    let (router, asked, _answer) = patient();
    let (addresses, serving) = serve(&[plain()], &router);
    let mut connection = TcpStream::connect(addresses[0]).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    asked.notified().await;
    serving.close(Duration::from_millis(1)).await.unwrap();
    assert_eq!(connection.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let (addresses, _serving) = serve(&[plain()], &hello());
    let mut connection = TcpStream::connect(addresses[0]).await.unwrap();
    for _ in 0..2 {
        connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"127.0.0.1") {
            assert_ne!(
                connection.read_buf(&mut answer).await.unwrap(),
                0,
                "the connection was closed"
            );
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

const A_MOMENT: Duration = Duration::from_millis(10);
const AN_HOUR: Duration = Duration::from_secs(3_600);

/// Serves `router` to clients who are waited for as `patience` says.
fn serve_with(patience: Patience, router: &Router) -> (SocketAddr, JoinSet<io::Result<()>>) {
    let bound = Bound::new(&plain()).unwrap();
    let (address, mut tasks) = (bound.address, JoinSet::new());
    tasks.spawn(
        bound
            .serve(router.clone(), Handle::new(), PatientAcceptor { patience, places: None })
            .unwrap(),
    );
    (address, tasks)
}

/// A file without end, which tells when it is closed.
struct Endless(Arc<Notify>);

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = buffer.initialize_unfilled().len();
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_dropped() {
    let closed = Arc::new(Notify::new());
    let file = closed.clone();
    let download = || async move { Body::from_stream(ReaderStream::new(Endless(file))) };
    let patience =
        Patience { head: AN_HOUR, taking: A_MOMENT, sign_of_life: AN_HOUR, idle: AN_HOUR };
    let (address, _tasks) = serve_with(patience, &Router::new().route("/", get(download)));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    closed.notified().await;
}

#[tokio::test]
async fn who_talks_http_2_and_shows_no_sign_of_life_is_given_up() {
    let patience =
        Patience { head: AN_HOUR, taking: AN_HOUR, sign_of_life: A_MOMENT, idle: AN_HOUR };
    let (address, _tasks) = serve_with(patience, &hello());
    let mut connection = TcpStream::connect(address).await.unwrap();
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    connection.write_all(&empty_settings).await.unwrap();
    let mut told = Vec::new();
    // It may end with a reset, too.
    let _ = connection.read_to_end(&mut told).await;
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    assert!(told.windows(ping.len()).any(|window| window == ping), "it was asked: {told:?}");
}

/// The beginning of a connection that talks HTTP/2, with empty settings.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn who_talks_http_2_and_asks_nothing_is_given_up() {
    let idle = Duration::from_millis(200);
    let patience = Patience { head: AN_HOUR, taking: AN_HOUR, sign_of_life: AN_HOUR, idle };
    let (address, _tasks) = serve_with(patience, &hello());
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(HTTP_2).await.unwrap();
    let begun = std::time::Instant::now();
    let _ = connection.read_to_end(&mut Vec::new()).await;
    assert!(begun.elapsed() >= idle, "it was given time");
}

#[tokio::test]
async fn who_waits_for_an_answer_asks() {
    let (router, asked, answer) = patient();
    let patience =
        Patience { head: AN_HOUR, taking: AN_HOUR, sign_of_life: AN_HOUR, idle: A_MOMENT };
    let (address, _tasks) = serve_with(patience, &router);
    let client = client("first");
    let waiting = tokio::spawn(async move { body(&client, format!("http://{address}/")).await });
    asked.notified().await;
    tokio::time::sleep(A_MOMENT * 5).await;
    answer.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), "late");
}
