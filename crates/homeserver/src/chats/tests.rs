//! What lists of chats promise, through the library.

use super::*;
use crate::{
    NewGroup, PushRuleChange, Room,
    events::guard_head,
    schema::CHATS_ADOPTED,
    testing::{field, listed, public_room, raw, server, user},
};
use futures_util::{FutureExt as _, StreamExt as _};
use ruma::events::{StateEventType, TimelineEventType};
use serde_json::json;
use tertulia_protocol::NewRoom;
use tertulia_storage::{Command, Partition, Position, Tx};

/// A group of this name that others have joined.
async fn group(owner: &User, name: &str, others: &[&User]) -> Room {
    let wish = NewGroup { name: Some(name.to_owned()), ..NewGroup::default() };
    let group = owner.groups().create(wish).await.unwrap();
    for other in others {
        group.invite(other.id(), None, false).await.unwrap();
        other.room(group.id()).join(None).await.unwrap();
    }
    group
}

async fn list(user: &User) -> Vec<Chat> {
    user.chats().list(&ChatsQuery::default()).await.unwrap().chats
}

/// How the user's chats are called.
async fn names(user: &User) -> Vec<String> {
    list(user).await.into_iter().map(|chat| chat.name.unwrap_or_default()).collect()
}

#[tokio::test]
async fn the_chat_in_which_something_was_said_last_comes_first() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let tea = group(&alice, "tea", &[&bob]).await;
    let cake = group(&alice, "cake", &[&bob]).await;
    assert_eq!(names(&alice).await, ["cake", "tea"]);
    bob.room(tea.id()).send_text("hello").await.unwrap();
    assert_eq!(names(&alice).await, ["tea", "cake"]);
    // What is no word brings nothing to the front.
    cake.set_state(StateEventType::RoomTopic, "", field("topic", "what to eat")).await.unwrap();
    assert_eq!(names(&alice).await, ["tea", "cake"]);
    let said = cake.send_text("hungry").await.unwrap();
    assert_eq!(names(&alice).await, ["cake", "tea"]);
    tea.send_text("me too").await.unwrap();
    let edit = json!({
        "msgtype": "m.text", "body": "* thirsty",
        "m.new_content": { "msgtype": "m.text", "body": "thirsty" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": said },
    });
    cake.send(TimelineEventType::RoomMessage, raw(&edit), None).await.unwrap();
    assert_eq!(names(&alice).await, ["tea", "cake"]);
    assert_eq!(
        list(&alice).await[1].last_message.as_ref().unwrap().text.as_deref(),
        Some("thirsty")
    );
    tea.leave(None).await.unwrap();
    assert_eq!(names(&alice).await, ["cake"]);
    assert_eq!(names(&bob).await, ["tea", "cake"]);
}

#[tokio::test]
async fn a_chat_shows_what_was_said_last_and_how_much_is_unread() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let tea = group(&alice, "tea", &[&bob]).await;
    assert_eq!(list(&bob).await[0].last_message, None, "nobody has said anything");
    alice.room(tea.id()).send_text("one").await.unwrap();
    let said = alice.room(tea.id()).send_text("two").await.unwrap();
    let chat = bob.chats().get(tea.id()).await.unwrap();
    let last = chat.last_message.clone().unwrap();
    assert_eq!((last.event_id, last.sender.as_str()), (said.clone(), "@alice:x"));
    assert_eq!((last.kind, last.text.as_deref()), (MessageKind::Text, Some("two")));
    assert_eq!(last.sender_displayname, None, "she has not said how she is called");
    assert_eq!((chat.unread.notification_count, chat.role), (2, Some(Role::Member)));
    assert_eq!((chat.member_count, chat.kind), (2, ChatKind::Group));
    alice.room(tea.id()).redact(&said, None, None).await.unwrap();
    let last = bob.chats().get(tea.id()).await.unwrap().last_message.unwrap();
    assert!(last.redacted && last.text.is_none());
    let image = json!({ "msgtype": "m.image", "body": "tea.png", "url": "mxc://x/tea" });
    tea.send(TimelineEventType::RoomMessage, raw(&image), None).await.unwrap();
    let last = bob.chats().get(tea.id()).await.unwrap().last_message.unwrap();
    assert_eq!((last.kind, last.text.as_deref()), (MessageKind::Image, Some("tea.png")));
}

