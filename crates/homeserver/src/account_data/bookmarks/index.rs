//! The index of bookmarks, as it is told: what it says of itself is account data, what it lists follows
//! from the items.

use ruma::{OwnedUserId, UserId};
use tertulia_protocol::{BookmarkIndex, BookmarkNames, INDEXED};
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::super::{partition, put};
use crate::{
    Error, Result,
    schema::{ACCOUNT_DATA, BOOKMARK_ORDERS, FAVOURITE_LISTS, FavouriteList, Scope},
};

/// The index under `names`, of which `stored` is kept, as clients see it.
pub(crate) async fn content(
    view: &View,
    user: &UserId,
    names: BookmarkNames,
    stored: &str,
) -> Result<String> {
    let prefix = (user.to_owned(), FavouriteList::Index(names));
    let rows = view.scan(&FAVOURITE_LISTS, &prefix, Direction::Forward, INDEXED).await?;
    let newest = rows.into_iter().map(|((.., key), ())| key.id).collect();
    let order = view.get(&BOOKMARK_ORDERS, &(user.to_owned(), names.index().to_owned())).await?;
    let (order,) = order.unwrap_or_default();
    Ok(BookmarkIndex::read(stored).content(newest, &order))
}

/// What the index says of itself.
async fn stored(tx: &Tx, user: &UserId, names: BookmarkNames) -> Result<BookmarkIndex> {
    let key = (user.to_owned(), Scope::Global, names.index().to_owned());
    let stored = tx.get_guarded(&ACCOUNT_DATA, &key).await?;
    Ok(stored.map_or_else(BookmarkIndex::default, |datum| BookmarkIndex::read(&datum.content)))
}

/// Notes that the index lists others than before. It is told after the item by which it does.
pub(super) async fn touch(
    tx: &mut Tx,
    user: &UserId,
    names: BookmarkNames,
    now: u64,
) -> Result<()> {
    let next = stored(tx, user, names).await?.changed(now);
    put(tx, user, &Scope::Global, names.index(), next.header()).await?;
    Ok(())
}

/// A client writes the index: it says in which order it shows what there is.
pub(super) struct SetIndex {
    pub(super) user: OwnedUserId,
    pub(super) names: BookmarkNames,
    pub(super) content: String,
    pub(super) now: u64,
}

impl Command for SetIndex {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let stored = stored(tx, &self.user, self.names).await?;
        let (next, order) = stored.written(&self.content, self.now);
        let kind = self.names.index();
        put(tx, &self.user, &Scope::Global, kind, next.header()).await?;
        tx.put(&BOOKMARK_ORDERS, &(self.user.clone(), kind.to_owned()), &(order,));
        Ok(())
    }
}
