//! Makes favourites of the bookmarks that were account data like any other before this server knew
//! them. It is done once, in pages, beside all else.

use std::{ops::Bound, sync::Arc};

use tertulia_protocol::BookmarkNames;
use tertulia_storage::{Command, Direction, Partition, Tx};

use crate::{
    Error, Result,
    account_data::bookmarks,
    core::{Core, User},
    schema::{ACCOUNT_DATA, ACCOUNTS, BOOKMARKS_ADOPTED, BookmarkKey, FAVOURITES, Scope},
};

/// How many rows are read at once.
const PAGE: usize = 200;

/// Makes favourites of all bookmarks there are, unless that was done.
pub(crate) async fn adopt(core: &Arc<Core>) -> Result<()> {
    if core.store.view().await?.get(&BOOKMARKS_ADOPTED, &()).await?.is_some() {
        return Ok(());
    }
    let mut last = None;
    loop {
        let view = core.store.view().await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = view.scan_from(&ACCOUNTS, &(), from, Direction::Forward, PAGE).await?;
        drop(view);
        let is_last = page.len() < PAGE;
        last = page.last().map(|(key, _)| key.clone());
        for ((user,), account) in page {
            if core.stop.is_cancelled() {
                return Ok(());
            }
            if account.deactivated.is_none() {
                adopt_all(&User::new(core.clone(), user)).await?;
            }
        }
        if is_last {
            core.store.write(Done).await?;
            return Ok(());
        }
    }
}

/// Makes favourites of one user's bookmarks.
pub(crate) async fn adopt_all(user: &User) -> Result<()> {
    for names in BookmarkNames::ALL {
        let mut last = (user.id.clone(), Scope::Global, names.item_prefix().to_owned());
        loop {
            let view = user.core.store.view().await?;
            let prefix = (user.id.clone(), Scope::Global);
            let (from, forward) = (Bound::Excluded(&last), Direction::Forward);
            let page = view.scan_from(&ACCOUNT_DATA, &prefix, from, forward, PAGE).await?;
            let id = |kind: &str| kind.strip_prefix(names.item_prefix()).map(str::to_owned);
            let ids = page.iter().map_while(|((_, _, kind), _)| id(kind));
            let keys = ids.map(|id| (user.id.clone(), BookmarkKey { names, id }));
            let keys: Vec<_> = keys.collect();
            let known = view.get_many(&FAVOURITES, &keys).await?;
            let is_last = keys.len() < PAGE;
            drop(view);
            for ((_, key), _) in keys.into_iter().zip(known).filter(|(_, row)| row.is_none()) {
                adopt_one(user, key).await?;
            }
            match page.into_iter().last() {
                Some((key, _)) if !is_last => last = key,
                _ => break,
            }
        }
    }
    Ok(())
}

async fn adopt_one(user: &User, key: BookmarkKey) -> Result<()> {
    let now = bookmarks::now(user);
    match bookmarks::adopt(user, key, now).await {
        Err(Error::Storage(error)) => Err(error.into()),
        // The account was closed meanwhile, or has too many.
        Err(error) => {
            tracing::info!(%error, user = %user.id, "a bookmark is no favourite");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Notes that it was done.
struct Done;

impl Command for Done {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("favourites", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.put(&BOOKMARKS_ADOPTED, &(), &());
        Ok(())
    }
}
