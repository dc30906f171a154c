//! What people say of how present they are, in the store: that is theirs, and stays until they say
//! something else. How present they are is not stored.

use std::ops::Bound;

use ruma::{OwnedUserId, UserId};
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::Known;
use crate::{
    Error, Result,
    core::Core,
    schema::{ACCOUNTS, STATUSES},
};

/// How many are read at once.
const PAGE: usize = 500;

impl Core {
    /// Learns what people said in earlier runs of the server, so that others are told of it: as many
    /// as are remembered. Of all others it is looked up when they are asked for, or come.
    pub(crate) async fn recall_statuses(&self) -> Result<()> {
        if !self.settings.presence {
            return Ok(());
        }
        let (view, known) = (self.store.view().await?, self.local::<Known>());
        let mut last = None;
        loop {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = view.scan_from(&STATUSES, &(), from, Direction::Forward, PAGE).await?;
            let is_last = page.len() < PAGE;
            last = page.last().map(|(key, _)| key.clone());
            let mut people = known.0.lock();
            for ((user,), (status,)) in page {
                people.recall(&user, status);
            }
            if is_last || !people.has_room() {
                return Ok(());
            }
        }
    }
}

/// Looks up what somebody said of whom nothing is known.
pub(super) async fn recall(core: &Core, user: &UserId) -> Result<()> {
    if core.local::<Known>().0.lock().knows(user) {
        return Ok(());
    }
    let row = core.store.view().await?.get(&STATUSES, &(user.to_owned(),)).await?;
    if let Some((status,)) = row {
        core.local::<Known>().0.lock().recall(user, status);
    }
    Ok(())
}

/// As [`recall`], of many.
pub(super) async fn recall_many(view: &View, core: &Core, users: &[OwnedUserId]) -> Result<()> {
    let known = core.local::<Known>();
    let unknown: Vec<_> = {
        let people = known.0.lock();
        users.iter().filter(|user| !people.knows(user)).map(|user| (user.clone(),)).collect()
    };
    let rows = view.get_many(&STATUSES, &unknown).await?;
    let mut people = known.0.lock();
    for ((user,), row) in unknown.into_iter().zip(rows) {
        if let Some((status,)) = row {
            people.recall(&user, status);
        }
    }
    Ok(())
}

/// Writes down what somebody says.
pub(super) async fn keep(core: &Core, user: &UserId, status: Option<String>) -> Result<()> {
    core.store.write(Keep { user: user.to_owned(), status }).await?;
    Ok(())
}

/// Writes down what somebody says, if it is something else than before.
struct Keep {
    user: OwnedUserId,
    status: Option<String>,
}

impl Command for Keep {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("user", self.user.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.user.clone(),);
        let account = tx.get_guarded(&ACCOUNTS, &key).await?;
        if account.is_some_and(|account| account.deactivated.is_some()) {
            // Nobody would ever delete it.
            return Err(Error::Deactivated);
        }
        let before = tx.get_guarded(&STATUSES, &key).await?.map(|(status,)| status);
        match &self.status {
            status if *status == before => {}
            Some(status) => tx.put(&STATUSES, &key, &(status.clone(),)),
            None => tx.delete(&STATUSES, &key),
        }
        Ok(())
    }
}
