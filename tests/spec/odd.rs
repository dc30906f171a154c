//! Odd requests, written by hand: each is answered as the table has it, the server goes on answering, and no row has
//! changed unless the request was done.

mod connections;

use axum::body::Body;
use http::{Method, header};
use serde_json::{Value, json};
use tertulia_testkit::{Call, Client};

use crate::hostile::world::{World, changed, encode};

/// What is sent, and the status and the code that are answered; a success has no code.
struct Odd {
    name: &'static str,
    call: Call,
    status: u16,
    code: &'static str,
}

fn odd(name: &'static str, call: Call, status: u16, code: &'static str) -> Odd {
    Odd { name, call, status, code }
}

/// Sends them all to one server.
async fn check(world: &World, requests: Vec<Odd>) {
    let mut complaints = Vec::new();
    for Odd { name, call, status, code } in requests {
        let before = world.rows();
        let outcome = call.await.outcome();
        if outcome != (status, (!code.is_empty()).then(|| code.to_owned())) {
            complaints.push(format!("{name}: {outcome:?} instead of {status} {code}"));
        }
        let now = world.rows();
        if outcome.0 != 200 && before != now {
            complaints.push(format!("{name}: rows changed in {:?}", changed(&before, &now)));
        }
        if !world.answers().await {
            complaints.push(format!("{name}: the server answers no more"));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

const DOWNLOAD: &str = "/_matrix/client/v1/media/download";

#[tokio::test]
async fn paths_that_lead_out_lead_nowhere() {
    let world = World::new().await;
    let alice = world.alice();
    let get = |path: String| alice.get(path);
    let media = |id: &str| get(format!("{DOWNLOAD}/example.org/{id}"));
    let file = world.name("mediaId");
    let requests = vec![
        odd("up", media(".."), 404, "M_NOT_FOUND"),
        odd("up, encoded", media("%2e%2e"), 404, "M_NOT_FOUND"),
        odd("up to a file", media("..%2f..%2f..%2fetc%2fpasswd"), 404, "M_NOT_FOUND"),
        odd("an absolute path", media("%2fetc%2fpasswd"), 404, "M_NOT_FOUND"),
        odd("backslashes", media("..%5c..%5cboot.ini"), 404, "M_NOT_FOUND"),
        odd("a NUL behind the ID", media(&format!("{file}%00.png")), 404, "M_NOT_FOUND"),
        odd("an ID of 10 KB", media(&"a".repeat(10_000)), 404, "M_NOT_FOUND"),
        odd("no ID", media(""), 404, "M_UNRECOGNIZED"),
        odd(
            "a server that is a path",
            get(format!("{DOWNLOAD}/..%2fexample.org/{file}")),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "another case of the server's name",
            get(format!("{DOWNLOAD}/EXAMPLE.ORG/{file}")),
            404,
            "M_NOT_FOUND",
        ),
        odd(
            "a path that begins twice",
            get("//_matrix/client/versions".to_owned()),
            404,
            "M_UNRECOGNIZED",
        ),
        odd(
            "a room that is a path",
            get("/_matrix/client/v3/rooms/%2e%2e/state".to_owned()),
            400,
            "M_INVALID_PARAM",
        ),
    ];
    check(&world, requests).await;
    let named = alice.get(format!("{DOWNLOAD}/example.org/{file}/a%0d%0aSet-Cookie:%20x")).await;
    assert_eq!((named.status.as_u16(), named.headers.get(header::SET_COOKIE)), (200, None));
}

/// JSON of so many lists in each other.
fn deep(depth: usize) -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn json_that_no_reader_can_take_is_refused() {
    let world = World::new().await;
    let alice = world.alice();
    let room = world.name("roomId");
    let path = ["rooms", &room, "send", "m.test", "odd"];
    let send = |body: &str| alice.put(path).body(body.to_owned());
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let requests = vec![
        odd("100,000 lists", send(&deep(100_000)), 400, "M_BAD_JSON"),
        odd("100,000 objects", send(&objects), 400, "M_BAD_JSON"),
        odd("100,000 lists that do not end", send(&"[".repeat(100_000)), 400, "M_BAD_JSON"),
        odd("2^53", send(r#"{"n":9007199254740992}"#), 400, "M_BAD_JSON"),
        odd("-2^53", send(r#"{"n":-9007199254740992}"#), 400, "M_BAD_JSON"),
        odd(
            "a number of 400 digits",
            send(&format!("{{\"n\":{}}}", "9".repeat(400))),
            400,
            "M_BAD_JSON",
        ),
        odd("a fraction", send(r#"{"n":1.5}"#), 400, "M_BAD_JSON"),
        odd("an exponent", send(r#"{"n":1e3}"#), 400, "M_BAD_JSON"),
        odd("NaN", send(r#"{"n":NaN}"#), 400, "M_NOT_JSON"),
        odd("a lone surrogate", send(r#"{"a":"\ud800"}"#), 400, "M_NOT_JSON"),
        odd("surrogates the wrong way round", send(r#"{"a":"\udc00\ud800"}"#), 400, "M_NOT_JSON"),
        odd("a raw NUL", send("{\"a\":\"\0\"}"), 400, "M_NOT_JSON"),
        odd("UTF-16", alice.put(path).body(utf16), 400, "M_NOT_JSON"),
        odd("a byte order mark", send("\u{feff}{}"), 400, "M_NOT_JSON"),
        odd(
            "overlong UTF-8",
            alice.put(path).body(&b"{\"a\":\"\xc0\xaf\"}"[..]),
            400,
            "M_NOT_JSON",
        ),
        odd("two objects", send("{}{}"), 400, "M_NOT_JSON"),
        odd("a comma too many", send(r#"{"a":1,}"#), 400, "M_NOT_JSON"),
        odd("a comment", send(r#"{"a":1/* */}"#), 400, "M_NOT_JSON"),
    ];
    check(&world, requests).await;
}

#[tokio::test]
async fn what_is_odd_but_allowed_is_done_once_and_well() {
    let world = World::new().await;
    let alice = world.alice();
    let room = world.name("roomId");
    let send = async |transaction: &str, body: &str| {
        let sent = alice.put(["rooms", &room, "send", "m.test", transaction]).body(body.to_owned());
        let event = sent.await.ok()["event_id"].as_str().unwrap().to_owned();
        alice.get(["rooms", &room, "event", &event]).await.ok()["content"].clone()
    };
    assert_eq!(send("nul", r#"{"a":"\u0000"}"#).await, json!({ "a": "\0" }));
    assert_eq!(send("twice", r#"{"a":1,"a":2}"#).await, json!({ "a": 2 }));
    assert_eq!(
        send("border", r#"{"a":9007199254740991}"#).await,
        json!({ "a": 9_007_199_254_740_991_u64 })
    );
    assert_eq!(send("pair", r#"{"a":"\ud83d\ude00"}"#).await, json!({ "a": "😀" }));
}

#[tokio::test]
async fn absurd_filters_and_queries_cost_nothing() {
    let world = World::new().await;
    let alice = world.alice();
    let room = world.name("roomId");
    let sync = |filter: &str| alice.get(["sync"]).query("filter", filter);
    let messages = |name: &str, value: &str| {
        alice.get(["rooms", &room, "messages"]).query("dir", "b").query(name, value)
    };
    let types = |types: Value| json!({ "room": { "timeline": { "types": types } } }).to_string();
    let many: Vec<_> = (0..1_000).map(|n| format!("t{n}*")).collect();
    let stars = format!("{}x", "*a".repeat(500));
    let requests = vec![
        odd("a limit of millions", sync(r#"{"room":{"timeline":{"limit":99999999}}}"#), 200, ""),
        odd(
            "a limit of 2^53",
            sync(r#"{"room":{"timeline":{"limit":9007199254740992}}}"#),
            400,
            "M_BAD_JSON",
        ),
        odd(
            "a limit below nothing",
            sync(r#"{"room":{"timeline":{"limit":-1}}}"#),
            400,
            "M_BAD_JSON",
        ),
        odd("a thousand types", sync(&types(json!(many))), 200, ""),
        odd("a thousand stars", sync(&types(json!([stars]))), 200, ""),
        odd("a filter of lists", sync(&format!("{{\"room\":{}}}", deep(100))), 200, ""),
        odd("a filter that is none", sync("{"), 400, "M_BAD_JSON"),
        odd(
            "a token of another kind",
            alice.get(["sync"]).query("since", "t0_1"),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "a token with a NUL",
            alice.get(["sync"]).query("since", "s1\0"),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "a time that overflows",
            alice.get(["sync"]).query("timeout", "18446744073709551616"),
            400,
            "M_INVALID_PARAM",
        ),
        odd("no limit at all", messages("limit", "0"), 200, ""),
        odd("a token that is none", messages("from", "nonsense"), 400, "M_INVALID_PARAM"),
        odd(
            "a token from the end of time",
            messages("from", "t9_99999999999999999999"),
            400,
            "M_INVALID_PARAM",
        ),
        odd("a direction twice", messages("dir", "f"), 400, "M_INVALID_PARAM"),
        odd(
            "half an escape",
            alice.get(format!("/_matrix/client/v3/rooms/{}/messages?dir=%", encode(&room))),
            400,
            "M_INVALID_PARAM",
        ),
    ];
    check(&world, requests).await;
}

#[tokio::test]
async fn names_that_are_too_long_or_no_names_are_refused() {
    let world = World::new().await;
    let alice = world.alice();
    let room = world.name("roomId");
    let long = "x".repeat(10_000);
    let object = || json!({});
    let state =
        |kind: &str, key: &str| alice.put(["rooms", &room, "state", kind, key]).json(object());
    let send = |kind: &str, transaction: &str| {
        alice.put(["rooms", &room, "send", kind, transaction]).json(object())
    };
    let alias =
        |name: &str| alice.put(["directory", "room", name]).json(json!({ "room_id": room }));
    let register = |name: &str| {
        let call = world.server.call(Method::POST, ["register"]);
        call.json(json!({ "username": name, "auth": { "type": "m.login.dummy" } }))
    };
    // The event has a hash, a signature and more beside its content.
    let event = |size: usize| json!({ "body": "x".repeat(size) });
    let large =
        |size: usize| alice.put(["rooms", &room, "send", "m.test", "large"]).json(event(size));
    let requests = vec![
        odd("a transaction ID of 10 KB", send("m.test", &long), 400, "M_INVALID_PARAM"),
        odd("a type of 256 bytes", send(&"t".repeat(256), "t"), 413, "M_TOO_LARGE"),
        odd("a state key of 256 bytes", state("m.test", &"k".repeat(256)), 413, "M_TOO_LARGE"),
        odd("a state key of 10 KB", state("m.test", &long), 413, "M_TOO_LARGE"),
        odd("an event of 65,537 bytes and more", large(65_537), 413, "M_TOO_LARGE"),
        odd(
            "an alias of 256 bytes",
            alias(&format!("#{}:example.org", "a".repeat(243))),
            400,
            "M_INVALID_PARAM",
        ),
        odd("an alias with a NUL", alias("#a\0:example.org"), 400, "M_INVALID_PARAM"),
        odd("an alias of another server", alias("#a:elsewhere.org"), 400, "M_INVALID_PARAM"),
        odd("a user name of 10 KB", register(&long), 400, "M_INVALID_USERNAME"),
        odd("a user name with a NUL", register("a\0b"), 400, "M_INVALID_USERNAME"),
        odd("a user name of another script", register("аlice"), 400, "M_INVALID_USERNAME"),
        odd(
            "account data of a type of 10 KB",
            alice.put(["user", alice.id(), "account_data", &long]).json(object()),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "a tag of 10 KB",
            alice.put(["user", alice.id(), "rooms", &room, "tags", &long]).json(object()),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "a profile of 100 KB",
            alice
                .put(["profile", alice.id(), "org.test"])
                .json(json!({ "org.test": "x".repeat(100_000) })),
            400,
            "M_PROFILE_TOO_LARGE",
        ),
    ];
    check(&world, requests).await;
}

#[tokio::test]
async fn more_than_anybody_needs_is_refused() {
    let world = World::new().await;
    let alice = world.alice();
    let room = world.name("roomId");
    let users: Vec<_> = (0..20_000).map(|n| format!("@u{n}:example.org")).collect();
    let levels: serde_json::Map<_, _> = users.iter().map(|user| (user.clone(), json!(1))).collect();
    let conditions = vec![json!({ "kind": "event_match", "key": "k", "pattern": "p" }); 10_000];
    let rule = json!({ "conditions": conditions, "actions": [] });
    let state = vec![json!({ "type": "m.test", "content": {} }); 10_000];
    let pattern = json!({ "pattern": "p".repeat(100_000), "actions": [] });
    let actions = json!({ "actions": vec![json!({ "set_tweak": "t", "value": "v" }); 10_000] });
    let requests = vec![
        odd(
            "twenty thousand guests",
            alice.post(["createRoom"]).json(json!({ "invite": users })),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "twenty thousand levels",
            alice
                .put(["rooms", &room, "state", "m.room.power_levels", ""])
                .json(json!({ "users": levels })),
            413,
            "M_TOO_LARGE",
        ),
        odd(
            "ten thousand conditions",
            alice.put(["pushrules", "global", "override", "odd"]).json(rule),
            400,
            "M_INVALID_PARAM",
        ),
        odd(
            "a word of 100 KB",
            alice.put(["pushrules", "global", "content", "odd"]).json(pattern),
            413,
            "M_TOO_LARGE",
        ),
        odd(
            "ten thousand actions",
            alice.put(["pushrules", "global", "override", "own", "actions"]).json(actions),
            413,
            "M_TOO_LARGE",
        ),
        odd(
            "ten thousand state events to begin with",
            alice.post(["createRoom"]).json(json!({ "initial_state": state })),
            400,
            "M_INVALID_PARAM",
        ),
    ];
    check(&world, requests).await;
}

#[tokio::test]
async fn push_rules_of_wrong_types_are_refused() {
    let world = World::new().await;
    let put = |kind: &str, rule: Value| {
        world.alice().put(["pushrules", "global", kind, "odd"]).json(rule)
    };
    let on =
        |condition: Value| put("override", json!({ "conditions": [condition], "actions": [] }));
    let requests = vec![
        odd(
            "a word that is none",
            put("content", json!({ "pattern": 17, "actions": [] })),
            400,
            "M_BAD_JSON",
        ),
        odd("no word", put("content", json!({ "actions": [] })), 400, "M_BAD_JSON"),
        odd(
            "a number of members",
            on(json!({ "kind": "room_member_count", "is": 17 })),
            400,
            "M_BAD_JSON",
        ),
        odd(
            "a list as a property",
            on(json!({ "kind": "event_property_is", "key": "k", "value": [17] })),
            400,
            "M_BAD_JSON",
        ),
        odd("no number of members", on(json!({ "kind": "room_member_count" })), 400, "M_BAD_JSON"),
        odd("a room as a word", put("room", json!({ "actions": [] })), 400, "M_INVALID_PARAM"),
        odd("no kind of rules", put("odd", json!({ "actions": [] })), 400, "M_INVALID_PARAM"),
    ];
    check(&world, requests).await;
}

#[tokio::test]
async fn odd_proofs_prove_nothing() {
    let world = World::new().await;
    let whoami = |value: &str| {
        world.server.call(Method::GET, ["account", "whoami"]).header(header::AUTHORIZATION, value)
    };
    let token = world.alice().token().to_owned();
    let query = |query: &str| {
        world.server.call(Method::GET, format!("/_matrix/client/v3/account/whoami?{query}"))
    };
    let requests = vec![
        odd("no token behind the scheme", whoami("Bearer "), 401, "M_UNKNOWN_TOKEN"),
        odd("another scheme", whoami(&format!("Basic {token}")), 401, "M_MISSING_TOKEN"),
        odd("no scheme", whoami(&token), 401, "M_MISSING_TOKEN"),
        odd("a token and more", whoami(&format!("Bearer {token} x")), 401, "M_UNKNOWN_TOKEN"),
        odd(
            "a token of 100 KB",
            whoami(&format!("Bearer {}", "a".repeat(100_000))),
            401,
            "M_UNKNOWN_TOKEN",
        ),
        odd("an empty token", query("access_token="), 401, "M_UNKNOWN_TOKEN"),
        odd("a token with a NUL", query("access_token=%00"), 401, "M_UNKNOWN_TOKEN"),
        odd(
            "half of a token",
            query(&format!("access_token={}", &token[..token.len() / 2])),
            401,
            "M_UNKNOWN_TOKEN",
        ),
    ];
    check(&world, requests).await;
}

#[tokio::test]
async fn unknown_encodings_and_methods_are_seen_through() {
    let world = World::new().await;
    let alice = world.alice();
    let room = world.name("roomId");
    let send = |transaction: &str| alice.put(["rooms", &room, "send", "m.test", transaction]);
    let requests = vec![
        odd(
            "a type that nobody knows",
            send("a").header(header::CONTENT_TYPE, "text/klingon; charset=utf-99").body("{}"),
            200,
            "",
        ),
        odd(
            "a body said to be packed",
            send("b").header(header::CONTENT_ENCODING, "gzip").body(&b"\x1f\x8b\x08\x00"[..]),
            400,
            "M_NOT_JSON",
        ),
        odd(
            "a method that nobody knows",
            alice.call(Method::from_bytes(b"BREW").unwrap(), ["sync"]),
            405,
            "M_UNRECOGNIZED",
        ),
        odd("TRACE", alice.call(Method::TRACE, ["sync"]), 405, "M_UNRECOGNIZED"),
        odd("a form", send("c").body("a=1&b=2"), 400, "M_NOT_JSON"),
        odd("a body that breaks off", send("d").body(broken()), 400, "M_NOT_JSON"),
    ];
    check(&world, requests).await;
}

/// What is served beside the specification's endpoints, which the generator does not know of.
#[tokio::test]
async fn forms_and_scripts_are_refused_as_clients_are() {
    let world = World::new().await;
    let page = |stage: &str| format!("/_matrix/client/v3/auth/{stage}/fallback/web");
    let script = "/_synapse/admin/v1/register".to_owned();
    let call = |method: Method, path: &str| world.server.call(method, path.to_owned());
    let mut requests = Vec::new();
    for path in [page("m.login.password"), script.clone()] {
        let post = |body: &str| call(Method::POST, &path).body(body.to_owned());
        requests.extend([
            odd("no JSON", post("{\"a\":"), 400, "M_NOT_JSON"),
            odd("a list", post("[]"), 400, "M_BAD_JSON"),
            odd("nothing of what is needed", post("{}"), 400, "M_BAD_JSON"),
            odd("too deep", post(&deep(1_000)), 400, "M_BAD_JSON"),
            odd("too much", post(&"x".repeat(1 << 20)), 413, "M_TOO_LARGE"),
            odd("another method", call(Method::PATCH, &path), 405, "M_UNRECOGNIZED"),
        ]);
    }
    let session = json!({ "session": 17 });
    let unsigned = json!({ "nonce": "n", "username": "u", "password": "p", "mac": "00" });
    let post = |path: &str, body: Value| call(Method::POST, path).json(body);
    requests.extend([
        odd("a session of digits", post(&page("m.login.dummy"), session), 400, "M_BAD_JSON"),
        odd("an unknown proof", post(&page("m.odd"), json!({})), 404, "M_NOT_FOUND"),
        odd("a proof with a broken escape", post(&page("%zz"), json!({})), 400, "M_INVALID_PARAM"),
        odd("a proof that is no text", post(&page("%ff"), json!({})), 400, "M_INVALID_PARAM"),
        odd("a nonce of one's own", post(&script, unsigned), 400, "M_INVALID_PARAM"),
    ]);
    check(&world, requests).await;
}

/// A body of which the rest never comes.
fn broken() -> Body {
    let pieces = [Ok("{\"a\":"), Err(std::io::Error::other("gone"))];
    Body::from_stream(futures_util::stream::iter(pieces))
}

/// Clients that ask for news and go away leave nothing behind.
#[tokio::test]
async fn ten_thousand_abandoned_polls_leave_nothing() {
    let world = World::new().await;
    let carol = world.server.user("poller").await;
    let since = carol.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let poll = |client: Client| {
        let call = client.get(["sync"]).query("since", &since).query("timeout", "30000");
        tokio::spawn(async move { call.await })
    };
    for _ in 0..10 {
        let polls: Vec<_> = (0..1_000).map(|_| poll(carol.clone())).collect();
        world.server.clock().sleepers(1_000).await;
        for poll in polls {
            poll.abort();
            assert!(poll.await.unwrap_err().is_cancelled());
        }
        world.server.clock().awake().await;
    }
    assert!(world.answers().await);
}
