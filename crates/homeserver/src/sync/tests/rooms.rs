//! In which section a room is told, and what of it.

use super::*;

#[tokio::test]
async fn a_client_is_told_of_its_rooms_once_and_of_each_event_once() {
    let (mut alice, _, room) = alice_bob_room().await;
    let first = alice.sync().await;
    assert_eq!(section(&first, "join", room.id())["timeline"]["limited"], false);
    assert!(timeline(&first, &room).contains(&"m.room.create".to_owned()));
    assert_eq!(alice.sync().await["rooms"]["join"], json!({}));
    room.send_text("hello").await.unwrap();
    room.send_text("again").await.unwrap();
    assert_eq!(timeline(&alice.sync().await, &room), ["hello", "again"]);
    assert_eq!(alice.sync().await["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn a_room_one_is_not_in_is_not_told() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    room.send_text("secret").await.unwrap();
    let update = bob.sync().await;
    assert_eq!(update["rooms"], json!({ "join": {}, "invite": {}, "knock": {}, "leave": {} }));
}

#[tokio::test]
async fn a_newly_joined_room_is_told_in_full() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    room.send_text("before").await.unwrap();
    bob.room(&room).join(None).await.unwrap();
    let update = bob.sync().await;
    let told = timeline(&update, &room);
    assert_eq!(&told[told.len() - 2..], ["before", "m.room.member @bob:x"]);
    let state = short(&section(&update, "join", room.id())["state"]);
    assert!(told.iter().chain(&state).any(|event| event == "m.room.create"));
    assert_eq!(section(&update, "join", room.id())["summary"]["m.joined_member_count"], 2);
}

#[tokio::test]
async fn leaving_and_coming_back_tells_the_room_in_full_again() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    room.send_text("gone?").await.unwrap();
    bob.room(&room).join(None).await.unwrap();
    let update = bob.sync().await;
    assert!(timeline(&update, &room).contains(&"gone?".to_owned()));
    assert_eq!(update["rooms"]["leave"], json!({}));
}

#[tokio::test]
async fn an_invite_is_told_once_with_what_the_room_is_like() {
    let (alice, mut bob, _) = alice_bob_room().await;
    let room = alice.create_room(Preset::PrivateChat).await;
    room.set_state("m.room.name".into(), "", crate::testing::field("name", "Ours")).await.unwrap();
    bob.sync().await;
    room.invite(bob.session.id(), None, false).await.unwrap();
    let update = bob.sync().await;
    let state = short(&section(&update, "invite", room.id())["invite_state"]);
    for expected in
        ["m.room.create", "m.room.name", "m.room.member @alice:x", "m.room.member @bob:x"]
    {
        assert!(state.iter().any(|event| event == expected), "{expected} in {state:?}");
    }
    let event = &section(&update, "invite", room.id())["invite_state"]["events"][0];
    let keys: Vec<_> = event.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["content", "sender", "state_key", "type"]);
    room.send_text("not for guests").await.unwrap();
    assert_eq!(bob.sync().await["rooms"]["invite"], json!({}));
}

#[tokio::test]
async fn one_who_is_asked_in_is_told_what_the_room_was_like_then_whenever_they_ask() {
    let (alice, mut bob, _) = alice_bob_room().await;
    let room = alice.create_room(Preset::PrivateChat).await;
    let name = |name| crate::testing::field("name", name);
    let named = room.set_state("m.room.name".into(), "", name("Ours")).await.unwrap();
    room.invite(bob.session.id(), None, false).await.unwrap();
    room.set_state("m.room.name".into(), "", name("Mine")).await.unwrap();
    room.set_state("m.room.topic".into(), "", crate::testing::field("topic", "No")).await.unwrap();
    let invite = |update: &Value| section(update, "invite", room.id())["invite_state"].clone();
    let first = invite(&bob.sync().await);
    let named_then = |state: &Value| {
        let events = state["events"].as_array().unwrap().iter();
        let mut names = events.filter(|event| event["type"] == "m.room.name");
        names.next().map(|event| event["content"].clone())
    };
    assert_eq!(named_then(&first), Some(json!({ "name": "Ours" })));
    assert!(!short(&first).iter().any(|event| event.starts_with("m.room.topic")), "{first}");
    assert_eq!(invite(&bob.filtered(json!({})).sync().await), first);
    room.redact(&named, None, None).await.unwrap();
    let later = invite(&bob.filtered(json!({})).sync().await);
    assert_eq!(named_then(&later), Some(json!({})), "what was redacted is told to nobody");
}

#[tokio::test]
async fn a_declined_invite_leaves() {
    let (alice, mut bob, _) = alice_bob_room().await;
    let room = alice.create_room(Preset::PrivateChat).await;
    room.invite(bob.session.id(), None, false).await.unwrap();
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    let update = bob.sync().await;
    assert_eq!(update["rooms"]["invite"], json!({}));
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["timeline"]), ["m.room.member @bob:x"]);
    assert_eq!(left["timeline"]["events"][0]["content"]["membership"], "leave");
}

