use serde_json::json;
use tertulia_storage::{
    Direction, Engine, LocalEngine, Memory, MemoryEngine,
    testing::{FailingEngine, Fault},
};

use super::*;
use crate::{
    Extent, Homeserver, NewDevice, PasswordCost, Registration, Room, Session, Settings,
    testing::{field, public_room, raw},
};

async fn start_on(engine: impl Engine) -> Homeserver {
    let settings = Settings {
        allow_guests: true,
        registration: Registration::Open,
        password_cost: PasswordCost::LEAST,
        ..Settings::default()
    };
    let server = Homeserver::builder("x").unwrap().settings(settings);
    server.start(engine).await.unwrap()
}

async fn guest(server: &Homeserver) -> Session {
    server.register_guest(NewDevice::default()).await.unwrap().0
}

async fn set_access(room: &Room, access: &str) {
    let kind = StateEventType::RoomGuestAccess;
    room.set_state(kind, "", field("guest_access", access)).await.unwrap();
}

/// A room that Alice made and lets guests in, with so many of them in it.
async fn room_with_guests(server: &Homeserver, many: usize) -> (Room, Vec<Session>) {
    let (alice, _) = server.register("alice").await.unwrap();
    let room = public_room(&alice, "12").await;
    set_access(&room, "can_join").await;
    let mut guests = Vec::new();
    for _ in 0..many {
        let guest = guest(server).await;
        guest.room(room.id()).join(None).await.unwrap();
        guests.push(guest);
    }
    (room, guests)
}

/// How many rooms are noted.
async fn noted(server: &Homeserver) -> usize {
    let view = server.core.store.view().await.unwrap();
    view.scan(&CLOSED_TO_GUESTS, &(), Direction::Forward, 1_000).await.unwrap().len()
}

/// Waits until no room is noted any more.
async fn turned_out(server: &Homeserver) {
    while noted(server).await > 0 {
        assert!(!server.core.tasks.is_empty(), "the follower has given up");
        tokio::task::yield_now().await;
    }
}

async fn joined(room: &Room) -> usize {
    room.joined_members().await.unwrap().len()
}

