//! `register`: new users, one after the other, each with a first device.

use std::cell::RefCell;
use std::collections::HashSet;

use anyhow::ensure;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd::{Recruiter, many};
use crate::measure::Meter;

/// How many registrations are under way at once.
const AT_ONCE: usize = 16;

/// Registers users.
pub struct Register {
    recruiter: Recruiter,
}

impl Register {
    /// There is nothing to prepare.
    pub fn prepare(bench: &Bench) -> Register {
        Register { recruiter: bench.recruiter.clone() }
    }
}

impl Scenario for Register {
    fn name(&self) -> String {
        format!("register: {AT_ONCE} at once")
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let accounts = RefCell::new(Vec::new());
        let register = |_, _| async {
            let account = self.recruiter.register(&self.recruiter.name()).await?;
            accounts.borrow_mut().push(account);
            Ok(())
        };
        meter.start()?;
        meter.drive(AT_ONCE, operations, register).await;
        meter.stop()?;
        let accounts = accounts.into_inner();
        let users: HashSet<_> = accounts.iter().map(|account| &account.user).collect();
        ensure!(users.len() == accounts.len(), "two registrations made the same user");
        check(&accounts).await
    }
}

/// Each access token is its user's.
pub(super) async fn check(accounts: &[Account]) -> anyhow::Result<()> {
    let ask = |number: usize| async move {
        let account = &accounts[number];
        let user = account.who_am_i().await?;
        ensure!(user == account.user, "the access token of {} is one of {user}", account.user);
        Ok(())
    };
    many(accounts.len(), "checks", ask).await.map(drop)
}
