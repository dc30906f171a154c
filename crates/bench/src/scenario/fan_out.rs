//! `fan-out`: one message for many who wait for it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd;
use crate::ledger::{self, Sent, compare};
use crate::listener::{Listener, settle};
use crate::measure::Meter;

/// A room whose members all sync, but for the one who sends. An operation is a message; its time ends when the last has it.
pub struct FanOut {
    room: String,
    sender: Account,
    receivers: Vec<Listener>,
}

impl FanOut {
    /// Registers so many receivers and opens their syncs.
    pub async fn prepare(bench: &Bench, receivers: usize) -> anyhow::Result<FanOut> {
        ensure!(receivers > 0, "somebody has to listen");
        let users = bench.recruiter.users(receivers + 1).await?;
        let room = crowd::large_room(&users).await?;
        let receivers = Listener::open_all(&users[1..]).await?;
        Ok(FanOut { room, sender: users[0].clone(), receivers })
    }

    /// What was sent, and after what time everybody had it.
    async fn tell(&self, run: u32, turn: u64) -> anyhow::Result<(Sent, Duration)> {
        let started = Instant::now();
        let sent = ledger::say(&self.sender, &self.room, run, 0, turn).await?;
        let acknowledged = Instant::now();
        let heard = self.receivers.iter().map(|receiver| receiver.hear(&sent, acknowledged));
        let last = try_join_all(heard).await?.into_iter().max().unwrap_or(acknowledged);
        Ok((sent, last.saturating_duration_since(started)))
    }
}

impl Scenario for FanOut {
    fn name(&self) -> String {
        format!("fan-out: {} syncs", self.receivers.len())
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let run = ledger::fresh_run();
        let (sent, this) = (RefCell::new(Vec::new()), &*self);
        let tell = |_, number| {
            let sent = &sent;
            async move {
                let (message, took) = this.tell(run, number).await?;
                sent.borrow_mut().push(message);
                // The next message shall find their syncs open again.
                settle(&this.sender).await?;
                Ok(took)
            }
        };
        meter.start()?;
        meter.drive(1, operations, tell).await;
        meter.stop()?;
        compare(&sent.into_inner(), &ledger::history(&self.sender, &self.room, run).await?)
    }
}
