//! A support chat: visitors of a web page ask, and a team answers.
//!
//! A visitor knows nothing of Matrix. The page asks the four routes below; for each visitor there is a user and a
//! room. The team are users with an account, who see the rooms in any Matrix client. Whoever of the team writes
//! `!close` ends a case: the visitor is shown out, and the room stays with the team.
//!
//! ```text
//! curl -d 'My parcel is late' http://127.0.0.1:8008/cases             # opens a case, and tells its key
//! curl -d 'It is blue' http://127.0.0.1:8008/cases/KEY                # says something more
//! curl http://127.0.0.1:8008/cases/KEY?after=TOKEN                    # what was said since
//! ```

use std::{
    collections::HashMap,
    error::Error as StdError,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tertulia::{
    ClientEvent, Error, Homeserver, MemoryEngine, NewAccount, NewGroup, Random, Remains, Result,
    Room, SystemRandom, Updates, User, ruma::RoomId,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn StdError>> {
    let server = Homeserver::start("localhost", MemoryEngine::default()).await?;
    for agent in ["alice", "bob"] {
        server.create_user(NewAccount::from(agent).with_password("at your service")).await?;
    }
    let desk = Desk::open(server, &["alice", "bob"]).await?;
    tokio::spawn(desk.clone().watch(desk.house.updates()));
    axum::serve(TcpListener::bind("127.0.0.1:8008").await?, desk.router()).await?;
    Ok(())
}

/// The desk: what all its parts share. Cheap to clone.
#[derive(Clone)]
struct Desk {
    server: Homeserver,
    /// Whose rooms they are.
    house: User,
    team: Vec<User>,
    /// The open cases by their keys: the room of each, as its visitor acts in it. A desk that outlives its process
    /// keeps them in a table of its own.
    cases: Arc<Mutex<HashMap<String, Room>>>,
}

impl Desk {
    async fn open(server: Homeserver, team: &[&str]) -> Result<Self> {
        let house = NewAccount::from("desk").with_display_name("The desk");
        let house = server.ensure_user(house).await?;
        let mut agents = Vec::new();
        for agent in team {
            agents.push(server.user(agent).await?);
        }
        Ok(Self { server, house, team: agents, cases: Arc::default() })
    }

    /// The routes of the page, and those of the team's clients.
    fn router(&self) -> Router {
        Router::new()
            .route("/cases", post(open_case))
            .route("/cases/{key}", get(read).post(say))
            .with_state(self.clone())
            .merge(tertulia_http::mount(self.server.clone(), Default::default()))
    }

    /// Opens a case for somebody who asks `question`, and tells its key.
    async fn open_case(&self, question: &str) -> Result<String> {
        let random: &dyn Random = &SystemRandom;
        let key = random.word(32);
        let visitor = NewAccount::default().with_display_name("Visitor");
        let visitor = self.server.create_user(visitor).await?;
        let people = || self.team.iter().chain([&visitor]);
        let name = question.chars().take(40).collect();
        let group = NewGroup {
            name: Some(name),
            members: people().map(|user| user.id().to_owned()).collect(),
            ..NewGroup::default()
        };
        let room = self.house.groups().create(group).await?;
        // Nobody has to accept: those who are asked in are the desk's own people.
        for user in people() {
            user.room(room.id()).join(None).await?;
        }
        let room = visitor.room(room.id());
        room.send_text(question).await?;
        self.cases.lock().expect("nobody panics with it").insert(key.clone(), room);
        Ok(key)
    }

    fn case(&self, key: &str) -> Result<Room> {
        let cases = self.cases.lock().expect("nobody panics with it");
        cases.get(key).cloned().ok_or(Error::NotFound("case"))
    }

    /// Waits for the word that closes a case.
    async fn watch(self, mut updates: Updates) -> Result<()> {
        while let Some(update) = updates.try_next().await? {
            for event in update.events().filter(|event| self.closes(event)) {
                self.close(event.room()).await?;
            }
        }
        Ok(())
    }

    fn closes(&self, event: &ClientEvent) -> bool {
        let is_of_team = self.team.iter().any(|agent| agent.id() == event.sender());
        is_of_team && event.body().as_deref() == Some("!close")
    }

    /// Shows the visitor out. What was said stays in the room.
    async fn close(&self, room: &RoomId) -> Result<()> {
        let case = {
            let mut cases = self.cases.lock().expect("nobody panics with it");
            let key = cases.iter().find(|(_, case)| case.id() == room).map(|(key, _)| key.clone());
            key.and_then(|key| cases.remove(&key))
        };
        let Some(case) = case else { return Ok(()) };
        let house = self.house.room(room);
        house.send_notice("This case is closed.").await?;
        house.kick(case.user().id(), Some("The case is closed".to_owned())).await?;
        case.user().deactivate(Remains::Keep).await
    }
}

async fn open_case(State(desk): State<Desk>, question: String) -> Answer {
    Ok(json!({ "key": desk.open_case(&question).await? }).to_string())
}

async fn say(State(desk): State<Desk>, Path(key): Path<String>, words: String) -> Answer {
    desk.case(&key)?.send_text(&words).await?;
    Ok("{}".to_owned())
}

#[derive(Deserialize)]
struct Since {
    after: Option<String>,
}

/// What was said, oldest first, and where to go on.
async fn read(
    State(desk): State<Desk>,
    Path(key): Path<String>,
    Query(Since { after }): Query<Since>,
) -> Answer {
    let room = desk.case(&key)?;
    let mut history = room.history().forward();
    if let Some(after) = after {
        history = history.from(after.parse()?);
    }
    let mut said = Vec::new();
    while let Some(event) = history.try_next().await? {
        said.extend(shown(&event, &room));
    }
    let after = history.token().map(|token| token.to_string());
    Ok(json!({ "said": said, "after": after }).to_string())
}

/// A message as the page shows it: visitors need not know which of the team it was.
fn shown(event: &ClientEvent, room: &Room) -> Option<Value> {
    let who = if event.sender() == room.user().id() { "you" } else { "us" };
    Some(json!({ "who": who, "text": event.body()? }))
}

type Answer = std::result::Result<String, Refusal>;

/// Why the page does not get what it asks for.
struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0 {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Invalid(_) | Error::TooLarge => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use tertulia::ChatsQuery;
    use tertulia_testkit::Call;

    use super::*;

    /// A desk at which Alice and Bob are.
    async fn desk() -> Desk {
        let server = Homeserver::start("localhost", MemoryEngine::default()).await.unwrap();
        for agent in ["alice", "bob"] {
            server.create_user(agent).await.unwrap();
        }
        Desk::open(server, &["alice", "bob"]).await.unwrap()
    }

    fn call(desk: &Desk, method: Method, path: &str) -> Call {
        Call::new(desk.router(), method, path)
    }

    /// Asks, and tells where the case is read and written.
    async fn ask(desk: &Desk, question: &str) -> String {
        let opened = call(desk, Method::POST, "/cases").body(question.to_owned()).await.ok();
        format!("/cases/{}", opened["key"].as_str().unwrap())
    }

    fn texts(read: &Value) -> Vec<(&str, &str)> {
        let said = read["said"].as_array().unwrap().iter();
        said.map(|said| (said["who"].as_str().unwrap(), said["text"].as_str().unwrap())).collect()
    }

    /// The only room of an agent who sees one case.
    async fn room_of(agent: &User) -> Room {
        let chats = agent.chats().list(&ChatsQuery::default()).await.unwrap().chats;
        agent.room(&chats[0].room_id)
    }

    #[tokio::test]
    async fn a_visitor_asks_and_the_team_answers() {
        let desk = desk().await;
        let case = ask(&desk, "My parcel is late").await;
        call(&desk, Method::POST, &case).body("It is blue").await.ok();
        for agent in &desk.team {
            let room = room_of(agent).await;
            room.send_text("We look for it").await.unwrap();
        }
        let read = call(&desk, Method::GET, &case).await.ok();
        let so_far = [("you", "My parcel is late"), ("you", "It is blue")];
        let answers = [("us", "We look for it"); 2];
        assert_eq!(texts(&read), [so_far, answers].concat());
        room_of(&desk.team[0]).await.send_text("Found!").await.unwrap();
        let after = read["after"].as_str().unwrap();
        let news = call(&desk, Method::GET, &case).query("after", after).await.ok();
        assert_eq!(texts(&news), [("us", "Found!")]);
        desk.server.shutdown().await;
    }

    #[tokio::test]
    async fn visitors_read_their_own_case_alone() {
        let desk = desk().await;
        let (mine, other) = (ask(&desk, "mine").await, ask(&desk, "another's").await);
        assert_eq!(texts(&call(&desk, Method::GET, &mine).await.ok()), [("you", "mine")]);
        assert_eq!(texts(&call(&desk, Method::GET, &other).await.ok()), [("you", "another's")]);
        let nobody = call(&desk, Method::GET, "/cases/guessed").await;
        assert_eq!(nobody.status, StatusCode::NOT_FOUND);
        let nowhere = call(&desk, Method::GET, &mine).query("after", "no token").await;
        assert_eq!(nowhere.status, StatusCode::BAD_REQUEST);
        desk.server.shutdown().await;
    }

    #[tokio::test]
    async fn the_team_closes_a_case_and_keeps_what_was_said() {
        let desk = desk().await;
        let watching = tokio::spawn(desk.clone().watch(desk.house.updates()));
        let case = ask(&desk, "My parcel is late").await;
        let visitor = desk.cases.lock().unwrap().values().next().unwrap().user().clone();
        let room = room_of(&desk.team[1]).await;
        let mut updates = desk.team[1].updates();
        room.send_text("!close").await.unwrap();
        let is_gone = |event: &ClientEvent| event.state_key() == Some(visitor.id().as_str());
        while !updates.try_next().await.unwrap().unwrap().events().any(is_gone) {}
        assert_eq!(call(&desk, Method::GET, &case).await.status, StatusCode::NOT_FOUND);
        let events: Vec<_> = room.history().forward().try_collect().await.unwrap();
        let said: Vec<_> = events.iter().filter_map(ClientEvent::body).collect();
        assert_eq!(said, ["My parcel is late", "!close", "This case is closed."]);
        // It is done with the case before it ends.
        desk.server.stop_waiting();
        watching.await.unwrap().unwrap();
        let closed = desk.server.user(visitor.id().as_str()).await;
        assert!(matches!(closed, Err(Error::Deactivated)), "{closed:?}");
        desk.server.shutdown().await;
    }
}
