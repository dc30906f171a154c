//! What rooms promise, through the library, on the memory engine.

use ruma::{
    api::Direction,
    events::{StateEventType, TimelineEventType},
};
use serde_json::{Value, json};
use tertulia_protocol::{InitialState, NewRoom};

use super::*;
use crate::{
    Error, EventFilter,
    schema::MembershipKind,
    testing::{bodies, field, public_room, raw, server, user},
};

fn page(towards: Direction, limit: usize) -> MessagesQuery {
    MessagesQuery { from: None, to: None, towards, limit, filter: EventFilter::default() }
}

async fn said(room: &Room) -> Vec<String> {
    let filter = EventFilter::of_types(&["m.room.message"]);
    let query = MessagesQuery { filter, ..page(Direction::Forward, 100) };
    bodies(&room.messages(&query).await.unwrap().events)
}

fn transaction(id: &str) -> Option<Transaction> {
    Some(Transaction { device: "D".into(), id: id.into() })
}

async fn send(room: &Room, body: &str) -> ruma::OwnedEventId {
    room.send_text(body).await.unwrap()
}

#[tokio::test]
async fn two_users_talk_in_a_room_of_every_version() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    for version in 1..=12 {
        let room = public_room(&alice, &version.to_string()).await;
        let theirs = bob.room(room.id());
        theirs.join(None).await.unwrap();
        send(&room, "hello").await;
        send(&theirs, "hello yourself").await;
        assert_eq!(said(&theirs).await, ["hello", "hello yourself"], "version {version}");
        let hash_id = room.id().as_str().len() == 44;
        assert_eq!(hash_id, version == 12, "only version 12 names rooms by hash");
    }
}

#[tokio::test]
async fn who_joins_or_leaves_by_many_requests_at_once_does_it_once() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let theirs = bob.room(room.id());
    for (leaves, membership) in [(false, "join"), (true, "leave")] {
        let requests = (0..8).map(|_| async {
            if leaves { theirs.leave(None).await } else { theirs.join(None).await }
        });
        for answer in futures_util::future::join_all(requests).await {
            assert!(answer.is_ok(), "{membership}: {answer:?}");
        }
        let filter = EventFilter::of_types(&["m.room.member"]);
        let query = MessagesQuery { filter, ..page(Direction::Forward, 100) };
        let events = room.messages(&query).await.unwrap().events;
        let told = events.iter().map(|event| serde_json::to_value(event).unwrap());
        let theirs = told.filter(|event| event["state_key"] == bob.id().as_str());
        let alike = theirs.filter(|event| event["content"]["membership"] == membership);
        assert_eq!(alike.count(), 1, "{membership}");
    }
}

#[tokio::test]
async fn only_members_speak_and_read() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let outside = bob.room(room.id());
    assert!(matches!(outside.send_text("let me in").await, Err(Error::Refused(_))));
    assert!(matches!(outside.state().await, Err(Error::Forbidden(_))));
    let query = page(Direction::Backward, 5);
    assert!(matches!(outside.messages(&query).await, Err(Error::Forbidden(_))));
    let nowhere = bob.room(ruma::room_id!("!nowhere:x"));
    assert!(matches!(nowhere.state().await, Err(Error::Forbidden(_))));
    assert!(matches!(nowhere.send_text("hello?").await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_retried_transaction_tells_the_first_event() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let kind = TimelineEventType::RoomMessage;
    let say = |body: &str, id| {
        room.send(kind.clone(), raw(&json!({"msgtype": "m.text", "body": body})), transaction(id))
    };
    let first = say("once", "t1").await.unwrap();
    assert_eq!(say("again", "t1").await.unwrap(), first);
    assert_ne!(say("twice", "t2").await.unwrap(), first);
    assert_eq!(said(&room).await, ["once", "twice"]);
}

#[tokio::test]
async fn many_retries_at_once_make_one_event() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let kind = TimelineEventType::RoomMessage;
    let content = json!({"msgtype": "m.text", "body": "once"});
    let tries = (0..20).map(|_| room.send(kind.clone(), raw(&content), transaction("t")));
    let sent = futures_util::future::join_all(tries).await;
    let first = sent[0].as_ref().unwrap();
    assert!(sent.iter().all(|event| event.as_ref().unwrap() == first));
    assert_eq!(said(&room).await, ["once"]);
}

