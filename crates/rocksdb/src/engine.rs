use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use rocksdb::{
    BottommostLevelCompaction, Cache, CompactOptions, DB, DBRecoveryMode, WriteBatch, WriteOptions,
    checkpoint::Checkpoint,
};
use tertulia_storage::{
    Answer, Batch, Bell, Commit, Engine, Error, Local, LocalEngine, Receipt, Result, Rows,
    Snapshot, check_format,
};

use crate::{OpenError, Options, files, rows::SnapshotRows, wal};

/// An open database. Fields are dropped in their order: the lock goes last.
pub(crate) struct Database {
    pub(crate) db: DB,
    path: PathBuf,
    cache: Cache,
    _lock: File,
}

/// A directory as a [`Local`] store. Clones are the same store; it is closed when the last one and the last snapshot
/// are gone.
#[derive(Clone)]
pub struct RocksLocal(Arc<Database>);

/// The engine that keeps a store in a directory, with RocksDB. Clones are the same engine.
#[derive(Clone)]
pub struct RocksEngine {
    local: RocksLocal,
    engine: LocalEngine,
}

/// What the engine takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of all files.
    pub disk: u64,
    /// Bytes in the block cache.
    pub cache: u64,
    /// Bytes of rows that are not in files yet.
    pub buffers: u64,
}

impl RocksLocal {
    /// Opens the store in this directory, which is made if need be. One that is damaged or too new is left as it is.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let lock = files::lock(&path)?;
        let cache = Cache::new_lru_cache(options.cache);
        if files::hold_a_store(&path)? {
            inspect(&path, options, &cache)?;
        }
        let db = DB::open(&options.database(&cache), &path);
        let db = db.map_err(|error| unreadable(&path, error))?;
        Ok(Self(Arc::new(Database { db, path, cache, _lock: lock })))
    }
}

/// Refuses a store that is damaged, or newer than what may be opened. It is opened to be read only: to open it otherwise
/// rewrites its log and its lists of files, and deletes what these do not name.
fn inspect(path: &Path, options: Options, cache: &Cache) -> Result<(), OpenError> {
    let db = look(path, options, cache)?;
    let Some(format) = options.format else { return Ok(()) };
    let get = |row: &[u8]| db.get(row).map(|row| row.map(Into::into)).map_err(Error::engine);
    let found = check_format(format, get).map_err(|error| unreadable(path, error))?;
    match files::with_rows(path)?.filter(|_| found.is_none()) {
        Some(rows) if db.latest_sequence_number() > 0 || rows.ends_with("sst") => Err(unreadable(
            path,
            format_args!("there is {rows}, but no format number: take a backup"),
        )),
        _ => Ok(()),
    }
}

/// Opens a store to be read. A power failure may damage the last commit, of which nobody was told yet: it is given up. If
/// there are sound commits behind the damage, it is of another kind.
fn look(path: &Path, options: Options, cache: &Cache) -> Result<DB, OpenError> {
    let open = |mode| {
        let mut database = options.database(cache);
        database.set_wal_recovery_mode(mode);
        DB::open_for_read_only(&database, path, false).map_err(|error| unreadable(path, error))
    };
    let opened = open(DBRecoveryMode::TolerateCorruptedTailRecords);
    let is_refused = || wal::is_damaged_within(path).map_err(|error| unreadable(path, error));
    match opened {
        Err(refusal) if options.synced && is_refused()? => Err(refusal),
        Err(_) => open(DBRecoveryMode::PointInTime),
        opened => opened,
    }
}

fn unreadable(path: &Path, error: impl ToString) -> OpenError {
    OpenError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

impl Local for RocksLocal {
    fn snapshot(&self) -> Arc<dyn Rows> {
        Arc::new(SnapshotRows::take(self.0.clone()))
    }

    fn write(&self, rows: Batch, sync: bool) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (row, value) in &rows {
            match value {
                Some(value) => batch.put(row, value),
                None => batch.delete(row),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.0.db.write_opt(batch, &options).map_err(Error::engine)
    }

    fn sync(&self) -> Result<()> {
        self.0.db.flush_wal(true).map_err(Error::engine)
    }
}

impl RocksEngine {
    /// Opens the store in this directory, which is made if need be.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let local = RocksLocal::open(&path, options)?;
        let engine = LocalEngine::start(local.clone());
        let engine = engine.map_err(|error| unreadable(path.as_ref(), error))?;
        Ok(Self { local, engine })
    }

    /// Makes a copy of the whole store in a directory that does not exist yet, while it is in use. On the same file
    /// system it takes hardly any time or room. It waits for the disk.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<()> {
        Checkpoint::new(self.db())
            .and_then(|checkpoint| checkpoint.create_checkpoint(to))
            .map_err(Error::engine)
    }

    /// Brings all rows into their final, smallest files. It waits for the disk.
    pub fn compact(&self) -> Result<()> {
        self.db().flush().map_err(Error::engine)?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        self.db().compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// What the engine takes up now.
    pub fn figures(&self) -> Result<Figures> {
        let Database { db, path, cache, .. } = &*self.local.0;
        let buffers =
            db.property_int_value("rocksdb.cur-size-all-mem-tables").map_err(Error::engine)?;
        Ok(Figures {
            disk: files::size(path).map_err(Error::engine)?,
            cache: cache.get_usage() as u64,
            buffers: buffers.unwrap_or(0),
        })
    }

    fn db(&self) -> &DB {
        &self.local.0.db
    }
}

impl Engine for RocksEngine {
    fn begin(&self) -> Answer<'_, Arc<dyn Snapshot>> {
        self.engine.begin()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Receipt>> {
        self.engine.commit(commit)
    }

    fn bell(&self) -> &Arc<Bell> {
        self.engine.bell()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.engine.close()
    }
}
