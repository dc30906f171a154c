//! `create-and-join`: somebody creates a room, another joins it.

use std::cell::RefCell;

use anyhow::ensure;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd::open_room;
use crate::measure::Meter;

/// How many pairs of users do it at once.
const PAIRS: usize = 16;

/// Pairs of users. An operation is a room that one of them creates and the other joins.
pub struct CreateAndJoin {
    pairs: Vec<Pair>,
}

struct Pair {
    users: [Account; 2],
    rooms: RefCell<Vec<String>>,
}

impl CreateAndJoin {
    /// Registers the pairs.
    pub async fn prepare(bench: &Bench) -> anyhow::Result<CreateAndJoin> {
        let users = bench.recruiter.users(2 * PAIRS).await?;
        let pair = |users: &[Account]| Pair {
            users: [users[0].clone(), users[1].clone()],
            rooms: RefCell::default(),
        };
        Ok(CreateAndJoin { pairs: users.chunks(2).map(pair).collect() })
    }
}

impl Scenario for CreateAndJoin {
    fn name(&self) -> String {
        format!("create-and-join: {PAIRS} at once")
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        meter.start()?;
        meter.drive(PAIRS, operations, |pair, _| self.pairs[pair].meet()).await;
        meter.stop()?;
        for pair in &self.pairs {
            pair.check().await?;
        }
        Ok(())
    }
}

impl Pair {
    async fn meet(&self) -> anyhow::Result<()> {
        let [creator, guest] = &self.users;
        let room = creator.create_room(&open_room()).await?;
        guest.join(&room).await?;
        self.rooms.borrow_mut().push(room);
        Ok(())
    }

    async fn check(&self) -> anyhow::Result<()> {
        for user in &self.users {
            let joined = user.joined_rooms().await?;
            check(&self.rooms.borrow(), &joined)?;
        }
        Ok(())
    }
}

/// A user is in all rooms, and in no other.
fn check(rooms: &[String], joined: &[String]) -> anyhow::Result<()> {
    let sorted = |rooms: &[String]| {
        let mut rooms = rooms.to_vec();
        rooms.sort();
        rooms
    };
    let (met, joined) = (sorted(rooms), sorted(joined));
    ensure!(met == joined, "a user is in {} of {} rooms", joined.len(), met.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_in_every_room_once() {
        let check = |joined: &[&str], expected: bool| {
            let owned = |rooms: &[&str]| rooms.iter().map(|room| (*room).to_owned()).collect();
            let (rooms, joined): (Vec<_>, Vec<_>) = (owned(&["!a", "!b"]), owned(joined));
            assert_eq!(check(&rooms, &joined).is_ok(), expected, "{joined:?}");
        };
        check(&["!b", "!a"], true);
        check(&["!a"], false);
        check(&["!a", "!a"], false);
        check(&["!a", "!b", "!c"], false);
    }
}
