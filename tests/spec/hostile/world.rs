//! What hostile requests are about: a server on which a user has one thing of each kind, and another who has none of them.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tertulia::{NewAccount, PasswordCost, Registration, Secret};
use tertulia_storage::{
    Direction, Local as _, Memory, MemoryEngine, Reach, Row, RowRange, TableId,
};
use tertulia_testkit::{Call, Client, Path, TestServer, code_in};

use super::cases::{Body, Request, Token};

/// Where the store notes its newest position, and how far followers of the log have come. What they write is elsewhere.
const BOOKKEEPING: TableId = TableId(60_000);

/// The most bytes of a file here.
pub(crate) const LARGEST_FILE: usize = 1 << 16;

/// A picture of one pixel, whatever it is called.
const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// A server and what is on it.
pub(crate) struct World {
    pub(crate) server: TestServer,
    engine: MemoryEngine,
    /// Who has everything, and administers the server.
    alice: Client,
    /// Who has nothing.
    mallory: Client,
    /// What path parameters and texts in `{}` stand for.
    names: BTreeMap<&'static str, String>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let engine = MemoryEngine::default();
        let builder = TestServer::builder()
            .options(|options| {
                options.public_base_url = Some("https://example.org".to_owned());
                options.delegated_server = "matrix.example.org:443".try_into().ok();
                options.support.page = Some("https://example.org/help".to_owned());
                let key = ruma::serde::Base64::parse("6yhHGKhCiXTSEN2ksjV7kX");
                options.policy_server_key = key.ok();
            })
            .settings(|settings| {
                settings.registration = Registration::Open;
                settings.registration_shared_secret = Some(Secret::new("known to scripts"));
                settings.password_cost = PasswordCost::LEAST;
                settings.public_base_url = Some("https://example.org".to_owned());
                settings.max_upload_size = LARGEST_FILE as u64;
            });
        let server = builder.start_on(engine.clone()).await;
        let alice = administrator(&server).await;
        let mallory = server.user("mallory").await;
        let mut world = Self { server, engine, alice, mallory, names: fixed() };
        world.furnish().await;
        world.settle().await;
        world
    }

    /// Lets the followers of the log catch up. One is woken by who searches, and all commit through one thread, so that
    /// whoever commits after them has waited for them.
    pub(crate) async fn settle(&self) {
        let mallory = &self.mallory;
        for number in 0..5 {
            self.server.clock().advance(Duration::from_secs(10));
            let search = mallory.post(["user_directory", "search"]);
            search.json(json!({ "search_term": "mallory" })).await.ok();
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            let note = mallory.put(["user", mallory.id(), "account_data", "org.test.settled"]);
            note.json(json!({ "number": number })).await.ok();
        }
    }

    /// Gives alice one thing of each kind.
    async fn furnish(&mut self) {
        let (alice, mallory) = (self.alice.clone(), self.mallory.clone());
        let me = alice.id();
        let carol = self.server.user("carol").await;
        let room = alice.create_room(json!({ "room_alias_name": "taken", "name": "hers" })).await;
        alice.invite(&room, &carol).await;
        carol.join(&room).await;
        let event = alice.send_event(&room, "org.test.type", json!({ "n": 1 })).await;
        for key in ["", "key"] {
            alice.set_state(&room, "org.test.type", key, json!({ "n": 1 })).await;
        }
        let wish = json!({ "name": "Tea", "members": [carol.id()] });
        let group = alice.own(Method::POST, ["groups"]).json(wish).await.ok();
        carol.join(group["room_id"].as_str().expect("a room")).await;
        let keep = json!({ "room_id": room, "event_id": event });
        let favourite = alice.own(Method::POST, ["favourites"]).json(keep).await.ok();
        let dave = self.server.user("dave").await;
        let ban = json!({ "user_id": dave.id() });
        alice.post(["rooms", &room, "ban"]).json(ban).await.ok();
        let direct = json!({ "is_direct": true, "invite": [carol.id()] });
        carol.join(&alice.create_room(direct).await).await;
        let (frank, gina) = (self.server.user("frank").await, self.server.user("gina").await);
        for (asker, asked) in [(&frank, me), (&alice, gina.id())] {
            asker.own(Method::POST, ["friends"]).json(json!({ "user": asked })).await.ok();
        }
        let (received, sent) = (requests(&alice, "received").await, requests(&alice, "sent").await);
        let left = alice.create_room(json!({})).await;
        alice.leave(&left).await;
        let knock = json!({ "type": "m.room.join_rules", "content": { "join_rule": "knock" } });
        let knockable = mallory.create_room(json!({ "initial_state": [knock] })).await;
        alice
            .put(["profile", me, "displayname"])
            .json(json!({ "displayname": "Alice" }))
            .await
            .ok();
        for scope in [vec!["user", me], vec!["user", me, "rooms", &room]] {
            let path = format!("/_matrix/client/v3/{}/account_data/org.test.data", encoded(&scope));
            alice.put(path).json(json!({ "n": 1 })).await.ok();
        }
        alice.put(["user", me, "rooms", &room, "tags", "u.test"]).json(json!({})).await.ok();
        let rule = json!({ "conditions": [], "actions": [] });
        alice.put(["pushrules", "global", "override", "own"]).json(rule).await.ok();
        let filter = alice.post(["user", me, "filter"]).json(json!({})).await.ok();
        let file = alice.post("/_matrix/media/v3/upload").header(header::CONTENT_TYPE, "image/png");
        let file = media_id(&file.body(PICTURE).await.ok());
        // That it was read is noted now, and not while rows are compared.
        let path = format!("/_matrix/client/v1/media/download/example.org/{file}");
        assert_eq!(alice.get(path).await.status, StatusCode::OK);
        let promised = media_id(&alice.post("/_matrix/media/v1/create").await.ok());
        let openid = alice.post(["user", me, "openid", "request_token"]).json(json!({})).await.ok();
        let erin = json!({ "username": "erin", "refresh_token": true, "auth": { "type": "m.login.dummy" } });
        let erin = self.server.call(Method::POST, ["register"]).json(erin).await.ok();
        let session = prove_address(&self.server, &alice).await;
        self.names.extend([
            ("session", session.0),
            ("code", session.1),
            ("link", session.2),
            ("userId", me.to_owned()),
            ("deviceId", alice.device().to_owned()),
            ("carol", carol.id().to_owned()),
            ("mallory", mallory.id().to_owned()),
            ("frank", frank.id().to_owned()),
            ("gina", gina.id().to_owned()),
            ("roomId", room.clone()),
            ("roomIdOrAlias", room),
            ("banned", dave.id().to_owned()),
            ("left", left),
            ("knockable", knockable),
            ("eventId", event),
            ("filterId", text(&filter["filter_id"])),
            ("mediaId", file),
            ("refresh", text(&erin["refresh_token"])),
            ("promised", promised),
            ("group", text(&group["room_id"])),
            ("requestId", request(&received, "waiting")),
            ("sent", request(&sent, "waiting")),
            ("over", request(&sent, "accepted")),
            ("favouriteId", text(&favourite["id"])),
            ("openid", text(&openid["access_token"])),
        ]);
    }

    /// What a parameter stands for.
    pub(crate) fn name(&self, parameter: &str) -> String {
        self.names.get(parameter).unwrap_or_else(|| panic!("nothing is called {parameter}")).clone()
    }

    /// A text with what its parts in `{}` stand for, if it has some that stand for something.
    pub(crate) fn filled(&self, text: &str) -> String {
        let fill = |text: String, (name, value): (&&str, &String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        self.names.iter().fold(text.to_owned(), fill)
    }

    /// Who has everything.
    pub(crate) fn alice(&self) -> &Client {
        &self.alice
    }

    /// The request as it is sent.
    pub(crate) fn call(&self, request: &Request) -> Call {
        let call = Call::new(self.server.router(), request.method.clone(), request.path.clone());
        let call = request.query.iter().fold(call, |call, (name, value)| call.query(name, value));
        let call = match &request.token {
            Token::Nobody => call,
            Token::Owner => call.token(self.alice.token()),
            Token::Other => call.token(self.mallory.token()),
            Token::Foreign => call.token("of_another_server"),
        };
        match &request.body {
            Body::None => call,
            Body::Json(body) => call.body(body.to_string()),
            Body::Bytes(bytes) => call.body(bytes.clone()),
        }
    }

    /// Whether the server answers somebody who asks for nothing special.
    pub(crate) async fn answers(&self) -> bool {
        let answer = self.mallory.call(Method::GET, ["account", "whoami"]).await;
        answer.status == StatusCode::OK
    }

    /// All rows but those of [`BOOKKEEPING`].
    pub(crate) fn rows(&self) -> Vec<Row> {
        rows(self.engine.memory())
    }
}

