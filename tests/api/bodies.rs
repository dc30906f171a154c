//! Bodies of requests, whatever the endpoint makes of them.

use tertulia_testkit::{Call, TestServer};

#[tokio::test]
async fn what_nobody_asked_for_must_be_json_too() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    let (me, device) = (alice.id(), alice.device());
    let calls = || -> Vec<Call> {
        vec![
            alice.post(["createRoom"]),
            alice.post(["rooms", &room, "read_markers"]),
            alice.post(["rooms", &room, "leave"]),
            alice.post(["join", &room]),
            alice.post(["user", me, "filter"]),
            alice.post(["login"]),
            alice.post(["register"]),
            alice.put(["rooms", &room, "typing", me]),
            alice.put(["rooms", &room, "send", "m.test", "t"]),
            alice.put(["rooms", &room, "state", "m.test", ""]),
            alice.put(["devices", device]),
            alice.put(["user", me, "rooms", &room, "tags", "u.test"]),
            alice.put(["user", me, "account_data", "m.test"]),
            alice.put(["profile", me, "displayname"]),
        ]
    };
    let bodies: [&[u8]; 7] = [
        b"{\"foo\":\"\xff\"}",
        b"{\"\xff\":1}",
        b"{\"test\":\"a\x81\"}",
        b"{\"test\":[{\"a\":\"\xc3\x28\"}]}",
        b"{\"test\":\"\\ud800\"}",
        b"{\"test\":\"tab\there\"}",
        b"{\"test\":01}",
    ];
    for body in bodies {
        for call in calls() {
            call.body(body.to_vec()).await.refused(400, "M_NOT_JSON");
        }
    }
    let login = r#"{"type":"m.login.password","user":"alice","password":"x","odd":"é\u00e9"}"#;
    server.call(http::Method::POST, ["login"]).body(login).await.refused(403, "M_FORBIDDEN");
}
