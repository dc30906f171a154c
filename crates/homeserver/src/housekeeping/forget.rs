//! Forgets rows of users.

use std::collections::BTreeMap;

use ruma::OwnedUserId;
use tertulia_storage::{Command, Durability, Key, Partition, Table, Tx, Value};

use crate::{Error, Result, core::Core, users};

/// Forgets the rows with these keys, which change no more; a commit for each user.
pub(super) async fn forget<K, V>(
    core: &Core,
    table: &'static Table<K, V>,
    old: BTreeMap<OwnedUserId, Vec<K>>,
) -> Result<()>
where
    K: Key + Clone + Send + Sync + 'static,
    V: Value + Send + Sync + 'static,
{
    for (user, keys) in old {
        core.store.write(Forget { table, user, keys }).await?;
    }
    Ok(())
}

struct Forget<K: 'static, V: 'static> {
    table: &'static Table<K, V>,
    user: OwnedUserId,
    keys: Vec<K>,
}

impl<K, V> Command for Forget<K, V>
where
    K: Key + Clone + Send + Sync + 'static,
    V: Value + Send + Sync + 'static,
{
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
        self.keys.iter().for_each(|key| tx.delete(self.table, key));
        Ok(())
    }
}
