//! The store's format number: what is opened, what is upgraded and what is refused.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{
    Command, Direction, Durability, Error, Partition, Result, RowRange, Store, Table, TableId, Tx,
    View, chunks::LargeTables, table::RESERVED,
};

/// Storage's own rows: (what, of whom) → bytes.
pub(crate) const META: Table<(String, String), Bytes> = Table::reserved(RESERVED, "storage");
/// The format number.
const FORMAT: &str = "format";
/// How far the running migration got: the format it comes from, then its cursor.
const MIGRATION: &str = "migration";
/// The newest position.
pub(crate) const POSITION: &str = "position";
/// Tables with values in chunks.
pub(crate) const LARGE: &str = "large";
/// Followers' cursors.
pub(crate) const FOLLOWER: &str = "follower";

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// The most that any commit waits for. `Relaxed` makes everything faster and lets a crash take back the newest
    /// commits, acknowledged ones too.
    pub durability: Durability,
    /// The format this program writes, counted from 1. It covers the tables of whoever uses storage.
    pub format: u32,
    /// The steps from older formats.
    pub migrations: Vec<Arc<dyn Migration>>,
    /// Told of each page of a migration.
    pub progress: Arc<dyn Fn(Progress<'_>) + Send + Sync>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Synced,
            format: 1,
            migrations: Vec::new(),
            progress: Arc::new(|progress| {
                tracing::info!(from = progress.from, pages = progress.pages, "{}", progress.what);
            }),
        }
    }
}

/// How far a migration got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The format it comes from.
    pub from: u32,
    /// What it does.
    pub what: &'a str,
    /// How many pages of it are done since the start.
    pub pages: usize,
}

/// One step from a format to the next. It works in pages, each a commit, and goes on behind the last one after a crash.
pub trait Migration: Send + Sync + 'static {
    /// The format that it turns into the next.
    fn from(&self) -> u32;
    /// What it does, for whoever waits.
    fn what(&self) -> &'static str;
    /// Changes the next rows behind `cursor`, as many as one commit bears, and returns the cursor behind them, or
    /// `None` when nothing is left to do.
    fn page<'a>(
        &'a self,
        tx: &'a mut Tx,
        cursor: Option<Bytes>,
    ) -> BoxFuture<'a, Result<Option<Bytes>>>;
}

fn own(what: &str) -> (String, String) {
    (what.to_owned(), String::new())
}

/// Sees to it that the store has the format of `options`.
pub(crate) async fn open(store: &Store, options: &StoreOptions) -> Result<()> {
    let mut format = match stored_format(&store.view().await?).await? {
        Some(found) if found > options.format => {
            return Err(Error::NewerFormat { found, known: options.format });
        }
        Some(found) => found,
        None => {
            store.write(Begin(options.format)).await?;
            options.format
        }
    };
    while format < options.format {
        let step = options.migrations.iter().find(|migration| migration.from() == format);
        let step = step.ok_or_else(|| {
            Error::Unreadable(format!("there is no way on from its format {format}"))
        })?;
        migrate(store, step, &*options.progress).await?;
        format += 1;
    }
    Ok(())
}

/// Refuses a store that a newer program wrote, for engines that have to know before they change anything of it.
///
/// `known` is the newest format that may be opened; `get` looks up a row. Returns the format, or `None` where there is no
/// number, as in an empty store.
pub fn check_format(
    known: u32,
    get: impl FnOnce(&[u8]) -> Result<Option<Bytes>>,
) -> Result<Option<u32>> {
    let Some(stored) = get(&META.row(&own(FORMAT)))? else { return Ok(None) };
    let number = <[u8; 4]>::try_from(&stored[..stored.len().saturating_sub(1)]);
    match number.map(u32::from_be_bytes) {
        Ok(found) if found > known => Err(Error::NewerFormat { found, known }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(Error::Unreadable("its format is not a number".into())),
    }
}

/// The format number, or `None` if the store is empty.
async fn stored_format(view: &View) -> Result<Option<u32>> {
    if let Some(stored) = view.get(&META, &own(FORMAT)).await? {
        let number = <[u8; 4]>::try_from(&*stored).map(u32::from_be_bytes);
        return match number {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(Error::Unreadable("its format is not a number".into())),
        };
    }
    let everything = RowRange { start: vec![0], end: vec![0xFF; 3] };
    let rows = view.stored_rows(&everything, Direction::Forward, 1).await?;
    match rows.first() {
        None => Ok(None),
        Some((row, _)) => {
            let table = if row.len() < 2 { TableId(0) } else { TableId::of(row) };
            Err(Error::Unreadable(format!(
                "it holds rows (of table {}) but no format number",
                table.0
            )))
        }
    }
}

/// Writes the first row of an empty store.
struct Begin(u32);

impl Command for Begin {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("storage", FORMAT)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.put(&META, &own(FORMAT), &Bytes::copy_from_slice(&self.0.to_be_bytes()));
        Ok(())
    }
}

/// Runs all pages of a step.
async fn migrate(
    store: &Store,
    step: &Arc<dyn Migration>,
    progress: &(dyn Fn(Progress<'_>) + Send + Sync),
) -> Result<()> {
    for pages in 1.. {
        let more = store.write(Page(step.clone())).await?.out;
        progress(Progress { from: step.from(), what: step.what(), pages });
        if !more {
            break;
        }
    }
    Ok(())
}

/// One page of a step, with the cursor behind it; after the last page the format's number.
struct Page(Arc<dyn Migration>);

impl Command for Page {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("storage", FORMAT)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let cursor = tx.get(&META, &own(MIGRATION)).await?;
        if let Some(cursor) = self.0.page(tx, cursor).await? {
            tx.put(&META, &own(MIGRATION), &cursor);
            return Ok(true);
        }
        let next = self.0.from() + 1;
        tx.delete(&META, &own(MIGRATION));
        tx.put(&META, &own(FORMAT), &Bytes::copy_from_slice(&next.to_be_bytes()));
        Ok(false)
    }
}

/// Learns which tables hold values in chunks.
pub(crate) async fn load_large(view: &View, large: &LargeTables) -> Result<()> {
    let rows = view.scan(&META, &(LARGE.to_owned(),), Direction::Forward, usize::MAX).await?;
    for ((_, table), _) in rows {
        let table: u16 =
            table.parse().map_err(|_| Error::Unreadable(format!("it has no table {table}")))?;
        large.add(TableId(table));
    }
    Ok(())
}
