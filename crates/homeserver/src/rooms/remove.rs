//! Removing a room altogether: nobody is in it any more, and no row of it is left but the note
//! that it was removed.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tertulia_storage::{Command, Direction, Partition, Tx};

use crate::{
    Error, Result,
    core::{Homeserver, User},
    events::{self, forget_media, load_head, members, note_unseen},
    schema::{
        AUTH, CLOSED_TO_GUESTS, DirectBy, EARLY_REDACTIONS, EVENT_META, EVENTS, GAPS,
        GENERATION_MEMBERS, GENERATIONS, HEADS, MEMBERS, MembershipKind, OPEN_REQUESTS, OPEN_ROOMS,
        OVERLAYS, PUBLISHED_ROOMS, PUSH_BLOCKS, RELATED_BY, RELATIONS, REMOVED_ROOMS, RemovedRoom,
        STATE, STATE_CHANGES, STATE_LOG, THREADS, TIMELINE, TRANSACTIONS, UPGRADES,
    },
};

/// How many rows one step deletes; a commit bears 500.
const STEP: usize = 200;

/// How many rows of one list, of which there are some, a step deletes.
const LIST_STEP: usize = STEP / 10;

/// The most rows that one event has outside of lists: itself, what is known of it, and the files that it shows.
const ROWS_OF_EVENT: usize = 7;

/// How many members are read at a time.
const PAGE: usize = 500;

impl Homeserver {
    /// Removes `room` from this server: its users leave it, then every row of it is deleted, step
    /// by step. An interrupted removal goes on when it is asked for again.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the room.
    pub async fn remove_room(&self, room: &RoomId) -> Result<()> {
        let view = self.core.store.view().await?;
        let begun = view.get(&REMOVED_ROOMS, &(room.to_owned(),)).await?;
        if begun.is_none() {
            load_head(&view, room).await?;
            self.evacuate(room).await?;
        }
        let at = self.core.now();
        while !self.core.store.write(Remove { room: room.to_owned(), at }).await?.out {}
        Ok(())
    }

    /// Goes on with removals of rooms that a stop interrupted.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store fails.
    pub async fn go_on_removing_rooms(&self) -> Result<()> {
        let view = self.core.store.view().await?;
        let rows = view.scan(&REMOVED_ROOMS, &(), Direction::Forward, usize::MAX).await?;
        for ((room,), _) in rows.into_iter().filter(|(_, row)| !row.finished) {
            self.remove_room(&room).await?;
        }
        Ok(())
    }

    /// Lets every user of this server leave `room`.
    async fn evacuate(&self, room: &RoomId) -> Result<()> {
        let mut after = None;
        loop {
            let view = self.core.store.view().await?;
            let head = load_head(&view, room).await?;
            let rows = members(&view, &head, after.as_deref(), PAGE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            for (user, row) in rows {
                let gone = matches!(row.kind, MembershipKind::Leave | MembershipKind::Ban);
                if !self.core.is_local(user.server_name()) {
                    continue;
                }
                if !gone {
                    User::new(self.core.clone(), user.clone()).room(room).leave(None).await?;
                }
                self.core.store.write(EndDirect { user, room: room.to_owned() }).await?;
            }
        }
    }
}

/// Forgets which files a stored event shows; tells how many.
fn forget_shown(tx: &mut Tx, id: &OwnedEventId, event: &[u8]) -> usize {
    #[derive(Deserialize)]
    struct Event {
        content: Box<RawValue>,
    }
    // What cannot be read was never noted.
    let event: Option<Event> = serde_json::from_slice(event).ok();
    event.map_or(0, |event| forget_media(tx, id, &event.content))
}

/// Notes that a room that is removed is direct for a user no more.
struct EndDirect {
    user: OwnedUserId,
    room: OwnedRoomId,
}

impl Command for EndDirect {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        events::end_direct(tx, &self.user, &self.room, DirectBy::Invite, |_| true).await
    }
}

/// Deletes one step of a room's rows; tells whether it was the last.
struct Remove {
    room: OwnedRoomId,
    at: MilliSecondsSinceUnixEpoch,
}

impl Command for Remove {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let key = (self.room.clone(),);
        let at = self.at.0.into();
        tx.guard(&REMOVED_ROOMS, &key);
        tx.delete(&HEADS, &key);
        tx.delete(&PUBLISHED_ROOMS, &key);
        tx.delete(&OPEN_ROOMS, &key);
        tx.delete(&UPGRADES, &key);
        tx.delete(&CLOSED_TO_GUESTS, &key);
        note_unseen(tx, &self.room, None).await?;
        let finished = self.delete_events(tx).await? && self.delete_lists(tx).await?;
        tx.put(&REMOVED_ROOMS, &key, &RemovedRoom { at, finished });
        Ok(finished)
    }
}

impl Remove {
    async fn delete_events(&self, tx: &mut Tx) -> Result<bool> {
        let prefix = (self.room.clone(),);
        let rows = tx.scan(&EVENT_META, &prefix, Direction::Forward, STEP).await?;
        let ids: Vec<_> = rows.iter().map(|(key, _)| (key.1.clone(),)).collect();
        let events = tx.get_many(&EVENTS, &ids).await?;
        let mut left = 2 * STEP;
        let last = rows.len() < STEP;
        for ((key, _), event) in rows.into_iter().zip(events) {
            if left < ROWS_OF_EVENT {
                return Ok(false);
            }
            left -= 2 + event.map_or(0, |event| forget_shown(tx, &key.1, &event));
            tx.delete(&EVENTS, &(key.1.clone(),));
            tx.delete(&EVENT_META, &key);
        }
        Ok(last)
    }

