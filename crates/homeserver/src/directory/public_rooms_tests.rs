//! The public room directory, from publishing to reading.

use ruma::{RoomVersionId, events::StateEventType};
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{
    Homeserver, NewAccount, NewRoom, Preset, Publishers, Room, Settings, User, Visibility,
    testing::{field, public_room, server, user},
};

async fn published(creator: &User, name: &str) -> Room {
    let mut room = NewRoom::new(creator.id().to_owned(), RoomVersionId::V12);
    room.preset = Preset::PublicChat;
    room.name = Some(name.to_owned());
    creator.create_room_as(room, Visibility::Public).await.unwrap()
}

async fn page(server: &Homeserver, limit: u64, since: Option<&str>) -> PublicRoomsPage {
    let since = since.map(str::to_owned);
    let query = PublicRoomsQuery { limit: Some(limit), since, ..PublicRoomsQuery::default() };
    server.public_rooms(&query).await.unwrap()
}

fn names(page: &PublicRoomsPage) -> Vec<&str> {
    page.chunk.iter().map(|room| room.summary.name.as_deref().unwrap_or("-")).collect()
}

/// Names and numbers of members, the largest room first.
async fn listed(server: &Homeserver) -> Vec<(String, u64)> {
    let page = page(server, 100, None).await;
    assert_eq!(page.total_room_count_estimate, page.chunk.len() as u64);
    let row = |room: &RoomSummary| {
        (room.summary.name.clone().unwrap_or_default(), room.num_joined_members)
    };
    page.chunk.iter().map(row).collect()
}

fn rows(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
    rows.iter().map(|(name, joined)| ((*name).to_owned(), *joined)).collect()
}

#[tokio::test]
async fn a_room_is_listed_when_it_is_published_and_not_otherwise() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = published(&alice, "one").await;
    let other = public_room(&alice, "12").await;
    assert_eq!(server.visibility(room.id()).await.unwrap(), Visibility::Public);
    assert_eq!(server.visibility(other.id()).await.unwrap(), Visibility::Private);
    assert_eq!(listed(&server).await, rows(&[("one", 1)]));
    for _ in 0..2 {
        other.set_visibility(Visibility::Public).await.unwrap();
        assert_eq!(listed(&server).await.len(), 2);
    }
    for _ in 0..2 {
        room.set_visibility(Visibility::Private).await.unwrap();
        assert_eq!(listed(&server).await, rows(&[("", 1)]));
    }
}

#[tokio::test]
async fn the_directory_shows_a_room_as_it_is_now() {
    let server = server().await;
    let [alice, bob] = ["alice", "bob"].map(|name| user(&server, name));
    let (one, two) = (published(&alice, "one").await, published(&alice, "two").await);
    bob.room(two.id()).join(None).await.unwrap();
    assert_eq!(listed(&server).await, rows(&[("two", 2), ("one", 1)]));
    one.set_state(StateEventType::RoomName, "", field("name", "uno")).await.unwrap();
    bob.room(two.id()).leave(None).await.unwrap();
    bob.room(one.id()).join(None).await.unwrap();
    assert_eq!(listed(&server).await, rows(&[("uno", 2), ("two", 1)]));
    let name = two.state_event(&StateEventType::RoomName, "").await.unwrap();
    two.redact(name.id(), None, None).await.unwrap();
    assert_eq!(listed(&server).await, rows(&[("uno", 2), ("", 1)]), "what was redacted is gone");
}

#[tokio::test]
async fn a_room_without_members_or_that_was_removed_is_not_listed() {
    let server = server().await;
    let alice = user(&server, "alice");
    let (one, two) = (published(&alice, "one").await, published(&alice, "two").await);
    one.leave(None).await.unwrap();
    assert_eq!(listed(&server).await, rows(&[("two", 1)]));
    assert_eq!(server.visibility(one.id()).await.unwrap(), Visibility::Public);
    server.remove_room(two.id()).await.unwrap();
    assert_eq!(listed(&server).await, []);
    let missing = server.visibility(two.id()).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)));
    let view = server.core.store.view().await.unwrap();
    let left = view.scan(&crate::schema::PUBLISHED_ROOMS, &(), Direction::Forward, 9).await;
    assert_eq!(left.unwrap().len(), 1, "of a removed room nothing is left");
}

