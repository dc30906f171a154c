//! The state events that decide what may be said, in memory. They are kept under the version of the state they
//! belong to, which the room's head names, so that nothing here is ever taken back.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::OwnedRoomId;
use tertulia_protocol::{Pdu, Slot};
use tertulia_storage::Position;

use super::Head;

/// In how many rooms the state is remembered.
const ROOMS: usize = 5_000;

/// How many slots of a room are remembered. When there are more, it starts anew.
const SLOTS: usize = 64;

/// The slots that were asked for last, of each room's newest state.
pub(crate) struct SlotCache(Cache<OwnedRoomId, Arc<Held>>);

/// A version of a room's state: its generation, and where it last changed.
type Version = (u32, Position);

/// What is in some slots of one version of a room's state.
#[derive(Clone, Debug)]
struct Held {
    version: Version,
    slots: Vec<(Slot, Option<Pdu>)>,
}

impl Default for SlotCache {
    fn default() -> Self {
        Self(Cache::new(ROOMS))
    }
}

/// The version that a head names; none if a running transaction has changed the state.
fn version(head: &Head) -> Option<Version> {
    let at = head.row.state_at;
    (!at.is_here()).then_some((head.row.generation, at))
}

impl SlotCache {
    /// The events in all of `slots`, if it is known of every one what is in it.
    pub(crate) fn get(&self, head: &Head, slots: &[Slot]) -> Option<Vec<Pdu>> {
        let version = version(head)?;
        let held = self.0.get(&*head.room).filter(|held| held.version == version)?;
        let mut events = Vec::with_capacity(slots.len());
        for slot in slots {
            let (_, event) = held.slots.iter().find(|(known, _)| known == slot)?;
            events.extend(event.clone());
        }
        Some(events)
    }

    /// Keeps what is in `slots`: of `events`, those that fill one, and nothing in the others.
    pub(crate) fn keep(&self, head: &Head, slots: &[Slot], events: &[Pdu]) {
        let Some(version) = version(head) else { return };
        let known = self.0.get(&*head.room).filter(|held| held.version == version);
        let mut held =
            known.map_or_else(|| Held { version, slots: Vec::new() }, |held| (*held).clone());
        if held.slots.len() + slots.len() > SLOTS {
            held.slots.clear();
        }
        for slot in slots {
            if held.slots.iter().all(|(known, _)| known != slot) {
                let event = events.iter().find(|event| event.slot() == Some(slot));
                held.slots.push((slot.clone(), event.cloned()));
            }
        }
        self.0.insert(head.room.clone(), Arc::new(held));
    }
}

#[cfg(test)]
mod tests {
    use ruma::events::StateEventType;

    use super::*;
    use crate::{
        Homeserver, Room,
        events::{current_slots, load_head},
        testing::{field, public_room, server, user},
    };

    fn slot(kind: StateEventType) -> Slot {
        (kind, String::new())
    }

    /// The room's head, after everything in `slots` was asked for.
    async fn ask(server: &Homeserver, room: &Room, slots: &[Slot]) -> Head {
        let core = &server.core;
        let view = core.store.view().await.unwrap();
        let head = load_head(&view, room.id()).await.unwrap();
        current_slots(&view, core, &head, slots).await.unwrap();
        head
    }

    fn known(server: &Homeserver, head: &Head, slots: &[Slot]) -> Option<usize> {
        server.core.local::<SlotCache>().get(head, slots).map(|events| events.len())
    }

    #[tokio::test]
    async fn what_was_asked_for_is_known_and_nothing_else() {
        let server = server().await;
        let room = public_room(&user(&server, "alice"), "12").await;
        let (create, topic) = (slot(StateEventType::RoomCreate), slot(StateEventType::RoomTopic));
        let head = ask(&server, &room, &[create.clone(), topic.clone()]).await;
        assert_eq!(
            known(&server, &head, &[topic.clone(), create.clone()]),
            Some(1),
            "no topic is known to be none"
        );
        assert_eq!(known(&server, &head, &[create.clone(), slot(StateEventType::RoomName)]), None);
        let head = ask(&server, &room, &[slot(StateEventType::RoomName)]).await;
        assert_eq!(
            known(&server, &head, &[create, topic, slot(StateEventType::RoomName)]),
            Some(1)
        );
    }

    #[tokio::test]
    async fn a_change_of_the_state_is_seen_at_once() {
        let server = server().await;
        let room = public_room(&user(&server, "alice"), "12").await;
        let topic = [slot(StateEventType::RoomTopic)];
        let before = ask(&server, &room, &topic).await;
        room.set_state(StateEventType::RoomTopic, "", field("topic", "tea")).await.unwrap();
        let after = ask(&server, &room, &topic).await;
        assert_eq!(known(&server, &after, &topic), Some(1));
        assert_eq!(
            known(&server, &before, &topic),
            None,
            "the older state is forgotten, not mixed in"
        );
    }

    #[tokio::test]
    async fn what_a_running_transaction_changed_is_not_kept() {
        let server = server().await;
        let room = public_room(&user(&server, "alice"), "12").await;
        let topic = [slot(StateEventType::RoomTopic)];
        let mut head = ask(&server, &room, &topic).await;
        head.row.state_at = Position::here(0);
        server.core.local::<SlotCache>().keep(&head, &topic, &[]);
        assert_eq!(known(&server, &head, &topic), None);
    }

    #[tokio::test]
    async fn a_room_takes_so_much_memory_and_no_more() {
        let server = server().await;
        let room = public_room(&user(&server, "alice"), "12").await;
        let members = |from: usize| {
            let name = move |n| (StateEventType::RoomMember, format!("@{}:x", from + n));
            (0..SLOTS).map(name).collect::<Vec<_>>()
        };
        let head = ask(&server, &room, &members(0)).await;
        ask(&server, &room, &members(SLOTS)).await;
        assert_eq!(known(&server, &head, &members(0)), None);
        assert_eq!(known(&server, &head, &members(SLOTS)), Some(0));
    }
}
