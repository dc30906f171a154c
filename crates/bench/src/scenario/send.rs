//! `send`: many senders, many rooms, and perhaps readers who long-poll meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, ensure};
use futures_util::future::{join, try_join_all};
use tokio::sync::watch;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd;
use crate::ledger::{self, Heard, Sent, compare};
use crate::listener::Listener;
use crate::measure::Meter;

/// The shape of the crowd.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rooms that all members are in.
    pub rooms: usize,
    /// Joined users of each room, readers included.
    pub members: usize,
    /// Members who sync all the time.
    pub syncing: usize,
}

/// Sends messages of 100 characters.
pub struct Send {
    shape: Shape,
    senders: usize,
    members: Vec<Account>,
    readers: Vec<Listener>,
    rooms: Vec<String>,
}

/// How many messages were sent in all, and when the last was acknowledged, once that is known.
type Count = watch::Receiver<Option<(usize, Instant)>>;
/// The messages of one run by room, in the order they came.
type Told = HashMap<String, Vec<Heard>>;

impl Send {
    /// Registers the crowd and joins it to its rooms.
    pub async fn prepare(bench: &Bench, shape: Shape) -> anyhow::Result<Send> {
        ensure!(shape.members > 0 && shape.rooms > 0, "somebody has to send, somewhere");
        ensure!(shape.syncing <= shape.members, "those who sync are members");
        let members = bench.recruiter.users(shape.members).await?;
        let rooms = match shape.rooms {
            1 => vec![crowd::large_room(&members).await?],
            several => crowd::rooms(&members, several).await?,
        };
        let readers = Listener::open_all(&members[shape.members - shape.syncing..]).await?;
        Ok(Send { shape, senders: 1, members, readers, rooms })
    }

    /// The same with so many messages under way at once. They come from the first members, in turn if there are fewer.
    pub fn by(self, senders: usize) -> Send {
        Send { senders: senders.max(1), ..self }
    }

    /// What was sent, by room.
    async fn load(&self, meter: &Meter, operations: u64, run: u32) -> Vec<Vec<Sent>> {
        let sent = RefCell::new(vec![Vec::new(); self.rooms.len()]);
        let turns = vec![Cell::new(0); self.senders];
        let send = |sender: usize, number: u64| {
            let room = number as usize % self.rooms.len();
            let turn = turns[sender].replace(turns[sender].get() + 1);
            let (account, sent) = (&self.members[sender % self.members.len()], &sent);
            async move {
                let message = ledger::say(account, &self.rooms[room], run, sender, turn).await?;
                sent.borrow_mut()[room].push(message);
                Ok(())
            }
        };
        meter.drive(self.senders, operations, send).await;
        sent.into_inner()
    }

    async fn check(&self, run: u32, sent: &[Vec<Sent>], told: &[Told]) -> anyhow::Result<()> {
        for (room, sent) in self.rooms.iter().zip(sent) {
            let history = ledger::history(&self.members[0], room, run).await?;
            compare(sent, &history).with_context(|| room.clone())?;
            let differs =
                |told: &Told| told.get(room).map_or(&[][..], Vec::as_slice) != history.as_slice();
            ensure!(
                !told.iter().any(differs),
                "a sync told other messages than the history of {room} holds"
            );
        }
        Ok(())
    }
}

impl Scenario for Send {
    fn name(&self) -> String {
        let Shape { rooms, members, syncing } = self.shape;
        let rooms = if rooms == 1 { "1 room".to_owned() } else { format!("{rooms} rooms") };
        format!("send: {rooms} of {members}, {} at once, {syncing} syncing", self.senders)
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let run = ledger::fresh_run();
        let (done, count) = watch::channel(None);
        meter.start()?;
        let load = async {
            let sent = self.load(meter, operations, run).await;
            done.send_replace(Some((sent.iter().map(Vec::len).sum(), Instant::now())));
            sent
        };
        let readers = self.readers.iter().map(|reader| listen(reader, run, count.clone()));
        let (sent, told) = join(load, try_join_all(readers)).await;
        meter.stop()?;
        self.check(run, &sent, &told?).await
    }
}

/// Listens until as many messages were told as were sent.
async fn listen(reader: &Listener, run: u32, mut sent: Count) -> anyhow::Result<Told> {
    let (mut told, mut count) = (Told::new(), 0);
    let prefix = format!("run {run} ");
    loop {
        let answer = tokio::select! {
            answer = reader.next() => answer?,
            // The last message may have arrived before its acknowledgement: then nothing more will come.
            all = sent.wait_for(Option::is_some) => match *all? {
                Some((all, _)) if count >= all => return Ok(told),
                _ => reader.next().await?,
            },
        };
        let last = sent.borrow().map(|(_, last)| last);
        ensure!(
            !answer.messages.is_empty() || last.is_none_or(|last| answer.asked <= last),
            "a sync was not told all messages"
        );
        for (room, heard) in answer.messages {
            if heard.text.starts_with(&prefix) {
                told.entry(room).or_default().push(heard);
                count += 1;
            }
        }
    }
}