#[tokio::test]
async fn pages_lead_on_and_back() {
    let server = server().await;
    let alice = user(&server, "alice");
    for name in ["a", "b", "c", "d", "e"] {
        published(&alice, name).await;
    }
    let all = page(&server, 9, None).await;
    let order = names(&all);
    assert_eq!((all.next_batch.as_deref(), all.prev_batch.as_deref()), (None, None));
    let first = page(&server, 2, None).await;
    assert_eq!((names(&first), first.prev_batch.as_deref()), (order[..2].to_vec(), None));
    let second = page(&server, 2, first.next_batch.as_deref()).await;
    assert_eq!(names(&second), order[2..4]);
    let third = page(&server, 2, second.next_batch.as_deref()).await;
    assert_eq!((names(&third), third.next_batch.as_deref()), (order[4..].to_vec(), None));
    let back = page(&server, 2, third.prev_batch.as_deref()).await;
    assert_eq!(names(&back), order[2..4]);
    assert_eq!(page(&server, 2, back.next_batch.as_deref()).await, third);
    let start = page(&server, 2, back.prev_batch.as_deref()).await;
    assert_eq!((names(&start), start.prev_batch.as_deref()), (order[..2].to_vec(), None));
}

#[tokio::test]
async fn who_may_set_the_main_alias_may_publish() {
    let server = server().await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(&server, name));
    let room = public_room(&alice, "12").await;
    bob.room(room.id()).join(None).await.unwrap();
    for outsider in [&bob, &carol] {
        for visibility in [Visibility::Public, Visibility::Private] {
            let refused = outsider.room(room.id()).set_visibility(visibility).await.unwrap_err();
            assert!(matches!(refused, Error::Forbidden(_)));
        }
    }
    let nowhere = alice.room(ruma::room_id!("!none:x"));
    let refused = nowhere.set_visibility(Visibility::Public).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound(_)));
    let admin = NewAccount { admin: true, ..NewAccount::from("root") };
    let admin = server.create_user(admin).await.unwrap();
    admin.room(room.id()).set_visibility(Visibility::Public).await.unwrap();
    assert_eq!(listed(&server).await.len(), 1);
}

#[tokio::test]
async fn an_operator_can_leave_publishing_to_administrators() {
    let mut settings = Settings::default();
    settings.directory.publishers = Publishers::Admins;
    let server = Homeserver::builder("x").unwrap().settings(settings);
    let server = server.start(MemoryEngine::default()).await.unwrap();
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let refused = room.set_visibility(Visibility::Public).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)));
    let wish = NewRoom::new(alice.id().to_owned(), RoomVersionId::V12);
    let refused = alice.create_room_as(wish, Visibility::Public).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)));
    assert_eq!(alice.joined_rooms().await.unwrap(), [room.id()], "the room was not even made");
    let admin = NewAccount { admin: true, ..NewAccount::from("root") };
    published(&server.create_user(admin).await.unwrap(), "one").await;
    assert_eq!(listed(&server).await, rows(&[("one", 1)]));
}

#[tokio::test]
async fn few_wanted_rooms_among_many_are_found_page_by_page() {
    let server = server().await;
    let mut command = Many { from: 0 };
    while command.from < 2 * LOOKED_AT as u64 {
        let from = command.from;
        server.core.store.write(command).await.unwrap();
        command = Many { from: from + 250 };
    }
    let search = Some("room 0.".to_owned());
    let mut query = PublicRoomsQuery { search, ..PublicRoomsQuery::default() };
    let first = server.public_rooms(&query).await.unwrap();
    assert_eq!(names(&first), Vec::<&str>::new());
    assert!(first.next_batch.is_some(), "there is more to look at");
    query.since = first.next_batch;
    let second = server.public_rooms(&query).await.unwrap();
    assert_eq!(names(&second), ["room 0."]);
}

/// Lists rooms that are not there, the first of them as the smallest.
struct Many {
    from: u64,
}

impl tertulia_storage::Command for Many {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> tertulia_storage::Partition {
        tertulia_storage::Partition::of("test", "")
    }

    async fn run(&self, tx: &mut tertulia_storage::Tx) -> Result<()> {
        for number in self.from..self.from + 250 {
            let room = OwnedRoomId::try_from(format!("!{number}:x")).unwrap();
            let name = Some(format!("room {number}."));
            let row = PublicRoom { name, ..PublicRoom::default() };
            tx.put(&PUBLIC_ROOMS, &(Descending(number + 1), room), &row);
        }
        Ok(())
    }
}