#[tokio::test]
async fn who_left_sees_the_room_as_it_was() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let theirs = bob.room(room.id());
    theirs.join(None).await.unwrap();
    room.set_state(StateEventType::RoomName, "", field("name", "before")).await.unwrap();
    send(&room, "with bob").await;
    theirs.leave(None).await.unwrap();
    room.set_state(StateEventType::RoomName, "", field("name", "after")).await.unwrap();
    send(&room, "without bob").await;

    assert_eq!(said(&theirs).await, ["with bob"]);
    let name = theirs.state_event(&StateEventType::RoomName, "").await.unwrap();
    assert_eq!(name.content().get(), r#"{"name":"before"}"#);
    let state = theirs.state().await.unwrap();
    assert!(state.iter().any(|event| event.content().get() == r#"{"name":"before"}"#));
    assert!(matches!(theirs.joined_members().await, Err(Error::Forbidden(_))));
    theirs.forget().await.unwrap();
    assert!(matches!(theirs.state().await, Err(Error::Forbidden(_))));
}

/// What Bob, Carol and a stranger find in a room that the first has left and the second was banned
/// from, on a page from its end and on one from its beginning.
async fn check_left(visibility: &str, of_those_gone: &[&str], of_a_stranger: Option<&[&str]>) {
    let server = server().await;
    let room = public_room(&user(&server, "alice"), "11").await;
    let setting = field("history_visibility", visibility);
    room.set_state(StateEventType::RoomHistoryVisibility, "", setting).await.unwrap();
    let [bob, carol, stranger] =
        ["bob", "carol", "dave"].map(|name| user(&server, name).room(room.id()));
    bob.join(None).await.unwrap();
    carol.join(None).await.unwrap();
    send(&room, "then").await;
    bob.leave(None).await.unwrap();
    room.ban(carol.me(), None).await.unwrap();
    send(&room, "now").await;
    for towards in [Direction::Forward, Direction::Backward] {
        let filter = EventFilter::of_types(&["m.room.message"]);
        let query = MessagesQuery { filter, ..page(towards, 100) };
        for reader in [&bob, &carol, &stranger] {
            let told = reader.messages(&query).await.ok().map(|page| bodies(&page.events));
            let told = told.map(|mut told| {
                told.sort_by_key(|body| body != "then");
                told
            });
            let gone = reader.me() != stranger.me();
            let expected = if gone { Some(of_those_gone) } else { of_a_stranger };
            let expected = expected.map(|bodies| bodies.iter().map(ToString::to_string).collect());
            assert_eq!(told, expected, "{visibility} {towards:?} {}", reader.me());
        }
    }
}

#[tokio::test]
async fn those_who_left_read_on_where_anyone_may() {
    check_left("world_readable", &["then", "now"], Some(&["then", "now"])).await;
    check_left("shared", &["then"], None).await;
    check_left("joined", &["then"], None).await;
}

#[tokio::test]
async fn a_room_is_forgotten_only_after_leaving() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "11").await;
    assert!(matches!(room.forget().await, Err(Error::InRoom)));
    assert!(matches!(bob.room(room.id()).forget().await, Err(Error::Forbidden(_))));
    room.leave(None).await.unwrap();
    room.forget().await.unwrap();
    room.forget().await.unwrap();
}

/// What @bob sees of a room whose history is `visibility`, with a message before he is invited,
/// one while he is, one while he is in, and one after.
async fn check_visibility(visibility: &str, expected: &[&str]) {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let content = field("history_visibility", visibility);
    room.set_state(StateEventType::RoomHistoryVisibility, "", content).await.unwrap();
    let theirs = bob.room(room.id());
    send(&room, "early").await;
    room.invite(bob.id(), None, false).await.unwrap();
    send(&room, "invited").await;
    theirs.join(None).await.unwrap();
    send(&room, "joined").await;
    theirs.leave(None).await.unwrap();
    send(&room, "late").await;
    assert_eq!(said(&theirs).await, expected, "{visibility}");
    let filter = EventFilter::of_types(&["m.room.message"]);
    let query = MessagesQuery { filter, ..page(Direction::Backward, 100) };
    let mut backward = bodies(&theirs.messages(&query).await.unwrap().events);
    backward.reverse();
    assert_eq!(backward, expected, "{visibility}, backward");
}

#[tokio::test]
async fn one_who_left_sees_no_less_of_a_public_history_than_a_stranger() {
    let server = server().await;
    let (alice, bob, carol) =
        (user(&server, "alice"), user(&server, "bob"), user(&server, "carol"));
    let room = public_room(&alice, "12").await;
    let content = field("history_visibility", "world_readable");
    room.set_state(StateEventType::RoomHistoryVisibility, "", content).await.unwrap();
    bob.room(room.id()).join(None).await.unwrap();
    bob.room(room.id()).leave(None).await.unwrap();
    send(&room, "late").await;
    for towards in [Direction::Forward, Direction::Backward] {
        let told = async |user: &crate::core::User| {
            let page = user.room(room.id()).messages(&page(towards, 100)).await.unwrap();
            page.events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>()
        };
        let (strangers, members) = (told(&carol).await, told(&alice).await);
        assert!(!strangers.is_empty() && strangers.iter().all(|event| members.contains(event)));
        assert_eq!(told(&bob).await, members, "what was said before is theirs, too");
    }
}

