//! `delivery`: how long a message takes from its sender to one who waits for it, beside others who wait for nothing.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd;
use crate::ledger::{self, Sent, compare};
use crate::listener::{Idlers, Listener};
use crate::measure::Meter;

/// Pairs of users who take turns. While the others have theirs, the sync of a pair opens again: it is open when its turn comes.
const PAIRS: usize = 8;

/// Pairs of a sender and a receiver whose sync is open. An operation is a message from the one to the other; its time ends
/// when the receiver has it.
pub struct Delivery {
    pairs: Vec<Pair>,
    idle: usize,
    idlers: Idlers,
}

struct Pair {
    room: String,
    sender: Account,
    receiver: Listener,
}

impl Delivery {
    /// Registers the pairs and so many users who only wait, and opens their syncs.
    pub async fn prepare(bench: &Bench, idle: usize) -> anyhow::Result<Delivery> {
        let users = bench.recruiter.users(2 * PAIRS).await?;
        let pairs = try_join_all(users.chunks(2).map(Pair::meet)).await?;
        let idlers = Idlers::open(&bench.recruiter.users(idle).await?).await?;
        Ok(Delivery { pairs, idle, idlers })
    }
}

impl Scenario for Delivery {
    fn name(&self) -> String {
        format!("delivery: {} idle", self.idle)
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let (run, pairs) = (ledger::fresh_run(), &self.pairs);
        let sent = RefCell::new(vec![Vec::new(); PAIRS]);
        let deliver = |_, number: u64| {
            let (index, sent) = (number as usize % PAIRS, &sent);
            async move {
                let (message, took) = pairs[index].deliver(run, number).await?;
                sent.borrow_mut()[index].push(message);
                Ok(took)
            }
        };
        meter.start()?;
        meter.drive(1, operations, deliver).await;
        meter.stop()?;
        self.idlers.check()?;
        for (pair, sent) in self.pairs.iter().zip(sent.into_inner()) {
            compare(&sent, &ledger::history(&pair.sender, &pair.room, run).await?)?;
        }
        Ok(())
    }
}

impl Pair {
    async fn meet(users: &[Account]) -> anyhow::Result<Pair> {
        let room = crowd::large_room(users).await?;
        let receiver = Listener::open(users[1].clone()).await?;
        Ok(Pair { room, sender: users[0].clone(), receiver })
    }

    /// What was sent, and after what time it was there.
    async fn deliver(&self, run: u32, turn: u64) -> anyhow::Result<(Sent, Duration)> {
        let started = Instant::now();
        let sent = ledger::say(&self.sender, &self.room, run, 0, turn).await?;
        let there = self.receiver.hear(&sent, Instant::now()).await?;
        Ok((sent, there.saturating_duration_since(started)))
    }
}
