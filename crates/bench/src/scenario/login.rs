//! `login`: users log in with their passwords, each time with a new device.

use std::cell::RefCell;
use std::collections::HashSet;

use anyhow::ensure;

use super::{Bench, Scenario, register};
use crate::api::Account;
use crate::crowd::Recruiter;
use crate::measure::Meter;

/// How many logins are under way at once.
const AT_ONCE: usize = 16;

/// Logs users in.
pub struct Login {
    recruiter: Recruiter,
    users: Vec<Account>,
}

impl Login {
    /// Registers those who log in.
    pub async fn prepare(bench: &Bench, users: usize) -> anyhow::Result<Login> {
        ensure!(users > 0, "somebody has to log in");
        let users = bench.recruiter.users(users).await?;
        Ok(Login { recruiter: bench.recruiter.clone(), users })
    }
}

impl Scenario for Login {
    fn name(&self) -> String {
        format!("login: {} users, {AT_ONCE} at once", self.users.len())
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let sessions = RefCell::new(Vec::new());
        let log_in = |_, number: u64| {
            let user = &self.users[number as usize % self.users.len()].user;
            let (recruiter, sessions) = (&self.recruiter, &sessions);
            async move {
                let session = recruiter.log_in(user).await?;
                ensure!(session.user == *user, "{user} became {}", session.user);
                sessions.borrow_mut().push(session);
                Ok(())
            }
        };
        meter.start()?;
        meter.drive(AT_ONCE, operations, log_in).await;
        meter.stop()?;
        let sessions = sessions.into_inner();
        all_are_new(&self.users, &sessions)?;
        register::check(&sessions).await
    }
}

/// Each login made a device.
fn all_are_new(users: &[Account], sessions: &[Account]) -> anyhow::Result<()> {
    let devices: HashSet<_> =
        users.iter().chain(sessions).map(|account| (&account.user, &account.device)).collect();
    ensure!(devices.len() == users.len() + sessions.len(), "two logins share a device");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    fn account(user: &str, device: &str) -> Account {
        let client = Client::new("http://127.0.0.1:1");
        Account { user: user.into(), device: device.into(), client }
    }

    #[test]
    fn a_login_makes_a_device() {
        let check = |sessions: &[Account], expected: bool| {
            let outcome = all_are_new(&[account("@a:x", "A"), account("@b:x", "B")], sessions);
            assert_eq!(outcome.is_ok(), expected, "{sessions:?}");
        };
        check(&[], true);
        check(&[account("@a:x", "C"), account("@b:x", "C")], true);
        check(&[account("@a:x", "A")], false);
        check(&[account("@a:x", "C"), account("@a:x", "C")], false);
    }
}