#[tokio::test]
async fn history_is_visible_as_the_room_says() {
    check_visibility("joined", &["joined"]).await;
    check_visibility("invited", &["invited", "joined"]).await;
    check_visibility("shared", &["early", "invited", "joined"]).await;
    check_visibility("world_readable", &["early", "invited", "joined", "late"]).await;
}

#[tokio::test]
async fn pages_cover_the_timeline_without_gap_or_repeat_both_ways() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    for n in 0..17 {
        send(&room, &n.to_string()).await;
    }
    let mut all = Vec::new();
    for towards in [Direction::Forward, Direction::Backward] {
        let (mut query, mut seen) = (page(towards, 4), Vec::new());
        loop {
            let page = room.messages(&query).await.unwrap();
            assert!(page.events.len() <= 4);
            seen.extend(page.events.iter().map(|event| event.id().to_owned()));
            let Some(end) = page.end else { break };
            query.from = Some(end);
        }
        all.push(seen);
    }
    let mut backwards = all.pop().unwrap();
    backwards.reverse();
    assert_eq!(all.pop().unwrap(), backwards);
    assert_eq!(backwards.len(), 17 + 6);
}

#[tokio::test]
async fn a_redacted_event_shows_what_is_left_everywhere() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    for version in ["1", "10", "11", "12"] {
        let room = public_room(&alice, version).await;
        let theirs = bob.room(room.id());
        theirs.join(None).await.unwrap();
        let mine = send(&room, "secret").await;
        let own = send(&theirs, "slip").await;
        assert!(matches!(theirs.redact(&mine, None, None).await, Err(Error::Forbidden(_))));
        theirs.redact(&own, Some("oops".to_owned()), None).await.unwrap();
        room.redact(&mine, None, None).await.unwrap();
        let shown = serde_json::to_value(theirs.event(&own).await.unwrap()).unwrap();
        assert_eq!(shown["content"], json!({}), "version {version}");
        let because = &shown["unsigned"]["redacted_because"];
        assert_eq!(because["content"]["reason"], "oops");
        assert_eq!(because["redacts"], own.as_str());
        assert_eq!(because["content"]["redacts"], own.as_str());
        assert_eq!(said(&theirs).await, ["{}", "{}"]);
    }
}

#[tokio::test]
async fn a_redacted_topic_is_gone_from_the_state() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let kind = StateEventType::RoomTopic;
    let topic = room.set_state(kind.clone(), "", field("topic", "gossip")).await.unwrap();
    room.redact(&topic, None, None).await.unwrap();
    assert_eq!(room.state_event(&kind, "").await.unwrap().content().get(), "{}");
}

#[tokio::test]
async fn removing_and_banning_follow_the_power_levels() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let theirs = bob.room(room.id());
    assert!(matches!(room.kick(bob.id(), None).await, Err(Error::Forbidden(_))));
    assert!(matches!(room.unban(bob.id(), None).await, Err(Error::Forbidden(_))));
    theirs.join(None).await.unwrap();
    theirs.join(None).await.unwrap();
    assert!(matches!(theirs.kick(alice.id(), None).await, Err(Error::Refused(_))));
    room.kick(bob.id(), Some("enough".to_owned())).await.unwrap();
    theirs.join(None).await.unwrap();
    room.ban(bob.id(), None).await.unwrap();
    assert!(matches!(theirs.join(None).await, Err(Error::Refused(_))));
    assert!(matches!(room.invite(bob.id(), None, false).await, Err(Error::Refused(_))));
    room.unban(bob.id(), None).await.unwrap();
    theirs.join(None).await.unwrap();
}

#[tokio::test]
async fn leaving_twice_is_leaving_and_strangers_have_nothing_to_leave() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    assert!(matches!(bob.room(room.id()).leave(None).await, Err(Error::Forbidden(_))));
    room.leave(None).await.unwrap();
    room.leave(None).await.unwrap();
}