    async fn delete_lists(&self, tx: &mut Tx) -> Result<bool> {
        let own = (self.room.clone(),);
        Ok(tx.delete_all(&TIMELINE, &own, LIST_STEP).await?
            && tx.delete_all(&STATE, &own, LIST_STEP).await?
            && tx.delete_all(&OPEN_REQUESTS, &own, LIST_STEP).await?
            && tx.delete_all(&STATE_LOG, &own, LIST_STEP).await?
            && tx.delete_all(&STATE_CHANGES, &own, LIST_STEP).await?
            && tx.delete_all(&OVERLAYS, &own, LIST_STEP).await?
            && tx.delete_all(&AUTH, &own, LIST_STEP).await?
            && tx.delete_all(&MEMBERS, &own, LIST_STEP).await?
            && tx.delete_all(&GENERATION_MEMBERS, &own, LIST_STEP).await?
            && tx.delete_all(&GENERATIONS, &own, LIST_STEP).await?
            && tx.delete_all(&TRANSACTIONS, &own, LIST_STEP).await?
            && tx.delete_all(&EARLY_REDACTIONS, &own, LIST_STEP).await?
            && tx.delete_all(&GAPS, &own, LIST_STEP).await?
            && tx.delete_all(&RELATIONS, &own, LIST_STEP).await?
            && tx.delete_all(&RELATED_BY, &own, LIST_STEP).await?
            && tx.delete_all(&THREADS, &own, LIST_STEP).await?
            && tx.delete_all(&PUSH_BLOCKS, &own, LIST_STEP).await?)
    }
}

#[cfg(test)]
mod tests {
    use tertulia_storage::{
        LocalEngine, Memory, MemoryEngine,
        testing::{FailingEngine, Fault},
    };

    use super::*;
    use crate::testing::{public_room, server, user};

    async fn note(server: &Homeserver, room: &RoomId) -> Option<RemovedRoom> {
        let view = server.core.store.view().await.unwrap();
        view.get(&REMOVED_ROOMS, &(room.to_owned(),)).await.unwrap()
    }

    /// Removes a room on a store that stops after so many writes. Tells whether the next start
    /// finds a removal that has begun and not ended; it then brings it to its end.
    async fn is_interrupted(memory: &Memory, room: &RoomId, stop: usize) -> bool {
        let memory = memory.crash();
        let failing = FailingEngine::new(memory.clone(), Fault::StopAfter(stop));
        let server = Homeserver::start("x", LocalEngine::start(failing).unwrap()).await.unwrap();
        let removed = server.remove_room(room).await;
        let begun = note(&server, room).await;
        assert_eq!(removed.is_ok(), begun.as_ref().is_some_and(|note| note.finished));
        let interrupted = begun.is_some_and(|note| !note.finished);
        let server = Homeserver::start("x", MemoryEngine::over(memory.crash())).await.unwrap();
        while interrupted && note(&server, room).await.is_none_or(|note| !note.finished) {
            tokio::task::yield_now().await;
        }
        interrupted
    }

    #[tokio::test]
    async fn the_next_start_goes_on_with_a_removal() {
        let memory = Memory::default();
        let server = Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap();
        let room = public_room(&user(&server, "alice"), "12").await;
        for n in 0..2 * STEP {
            room.send_text(&n.to_string()).await.unwrap();
        }
        server.shutdown().await;
        let mut interrupted = 0;
        for stop in 0..8 {
            interrupted += usize::from(is_interrupted(&memory, room.id(), stop).await);
        }
        assert!(interrupted > 1, "only {interrupted} stops came in the middle");
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_removed_room_but_the_note() {
        let server = server().await;
        let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
        let (room, other) = (public_room(&alice, "12").await, public_room(&alice, "11").await);
        bob.room(room.id()).join(None).await.unwrap();
        for n in 0..300 {
            room.send_text(&n.to_string()).await.unwrap();
        }
        let event = other.send_text("stays").await.unwrap();
        renew(&server, &room).await;
        server.next_generation(room.id()).await.unwrap();
        server.remove_room(room.id()).await.unwrap();

        assert!(matches!(room.send_text("anyone?").await, Err(Error::NotFound(_))));
        assert!(matches!(room.state().await, Err(Error::Forbidden(_))));
        let view = server.core.store.view().await.unwrap();
        let prefix = (room.id().to_owned(),);
        assert!(view.scan(&EVENT_META, &prefix, Direction::Forward, 1).await.unwrap().is_empty());
        assert!(view.scan(&TIMELINE, &prefix, Direction::Forward, 1).await.unwrap().is_empty());
        assert!(view.scan(&STATE_LOG, &prefix, Direction::Forward, 1).await.unwrap().is_empty());
        let (generations, members) = (&GENERATIONS, &GENERATION_MEMBERS);
        assert!(view.scan(generations, &prefix, Direction::Forward, 1).await.unwrap().is_empty());
        assert!(view.scan(members, &prefix, Direction::Forward, 1).await.unwrap().is_empty());
        let note = view.get(&REMOVED_ROOMS, &prefix).await.unwrap();
        assert!(note.is_some_and(|note| note.finished));
        assert!(other.event(&event).await.is_ok());
        server.remove_room(room.id()).await.unwrap();
    }

    /// Tells the room its own state anew.
    async fn renew(server: &Homeserver, room: &crate::Room) {
        let state = room.state().await.unwrap();
        let told: Vec<_> = state.iter().map(|event| event.id().to_owned()).collect();
        let next = server.next_generation(room.id()).await.unwrap();
        next.write(&told).await.unwrap();
        next.renew(crate::Extent::Whole).await.unwrap();
    }

    #[tokio::test]
    async fn a_room_nobody_knows_cannot_be_removed() {
        let server = server().await;
        let removed = server.remove_room(ruma::room_id!("!nowhere:x")).await;
        assert!(matches!(removed, Err(Error::NotFound(_))));
    }
}
