//! Forgets URIs whose files never came. Whoever asks for another has those that are over forgotten at
//! once; these are of users who never asked again.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ruma::OwnedUserId;
use tertulia_storage::{Command, Durability, Partition, Tx};

use super::{Page, certainly_over};
use crate::{
    Error, Result,
    core::Core,
    schema::{MEDIA_USE, PENDING_MEDIA},
    users,
};

/// Looks at a page of URIs that wait, and forgets those that have waited too long.
pub(super) async fn page(core: Arc<Core>, page: Page) -> Result<Option<Bytes>> {
    let over = certainly_over(&core);
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, &PENDING_MEDIA).await?;
    let mut old = BTreeMap::<OwnedUserId, Vec<String>>::new();
    for ((id,), row) in rows {
        if row.expires <= over {
            old.entry(row.creator).or_default().push(id);
        }
    }
    for (user, ids) in old {
        core.store.write(Forget { user, ids }).await?;
    }
    Ok(next)
}

/// Forgets URIs of a user.
struct Forget {
    user: OwnedUserId,
    ids: Vec<String>,
}

impl Command for Forget {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    fn durability(&self) -> Durability {
        // A crash makes the next round do it again.
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let user = (self.user.clone(),);
        self.ids.iter().for_each(|id| tx.delete(&PENDING_MEDIA, &(id.clone(),)));
        if let Some(mut usage) = tx.get_guarded(&MEDIA_USE, &user).await? {
            usage.pending.retain(|(id, _)| !self.ids.contains(id));
            tx.put(&MEDIA_USE, &user, &usage);
        }
        Ok(())
    }
}
