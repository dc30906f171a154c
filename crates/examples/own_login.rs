//! A web application that has a login of its own, and a homeserver inside for its people to talk by.
//!
//! The application knows who somebody is: here by a list of names and words, in earnest by its own table of users
//! or an identity provider. For those whom it has let in
//!
//! * it acts itself, as `/greet` does, and
//! * it opens sessions, as `/matrix` does, with which any Matrix client or library talks to the same address.
//!
//! Nobody can register or log in past the application. Everything is kept in the folder `data`.
//!
//! ```text
//! curl -i -d '{"name":"alice","word":"rabbit"}' http://127.0.0.1:8008/login    # sets the application's cookie
//! curl -b app=… -d 'Hello!' http://127.0.0.1:8008/greet                        # the application acts for her
//! curl -b app=… -X POST http://127.0.0.1:8008/matrix                           # what a Matrix client needs
//! ```

use std::{
    collections::HashMap,
    error::Error as StdError,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{
        StatusCode,
        header::{COOKIE, SET_COOKIE},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tertulia::{
    Error, FileBlobs, Homeserver, NewDevice, NewGroup, Random, SystemRandom, ruma::OwnedRoomId,
};
use tertulia_rocksdb::{Options as RocksOptions, RocksEngine};
use tokio::net::TcpListener;

/// Those whom the application knows.
const PEOPLE: [(&str, &str); 2] = [("alice", "rabbit"), ("bob", "builder")];

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let server = start(Path::new("data")).await?;
    let listener = TcpListener::bind("127.0.0.1:8008").await?;
    // With the addresses of those who call, the limits of those who have not logged in are by address.
    let service = application(server.clone()).await?;
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let waiting = server.clone();
    let interrupted = async move {
        // Without a signal to wait for, one that cannot be had ends the program as well.
        let _ = tokio::signal::ctrl_c().await;
        // Clients that wait for news are answered, so that no connection is left.
        waiting.stop_waiting();
    };
    axum::serve(listener, service).with_graceful_shutdown(interrupted).await?;
    server.shutdown().await;
    Ok(())
}

/// Starts the server on what is in `folder`, or anew.
async fn start(folder: &Path) -> Result<Homeserver, Box<dyn StdError>> {
    let engine = RocksEngine::open(folder.join("store"), RocksOptions::default())?;
    let files = FileBlobs::open(folder.join("media")).await?;
    Ok(Homeserver::builder("localhost")?.blobs(files).start(engine).await?)
}

/// The application's own pages, with all that Matrix clients ask for beside them.
async fn application(server: Homeserver) -> tertulia::Result<Router> {
    let app = App { lobby: lobby(&server).await?, server: server.clone(), logins: Arc::default() };
    Ok(Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/greet", post(greet))
        .route("/matrix", post(open_matrix))
        .fallback((StatusCode::NOT_FOUND, "there is no such page"))
        .with_state(app)
        .merge(tertulia_http::mount(server, tertulia_http::Options::default())))
}

/// What the pages share.
#[derive(Clone)]
struct App {
    server: Homeserver,
    lobby: OwnedRoomId,
    /// Who has logged in, by the word in the cookie.
    logins: Arc<Mutex<HashMap<String, String>>>,
}

/// The room in which everyone meets; it belongs to a user that is the application itself.
async fn lobby(server: &Homeserver) -> tertulia::Result<OwnedRoomId> {
    let house = server.ensure_user("house").await?;
    if let Some(lobby) = house.joined_rooms().await?.pop() {
        return Ok(lobby);
    }
    let lobby = NewGroup { name: Some("Lobby".to_owned()), public: true, ..NewGroup::default() };
    Ok(house.groups().create(lobby).await?.id().to_owned())
}

/// Somebody whom the application has let in: a page that asks for this is closed to all others.
struct Person(String);

impl FromRequestParts<App> for Person {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let cookie = parts.headers.get(COOKIE).and_then(|cookie| cookie.to_str().ok());
        let word = cookie.and_then(|cookie| cookie.strip_prefix("app="));
        let logins = app.logins.lock().expect("nobody panics with it");
        let name = word.and_then(|word| logins.get(word)).cloned();
        name.map(Person).ok_or(Refusal::LogInFirst)
    }
}

async fn home(Person(name): Person) -> String {
    format!("Hello, {name}.")
}

#[derive(Deserialize)]
struct Login {
    name: String,
    word: String,
}

/// The application's own login: it has nothing to do with Matrix.
async fn log_in(State(app): State<App>, body: Bytes) -> Result<impl IntoResponse, Refusal> {
    let Login { name, word } = serde_json::from_slice(&body).map_err(|_| Refusal::LogInFirst)?;
    if !PEOPLE.contains(&(&*name, &*word)) {
        return Err(Refusal::LogInFirst);
    }
    let random: &dyn Random = &SystemRandom;
    let cookie = random.word(32);
    app.logins.lock().expect("nobody panics with it").insert(cookie.clone(), name);
    Ok([(SET_COOKIE, format!("app={cookie}; HttpOnly; SameSite=Strict"))])
}

/// The application acts for the one who asks: they say something in the lobby.
async fn greet(
    State(app): State<App>,
    Person(name): Person,
    words: String,
) -> Result<String, Refusal> {
    let room = app.server.ensure_user(&*name).await?.room(&app.lobby);
    room.join(None).await?;
    Ok(room.send_text(&words).await?.to_string())
}

