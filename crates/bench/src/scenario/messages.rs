//! `messages`: reading a long history, page by page.

use std::cell::RefCell;

use anyhow::{Context, ensure};

use super::{Bench, Scenario};
use crate::api::{Account, Towards};
use crate::crowd::{self, progress};
use crate::ledger::{self, Heard, Sent};
use crate::measure::Meter;
use crate::timeline::Page;

/// How many events a reader asks for.
const PAGE: u32 = 100;
/// How many read at once.
const READERS: usize = 4;

/// A room with a long history. An operation is a page of it; a reader who has come to its beginning starts again at its end.
pub struct Messages {
    room: String,
    author: Account,
    /// Newest first.
    sent: Vec<Sent>,
}

/// How far one has read.
#[derive(Debug, Default)]
struct Place {
    read: usize,
    from: Option<String>,
}

impl Messages {
    /// Fills a room with so many messages.
    pub async fn prepare(bench: &Bench, events: usize) -> anyhow::Result<Messages> {
        ensure!(events > 0, "a history needs events");
        let users = bench.recruiter.users(1).await?;
        let (room, author) = (crowd::large_room(&users).await?, users[0].clone());
        let (bar, run) = (progress(events as u64, "events"), ledger::fresh_run());
        let mut sent = Vec::with_capacity(events);
        // One after the other, so that their order is known.
        for turn in 0..events {
            let message = ledger::say(&author, &room, run, 0, turn as u64).await;
            sent.push(message.context("filling the room")?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        sent.reverse();
        Ok(Messages { room, author, sent })
    }

    async fn read(&self, place: &RefCell<Place>) -> anyhow::Result<()> {
        let Place { read, from } = place.take();
        let page = self.author.messages(&self.room, from.as_deref(), Towards::Past, PAGE).await?;
        place.replace(go_on(&self.sent, read, page)?);
        Ok(())
    }
}

impl Scenario for Messages {
    fn name(&self) -> String {
        format!("messages: pages of {PAGE} of {} events", self.sent.len())
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let places: Vec<_> = (0..READERS).map(|_| RefCell::<Place>::default()).collect();
        meter.start()?;
        meter.drive(READERS, operations, |reader, _| self.read(&places[reader])).await;
        meter.stop()
    }
}

/// Where to read on: the page holds the messages that follow those which were read, each once and in order.
fn go_on(sent: &[Sent], read: usize, page: Page) -> anyhow::Result<Place> {
    let heard: Vec<_> = page.chunk.iter().filter_map(Heard::of).collect();
    let expected = sent[read..].iter().take(heard.len());
    let same = expected.clone().map(|sent| &sent.event).eq(heard.iter().map(|heard| &heard.event));
    ensure!(same && !heard.is_empty(), "a page goes on with other messages after {read}");
    let read = read + heard.len();
    if read == sent.len() {
        return Ok(Place::default());
    }
    ensure!(page.end.is_some(), "the history ends after {read} of {} messages", sent.len());
    Ok(Place { read, from: page.end })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads a page of `events` after so many of three messages, the newest of which is `$3`.
    fn check(read: usize, events: &[&str], end: Option<&str>, expected: Result<usize, &str>) {
        let sent =
            ["$3", "$2", "$1"].map(|event| Sent { text: String::new(), event: event.into() });
        let event = |id: &&str| json!({ "event_id": id, "sender": "@a:x", "type": "m.room.message", "content": { "body": "" } });
        let chunk: Vec<_> = events.iter().map(event).collect();
        let page = serde_json::from_value(json!({ "chunk": chunk, "end": end })).unwrap();
        let place = go_on(&sent, read, page).map(|place| place.read);
        assert_eq!(place.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn pages_tell_every_message_once_and_in_order() {
        check(0, &["$3", "$2"], Some("t"), Ok(2));
        check(2, &["$1"], Some("t"), Ok(0));
        check(2, &["$1"], None, Ok(0));
        check(0, &["$2"], Some("t"), Err("a page goes on with other messages after 0"));
        check(0, &["$2", "$3"], Some("t"), Err("a page goes on with other messages after 0"));
        check(1, &["$3"], Some("t"), Err("a page goes on with other messages after 1"));
        check(2, &["$1", "$1"], Some("t"), Err("a page goes on with other messages after 2"));
        check(1, &[], Some("t"), Err("a page goes on with other messages after 1"));
    }

    #[test]
    fn a_history_that_ends_early_has_lost_messages() {
        check(0, &["$3", "$2"], None, Err("the history ends after 2 of 3 messages"));
    }
}