#[tokio::test]
async fn members_are_told_by_membership_and_place() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let early = room.messages(&page(Direction::Backward, 1)).await.unwrap().start;
    room.invite(bob.id(), None, false).await.unwrap();
    let told = async |query: MembersQuery| {
        let events = room.member_events(&query).await.unwrap();
        let mut keys: Vec<_> = events.iter().map(|e| e.state_key().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    let all = MembersQuery::default();
    assert_eq!(told(all.clone()).await, ["@alice:x", "@bob:x"]);
    let joined = MembersQuery { membership: Some(MembershipKind::Join), ..all.clone() };
    assert_eq!(told(joined).await, ["@alice:x"]);
    let others = MembersQuery { not_membership: Some(MembershipKind::Join), ..all.clone() };
    assert_eq!(told(others).await, ["@bob:x"]);
    assert_eq!(told(MembersQuery { at: Some(early), ..all }).await, ["@alice:x"]);
}

#[tokio::test]
async fn context_surrounds_the_event() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let mut sent = Vec::new();
    for n in 0..9 {
        sent.push(send(&room, &n.to_string()).await);
    }
    let context = room.context(&sent[4], 5, EventFilter::default()).await.unwrap();
    assert_eq!(bodies(&context.before), ["3", "2"]);
    assert_eq!(bodies(std::slice::from_ref(&context.event)), ["4"]);
    assert_eq!(bodies(&context.after), ["5", "6", "7"]);
    let ahead = MessagesQuery { from: Some(context.end), ..page(Direction::Forward, 10) };
    assert_eq!(bodies(&room.messages(&ahead).await.unwrap().events), ["8"]);
    let back = MessagesQuery { from: Some(context.start), ..page(Direction::Backward, 2) };
    assert_eq!(bodies(&room.messages(&back).await.unwrap().events), ["1", "0"]);
    let missing = room.context(ruma::event_id!("$nothing"), 5, EventFilter::default()).await;
    assert!(matches!(missing, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_room_may_begin_with_more_events_than_one_commit_bears() {
    let server = server().await;
    let alice = user(&server, "alice");
    let mut room = NewRoom::new(alice.id().to_owned(), ruma::RoomVersionId::V12);
    room.initial_state = (0..120)
        .map(|n| InitialState {
            kind: "org.example.many".into(),
            state_key: n.to_string(),
            content: raw(&json!({ "n": n })),
        })
        .collect();
    let room = alice.create_room(room).await.unwrap();
    let many = room.state().await.unwrap();
    let kind = TimelineEventType::from("org.example.many");
    assert_eq!(many.iter().filter(|event| *event.kind() == kind).count(), 120);
}

#[tokio::test]
async fn a_content_that_is_no_canonical_json_is_refused() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let kind = TimelineEventType::RoomMessage;
    let wrong: [Value; 3] =
        [json!({"n": 1.5}), json!([1]), json!({"n": 9_007_199_254_740_993_i64})];
    for content in wrong {
        let sent = room.send(kind.clone(), raw(&content), None).await;
        assert!(matches!(sent, Err(Error::Refused(_))), "{content}");
    }
    let large = json!({ "body": "x".repeat(70_000) });
    assert!(matches!(room.send(kind, raw(&large), None).await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn a_room_is_created_once() {
    let server = server().await;
    let alice = user(&server, "alice");
    for version in ["1", "11", "12"] {
        let room = public_room(&alice, version).await;
        let refused = room.set_state(StateEventType::RoomCreate, "", field("a", "b")).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{version}: {refused:?}");
    }
}

#[tokio::test]
async fn of_two_who_put_the_same_into_a_slot_at_once_one_makes_the_event() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let put = || room.set_state(StateEventType::RoomTopic, "", field("topic", "gossip"));
    let (one, other) = tokio::join!(put(), put());
    assert_eq!(one.unwrap(), other.unwrap());
}

#[tokio::test]
async fn a_page_that_had_to_pass_over_many_events_says_where_to_go_on() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let talker = bob.room(room.id());
    talker.join(None).await.unwrap();
    send(&room, "first").await;
    for _ in 0..120 {
        send(&talker, "noise").await;
    }
    let ignored = json!({ "ignored_users": { "@bob:x": {} } });
    alice.set_account_data(None, "m.ignored_user_list", raw(&ignored)).await.unwrap();
    for (towards, first_page) in [(Direction::Backward, &[][..]), (Direction::Forward, &["first"])]
    {
        let filter = EventFilter::of_types(&["m.room.message"]);
        let mut query = MessagesQuery { filter, ..page(towards, 10) };
        let mut pages = Vec::new();
        loop {
            let page = room.messages(&query).await.unwrap();
            pages.push(bodies(&page.events));
            query.from = page.end;
            if page.end.is_none() {
                break;
            }
        }
        assert_eq!(pages[0], first_page);
        assert_eq!(pages.concat(), ["first"]);
        assert!((3..6).contains(&pages.len()), "{pages:?}");
    }
}

#[tokio::test]
async fn the_state_around_an_event_is_what_the_filter_asks_for() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let event = send(&room, "here").await;
    let types = async |filter: EventFilter| {
        let context = room.context(&event, 0, filter).await.unwrap();
        context.state.iter().map(|event| event.kind().to_string()).collect::<Vec<_>>()
    };
    assert!(types(EventFilter::default()).await.len() > 3);
    assert_eq!(types(EventFilter::of_types(&["m.room.member"])).await, ["m.room.member"]);
    assert!(types(EventFilter::of_types(&["m.room.message"])).await.is_empty());
}