/// Opens a session for a Matrix client of the one who asks, in the form of Matrix's own login.
async fn open_matrix(State(app): State<App>, Person(name): Person) -> Result<String, Refusal> {
    let user = app.server.ensure_user(&*name).await?;
    let (session, token) = user.open_session(NewDevice::default()).await?;
    let answer = json!({
        "user_id": session.id(), "device_id": session.device(), "access_token": token.reveal(),
    });
    Ok(answer.to_string())
}

/// Why the application does not do what it is asked for.
enum Refusal {
    LogInFirst,
    Tertulia(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Tertulia(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::LogInFirst => return (StatusCode::UNAUTHORIZED, "log in first").into_response(),
            // What people may not do, or what is not there, is told them in the words of the error.
            Self::Tertulia(Error::Forbidden(_) | Error::Refused(_)) => StatusCode::FORBIDDEN,
            Self::Tertulia(Error::NotFound(_)) => StatusCode::NOT_FOUND,
            Self::Tertulia(Error::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Tertulia(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let Self::Tertulia(error) = self else { return status.into_response() };
        (status, error.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use futures_util::TryStreamExt as _;
    use serde_json::Value;
    use tertulia_testkit::{Call, Client};

    use super::*;

    /// The application as one who has logged in to it calls it.
    struct Visit {
        app: Router,
        cookie: String,
    }

    impl Visit {
        async fn of(app: &Router, name: &str, word: &str) -> Result<Self, StatusCode> {
            let login = json!({ "name": name, "word": word });
            let answer = Call::new(app.clone(), Method::POST, "/login").json(login).await;
            let cookie = answer.headers.get(SET_COOKIE).ok_or(answer.status)?.to_str().unwrap();
            let cookie = cookie.split_once(';').unwrap().0.to_owned();
            Ok(Self { app: app.clone(), cookie })
        }

        fn post(&self, path: &str) -> Call {
            Call::new(self.app.clone(), Method::POST, path).header(COOKIE, &self.cookie)
        }

        /// A Matrix client with a session that the application opened.
        async fn client(&self) -> Client {
            let opened = self.post("/matrix").await.ok();
            let text = |key: &str| opened[key].as_str().unwrap().to_owned();
            let user = text("user_id").try_into().unwrap();
            Client::new(self.app.clone(), user, text("device_id").into(), text("access_token"))
        }
    }

    #[tokio::test]
    async fn the_application_decides_who_comes_in() {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await.unwrap();
        let app = application(server.clone()).await.unwrap();
        let wrong = Visit::of(&app, "alice", "builder").await.err();
        assert_eq!(wrong, Some(StatusCode::UNAUTHORIZED));
        for path in ["/matrix", "/greet"] {
            let answer = Call::new(app.clone(), Method::POST, path).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
        let register = "/_matrix/client/v3/register";
        let body = json!({ "username": "mallory", "password": "past the application" });
        let past = Call::new(app.clone(), Method::POST, register).json(body).await;
        assert_eq!(past.status, StatusCode::FORBIDDEN);
        let alice = Visit::of(&app, "alice", "rabbit").await.ok().unwrap().client().await;
        assert_eq!(alice.get(["account", "whoami"]).await.ok()["user_id"], "@alice:localhost");
        server.shutdown().await;
    }

    #[tokio::test]
    async fn people_of_the_application_and_of_matrix_clients_talk() {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await.unwrap();
        let app = application(server.clone()).await.unwrap();
        let alice = Visit::of(&app, "alice", "rabbit").await.ok().unwrap();
        let bob = Visit::of(&app, "bob", "builder").await.ok().unwrap().client().await;
        let lobby = lobby(&server).await.unwrap();
        bob.join(lobby.as_str()).await;
        let since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
        let greeting = alice.post("/greet").body("Hello, Bob!").await;
        assert_eq!(greeting.status, StatusCode::OK);
        let news = bob.sync(Some(&since)).await;
        let events = news["rooms"]["join"][lobby.as_str()]["timeline"]["events"].as_array();
        let said: Vec<&Value> =
            events.unwrap().iter().map(|event| &event["content"]["body"]).collect();
        assert!(said.contains(&&json!("Hello, Bob!")), "{news}");
        server.shutdown().await;
    }

    #[tokio::test]
    async fn what_was_said_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        {
            let server = start(folder.path()).await.unwrap();
            let app = application(server.clone()).await.unwrap();
            let alice = Visit::of(&app, "alice", "rabbit").await.ok().unwrap();
            alice.post("/greet").body("Remember this").await;
            server.shutdown().await;
        }
        let server = start(folder.path()).await.unwrap();
        let alice = server.user("alice").await.unwrap();
        let history = alice.room(&lobby(&server).await.unwrap()).history();
        let events: Vec<_> = history.try_collect().await.unwrap();
        assert_eq!(events[0].body().as_deref(), Some("Remember this"));
        server.shutdown().await;
    }

    #[tokio::test]
    async fn pages_are_the_applications_and_the_rest_is_matrix() {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await.unwrap();
        let app = application(server.clone()).await.unwrap();
        let alice = Visit::of(&app, "alice", "rabbit").await.ok().unwrap();
        let home = Call::new(app.clone(), Method::GET, "/").header(COOKIE, &alice.cookie).await;
        assert_eq!(home.body, "Hello, alice.");
        let nothing = Call::new(app.clone(), Method::GET, "/nothing").await;
        assert_eq!(
            (nothing.status, &*nothing.body),
            (StatusCode::NOT_FOUND, &b"there is no such page"[..])
        );
        let unknown = Call::new(app, Method::GET, "/_matrix/client/v3/nothing").await;
        unknown.refused(404, "M_UNRECOGNIZED");
        server.shutdown().await;
    }
}
