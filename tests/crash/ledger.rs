//! What a client knows about what it asked for: what was acknowledged, and what was under way when the server died.

use std::fmt::Debug;

use anyhow::{bail, ensure};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tertulia_bench::api::Account;

/// A value that is overwritten again and again, one write at a time.
#[derive(Debug)]
pub struct Register<T> {
    acknowledged: Option<T>,
    under_way: Option<T>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Register { acknowledged: None, under_way: None }
    }
}

impl<T: PartialEq + Debug> Register<T> {
    /// A register that holds this.
    pub fn holding(value: T) -> Register<T> {
        Register { acknowledged: Some(value), under_way: None }
    }

    /// A write begins: until it is acknowledged nobody knows.
    pub fn write(&mut self, value: T) {
        self.under_way = Some(value);
    }

    /// The write was acknowledged.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.under_way.take().or(self.acknowledged.take());
    }

    /// What was acknowledged last.
    pub fn acknowledged(&self) -> Option<&T> {
        self.acknowledged.as_ref()
    }

    /// The write that was under way, if there was one.
    pub fn under_way(&self) -> Option<&T> {
        self.under_way.as_ref()
    }

    /// After a restart the register holds what was acknowledged or what was under way; from here on it holds that.
    pub fn settle(&mut self, seen: Option<T>) -> anyhow::Result<()> {
        let written = seen.is_some() && seen == self.under_way;
        if !written && seen != self.acknowledged {
            bail!(
                "it holds {seen:?}; acknowledged was {:?}, under way {:?}",
                self.acknowledged,
                self.under_way
            );
        }
        (self.acknowledged, self.under_way) = (seen, None);
        Ok(())
    }
}

/// A message, and the event it became if that was acknowledged.
#[derive(Debug)]
pub struct Sent {
    /// Where.
    pub room: String,
    /// The transaction ID that it was sent with, and would be sent with again.
    pub transaction: String,
    /// Its text, which no other message has.
    pub text: String,
    /// The ID that the server answered with.
    pub event: Option<String>,
}

/// A file that was acknowledged. Its bytes follow from a seed, so they need not be kept.
#[derive(Debug)]
pub struct Upload {
    /// Where the server keeps it.
    pub uri: String,
    /// What its bytes are made from.
    pub seed: u64,
    /// How many there are.
    pub length: usize,
}

impl Upload {
    /// The bytes made from a seed.
    pub fn bytes(seed: u64, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
        bytes.into()
    }

    /// What was downloaded is what was uploaded.
    pub fn check(&self, downloaded: &Bytes) -> anyhow::Result<()> {
        let same = *downloaded == Upload::bytes(self.seed, self.length);
        ensure!(
            same,
            "{} came back as {} other bytes, not {}",
            self.uri,
            downloaded.len(),
            self.length
        );
        Ok(())
    }
}

/// A further device, and whether it is logged in.
#[derive(Debug)]
pub struct Login {
    /// The device.
    pub account: Account,
    /// Whether its access token is good.
    pub alive: Register<bool>,
}

/// Everything that one client has been promised.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Messages, oldest first.
    pub sent: Vec<Sent>,
    /// Acknowledged files.
    pub uploads: Vec<Upload>,
    /// Further devices.
    pub logins: Vec<Login>,
    /// The password.
    pub password: Register<String>,
    /// A piece of global account data.
    pub account_data: Register<u64>,
    /// Of each room: a piece of its state, of its account data, and the last event that was marked as read.
    pub rooms: Vec<RoomLedger>,
}

/// What one client has been promised about one room.
#[derive(Debug, Default)]
pub struct RoomLedger {
    /// The room.
    pub room: String,
    /// The text in a piece of its state that is this client's alone.
    pub state: Register<String>,
    /// The client's account data of the room.
    pub account_data: Register<u64>,
    /// The event that the client's receipt is at.
    pub receipt: Register<String>,
}
