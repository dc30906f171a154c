//! `members`: who is in a large room.

use std::collections::HashSet;

use anyhow::ensure;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd;
use crate::measure::Meter;

/// How many ask at once.
const AT_ONCE: usize = 4;

/// A large room whose members ask who its members are.
pub struct Members {
    room: String,
    members: Vec<Account>,
    expected: HashSet<String>,
}

impl Members {
    /// Registers so many users and joins them to one room.
    pub async fn prepare(bench: &Bench, members: usize) -> anyhow::Result<Members> {
        ensure!(members > 0, "a room has members");
        let members = bench.recruiter.users(members).await?;
        let room = crowd::large_room(&members).await?;
        let expected = members.iter().map(|member| member.user.clone()).collect();
        Ok(Members { room, members, expected })
    }

    async fn ask(&self, number: u64) -> anyhow::Result<()> {
        let asker = &self.members[number as usize % self.members.len()];
        check(&self.expected, asker.members(&self.room).await?)
    }
}

impl Scenario for Members {
    fn name(&self) -> String {
        format!("members: 1 room of {}, {AT_ONCE} at once", self.members.len())
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        meter.start()?;
        meter.drive(AT_ONCE, operations, |_, number| self.ask(number)).await;
        meter.stop()
    }
}

/// Everybody is told once, and nobody else.
fn check(expected: &HashSet<String>, told: Vec<String>) -> anyhow::Result<()> {
    let count = told.len();
    let told: HashSet<_> = told.into_iter().collect();
    ensure!(told.len() == count, "a member was told twice");
    ensure!(told == *expected, "{} of {} members were told", told.len(), expected.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_told_once() {
        let owned = |users: &[&str]| users.iter().map(|user| (*user).to_owned()).collect();
        let expected = HashSet::from(["@a:x".to_owned(), "@b:x".to_owned()]);
        let check = |told: &[&str], fine| {
            assert_eq!(check(&expected, owned(told)).is_ok(), fine, "{told:?}");
        };
        check(&["@b:x", "@a:x"], true);
        check(&["@a:x"], false);
        check(&["@a:x", "@a:x"], false);
        check(&["@a:x", "@b:x", "@b:x"], false);
        check(&["@a:x", "@c:x"], false);
    }
}