#[tokio::test]
async fn who_spoke_last_and_is_gone_is_called_as_anywhere() {
    let server = server().await;
    let alice = user(&server, "alice");
    let zoe = crate::NewAccount::from("zoe").with_display_name("Zoe");
    let zoe = server.create_user(zoe).await.unwrap();
    let tea = group(&alice, "tea", &[&zoe]).await;
    let theirs = zoe.room(tea.id());
    theirs.send_text("I must go").await.unwrap();
    let called = async || {
        let last = alice.chats().get(tea.id()).await.unwrap().last_message.unwrap();
        last.sender_displayname.unwrap()
    };
    assert_eq!(called().await, "Zoe");
    theirs.leave(None).await.unwrap();
    assert_eq!(called().await, "Zoe");
    zoe.set_nickname(Some("Zora")).await.unwrap();
    assert_eq!(called().await, "Zora");
}

#[tokio::test]
async fn a_group_shows_who_spoke_what_it_is_about_and_whether_only_some_speak() {
    let server = server().await;
    // More than are looked at to find names for groups that have none.
    let all = ["alice", "b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "zoe"];
    let all = all.map(|name| user(&server, name));
    let [alice, .., zoe] = &all;
    let tea = group(alice, "tea", &all[1..].iter().collect::<Vec<_>>()).await;
    tea.set_state(StateEventType::RoomTopic, "", field("topic", "what to drink")).await.unwrap();
    for (user, nickname) in [(alice, "Alice"), (zoe, "Zoe")] {
        let member = raw(&json!({ "membership": "join", "displayname": nickname }));
        let room = user.room(tea.id());
        room.set_state(StateEventType::RoomMember, user.id().as_str(), member).await.unwrap();
        room.send_text("green").await.unwrap();
        let last = zoe.chats().get(tea.id()).await.unwrap().last_message.unwrap();
        assert_eq!(last.sender_displayname.as_deref(), Some(nickname));
    }
    for only in [true, false] {
        alice.groups().set_announcements_only(tea.id(), only).await.unwrap();
        let chat = zoe.chats().get(tea.id()).await.unwrap();
        assert_eq!((chat.announcements_only, chat.role), (only, Some(Role::Member)));
        assert_eq!(chat.topic.as_deref(), Some("what to drink"));
    }
}

#[tokio::test]
async fn what_one_may_not_see_or_will_not_hear_is_not_shown() {
    let server = server().await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(&server, name));
    let tea = group(&alice, "tea", &[&bob]).await;
    let joined = raw(&json!({ "history_visibility": "joined" }));
    tea.set_state(StateEventType::RoomHistoryVisibility, "", joined).await.unwrap();
    tea.send_text("between us").await.unwrap();
    tea.invite(carol.id(), None, false).await.unwrap();
    carol.room(tea.id()).join(None).await.unwrap();
    assert_eq!(carol.chats().get(tea.id()).await.unwrap().last_message, None);
    assert!(bob.chats().get(tea.id()).await.unwrap().last_message.is_some());
    let ignored = raw(&json!({ "ignored_users": { "@alice:x": {} } }));
    bob.set_account_data(None, "m.ignored_user_list", ignored).await.unwrap();
    assert_eq!(bob.chats().get(tea.id()).await.unwrap().last_message, None);
}

