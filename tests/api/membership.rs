//! Joining, inviting, leaving and removing.

use serde_json::{Value, json};
use tertulia_testkit::{Call, Client, TestServer};

/// Alice, Bob and Carol.
async fn three() -> (Client, Client, Client) {
    let server = TestServer::start().await;
    (server.user("alice").await, server.user("bob").await, server.user("carol").await)
}

/// What `other` is to the room, as `client` sees it.
async fn membership(client: &Client, room: &str, other: &Client) -> Value {
    client.get(["rooms", room, "state", "m.room.member", other.id()]).await.ok()
}

async fn act(client: &Client, room: &str, action: &str, other: &Client) -> (u16, Option<String>) {
    let body = json!({ "user_id": other.id() });
    client.post(["rooms", room, action]).json(body).await.outcome()
}

fn done() -> (u16, Option<String>) {
    (200, None)
}

fn forbidden() -> (u16, Option<String>) {
    (403, Some("M_FORBIDDEN".to_owned()))
}

#[tokio::test]
async fn anybody_may_join_a_public_room_by_its_id() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_public_room().await;
    let joined = bob.post(["rooms", &room, "join"]).await.ok();
    assert_eq!(joined, json!({ "room_id": room }));
    let joined = carol.post(["join", &room]).json(json!({ "reason": "curious" })).await.ok();
    assert_eq!(joined, json!({ "room_id": room }));
    assert_eq!(membership(&alice, &room, &bob).await["membership"], "join");
    assert_eq!(membership(&alice, &room, &carol).await["reason"], "curious");
}

#[tokio::test]
async fn what_one_who_joins_says_becomes_part_of_the_event() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_public_room().await;
    let signed = json!({ "sender": "@a:x", "mxid": "@b:x", "token": "t", "signatures": {} });
    let words = json!({
        "reason": "curious", "org.example": { "a": [1] }, "displayname": "Guest",
        "membership": "ban", "third_party_signed": signed,
    });
    let said = json!({
        "reason": "curious", "org.example": { "a": [1] }, "displayname": "Guest",
        "membership": "join",
    });
    bob.post(["rooms", &room, "join"]).json(words.clone()).await.ok();
    carol.post(["join", &room]).json(words).await.ok();
    assert_eq!(membership(&alice, &room, &bob).await, said);
    assert_eq!(membership(&alice, &room, &carol).await, said);
}

#[tokio::test]
async fn a_reason_for_joining_is_a_text() {
    let (alice, bob, _) = three().await;
    let room = alice.create_public_room().await;
    for body in [json!({ "reason": 1 }), json!({ "third_party_signed": {} })] {
        bob.post(["rooms", &room, "join"]).json(body.clone()).await.refused(400, "M_BAD_JSON");
        bob.post(["join", &room]).json(body).await.refused(400, "M_BAD_JSON");
    }
}

#[tokio::test]
async fn members_of_an_allowed_room_come_in_without_invitation() {
    let (alice, bob, carol) = three().await;
    let club = alice.create_public_room().await;
    let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
    let rules = json!({ "join_rule": "restricted", "allow": allow });
    let rules = json!([{ "type": "m.room.join_rules", "content": rules }]);
    let room = alice.create_room(json!({ "initial_state": rules })).await;
    bob.join(&club).await;
    bob.join(&room).await;
    let event = membership(&alice, &room, &bob).await;
    assert_eq!(event["join_authorised_via_users_server"], alice.id());
    carol.post(["join", &room]).await.refused(403, "M_FORBIDDEN");
    let path = ["rooms", &room, "state", "m.room.member", carol.id()];
    let claim = json!({ "membership": "join", "join_authorised_via_users_server": alice.id() });
    carol.put(path).json(claim).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn joining_twice_is_joining_once() {
    let (alice, bob, _) = three().await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    let event = async || {
        let path = ["rooms", &room, "state", "m.room.member", bob.id()];
        bob.get(path).query("format", "event").await.ok()["event_id"].clone()
    };
    let first = event().await;
    bob.join(&room).await;
    assert_eq!(event().await, first);
}

#[tokio::test]
async fn a_private_room_is_joined_by_invitation() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_room(json!({})).await;
    bob.post(["rooms", &room, "join"]).await.refused(403, "M_FORBIDDEN");
    bob.post(["join", &room]).await.refused(403, "M_FORBIDDEN");
    let body = json!({ "user_id": bob.id(), "reason": "come in" });
    assert_eq!(alice.post(["rooms", &room, "invite"]).json(body).await.ok(), json!({}));
    let invited = membership(&alice, &room, &bob).await;
    assert_eq!((&invited["membership"], &invited["reason"]), (&json!("invite"), &json!("come in")));
    bob.join(&room).await;
    assert_eq!(act(&carol, &room, "invite", &bob).await, forbidden());
}

