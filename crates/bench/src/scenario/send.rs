//! `send`: many senders, many rooms, and perhaps readers who long-poll meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::{join, try_join_all};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Bench, Scenario};
use crate::api::{Account, Towards};
use crate::crowd;
use crate::measure::Meter;
use crate::timeline::{Event, Update};

/// The length of a message's text.
const CHARACTERS: usize = 100;
/// What a reader asks for: whole timelines, and of the members only those who speak.
const READER: &str = r#"{"room":{"timeline":{"limit":1000},"state":{"lazy_load_members":true}},"presence":{"types":[]}}"#;
/// How long after the last acknowledgement a reader may wait for the last message.
const PATIENCE: Duration = Duration::from_secs(30);

/// The shape of the crowd.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Users who send, one message at a time each.
    pub senders: usize,
    /// Rooms that all senders are in.
    pub rooms: usize,
    /// Joined users of each room, senders and readers included.
    pub members: usize,
    /// Members who sync all the time.
    pub syncing: usize,
}

/// Sends messages of 100 characters.
pub struct Send {
    shape: Shape,
    senders: Vec<Account>,
    readers: Vec<Reader>,
    rooms: Vec<String>,
    runs: u32,
}

/// A member whose sync is open, and what it has been told.
struct Reader {
    account: Account,
    since: RefCell<String>,
}

/// A message that the server has acknowledged.
struct Sent {
    room: usize,
    text: String,
    event: String,
}

impl Send {
    /// Registers the crowd and joins it to its rooms.
    pub async fn prepare(bench: &Bench, shape: Shape) -> anyhow::Result<Send> {
        ensure!(shape.senders > 0 && shape.rooms > 0, "somebody has to send, somewhere");
        let members = shape.members.max(shape.senders).max(shape.syncing);
        let users = bench.recruiter.users("send", members).await?;
        let rooms = match shape.rooms {
            1 => vec![crowd::large_room(&users).await?],
            several => crowd::rooms(&users, several).await?,
        };
        let readers =
            try_join_all(users.iter().rev().take(shape.syncing).cloned().map(Reader::arrive))
                .await?;
        Ok(Send {
            shape: Shape { members, ..shape },
            senders: users[..shape.senders].to_vec(),
            readers,
            rooms,
            runs: 0,
        })
    }

    async fn load(&self, meter: &Meter, operations: u64) -> Vec<Sent> {
        let sent = RefCell::new(Vec::with_capacity(operations as usize));
        let turns = vec![Cell::new(0); self.senders.len()];
        let send = |sender: usize, number: u64| {
            let room = number as usize % self.rooms.len();
            let turn = turns[sender].replace(turns[sender].get() + 1);
            let text = text(self.runs, sender, turn);
            let transaction = format!("{}-{sender}-{turn}", self.runs);
            let sent = &sent;
            async move {
                let event = self.say(sender, room, &transaction, &text).await?;
                sent.borrow_mut().push(Sent { room, text, event });
                Ok(())
            }
        };
        meter.drive(self.senders.len(), operations, send).await;
        sent.into_inner()
    }

    async fn say(
        &self,
        sender: usize,
        room: usize,
        transaction: &str,
        text: &str,
    ) -> anyhow::Result<String> {
        Ok(self.senders[sender]
            .send(&self.rooms[room], "m.room.message", transaction, &message(text))
            .await?)
    }

    /// The messages of this run in a room, oldest first, as a reader of its history finds them.
    async fn history(&self, room: &str) -> anyhow::Result<Vec<Heard>> {
        let (mut heard, mut from) = (Vec::new(), None::<String>);
        loop {
            let page = self.senders[0].messages(room, from.as_deref(), Towards::Past, 1000).await?;
            let before = heard.len();
            heard.extend(page.chunk.iter().filter_map(|event| Heard::of_run(event, self.runs)));
            // A page with anything of an earlier time is the last that matters.
            if page.end.is_none() || heard.len() - before < page.chunk.len() {
                heard.reverse();
                return Ok(heard);
            }
            from = page.end;
        }
    }

    async fn check(&self, sent: &[Sent], received: &[Told]) -> anyhow::Result<()> {
        for (index, room) in self.rooms.iter().enumerate() {
            let history = self.history(room).await.with_context(|| format!("reading {room}"))?;
            compare(sent.iter().filter(|sent| sent.room == index), &history)
                .with_context(|| room.clone())?;
            for reader in received {
                let told = reader.rooms.get(room).map_or(&[][..], Vec::as_slice);
                ensure!(
                    told == history,
                    "a sync told other messages than the history of {room} holds"
                );
            }
        }
        Ok(())
    }
}

impl Scenario for Send {
    fn name(&self) -> String {
        let Shape { senders, rooms, members, syncing } = self.shape;
        format!("send: {senders} senders, {rooms} rooms of {members}, {syncing} syncing")
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        self.runs += 1;
        let (done, count) = watch::channel(None);
        meter.start()?;
        let load = async {
            let sent = self.load(meter, operations).await;
            done.send_replace(Some(sent.len()));
            sent
        };
        let readers = self.readers.iter().map(|reader| reader.listen(self.runs, count.clone()));
        let (sent, received) = join(load, try_join_all(readers)).await;
        meter.stop()?;
        self.check(&sent, &received?).await
    }
}

impl Reader {
    async fn arrive(account: Account) -> anyhow::Result<Reader> {
        let update = account.sync(None, Some(READER), 0).await.context("a reader's first sync")?;
        Ok(Reader { account, since: RefCell::new(update.next_batch) })
    }