#[tokio::test]
async fn marks_and_mutes_are_shown() {
    let server = server().await;
    let alice = user(&server, "alice");
    let tea = group(&alice, "tea", &[]).await;
    let marks = async || {
        let chat = alice.chats().get(tea.id()).await.unwrap();
        (chat.marked_unread, chat.muted)
    };
    assert_eq!(marks().await, (false, false));
    let mark = raw(&json!({ "unread": true }));
    alice.set_account_data(Some(tea.id()), "m.marked_unread", mark).await.unwrap();
    let rule = ruma::push::NewSimplePushRule::new(tea.id().to_owned(), vec![]);
    let rule = ruma::push::NewPushRule::Room(rule);
    alice.change_push_rules(PushRuleChange::Put { rule, before: None, after: None }).await.unwrap();
    assert_eq!(marks().await, (true, true));
}

#[tokio::test]
async fn a_group_without_a_name_is_called_after_others_and_a_space_is_no_chat() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let nameless = public_room(&alice, "12").await;
    bob.room(nameless.id()).join(None).await.unwrap();
    let mut space = NewRoom::new(alice.id().to_owned(), ruma::RoomVersionId::V12);
    space.creation_content.insert("type".to_owned(), "m.space".into());
    let space = alice.create_room(space).await.unwrap();
    let chats = list(&alice).await;
    assert_eq!(chats.len(), 1);
    assert_eq!((&chats[0].name, chats[0].heroes[0].user_id.as_str()), (&None, "@bob:x"));
    let refused = alice.chats().get(space.id()).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound("chat")));
    let refused = user(&server, "carol").chats().get(nameless.id()).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound("chat")));
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let server = server().await;
    let alice = user(&server, "alice");
    for n in 0..7 {
        group(&alice, &n.to_string(), &[]).await;
    }
    let (mut seen, mut from) = (Vec::new(), None);
    loop {
        let query = ChatsQuery { from, limit: 3, ..ChatsQuery::default() };
        let page = alice.chats().list(&query).await.unwrap();
        assert!(page.chats.len() <= 3);
        seen.extend(page.chats.into_iter().map(|chat| chat.name.unwrap()));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
    let odd = ChatsQuery { from: Some("odd".to_owned()), ..ChatsQuery::default() };
    assert!(matches!(alice.chats().list(&odd).await.unwrap_err(), Error::Invalid(_)));
}

#[tokio::test]
async fn the_order_that_goes_on_is_the_one_that_is_read() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let mut rooms = Vec::new();
    for n in 0..4 {
        rooms.push(group(&alice, &n.to_string(), &[&bob]).await);
    }
    for step in [2, 0, 3, 1, 1, 2, 0] {
        match step {
            3 => bob.room(rooms[3].id()).leave(None).await.unwrap(),
            n => drop(rooms[n].send_text("hello").await.unwrap()),
        }
        let view = server.core.store.view().await.unwrap();
        let kept = Order::now(&view, &server.core, bob.id()).await.unwrap();
        let read = order::Order::read(&view, bob.id()).await.unwrap();
        assert_eq!(kept.after(None, 9, None), read.after(None, 9, None), "{step}");
    }
}

#[tokio::test]
async fn changes_are_told_as_they_come() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let tea = group(&alice, "tea", &[&bob]).await;
    let mut changes = Box::pin(bob.chats().changes());
    assert!(changes.next().now_or_never().is_none(), "nothing has changed yet");
    tea.send_text("hello").await.unwrap();
    let ChatChange::Now(chat) = changes.next().await.unwrap().unwrap() else {
        panic!("it is there")
    };
    assert_eq!(chat.last_message.unwrap().text.as_deref(), Some("hello"));
    let cake = group(&alice, "cake", &[&bob]).await;
    let ChatChange::Now(chat) = changes.next().await.unwrap().unwrap() else {
        panic!("it is there")
    };
    assert_eq!(chat.room_id, cake.id());
    bob.room(tea.id()).leave(None).await.unwrap();
    let gone = async {
        loop {
            if let ChatChange::Gone(room) = changes.next().await.unwrap().unwrap() {
                return room;
            }
        }
    };
    assert_eq!(gone.await, tea.id());
    server.shutdown().await;
    while let Some(last) = changes.next().await {
        last.ok();
    }
}

