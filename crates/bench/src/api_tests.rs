use super::*;
use crate::testing::Stub;

/// An answer in which every request finds what it looks for.
fn everything() -> Value {
    json!({
        "room_id": "!r:x", "event_id": "$e", "next_batch": "s1", "chunk": [], "joined_rooms": ["!r:x"],
        "content_uri": "mxc://x/m", "user_id": "@a:x", "access_token": "t", "device_id": "D",
    })
}

/// What `request` asks of the server, without the part that all paths share.
async fn check<T, F: Future<Output = Result<T>>>(
    request: impl FnOnce(Account) -> F,
    expected: &[&str],
) {
    let stub = Stub::serve(|_| (200, everything())).await;
    request(stub.account()).await.map(drop).unwrap();
    let asked: Vec<_> =
        stub.asked().iter().map(|line| line.replace("/_matrix/client/v3", "")).collect();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn rooms_are_created_joined_and_spoken_in() {
    let body = json!({ "name": "n" });
    check(|a| async move { a.create_room(&body).await }, &[r#"POST /createRoom {"name":"n"}"#])
        .await;
    check(|a| async move { a.join("!r").await }, &["POST /join/!r {}"]).await;
    let text = json!({ "body": "hi" });
    check(
        |a| async move { a.send("!r", "m.room.message", "t1", &text).await },
        &[r#"PUT /rooms/!r/send/m.room.message/t1 {"body":"hi"}"#],
    )
    .await;
    let topic = json!({ "topic": "t" });
    check(
        |a| async move { a.set_state("!r", "m.room.topic", "", &topic).await },
        &[r#"PUT /rooms/!r/state/m.room.topic/ {"topic":"t"}"#],
    )
    .await;
    check(|a| async move { a.read("!r", "$e").await }, &["POST /rooms/!r/receipt/m.read/$e {}"])
        .await;
}

#[tokio::test]
async fn syncs_say_where_they_go_on_and_how_long_they_wait() {
    check(|a| async move { a.sync(None, None, 0).await }, &["GET /sync?timeout=0"]).await;
    check(
        |a| async move { a.sync(Some("s1"), Some("f"), 30_000).await },
        &["GET /sync?timeout=30000&since=s1&filter=f"],
    )
    .await;
}

#[tokio::test]
async fn history_is_read_both_ways() {
    check(
        |a| async move { a.messages("!r", None, Towards::Past, 10).await },
        &["GET /rooms/!r/messages?dir=b&limit=10"],
    )
    .await;
    check(
        |a| async move { a.messages("!r", Some("t1"), Towards::Present, 5).await },
        &["GET /rooms/!r/messages?dir=f&limit=5&from=t1"],
    )
    .await;
}

#[tokio::test]
async fn users_are_told_who_and_where_they_are() {
    check(|a| async move { a.who_am_i().await }, &["GET /account/whoami"]).await;
    check(|a| async move { a.joined_rooms().await }, &["GET /joined_rooms"]).await;
    check(
        |a| async move { a.members("!r").await },
        &["GET /rooms/!r/members?not_membership=leave"],
    )
    .await;
    check(|a| async move { a.log_out().await }, &["POST /logout {}"]).await;
}

#[tokio::test]
async fn account_data_is_stored_for_all_rooms_and_for_one() {
    let content = json!({ "n": 1 });
    check(
        |a| async move { a.set_account_data("m.x", &content).await },
        &[r#"PUT /user/@a:x/account_data/m.x {"n":1}"#],
    )
    .await;
    let content = json!({ "n": 2 });
    check(
        |a| async move { a.set_room_account_data("!r", "m.x", &content).await },
        &[r#"PUT /user/@a:x/rooms/!r/account_data/m.x {"n":2}"#],
    )
    .await;
}

#[tokio::test]
async fn files_go_up_and_come_down_by_their_address() {
    let bytes = Bytes::from_static(b"bytes");
    check(
        |a| async move { a.upload("text/plain", bytes).await },
        &["POST /_matrix/media/v3/upload bytes"],
    )
    .await;
    check(
        |a| async move { a.download("mxc://x/m").await },
        &["GET /_matrix/client/v1/media/download/x/m"],
    )
    .await;
}

#[tokio::test]
async fn logging_in_makes_a_session() {
    let stub = Stub::serve(|_| (200, everything())).await;
    let account = log_in(&stub.client(), "@a:x", "secret").await.unwrap();
    assert_eq!((account.user.as_str(), account.device.as_str()), ("@a:x", "D"));
    assert_eq!(account.client.token(), Some("t"));
    let asked = &stub.asked()[0];
    assert!(asked.starts_with("POST /_matrix/client/v3/login "), "{asked}");
    assert!(asked.contains(r#""identifier":{"type":"m.id.user","user":"@a:x"}"#), "{asked}");
}

#[tokio::test]
async fn a_login_without_a_token_is_odd() {
    let stub = Stub::serve(|_| (200, json!({ "user_id": "@a:x" }))).await;
    let error = log_in(&stub.client(), "@a:x", "secret").await.unwrap_err();
    assert!(matches!(error, Error::Odd { .. }), "{error}");
}

/// A server that asks for a dummy stage before it registers, or changes a password.
async fn asking() -> Stub {
    Stub::serve(|request| {
        let goes_on = request.contains(r#""session":"s""#);
        if goes_on { (200, everything()) } else { (401, json!({ "session": "s" })) }
    })
    .await
}

#[tokio::test]
async fn registration_goes_on_where_the_server_asks_for_more() {
    let (open, asking) = (Stub::serve(|_| (200, everything())).await, asking().await);
    for (stub, requests) in [(open, 1), (asking, 2)] {
        let account = Registration::Open.register(&stub.client(), "a", "secret").await.unwrap();
        assert_eq!(account.user, "@a:x");
        assert_eq!(stub.asked().len(), requests, "{:?}", stub.asked());
    }
}

#[tokio::test]
async fn a_closed_registration_is_refused() {
    let stub = Stub::serve(|_| (403, json!({ "errcode": "M_FORBIDDEN" }))).await;
    let error = Registration::Open.register(&stub.client(), "a", "secret").await.unwrap_err();
    assert_eq!(error.code(), Some("M_FORBIDDEN"));
}

#[tokio::test]
async fn a_shared_secret_registers_by_a_nonce() {
    let stub = Stub::serve(|request| {
        let nonce = json!({ "nonce": "n" });
        (200, if request.starts_with("GET") { nonce } else { everything() })
    })
    .await;
    let secret = Registration::SharedSecret("secret".into());
    secret.register(&stub.client(), "alice", "pass").await.unwrap();
    let asked = stub.asked();
    assert_eq!(asked[0], "GET /_synapse/admin/v1/register");
    // The same as in the test of the proof itself.
    assert!(asked[1].contains("7f7e2980171ce28d1597cb711cc28fdef7cd0ab1"), "{asked:?}");
}

#[tokio::test]
async fn a_password_is_changed_by_the_old_one() {
    let stub = asking().await;
    stub.account().change_password("old", "new").await.unwrap();
    let asked = stub.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[1].contains(r#""password":"old""#) && asked[1].contains(r#""new_password":"new""#)
    );
}

#[tokio::test]
async fn a_token_that_nobody_takes_is_no_failure() {
    let check = |status: u16, body: Value, expected: Option<bool>| async move {
        let stub = Stub::serve(move |_| (status, body.clone())).await;
        assert_eq!(stub.account().is_logged_in().await.ok(), expected);
    };
    check(200, everything(), Some(true)).await;
    check(401, json!({ "errcode": "M_UNKNOWN_TOKEN" }), Some(false)).await;
    check(500, json!({}), None).await;
}

#[tokio::test]
async fn members_are_named_by_the_keys_of_their_events() {
    let chunk = json!([{ "state_key": "@a:x" }, { "state_key": "@b:x" }]);
    let stub = Stub::serve(move |_| (200, json!({ "chunk": chunk.clone() }))).await;
    assert_eq!(stub.account().members("!r").await.unwrap(), ["@a:x", "@b:x"]);
}