    /// Syncs until it has been told as many messages as were sent; by room, in the order they came.
    async fn listen(
        &self,
        run: u32,
        mut sent: watch::Receiver<Option<usize>>,
    ) -> anyhow::Result<Told> {
        let mut told = Told::default();
        loop {
            let next = self.next();
            tokio::pin!(next);
            let update = tokio::select! {
                update = &mut next => update?,
                // The last message may have arrived before its acknowledgement: then nothing more will come.
                all = sent.wait_for(Option::is_some) => match *all? {
                    Some(count) if told.count >= count => return Ok(told),
                    _ => timeout(PATIENCE, next).await.context("a sync was not told all messages")??,
                },
            };
            for (room, news) in &update.rooms.join {
                ensure!(!news.timeline.limited, "a sync was cut short: it lost messages");
                told.add(
                    room,
                    news.timeline.events.iter().filter_map(|event| Heard::of_run(event, run)),
                );
            }
        }
    }

    async fn next(&self) -> anyhow::Result<Update> {
        let since = self.since.borrow().clone();
        let update =
            self.account.sync(Some(&since), Some(READER), PATIENCE.as_millis() as u32).await?;
        self.since.replace(update.next_batch.clone());
        Ok(update)
    }
}

/// The messages of a run that a reader was told.
#[derive(Default)]
struct Told {
    rooms: HashMap<String, Vec<Heard>>,
    count: usize,
}

impl Told {
    fn add(&mut self, room: &str, heard: impl Iterator<Item = Heard>) {
        let messages = self.rooms.entry(room.to_owned()).or_default();
        let before = messages.len();
        messages.extend(heard);
        self.count += messages.len() - before;
    }
}

/// A message that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Heard {
    event: String,
    text: String,
}

impl Heard {
    fn of_run(event: &Event, run: u32) -> Option<Heard> {
        let text = event.text().filter(|text| text.starts_with(&format!("run {run} ")))?;
        Some(Heard { event: event.event_id.clone(), text })
    }

    /// Sender and number, from the text.
    fn turn(&self) -> Option<(usize, u64)> {
        let mut words = self.text.split_whitespace();
        let (sender, turn) = (words.nth(3)?, words.nth(1)?);
        Some((sender.parse().ok()?, turn.parse().ok()?))
    }
}

fn text(run: u32, sender: usize, turn: u64) -> String {
    let words = format!("run {run} sender {sender} message {turn} ");
    format!("{words:.<CHARACTERS$}")
}

/// Every message that was acknowledged is heard once, under its ID, each sender's in their order.
fn compare<'a>(sent: impl Iterator<Item = &'a Sent>, heard: &[Heard]) -> anyhow::Result<()> {
    let mut missing: HashMap<&str, &str> =
        sent.map(|sent| (sent.event.as_str(), sent.text.as_str())).collect();
    let mut turns = HashMap::new();
    for message in heard {
        let text = missing.remove(message.event.as_str());
        let text =
            text.with_context(|| format!("{} came twice or was never sent", message.event))?;
        ensure!(text == message.text, "{} holds another text", message.event);
        let (sender, turn) = message.turn().context("a message without a number")?;
        let before = turns.insert(sender, turn);
        ensure!(
            before.is_none_or(|before| before < turn),
            "message {turn} of sender {sender} came late"
        );
    }
    ensure!(missing.is_empty(), "{} messages are lost", missing.len());
    Ok(())
}

/// The content of a message as the scenarios send it.
pub(super) fn message(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages named by sender and turn, as they were sent and as they were heard.
    fn check(sent: &[(usize, u64)], heard: &[(usize, u64)], expected: Result<(), &str>) {
        let event = |sender, turn| format!("${sender}-{turn}");
        let told =
            |&(sender, turn): &_| Heard { event: event(sender, turn), text: text(1, sender, turn) };
        let sent = sent.iter().map(|&(sender, turn)| Sent {
            room: 0,
            text: text(1, sender, turn),
            event: event(sender, turn),
        });
        let (sent, heard): (Vec<_>, Vec<_>) = (sent.collect(), heard.iter().map(told).collect());
        let outcome = compare(sent.iter(), &heard).map_err(|error| error.to_string());
        assert_eq!(outcome, expected.map_err(str::to_owned));
    }

    #[test]
    fn what_was_sent_must_be_heard_once_and_in_order() {
        check(&[(0, 0), (1, 0), (0, 1)], &[(1, 0), (0, 0), (0, 1)], Ok(()));
        check(&[(0, 0), (0, 1)], &[(0, 0)], Err("1 messages are lost"));
        check(&[(0, 0)], &[(0, 0), (0, 0)], Err("$0-0 came twice or was never sent"));
        check(&[(0, 0), (0, 1)], &[(0, 1), (0, 0)], Err("message 0 of sender 0 came late"));
        check(&[], &[], Ok(()));
    }

    #[test]
    fn a_message_has_a_hundred_characters() {
        assert_eq!(text(1, 2, 3).len(), CHARACTERS);
        assert_eq!(text(3, 15, 99_999).chars().count(), CHARACTERS);
    }

    #[test]
    fn a_message_of_another_run_does_not_count() {
        let content = serde_json::value::to_raw_value(&message(&text(12, 0, 0))).unwrap();
        let event = Event {
            event_id: "$e".into(),
            sender: "@a:x".into(),
            kind: "m.room.message".into(),
            state_key: None,
            content,
        };
        assert!(Heard::of_run(&event, 1).is_none());
        assert_eq!(Heard::of_run(&event, 12).unwrap().turn(), Some((0, 0)));
    }
}