#[tokio::test]
async fn a_room_that_is_closed_to_guests_loses_them_and_nobody_else() {
    for closed in [json!({ "guest_access": "forbidden" }), json!({}), json!({ "guest_access": 7 })]
    {
        let server = start_on(MemoryEngine::default()).await;
        let (room, guests) = room_with_guests(&server, 3).await;
        let (bob, _) = server.register("bob").await.unwrap();
        bob.room(room.id()).join(None).await.unwrap();
        assert_eq!(joined(&room).await, 5);
        room.set_state(StateEventType::RoomGuestAccess, "", raw(&closed)).await.unwrap();
        turned_out(&server).await;
        assert_eq!(joined(&room).await, 2, "{closed}");
        let kind = StateEventType::RoomMember;
        let left = room.state_event(&kind, guests[0].id().as_str()).await.unwrap();
        assert_eq!(left.sender(), guests[0].id(), "a guest leaves by itself");
        assert_eq!(left.content().get(), r#"{"membership":"leave"}"#);
    }
}

#[tokio::test]
async fn a_redaction_closes_a_room_to_guests() {
    let server = start_on(MemoryEngine::default()).await;
    let (room, _) = room_with_guests(&server, 2).await;
    let open = room.state_event(&StateEventType::RoomGuestAccess, "").await.unwrap();
    room.redact(open.id(), None, None).await.unwrap();
    turned_out(&server).await;
    assert_eq!(joined(&room).await, 1);
}

#[tokio::test]
async fn a_new_base_of_the_state_closes_a_room_to_guests() {
    let server = start_on(MemoryEngine::default()).await;
    let (room, _) = room_with_guests(&server, 2).await;
    set_access(&room, "forbidden").await;
    turned_out(&server).await;
    let forbidden = room.state_event(&StateEventType::RoomGuestAccess, "").await.unwrap();
    set_access(&room, "can_join").await;
    let guest = guest(&server).await;
    guest.room(room.id()).join(None).await.unwrap();
    // What is told anew has the older event in its slot.
    let state = room.state().await.unwrap();
    let told = state.iter().map(|event| match event.content().get() {
        r#"{"guest_access":"can_join"}"# => forbidden.id().to_owned(),
        _ => event.id().to_owned(),
    });
    let next = server.next_generation(room.id()).await.unwrap();
    next.write(&told.collect::<Vec<_>>()).await.unwrap();
    next.renew(Extent::Whole).await.unwrap();
    turned_out(&server).await;
    assert_eq!(joined(&room).await, 1);
}

#[tokio::test]
async fn who_is_no_guest_any_more_stays() {
    let server = start_on(MemoryEngine::default()).await;
    let (room, guests) = room_with_guests(&server, 2).await;
    guests[0].become_member(None, None, NewDevice::default()).await.unwrap();
    set_access(&room, "forbidden").await;
    turned_out(&server).await;
    assert_eq!(joined(&room).await, 2);
}

#[tokio::test]
async fn no_way_leads_a_guest_into_a_room_that_is_closed_to_guests() {
    let server = start_on(MemoryEngine::default()).await;
    let (room, guests) = room_with_guests(&server, 1).await;
    set_access(&room, "forbidden").await;
    turned_out(&server).await;
    let theirs = guests[0].room(room.id());
    room.invite(guests[0].id(), None, false).await.unwrap();
    let join = raw(&json!({ "membership": "join" }));
    let kind = StateEventType::RoomMember;
    let by_state = theirs.set_state(kind, guests[0].id().as_str(), join).await;
    assert!(matches!(by_state, Err(Error::GuestsForbidden)), "{by_state:?}");
    let by_join = theirs.join(None).await;
    assert!(matches!(by_join, Err(Error::GuestsForbidden)), "{by_join:?}");
    theirs.leave(None).await.unwrap();
}

#[tokio::test]
async fn a_room_that_says_it_for_the_first_time_and_messages_note_nothing() {
    let server = start_on(MemoryEngine::default()).await;
    let stopped = server.core.stop.clone();
    // Nobody follows any more, so that what is noted stays.
    stopped.cancel();
    tokio::task::yield_now().await;
    let (alice, _) = server.register("alice").await.unwrap();
    let room = public_room(&alice, "12").await;
    room.send_text("hello").await.unwrap();
    room.set_state("m.room.guest_access".into(), "other", raw(&json!({}))).await.unwrap();
    assert_eq!(noted(&server).await, 0);
}

#[tokio::test]
async fn a_room_that_was_opened_again_keeps_its_guests() {
    let server = start_on(MemoryEngine::default()).await;
    let (room, guests) = room_with_guests(&server, 1).await;
    let late = TurnOut {
        core: server.core.clone(),
        room: room.id().to_owned(),
        guest: guests[0].id().to_owned(),
        now: server.core.now(),
    };
    assert!(server.core.store.write(late).await.unwrap().out.is_none());
    set_access(&room, "can_join").await;
    turned_out(&server).await;
    assert_eq!(joined(&room).await, 2);
}

#[tokio::test]
async fn what_was_noted_meanwhile_is_not_forgotten() {
    let server = start_on(MemoryEngine::default()).await;
    let (room, _) = room_with_guests(&server, 0).await;
    server.core.stop.cancel();
    tokio::task::yield_now().await;
    set_access(&room, "forbidden").await;
    set_access(&room, "can_join").await;
    for (noted_then, left) in [(1, 1), (2, 0)] {
        let settle = Settle { room: room.id().to_owned(), noted: noted_then };
        server.core.store.write(settle).await.unwrap();
        assert_eq!(noted(&server).await, left);
    }
    turn_out_guests(&server.core, ruma::room_id!("!gone:x"), 1).await.unwrap();
}

/// Closes a room to its guests on a store that stops after so many writes; tells how many of them had
/// left. The next start brings it to its end.
async fn left_before_the_stop(memory: &Memory, room: &RoomId, stop: usize) -> usize {
    let memory = memory.crash();
    let failing = FailingEngine::new(memory.clone(), Fault::StopAfter(stop));
    let server = start_on(LocalEngine::start(failing).unwrap()).await;
    let alice = User::new(server.core.clone(), ruma::user_id!("@alice:x").to_owned());
    let kind = StateEventType::RoomGuestAccess;
    let room = alice.room(room);
    let closed = room.set_state(kind, "", field("guest_access", "forbidden")).await.is_ok();
    // The followers go on until the store fails them.
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    let left = MANY + 1 - joined(&room).await;
    let server = start_on(MemoryEngine::over(memory.crash())).await;
    turned_out(&server).await;
    let alice = User::new(server.core.clone(), ruma::user_id!("@alice:x").to_owned());
    let stay = if closed { 1 } else { MANY + 1 };
    assert_eq!(joined(&alice.room(room.id())).await, stay, "after {stop} writes");
    left
}

/// How many guests there are: more than one page of them.
const MANY: usize = PAGE + 10;

#[tokio::test]
async fn the_next_start_goes_on_where_a_crash_came_in_between() {
    let memory = Memory::default();
    let server = start_on(MemoryEngine::over(memory.clone())).await;
    let (room, _) = room_with_guests(&server, MANY).await;
    server.shutdown().await;
    let mut interrupted = 0;
    for stop in [1, 2, 4, 6, 8, 10, 12, 14] {
        let left = left_before_the_stop(&memory, room.id(), stop).await;
        interrupted += usize::from(left > 0 && left < MANY);
    }
    assert!(interrupted > 1, "only {interrupted} stops came in the middle");
}
