//! `tertulia admin`: what an administrator does to a store while no server has it open.

use std::io::Write;

use anyhow::Context as _;
use tertulia::{Homeserver, NewAccount, Secret};

use crate::{cli::Admin, open, password};

/// Does what was asked for, and says what was done.
pub(crate) fn execute(admin: &Admin, out: &mut impl Write) -> anyhow::Result<()> {
    let (Admin::CreateUser(account) | Admin::ResetPassword(account)) = admin;
    let settings = crate::checked(&account.configured)?;
    let password = password::ask()?;
    let done = crate::runtime()?.block_on(async {
        let homeserver = open::homeserver(&settings).await?;
        let name = local_name(&account.user, homeserver.name().as_str())?;
        let done = change(&homeserver, admin, name, password).await;
        homeserver.shutdown().await;
        done
    });
    let done = done.with_context(|| format!("nothing was done for {}", account.user))?;
    Ok(writeln!(out, "{done}")?)
}

async fn change(
    homeserver: &Homeserver,
    admin: &Admin,
    name: &str,
    password: String,
) -> anyhow::Result<String> {
    match admin {
        Admin::CreateUser(_) => {
            homeserver.check_new_password(&password)?;
            let mut account = NewAccount::from(name);
            account.password = Some(Secret::new(password));
            let user = homeserver.create_user(account).await?;
            Ok(format!("the account {} was made", user.id()))
        }
        Admin::ResetPassword(_) => {
            homeserver.reset_password(name, &password).await?;
            Ok(format!(
                "@{name}:{} has a new password, and all its sessions have ended",
                homeserver.name()
            ))
        }
    }
}

/// The part of a user's ID that differs on one server.
fn local_name<'a>(user: &'a str, server: &str) -> anyhow::Result<&'a str> {
    let Some(id) = user.strip_prefix('@') else { return Ok(user) };
    id.strip_suffix(server)
        .and_then(|rest| rest.strip_suffix(':'))
        .with_context(|| format!("{user} is no user of {server}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_briefly_or_in_full() {
        assert_eq!(local_name("alice", "example.org:8448").unwrap(), "alice");
        assert_eq!(local_name("@alice:example.org:8448", "example.org:8448").unwrap(), "alice");
        for user in ["@alice:example.org", "@alice", "@aliceexample.org:8448"] {
            assert!(local_name(user, "example.org:8448").is_err(), "{user}");
        }
    }
}
