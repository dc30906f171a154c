//! A client under load: it does this and that, and writes down what it was promised.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tertulia_bench::api::{Account, Registration, log_in};
use tertulia_bench::client::{Client, Result};

use crate::ledger::{Ledger, Login, Register, RoomLedger, Sent, Upload};
use crate::view::View;

/// The type of the state and the account data that actors write.
pub const KIND: &str = "org.tertulia.crash";
/// Files are no larger than this, so that several fit into a round.
const LARGEST_FILE: usize = 200_000;

/// One of the sixteen.
#[derive(Debug)]
pub struct Actor {
    /// Its first device, which is never logged out.
    pub account: Account,
    /// What it was promised.
    pub ledger: Ledger,
    /// What it has been told.
    pub view: View,
    /// Acknowledged actions.
    pub acknowledged: usize,
    name: String,
    number: u64,
    dice: StdRng,
}

impl Actor {
    /// Registers the actor. Its name has to be one that nobody had before.
    pub async fn register(client: &Client, name: &str) -> Result<Actor> {
        let password = format!("the first password of {name}");
        let account = Registration::Open.register(client, name, &password).await?;
        let ledger = Ledger { password: Register::holding(password), ..Ledger::default() };
        let dice = StdRng::seed_from_u64(0);
        Ok(Actor {
            account,
            ledger,
            view: View::default(),
            acknowledged: 0,
            name: name.to_owned(),
            number: 0,
            dice,
        })
    }

    /// Its name, which is also the key of its state.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Enters the rooms' pages into the ledger and takes the first sync: from here on it must be told everything.
    pub async fn settle(&mut self, rooms: &[String]) -> Result<()> {
        let page = |room: &String| RoomLedger { room: room.clone(), ..RoomLedger::default() };
        self.ledger.rooms = rooms.iter().map(page).collect();
        self.view = View::fresh(&self.account).await?;
        Ok(())
    }

    /// Acts as the seed says until a request fails, and tells how that went: without an answer when the server dies.
    pub async fn act_until_failure(&mut self, seed: u64) -> tertulia_bench::client::Error {
        self.dice = StdRng::seed_from_u64(seed);
        loop {
            match self.act().await {
                Ok(()) => self.acknowledged += 1,
                Err(error) => return error,
            }
        }
    }

    async fn act(&mut self) -> Result<()> {
        match self.dice.random_range(0..100) {
            0..52 => self.send().await,
            52..70 => self.view.sync(&self.account).await.map(drop),
            70..76 => self.read().await,
            76..82 => self.set_state().await,
            82..86 => self.upload().await,
            86..90 => self.set_account_data().await,
            90..94 => self.set_room_account_data().await,
            94..99 => self.log_in_or_out().await,
            _ => self.change_password().await,
        }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn some_room(&mut self) -> usize {
        self.dice.random_range(0..self.ledger.rooms.len())
    }

    async fn send(&mut self) -> Result<()> {
        let (room, number) = (self.some_room(), self.next());
        let room = self.ledger.rooms[room].room.clone();
        let text = format!("{} says {number}", self.name);
        self.ledger.sent.push(Sent { room, transaction: number.to_string(), text, event: None });
        self.repeat(self.ledger.sent.len() - 1).await.map(drop)
    }

    /// Sends a message with its transaction ID, for the first time or again; the answer is the event's ID.
    pub async fn repeat(&mut self, index: usize) -> Result<String> {
        let Sent { room, transaction, text, event } = &mut self.ledger.sent[index];
        let content = json!({ "msgtype": "m.text", "body": text });
        let answer = self.account.send(room, "m.room.message", transaction, &content).await?;
        event.get_or_insert_with(|| answer.clone());
        Ok(answer)
    }

    async fn set_state(&mut self) -> Result<()> {
        let (room, number) = (self.some_room(), self.next());
        let text = format!("{} sets {number}", self.name);
        let RoomLedger { room, state, .. } = &mut self.ledger.rooms[room];
        state.write(text.clone());
        self.account.set_state(room, KIND, &self.name, &json!({ "body": text })).await?;
        state.acknowledge();
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        let room = self.some_room();
        let RoomLedger { room, receipt, .. } = &mut self.ledger.rooms[room];
        // The newest it knows of, so that the receipt only ever moves forward.
        let Some(newest) = self.view.rooms.get(room).and_then(|room| room.timeline.last()) else {
            return Ok(());
        };
        receipt.write(newest.clone());
        self.account.read(room, newest).await?;
        receipt.acknowledge();
        Ok(())
    }

    async fn upload(&mut self) -> Result<()> {
        let (seed, length) = (self.dice.random(), self.dice.random_range(1..LARGEST_FILE));
        let uri =
            self.account.upload("application/octet-stream", Upload::bytes(seed, length)).await?;
        self.ledger.uploads.push(Upload { uri, seed, length });
        Ok(())
    }

    async fn set_account_data(&mut self) -> Result<()> {
        let number = self.next();
        self.ledger.account_data.write(number);
        self.account.set_account_data(KIND, &json!({ "number": number })).await?;
        self.ledger.account_data.acknowledge();
        Ok(())
    }

    async fn set_room_account_data(&mut self) -> Result<()> {
        let (room, number) = (self.some_room(), self.next());
        let RoomLedger { room, account_data, .. } = &mut self.ledger.rooms[room];
        account_data.write(number);
        self.account.set_room_account_data(room, KIND, &json!({ "number": number })).await?;
        account_data.acknowledge();
        Ok(())
    }

    async fn log_in_or_out(&mut self) -> Result<()> {
        let is_alive = |login: &&mut Login| login.alive.acknowledged() == Some(&true);
        if let Some(login) = self.ledger.logins.iter_mut().find(is_alive) {
            login.alive.write(false);
            login.account.log_out().await?;
            login.alive.acknowledge();
            return Ok(());
        }
        let password = self.ledger.password.acknowledged().cloned().unwrap_or_default();
        let account = log_in(&self.account.client, &self.account.user, &password).await?;
        self.ledger.logins.push(Login { account, alive: Register::holding(true) });
        Ok(())
    }

    async fn change_password(&mut self) -> Result<()> {
        let number = self.next();
        let new = format!("password {number} of {}", self.name);
        let old = self.ledger.password.acknowledged().cloned().unwrap_or_default();
        self.ledger.password.write(new.clone());
        self.account.change_password(&old, &new).await?;
        self.ledger.password.acknowledge();
        Ok(())
    }

    /// Some of the messages that were acknowledged, as places in the ledger: the newest, and a few at random.
    pub fn some_sent(&mut self) -> Vec<usize> {
        let all: Vec<usize> = (0..self.ledger.sent.len()).collect();
        let newest = all.iter().rev().take(3).copied();
        newest.chain(all.sample(&mut self.dice, 3).copied()).collect()
    }

    /// Some of the uploaded files, as places in the ledger: the newest, and a few at random.
    pub fn some_uploads(&mut self) -> Vec<usize> {
        let all: Vec<usize> = (0..self.ledger.uploads.len()).collect();
        let newest = all.iter().rev().take(5).copied();
        newest.chain(all.sample(&mut self.dice, 3).copied()).collect()
    }
}
