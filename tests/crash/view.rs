//! What a client that syncs knows.

use std::collections::BTreeMap;

use serde_json::Value;
use tertulia_bench::api::{Account, Towards};
use tertulia_bench::client::Result;
use tertulia_bench::timeline::{Event, Item, JoinedRoom};

/// A client's memory, made from nothing but syncs and, where those were cut short, from history.
#[derive(Debug, Default)]
pub struct View {
    since: Option<String>,
    /// Joined rooms.
    pub rooms: BTreeMap<String, RoomView>,
    /// Global account data by type.
    pub account_data: BTreeMap<String, Value>,
}

/// A client's memory of one room.
#[derive(Debug, Default)]
pub struct RoomView {
    /// The IDs of its events since the client came to know it, oldest first.
    pub timeline: Vec<String>,
    /// The ID of each piece of its state.
    pub state: BTreeMap<(String, String), String>,
    /// The user's account data of the room.
    pub account_data: BTreeMap<String, Value>,
    /// The event up to which each user has read.
    pub receipts: BTreeMap<String, String>,
}

impl View {
    /// What a client is told that knows nothing.
    pub async fn fresh(account: &Account) -> Result<View> {
        let mut view = View::default();
        view.sync(account).await?;
        Ok(view)
    }

    /// Goes on from the last token; true if there was something new. What breaks off leaves the view as it was.
    pub async fn sync(&mut self, account: &Account) -> Result<bool> {
        let update = account.sync(self.since.as_deref(), None, 0).await?;
        let mut rooms = Vec::new();
        for (id, news) in update.rooms.join {
            let missed = self.missed(account, &id, &news).await?;
            rooms.push((id, missed, news));
        }
        let is_news = !rooms.is_empty() || !update.account_data.events.is_empty();
        for (id, missed, news) in rooms {
            self.rooms.entry(id).or_default().apply(missed, news);
        }
        keep(&mut self.account_data, update.account_data.events);
        self.since = Some(update.next_batch);
        Ok(is_news)
    }

    /// The events between what the view knows of a room and a timeline that was cut short, oldest first.
    async fn missed(&self, account: &Account, room: &str, news: &JoinedRoom) -> Result<Vec<Event>> {
        let known = self.rooms.get(room).and_then(|room| room.timeline.last());
        let (Some(known), true) = (known, news.timeline.limited) else {
            return Ok(Vec::new());
        };
        let (mut missed, mut from) = (Vec::new(), news.timeline.prev_batch.clone());
        while let Some(token) = from {
            let page = account.messages(room, Some(&token), Towards::Past, 100).await?;
            from = page.end;
            for event in page.chunk {
                if event.event_id == *known {
                    from = None;
                    break;
                }
                missed.push(event);
            }
        }
        missed.reverse();
        Ok(missed)
    }
}

impl RoomView {
    fn apply(&mut self, missed: Vec<Event>, news: JoinedRoom) {
        let ids = missed.iter().chain(&news.timeline.events).map(|event| event.event_id.clone());
        self.timeline.extend(ids);
        for event in news.state.events.into_iter().chain(news.timeline.events) {
            if let Some(key) = event.state_key {
                self.state.insert((event.kind, key), event.event_id);
            }
        }
        for receipts in news.ephemeral.events.iter().filter(|item| item.kind == "m.receipt") {
            self.receipts.extend(readers(&receipts.content));
        }
        keep(&mut self.account_data, news.account_data.events);
    }
}

fn keep(data: &mut BTreeMap<String, Value>, items: Vec<Item>) {
    data.extend(items.into_iter().map(|item| (item.kind, item.content)));
}

/// Who has read up to which event.
fn readers(receipts: &Value) -> Vec<(String, String)> {
    let mut readers = Vec::new();
    for (event, kinds) in receipts.as_object().into_iter().flatten() {
        let users = kinds["m.read"].as_object().into_iter().flatten();
        readers.extend(users.map(|(user, _)| (user.clone(), event.clone())));
    }
    readers
}