fn rows(memory: &Memory) -> Vec<Row> {
    let everything = RowRange { start: Vec::new(), end: vec![0xff; 3] };
    let rows = memory.snapshot().scan(&everything, Direction::Forward, usize::MAX, Reach::Disk);
    let rows = rows.expect("memory can be read").expect("memory need not be waited for");
    rows.into_iter().filter(|(row, _)| TableId::of(row) != BOOKKEEPING).collect()
}

/// The tables in which one has rows that the other has not.
pub(crate) fn changed(before: &[Row], after: &[Row]) -> Vec<u16> {
    let lacks = |rows: &[Row], row: &Row| rows.binary_search(row).is_err();
    let gone = before.iter().filter(|row| lacks(after, row));
    let come = after.iter().filter(|row| lacks(before, row));
    let mut tables: Vec<_> = gone.chain(come).map(|(row, _)| TableId::of(row).0).collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// Gives `alice` an e-mail address, and begins to prove another: tells the session, the code and what the link
/// says.
async fn prove_address(server: &TestServer, alice: &Client) -> (String, String, String) {
    let begin = async |email: &str| {
        let wish = json!({ "client_secret": "secret", "email": email, "send_attempt": 1 });
        let path = ["account", "3pid", "email", "requestToken"];
        let begun = server.call(Method::POST, path).json(wish).await.ok();
        (text(&begun["sid"]), server.mailbox().take(email).await)
    };
    let (sid, mail) = begin("alice@example.org").await;
    let shown = json!({ "sid": sid, "client_secret": "secret", "token": code_in(&mail) });
    let submit = server.call(Method::POST, Path::own(["email", "submit"])).json(shown);
    submit.await.ok();
    let own =
        json!({ "type": "m.login.password", "user": "alice", "password": "password of alice" });
    let add = json!({ "sid": sid, "client_secret": "secret", "auth": own });
    alice.post(["account", "3pid", "add"]).json(add).await.ok();
    let (sid, mail) = begin("new@example.net").await;
    let link = mail.text.split("token=").nth(1).expect("a link").split_whitespace().next();
    (sid, code_in(&mail), link.expect("a token").to_owned())
}

async fn administrator(server: &TestServer) -> Client {
    let account = NewAccount {
        name: Some("alice".to_owned()),
        password: Some(Secret::new("password of alice")),
        admin: true,
        ..NewAccount::default()
    };
    let (session, token) = server.homeserver().register(account).await.expect("the name is free");
    let (user, device) = (session.id().to_owned(), session.device().to_owned());
    Client::new(server.router(), user, device, token.reveal())
}

/// What is called so whatever happens.
fn fixed() -> BTreeMap<&'static str, String> {
    let names = [
        ("txnId", "hostile"),
        ("eventType", "org.test.type"),
        ("stateKey", "key"),
        ("roomAlias", "#taken:example.org"),
        ("free", "#free:example.org"),
        ("type", "org.test.data"),
        ("tag", "u.test"),
        ("kind", "override"),
        ("ruleId", "own"),
        ("keyName", "displayname"),
        ("receiptType", "m.read"),
        ("relType", "m.annotation"),
        ("serverName", "example.org"),
        ("fileName", "name.png"),
        ("authType", "m.login.dummy"),
    ];
    names.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// One page of a user's requests.
async fn requests(user: &Client, page: &'static str) -> Value {
    user.own(Method::GET, ["requests", page]).await.ok()
}

/// The first request of a page that is in this state.
fn request(page: &Value, state: &str) -> String {
    let mut requests = page["requests"].as_array().expect("a list").iter();
    text(&requests.find(|request| request["state"] == state).expect("one of each")["id"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The last part of the URI that an answer tells.
fn media_id(answer: &Value) -> String {
    text(&answer["content_uri"]).rsplit('/').next().unwrap_or_default().to_owned()
}

/// Segments as a path has them.
fn encoded(segments: &[&str]) -> String {
    segments.iter().map(|segment| encode(segment)).collect::<Vec<_>>().join("/")
}

/// A segment as a path has it.
pub(crate) fn encode(segment: &str) -> String {
    let mut encoded = String::new();
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