#[tokio::test]
async fn a_direct_chat_is_called_as_the_other_is() {
    let server = server().await;
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        let user = server.create_user(name).await.unwrap();
        user.set_profile_field(crate::ProfileField::DISPLAY_NAME, name.to_uppercase().into())
            .await
            .unwrap();
        users.push(user);
    }
    let [alice, bob] = [0, 1].map(|n| users[n].clone());
    alice.friends().request(bob.id(), None).await.unwrap();
    let chat = &list(&alice).await[0];
    let shown = (chat.kind, chat.name.as_deref(), chat.friend.as_deref());
    assert_eq!(shown, (ChatKind::Direct, Some("BOB"), Some(bob.id())), "bob is only invited");
    assert!(list(&bob).await.is_empty(), "that is a request, not a chat");
    bob.friends().accept(alice.id()).await.unwrap();
    let chat = &list(&bob).await[0];
    let shown = (chat.kind, chat.name.as_deref(), chat.friend.as_deref());
    assert_eq!(shown, (ChatKind::Direct, Some("ALICE"), Some(alice.id())));
    group(&alice, "tea", &[&bob]).await;
    for (kind, expected) in [(ChatKind::Direct, "ALICE"), (ChatKind::Group, "tea")] {
        let query = ChatsQuery { kind: Some(kind), ..ChatsQuery::default() };
        let page = bob.chats().list(&query).await.unwrap();
        let names: Vec<_> = page.chats.iter().filter_map(|chat| chat.name.as_deref()).collect();
        assert_eq!(names, [expected]);
    }
    alice.room(&list(&alice).await[1].room_id).send_text("hello").await.unwrap();
    alice.friends().delete(bob.id()).await.unwrap();
    let chat = &list(&bob).await[0];
    assert_eq!(chat.name.as_deref(), Some("ALICE"), "the other is gone, the name is not");
}

#[tokio::test]
async fn a_direct_room_in_which_nobody_else_is_and_nothing_was_said_is_no_chat() {
    let server = server().await;
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        users.push(server.create_user(name).await.unwrap());
    }
    let [alice, bob] = [0, 1].map(|n| users[n].clone());
    let mut changes = Box::pin(alice.chats().changes());
    assert!(changes.next().now_or_never().is_none());
    let mut last = async || {
        let mut last = None;
        while let Some(change) = changes.next().now_or_never() {
            last = change.map(Result::unwrap);
        }
        match last {
            Some(ChatChange::Now(_)) => "now",
            Some(ChatChange::Gone(_)) => "gone",
            None => "nothing",
        }
    };
    let chats = async || list(&alice).await.len();
    for _ in 0..2 {
        alice.friends().request(bob.id(), None).await.unwrap();
        assert_eq!((chats().await, last().await), (1, "now"), "one that waits is shown");
        bob.friends().refuse(alice.id()).await.unwrap();
        assert_eq!((chats().await, last().await), (0, "gone"));
    }
    // To ask again uses the room again.
    let asked = alice.friends().request(bob.id(), None).await.unwrap();
    bob.friends().accept(alice.id()).await.unwrap();
    assert_eq!(chats().await, 1);
    let room = alice.room(asked.room().unwrap());
    room.send_text("hello").await.unwrap();
    bob.friends().delete(alice.id()).await.unwrap();
    let chat = alice.chats().get(room.id()).await.unwrap();
    assert_eq!((chat.member_count, list(&alice).await), (1, vec![chat.clone()]));
    assert_eq!(chat.last_message.unwrap().text.as_deref(), Some("hello"), "one wants to read it");
    // Where nobody else is, a group stays a group.
    let tea = group(&bob, "tea", &[]).await;
    assert_eq!(list(&bob).await[0].room_id, tea.id());
}