#[tokio::test]
async fn a_knock_is_told_as_one() {
    let (alice, mut bob, _) = alice_bob_room().await;
    let room = alice.create_room(Preset::PrivateChat).await;
    let knock = crate::testing::field("join_rule", "knock");
    room.set_state("m.room.join_rules".into(), "", knock).await.unwrap();
    bob.room(&room).knock(None).await.unwrap();
    let update = bob.sync().await;
    let state = short(&section(&update, "knock", room.id())["knock_state"]);
    assert!(state.contains(&"m.room.member @bob:x".to_owned()));
}

#[tokio::test]
async fn who_is_banned_sees_the_room_up_to_the_ban() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    bob.sync().await;
    room.send_text("one more").await.unwrap();
    room.ban(bob.session.id(), None).await.unwrap();
    room.send_text("he is gone").await.unwrap();
    let update = bob.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["timeline"]), ["one more", "m.room.member @bob:x"]);
    assert_eq!(left["timeline"]["events"][1]["unsigned"]["membership"], "ban");
    assert_eq!(bob.sync().await["rooms"]["leave"], json!({}));
}

#[tokio::test]
async fn old_rooms_are_told_when_asked_for_until_they_are_forgotten() {
    let (_, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    bob.room(&room).leave(None).await.unwrap();
    room.send_text("later").await.unwrap();
    let archive = json!({ "room": { "include_leave": true } });
    assert_eq!(bob.filtered(json!({})).sync().await["rooms"]["leave"], json!({}));
    let update = bob.filtered(archive.clone()).sync().await;
    let told = short(&section(&update, "leave", room.id())["timeline"]);
    assert_eq!(told.last().unwrap(), "m.room.member @bob:x");
    bob.room(&room).forget().await.unwrap();
    assert_eq!(bob.filtered(archive).sync().await["rooms"]["leave"], json!({}));
}

#[tokio::test]
async fn rooms_can_be_left_out() {
    let (alice, _, room) = alice_bob_room().await;
    let mut without = alice.filtered(json!({ "room": { "not_rooms": [room.id()] } }));
    assert_eq!(without.sync().await["rooms"]["join"], json!({}));
    let mut only = alice.filtered(json!({ "room": { "rooms": [room.id()] } }));
    assert_ne!(section(&only.sync().await, "join", room.id()), &Value::Null);
}

#[tokio::test]
async fn who_comes_in_does_not_see_what_was_said_before_if_the_room_says_so() {
    let (_, mut bob, room) = alice_bob_room().await;
    let joined = crate::testing::field("history_visibility", "joined");
    room.set_state("m.room.history_visibility".into(), "", joined).await.unwrap();
    room.send_text("among us").await.unwrap();
    bob.room(&room).join(None).await.unwrap();
    room.send_text("welcome").await.unwrap();
    let update = bob.sync().await;
    assert_eq!(timeline(&update, &room), ["m.room.member @bob:x", "welcome"]);
    assert_eq!(section(&update, "join", room.id())["timeline"]["limited"], true);
}

#[tokio::test]
async fn a_long_absence_is_told_by_the_rooms_instead_of_the_log() {
    let (mut alice, mut bob, room) = alice_bob_room().await;
    alice.sync().await;
    bob.sync().await;
    for n in 0..300 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    let update = alice.sync().await;
    assert_eq!(timeline(&update, &room).last().unwrap(), "299");
    assert_eq!(section(&update, "join", room.id())["timeline"]["limited"], true);
    assert_eq!(bob.sync().await["rooms"]["join"], json!({}));
    assert_eq!(alice.sync().await["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn account_data_receipts_and_typing_come_along() {
    let (mut alice, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    let event = room.send_text("read me").await.unwrap();
    alice.sync().await;
    bob.sync().await;
    let tag = || crate::testing::raw(&json!({ "tags": {} }));
    bob.session.set_account_data(None, "org.x", tag()).await.unwrap();
    bob.session.set_account_data(Some(room.id()), "m.tag", tag()).await.unwrap();
    let marks = crate::ReadMarks { read: Some(event.clone()), ..crate::ReadMarks::default() };
    bob.session.mark_read(room.id(), marks).await.unwrap();
    let minute = std::time::Duration::from_secs(60);
    bob.session.start_typing(room.id(), minute).await.unwrap();
    let (told, mine) = (alice.sync().await, bob.sync().await);
    let ephemeral = &section(&told, "join", room.id())["ephemeral"];
    assert_eq!(short(ephemeral), ["m.typing", "m.receipt"]);
    assert_eq!(ephemeral["events"][0]["content"]["user_ids"], json!([bob.id()]));
    assert_ne!(ephemeral["events"][1]["content"][event.as_str()]["m.read"][bob.id()], Value::Null);
    assert_eq!(told["account_data"]["events"], json!([]));
    assert_eq!(short(&mine["account_data"]), ["org.x"]);
    assert_eq!(short(&section(&mine, "join", room.id())["account_data"]), ["m.tag"]);
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.sync().await["rooms"]["join"], json!({}));
    }
}

#[tokio::test]
async fn who_comes_back_hears_that_nobody_types_any_more() {
    let (alice, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    let minute = std::time::Duration::from_secs(60);
    alice.session.start_typing(room.id(), minute).await.unwrap();
    let told = bob.sync().await;
    let users = |update: &Value| {
        section(update, "join", room.id())["ephemeral"]["events"][0]["content"]["user_ids"].clone()
    };
    assert_eq!(users(&told), json!([alice.id()]));
    bob.room(&room).leave(None).await.unwrap();
    bob.sync().await;
    alice.session.stop_typing(room.id()).await.unwrap();
    bob.sync().await;
    bob.room(&room).join(None).await.unwrap();
    assert_eq!(users(&bob.sync().await), json!([]));
}

#[tokio::test]
async fn account_data_that_was_set_outside_is_told_on_coming_in() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    let data = crate::testing::raw(&json!({}));
    bob.session.set_account_data(Some(room.id()), "org.x", data).await.unwrap();
    bob.sync().await;
    bob.room(&room).join(None).await.unwrap();
    let update = bob.sync().await;
    assert_eq!(short(&section(&update, "join", room.id())["account_data"]), ["org.x"]);
}

#[tokio::test]
async fn what_is_noted_of_a_room_after_leaving_it_is_told() {
    let (_, mut bob, room) = alice_bob_room().await;
    let note = async |session: &Session, kind: &str| {
        let data = crate::testing::raw(&json!({}));
        session.set_account_data(Some(room.id()), kind, data).await.unwrap();
    };
    note(&bob.session, "org.outside").await;
    bob.sync().await;
    bob.room(&room).join(None).await.unwrap();
    bob.sync().await;
    note(&bob.session, "org.before").await;
    bob.room(&room).leave(None).await.unwrap();
    let update = bob.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["timeline"]), ["m.room.member @bob:x"], "the leaving is told, too");
    assert_eq!(short(&left["account_data"]), ["org.before"]);
    room.send_text("not for bob").await.unwrap();
    note(&bob.session, "m.tag").await;
    let mut without = bob.filtered(json!({ "room": { "not_rooms": [room.id()] } }));
    without.request.since = bob.request.since;
    assert_eq!(without.sync().await["rooms"]["leave"], json!({}));
    let update = bob.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["account_data"]), ["m.tag"]);
    assert_eq!((short(&left["timeline"]), short(&left["state"])), (vec![], vec![]));
    assert_eq!(bob.sync().await["rooms"]["leave"], json!({}));
    bob.room(&room).forget().await.unwrap();
    bob.sync().await;
    note(&bob.session, "m.tag").await;
    assert_eq!(bob.sync().await["rooms"]["leave"], json!({}), "what is forgotten stays so");
}

