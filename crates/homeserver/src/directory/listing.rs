//! Keeping what the user directory knows of users.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, UserId};
use tertulia_storage::{Command, Json, Partition, Tx, View};

use crate::{
    Error, Result,
    company::Stays,
    core::Core,
    schema::{
        ACCOUNTS, Account, LISTED_USERS, ListedUser, OPEN_ROOMS, PROFILES, Profile, USER_WORDS,
    },
    users,
    words::words,
};

/// Brings what the user directory knows of `users` up to date.
pub(crate) async fn relist_users(core: &Core, users: &[OwnedUserId]) -> Result<()> {
    let view = core.store.view().await?;
    let keys: Vec<_> = users.iter().map(|user| (user.clone(),)).collect();
    let stored = view.get_many(&LISTED_USERS, &keys).await?;
    let wanted = wanted(&view, users).await?;
    let both = users.iter().zip(stored.into_iter().zip(wanted));
    for (user, _) in both.filter(|(_, (stored, wanted))| stored != wanted) {
        core.store.write(RelistUser { user: user.clone() }).await?;
    }
    Ok(())
}

/// What should be known of users; of those without an account that is open it is nothing.
async fn wanted(view: &View, users: &[OwnedUserId]) -> Result<Vec<Option<ListedUser>>> {
    let keys: Vec<_> = users.iter().map(|user| (user.clone(),)).collect();
    let accounts = view.get_many(&ACCOUNTS, &keys).await?;
    let profiles = view.get_many(&PROFILES, &keys).await?;
    let mut wanted = Vec::with_capacity(users.len());
    for (user, (account, profile)) in users.iter().zip(accounts.into_iter().zip(profiles)) {
        let is_there = |account: &Account| account.deactivated.is_none() && !account.locked;
        wanted.push(if account.as_ref().is_some_and(is_there) {
            let profile = profile.map(|Json(profile)| profile).unwrap_or_default();
            Some(listed(user, &profile, is_in_open_room(view, user).await?))
        } else {
            None
        });
    }
    Ok(wanted)
}

fn listed(user: &UserId, profile: &Profile, open: bool) -> ListedUser {
    let text = |field: &str| Some(profile.get(field)?.as_str()?.to_owned());
    let (displayname, avatar_url) = (text("displayname"), text("avatar_url"));
    let mut all: BTreeSet<_> = words(user.localpart()).into_iter().collect();
    all.extend(displayname.as_deref().map(words).unwrap_or_default());
    ListedUser { open, displayname, avatar_url, words: all.into_iter().collect() }
}

async fn is_in_open_room(view: &View, user: &UserId) -> Result<bool> {
    let mut stays = Stays::of(view, user);
    while let Some(rooms) = stays.next().await? {
        let keys: Vec<_> = rooms.into_iter().map(|room| (room,)).collect();
        if view.get_many(&OPEN_ROOMS, &keys).await?.iter().any(Option::is_some) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Brings what the user directory knows of a user up to date.
struct RelistUser {
    user: OwnedUserId,
}

impl Command for RelistUser {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::delist(tx, &self.user).await?;
        let wanted = wanted(tx, std::slice::from_ref(&self.user)).await?.pop().flatten();
        let Some(row) = wanted else { return Ok(()) };
        for word in &row.words {
            tx.put(&USER_WORDS, &(row.open, word.clone(), self.user.clone()), &());
        }
        tx.put(&LISTED_USERS, &(self.user.clone(),), &row);
        Ok(())
    }
}