#[tokio::test]
async fn groups_are_found_behind_any_number_of_direct_chats() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let mut groups = Vec::new();
    for n in 0..150 {
        match n % 50 {
            0 => groups.push(group(&alice, &n.to_string(), &[]).await),
            _ => {
                let room = public_room(&alice, "12").await;
                room.invite(bob.id(), None, true).await.unwrap();
            }
        }
    }
    for (kind, count) in [(ChatKind::Group, 3), (ChatKind::Direct, 147)] {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let query = ChatsQuery { kind: Some(kind), from, limit: 2 };
            let page = alice.chats().list(&query).await.unwrap();
            assert!(page.chats.iter().all(|chat| chat.kind == kind));
            assert!(page.chats.len() == 2 || page.next.is_none());
            found.extend(page.chats.into_iter().map(|chat| chat.room_id));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), count);
        if kind == ChatKind::Group {
            let newest_first: Vec<_> = groups.iter().rev().map(|room| room.id()).collect();
            assert_eq!(found, newest_first);
        }
    }
}

#[tokio::test]
async fn what_one_lists_as_direct_oneself_is_told_as_a_change() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let tea = group(&alice, "tea", &[&bob]).await;
    group(&alice, "cake", &[&bob]).await;
    listed(&server).await;
    let mut changes = Box::pin(alice.chats().changes());
    assert!(changes.next().now_or_never().is_none());
    for (content, kind) in [
        (json!({ "@bob:x": [tea.id()] }), ChatKind::Direct),
        (json!({ "@bob:x": [] }), ChatKind::Group),
    ] {
        alice.set_account_data(None, "m.direct", raw(&content)).await.unwrap();
        listed(&server).await;
        let mut told = Vec::new();
        while let Some(Some(change)) = changes.next().now_or_never() {
            let ChatChange::Now(chat) = change.unwrap() else { panic!("it is there") };
            told.push((chat.room_id, chat.kind));
        }
        assert_eq!(told, [(tea.id().to_owned(), kind)], "and nothing else");
    }
}

/// Makes a room one that was there before chats.
struct Outdate(OwnedRoomId);

impl Command for Outdate {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.0.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let mut head = guard_head(tx, &self.0).await?;
        (head.row.spoken, head.row.is_space) = (Position::ZERO, false);
        head.put(tx);
        tx.delete(&CHATS_ADOPTED, &());
        Ok(())
    }
}

#[tokio::test]
async fn rooms_that_were_there_before_chats_get_their_place() {
    let server = server().await;
    let alice = user(&server, "alice");
    let [tea, cake, silent] = [
        group(&alice, "tea", &[]).await,
        group(&alice, "cake", &[]).await,
        group(&alice, "silent", &[]).await,
    ];
    let mut space = NewRoom::new(alice.id().to_owned(), ruma::RoomVersionId::V12);
    space.creation_content.insert("type".to_owned(), "m.space".into());
    let space = alice.create_room(space).await.unwrap();
    cake.send_text("hungry").await.unwrap();
    let said = tea.send_text("thirsty").await.unwrap();
    tea.react(&said, "👍").await.unwrap();
    tea.set_state(StateEventType::RoomTopic, "", field("topic", "what to drink")).await.unwrap();
    let before = list(&alice).await;
    while server.core.store.view().await.unwrap().get(&CHATS_ADOPTED, &()).await.unwrap().is_none()
    {
        tokio::task::yield_now().await;
    }
    for room in [&tea, &cake, &silent, &space] {
        server.core.store.write(Outdate(room.id().to_owned())).await.unwrap();
    }
    order::forget_orders(&server.core);
    assert_eq!(list(&alice).await.len(), 4, "the space is among them, and nothing is shown");
    assert!(list(&alice).await.iter().all(|chat| chat.last_message.is_none()));
    adopt(&server.core).await.unwrap();
    assert_eq!(list(&alice).await, before);
    assert_eq!(names(&alice).await, ["tea", "cake", "silent"]);
}