#[tokio::test]
async fn leaving_soon_after_coming_in_tells_what_was_noted_once() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    bob.room(&room).join(None).await.unwrap();
    let data = crate::testing::raw(&json!({}));
    bob.session.set_account_data(Some(room.id()), "m.tag", data).await.unwrap();
    bob.room(&room).leave(None).await.unwrap();
    let update = bob.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["account_data"]), ["m.tag"]);
    assert_eq!(short(&left["timeline"]).last().unwrap(), "m.room.member @bob:x");
}

#[tokio::test]
async fn the_event_stream_tells_what_is_fleeting_and_where() {
    let (alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    let event = room.send_text("read me").await.unwrap();
    let no_time = std::time::Duration::ZERO;
    let from = alice.session.event_stream(None, no_time).await.unwrap().end;
    let marks = crate::ReadMarks { read: Some(event.clone()), ..crate::ReadMarks::default() };
    bob.session.mark_read(room.id(), marks).await.unwrap();
    let minute = std::time::Duration::from_secs(60);
    bob.session.start_typing(room.id(), minute).await.unwrap();
    bob.session.set_presence(PresenceState::Online, Some("here".into())).await.unwrap();
    room.send_text("heard").await.unwrap();
    let stream = alice.session.event_stream(Some(from), no_time).await.unwrap();
    let told = json!(stream.chunk);
    let told = told.as_array().unwrap();
    let of = |kind: &'static str| told.iter().filter(move |event| event["type"] == kind);
    for kind in ["m.room.message", "m.typing", "m.receipt"] {
        let rooms: Vec<_> = of(kind).map(|event| &event["room_id"]).collect();
        assert_eq!(rooms, [room.id().as_str()], "{kind}");
    }
    let typing = of("m.typing").next().unwrap();
    assert_eq!(typing["content"]["user_ids"], json!([bob.id()]));
    let receipt = of("m.receipt").next().unwrap();
    assert_ne!(receipt["content"][event.as_str()]["m.read"][bob.id()], Value::Null);
    let present = of("m.presence").find(|event| event["sender"] == bob.id()).unwrap();
    assert_eq!(present["content"]["status_msg"], "here");
    assert_eq!(present.get("room_id"), None);
    let nothing = alice.session.event_stream(Some(stream.end), no_time).await.unwrap();
    assert_eq!(json!(nothing.chunk), json!([]));
}
