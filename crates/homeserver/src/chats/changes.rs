//! A user's chats as they change.

use std::{collections::BTreeSet, sync::Arc};

use futures_core::Stream;
use ruma::OwnedRoomId;
use tertulia_storage::Watch;

use super::{
    Chat, Chats,
    order::{Order, Touched},
    tell::Telling,
};
use crate::{
    Result,
    core::{Core, User},
    log::{room_topic, user_topic},
};

/// How many chats are read together.
const TOGETHER: usize = 64;

/// A change of a user's chats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatChange {
    /// A chat is new, or it shows something else than before, or may do so.
    Now(Box<Chat>),
    /// The user is not in a chat any more.
    Gone(OwnedRoomId),
}

impl Chats {
    /// Every change of the user's chats from now on, in no particular order among those that happen at
    /// once, until the server stops. What is told may be as it was before.
    pub fn changes(&self) -> impl Stream<Item = Result<ChatChange>> + Send + use<> {
        let User { core, id, .. } = self.user.clone();
        async_stream::try_stream! {
            let view = core.store.view().await?;
            let mut order = Order::now(&view, &core, &id).await?;
            let mut bells = core.store.watch(topics(&id, &order.rooms()));
            loop {
                let view = core.store.view().await?;
                let (next, touched) = order.at(&view, &id).await?;
                let Moved { gone, told, others } = Moved::between(&order, &next, touched);
                order = Arc::new(next);
                if others {
                    bells.set(topics(&id, &order.rooms()));
                }
                for gone in gone {
                    yield ChatChange::Gone(gone);
                }
                for rooms in told.chunks(TOGETHER) {
                    let telling = Telling::of(&view, &core, &id).await?;
                    let kind = |room: &OwnedRoomId| Some((room.clone(), order.kind(room)?));
                    let rooms = rooms.iter().filter_map(kind).collect();
                    for chat in telling.tell(rooms).await? {
                        yield ChatChange::Now(Box::new(chat));
                    }
                }
                // Where the bells are others than those that were heard before, they are heard first.
                if !others && !wait(&core, &mut bells).await {
                    break;
                }
            }
        }
    }
}

fn topics(user: &ruma::UserId, rooms: &BTreeSet<OwnedRoomId>) -> Vec<tertulia_storage::Topic> {
    rooms.iter().map(|room| room_topic(room)).chain([user_topic(user)]).collect()
}

/// What is to be told of the way from one order to the next.
struct Moved {
    gone: Vec<OwnedRoomId>,
    told: Vec<OwnedRoomId>,
    /// Whether the rooms that are to be watched are others than before.
    others: bool,
}

impl Moved {
    /// Looks at what was touched alone, as a user may have thousands of chats, and at everything only
    /// where anything may have changed.
    fn between(before: &Order, after: &Order, touched: Touched) -> Self {
        let rooms = match touched.all {
            true => before.rooms().union(&after.rooms()).cloned().collect(),
            false => touched.rooms,
        };
        let others = rooms.iter().any(|room| before.knows(room) != after.knows(room));
        let (told, left): (Vec<_>, Vec<_>) = rooms.into_iter().partition(|room| after.has(room));
        let gone = left.into_iter().filter(|room| before.has(room)).collect();
        Self { gone, told, others }
    }
}

/// Waits until something happens; false if that is the end of the server.
async fn wait(core: &Core, bells: &mut Watch) -> bool {
    tokio::select! {
        () = bells.changed() => true,
        () = core.stop.cancelled() => false,
    }
}