#[tokio::test]
async fn a_room_that_does_not_exist_is_not_found() {
    let (alice, ..) = three().await;
    for path in [["join", "!none:example.org", ""], ["rooms", "!none:example.org", "join"]] {
        let path = path.join("/");
        let path = format!("/_matrix/client/v3/{}", path.trim_end_matches('/'));
        alice.post(path).await.refused(404, "M_NOT_FOUND");
    }
    alice.post(["join", "neither"]).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn only_members_invite_and_only_those_outside() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_public_room().await;
    assert_eq!(act(&bob, &room, "invite", &carol).await, forbidden(), "not in the room");
    bob.join(&room).await;
    assert_eq!(act(&alice, &room, "invite", &bob).await, forbidden(), "in the room already");
    assert_eq!(act(&alice, &room, "ban", &bob).await, done());
    assert_eq!(act(&alice, &room, "invite", &bob).await, forbidden(), "banned");
}

#[tokio::test]
async fn leaving_is_for_those_who_are_in_or_invited() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_room(json!({ "invite": [bob.id(), carol.id()] })).await;
    bob.join(&room).await;
    let left = bob.post(["rooms", &room, "leave"]).json(json!({ "reason": "tired" })).await.ok();
    assert_eq!(left, json!({}));
    carol.leave(&room).await;
    for who in [&bob, &carol] {
        assert_eq!(membership(&alice, &room, who).await["membership"], "leave");
    }
    assert_eq!(membership(&alice, &room, &bob).await["reason"], "tired");
    bob.post(["rooms", &room, "join"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn one_who_was_never_there_cannot_leave() {
    let (alice, bob, _) = three().await;
    let room = alice.create_room(json!({})).await;
    bob.post(["rooms", &room, "leave"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_room_is_forgotten_after_leaving_it() {
    let (alice, bob, _) = three().await;
    let room = alice.create_room_with(&[&bob]).await;
    bob.post(["rooms", &room, "forget"]).await.refused(400, "M_UNKNOWN");
    bob.leave(&room).await;
    bob.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    assert_eq!(bob.post(["rooms", &room, "forget"]).await.ok(), json!({}));
    let messages = bob.get(["rooms", &room, "messages"]).query("dir", "b").await;
    messages.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn those_with_power_remove_those_with_less() {
    for (action, becomes) in [("kick", "leave"), ("ban", "ban")] {
        let (alice, bob, carol) = three().await;
        let room = alice.create_room_with(&[&bob, &carol]).await;
        assert_eq!(act(&bob, &room, action, &carol).await, forbidden(), "{action} by an equal");
        assert_eq!(act(&bob, &room, action, &alice).await, forbidden(), "{action} upwards");
        let body = json!({ "user_id": carol.id(), "reason": "rude" });
        assert_eq!(alice.post(["rooms", &room, action]).json(body).await.ok(), json!({}));
        let now = membership(&alice, &room, &carol).await;
        assert_eq!((&now["membership"], &now["reason"]), (&json!(becomes), &json!("rude")));
        carol.post(["rooms", &room, "join"]).await.refused(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn only_those_in_the_room_are_kicked() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_room_with(&[&bob]).await;
    assert_eq!(act(&alice, &room, "kick", &carol).await, forbidden(), "was never there");
    assert_eq!(act(&carol, &room, "kick", &bob).await, forbidden(), "is not there");
    bob.leave(&room).await;
    assert_eq!(act(&alice, &room, "kick", &bob).await, forbidden(), "has left");
}

#[tokio::test]
async fn an_unbanned_user_may_come_back() {
    let (alice, bob, carol) = three().await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    assert_eq!(act(&alice, &room, "ban", &carol).await, done(), "one can ban ahead");
    bob.post(["rooms", &room, "unban"])
        .json(json!({ "user_id": carol.id() }))
        .await
        .refused(403, "M_FORBIDDEN");
    assert_eq!(act(&alice, &room, "unban", &carol).await, done());
    assert_eq!(membership(&alice, &room, &carol).await["membership"], "leave");
    carol.join(&room).await;
}

#[tokio::test]
async fn whom_it_concerns_must_be_said() {
    let (alice, ..) = three().await;
    let room = alice.create_room(json!({})).await;
    for action in ["invite", "kick", "ban", "unban"] {
        for body in [json!({}), json!({ "user_id": "bob" }), json!({ "user_id": 1 })] {
            let answer = alice.post(["rooms", &room, action]).json(body.clone()).await;
            assert_eq!(answer.outcome(), (400, Some("M_BAD_JSON".to_owned())), "{action} {body}");
        }
    }
}

#[tokio::test]
async fn one_knocks_and_is_let_in() {
    let (alice, bob, carol) = three().await;
    let wish = json!({ "room_alias_name": "door", "initial_state": [
        { "type": "m.room.join_rules", "content": { "join_rule": "knock" } },
    ] });
    let room = alice.create_room(wish).await;
    let knocked = bob.post(["knock", &room]).json(json!({ "reason": "let me in" })).await.ok();
    assert_eq!(knocked, json!({ "room_id": room }));
    let told = membership(&alice, &room, &bob).await;
    assert_eq!((&told["membership"], &told["reason"]), (&json!("knock"), &json!("let me in")));
    let update = bob.sync(None).await;
    assert!(update["rooms"]["knock"][&room]["knock_state"]["events"].is_array());
    let by_alias = carol.post("/_matrix/client/r0/knock/%23door%3Aexample.org").await.ok();
    assert_eq!(by_alias, json!({ "room_id": room }));
    bob.post(["join", &room]).await.refused(403, "M_FORBIDDEN");
    assert_eq!(act(&alice, &room, "invite", &bob).await, done());
    bob.join(&room).await;
    assert_eq!(act(&alice, &room, "kick", &carol).await, done());
    assert_eq!(membership(&alice, &room, &carol).await["membership"], "leave");
}

#[tokio::test]
async fn one_knocks_only_where_that_is_heard() {
    let (alice, bob, carol) = three().await;
    for wish in [json!({}), json!({ "preset": "public_chat" })] {
        let room = alice.create_room(wish).await;
        bob.post(["knock", &room]).await.refused(403, "M_FORBIDDEN");
    }
    let knock = json!({ "type": "m.room.join_rules", "content": { "join_rule": "knock" } });
    let room = alice.create_room(json!({ "initial_state": [knock] })).await;
    alice.post(["knock", &room]).await.refused(403, "M_FORBIDDEN");
    alice.invite(&room, &bob).await;
    bob.post(["knock", &room]).await.refused(403, "M_FORBIDDEN");
    assert_eq!(act(&alice, &room, "ban", &carol).await, done());
    carol.post(["knock", &room]).await.refused(403, "M_FORBIDDEN");
    carol.post(["knock", "!none:example.org"]).await.refused(404, "M_NOT_FOUND");
    carol.post(["knock", "#none:example.org"]).await.refused(404, "M_NOT_FOUND");
    carol.post(["knock", "nowhere"]).await.refused(400, "M_INVALID_PARAM");
}

/// An invite that would never arrive must not look as if it had been sent.
#[tokio::test]
async fn nobody_of_another_server_is_invited_while_there_is_no_federation() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let room = alice.create_room(json!({})).await;
    let far = "@bob:elsewhere.example";
    let refused = async |call: Call, body: &Value| {
        let error = call.json(body.clone()).await.refused(403, "M_FORBIDDEN");
        assert!(error["error"].as_str().unwrap().contains("does not federate"), "{error}");
    };
    let invite = json!({ "membership": "invite" });
    refused(alice.post(["rooms", &room, "invite"]), &json!({ "user_id": far })).await;
    refused(alice.put(["rooms", &room, "state", "m.room.member", far]), &invite).await;
    alice.get(["rooms", &room, "state", "m.room.member", far]).await.refused(404, "M_NOT_FOUND");
    let initial = json!([{ "type": "m.room.member", "state_key": far, "content": invite }]);
    for wishes in [
        json!({ "invite": [far] }),
        json!({ "invite": [far], "room_alias_name": "ours" }),
        json!({ "invite": [far], "preset": "trusted_private_chat" }),
        json!({ "initial_state": initial }),
    ] {
        refused(alice.post(["createRoom"]), &wishes).await;
    }
    assert_eq!(alice.get(["joined_rooms"]).await.ok()["joined_rooms"], json!([room]));
    alice.get(["directory", "room", "#ours:example.org"]).await.refused(404, "M_NOT_FOUND");
    // What needs nobody there to know of it is as it is for everybody.
    let ban = alice.post(["rooms", &room, "ban"]).json(json!({ "user_id": far }));
    assert_eq!(ban.await.ok(), json!({}));
}

#[tokio::test]
async fn an_invite_shows_whom_it_invites() {
    let (alice, bob, carol) = three().await;
    let profile = async |field: &str, value: &str| {
        let call = bob.put(["profile", bob.id(), field]);
        call.json(json!({ field: value })).await.ok();
    };
    profile("displayname", "Bobby").await;
    profile("avatar_url", "mxc://example.org/b").await;
    let face = |mut content: Value| {
        content["displayname"] = "Bobby".into();
        content["avatar_url"] = "mxc://example.org/b".into();
        content
    };
    let room =
        alice.create_room(json!({ "invite": [bob.id(), carol.id()], "is_direct": true })).await;
    let invite = json!({ "membership": "invite", "is_direct": true });
    assert_eq!(membership(&alice, &room, &bob).await, face(invite.clone()));
    assert_eq!(membership(&alice, &room, &carol).await, invite, "who shows nothing");
    let told = bob.sync(None).await;
    let told = told["rooms"]["invite"][&room]["invite_state"]["events"].as_array().unwrap().clone();
    let mine = told.iter().find(|event| event["state_key"] == bob.id()).unwrap();
    assert_eq!(mine["content"], face(invite));

    let room = alice.create_room(json!({})).await;
    let body = json!({ "user_id": bob.id(), "reason": "come in" });
    alice.post(["rooms", &room, "invite"]).json(body).await.ok();
    let invite = json!({ "membership": "invite", "reason": "come in" });
    assert_eq!(membership(&alice, &room, &bob).await, face(invite));

    let room = alice.create_room(json!({})).await;
    let put = async |content: Value| {
        alice.set_state(&room, "m.room.member", bob.id(), content).await;
        membership(&alice, &room, &bob).await
    };
    let invite = json!({ "membership": "invite", "org.example": 1 });
    assert_eq!(put(invite.clone()).await, face(invite));
    let named = json!({
        "membership": "invite", "displayname": "Robert", "avatar_url": null,
    });
    assert_eq!(put(named.clone()).await, named, "what the client says goes before");
    bob.join(&room).await;
    assert_eq!(membership(&alice, &room, &bob).await, face(json!({ "membership": "join" })));
}

#[tokio::test]
async fn where_some_may_come_in_all_others_may_knock() {
    let (alice, bob, carol) = three().await;
    let club = alice.create_public_room().await;
    let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
    let rules = json!({ "join_rule": "knock_restricted", "allow": allow });
    let rules = json!([{ "type": "m.room.join_rules", "content": rules }]);
    let room = alice.create_room(json!({ "initial_state": rules })).await;
    carol.post(["join", &room]).await.refused(403, "M_FORBIDDEN");
    carol.post(["knock", &room]).await.ok();
    assert_eq!(membership(&alice, &room, &carol).await["membership"], "knock");
    // Who has thought better of it may knock again.
    let why = json!({ "reason": "never mind" });
    carol.post(["rooms", &room, "leave"]).json(why).await.ok();
    let told = membership(&alice, &room, &carol).await;
    assert_eq!((&told["membership"], &told["reason"]), (&json!("leave"), &json!("never mind")));
    carol.post(["knock", &room]).await.ok();
    bob.join(&club).await;
    bob.join(&room).await;
    // Who has left the one room comes back into the other by invitation only.
    bob.leave(&room).await;
    bob.leave(&club).await;
    bob.post(["join", &room]).await.refused(403, "M_FORBIDDEN");
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
}
