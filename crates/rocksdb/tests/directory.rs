//! What the engine does with its directory: keeping others out, copies, figures, and what happens when it is full.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    collections::BTreeMap, ffi::OsString, fs, os::unix::fs::PermissionsExt as _, path::Path,
    process::Command as Process,
};

use bytes::Bytes;
use tertulia_rocksdb::{OpenError, Options, RocksEngine};
use tertulia_storage::{
    Command, Direction, Error, Partition, Result, Store, StoreOptions, Table, Tx,
};

const BLOBS: Table<(u64,), Bytes> = Table::new(1, "blobs");

/// Puts rows of bytes that do not compress.
struct Fill {
    from: u64,
    rows: u64,
    size: usize,
}

impl Fill {
    fn bytes(&self, row: u64) -> Bytes {
        let mut state = row + 1;
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(self.size).collect()
    }
}

impl Command for Fill {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("fill", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        for row in self.from..self.from + self.rows {
            tx.put(&BLOBS, &(row,), &self.bytes(row));
        }
        Ok(())
    }
}

async fn open(path: &Path) -> (RocksEngine, Store) {
    let engine = RocksEngine::open(path, Options::default()).unwrap();
    let store = Store::open(engine.clone(), StoreOptions::default()).await.unwrap();
    (engine, store)
}

async fn rows(store: &Store) -> usize {
    store
        .view()
        .await
        .unwrap()
        .scan(&BLOBS, &(), Direction::Forward, usize::MAX)
        .await
        .unwrap()
        .len()
}

#[test]
fn a_store_in_use_says_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    let engine = RocksEngine::open(directory.path(), Options::default()).unwrap();
    let Err(OpenError::Locked { pid, .. }) =
        RocksEngine::open(directory.path(), Options::default())
    else {
        panic!("the store is open already");
    };
    assert_eq!(pid, std::process::id());
    drop(engine);
    RocksEngine::open(directory.path(), Options::default()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = RocksEngine::open(file.join("store"), Options::default()) else {
        panic!("a file is no directory")
    };
    assert!(
        matches!(error, OpenError::NotWritable { .. }) && error.to_string().contains("file/store"),
        "{error}"
    );
}

#[test]
fn a_directory_without_permission_is_named() {
    if rustix::process::geteuid().is_root() {
        println!("not run: root may write anywhere");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let opened = RocksEngine::open(directory.path(), Options::default());
    assert!(matches!(opened, Err(OpenError::NotWritable { .. })));
}

#[test]
fn damaged_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(RocksEngine::open(directory.path(), Options::default()).unwrap());
    fs::write(directory.path().join("CURRENT"), "nonsense\n").unwrap();
    check_refused(directory.path(), "cannot be opened");
}

/// All files of a directory with what is in them, except the one that names who opened it last.
fn contents(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|file| file.file_name() != "PID");
    files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect()
}

/// Opening the store is refused for this reason, as often as it is tried, and leaves it as it is.
#[track_caller]
fn check_refused(path: &Path, reason: &str) {
    let before = contents(path);
    for _ in 0..2 {
        let Err(error) = RocksEngine::open(path, Options::default()) else {
            panic!("the store is opened");
        };
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(contents(path), before);
    }
}

async fn fill(path: &Path, options: StoreOptions) {
    let engine = RocksEngine::open(path, Options::default()).unwrap();
    let store = Store::open(engine, options).await.unwrap();
    store.write(Fill { from: 0, rows: 10, size: 100 }).await.unwrap();
}

#[tokio::test]
async fn a_store_without_its_newest_state_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), StoreOptions::default()).await;
    let (current, aside) = (directory.path().join("CURRENT"), tempfile::tempdir().unwrap());
    let kept = aside.path().join("CURRENT");
    fs::copy(&current, &kept).unwrap();
    fs::remove_file(&current).unwrap();
    check_refused(directory.path(), "CURRENT is missing");
    fs::copy(&kept, &current).unwrap();
    let (_, store) = open(directory.path()).await;
    assert_eq!(rows(&store).await, 10);
}

#[tokio::test]
async fn a_newer_store_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let known = Options::default().format.unwrap();
    fill(directory.path(), StoreOptions { format: known + 1, ..StoreOptions::default() }).await;
    check_refused(directory.path(), &format!("the store has format {}", known + 1));
}

/// Writes `commits` of a row each into a new store, and copies it to `path` as a crash leaves it.
async fn crashed(path: &Path, commits: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (_engine, store) = open(directory.path()).await;
    for from in 0..commits {
        store.write(Fill { from, rows: 1, size: 1_000 }).await.unwrap();
    }
    for (name, bytes) in contents(directory.path()) {
        fs::write(path.join(name), bytes).unwrap();
    }
}

/// Changes a byte of the log, so far from its end.
fn damage_log(path: &Path, from_end: usize) {
    let (name, mut log) = contents(path)
        .into_iter()
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|kind| kind == "log"))
        .max_by_key(|(_, log)| log.len())
        .unwrap();
    let at = log.len() - from_end;
    log[at] ^= 0x55;
    fs::write(path.join(name), log).unwrap();
}

#[tokio::test]
async fn a_log_damaged_in_front_of_sound_commits_is_refused() {
    for (commits, from_end) in [(20, 10_500), (200, 100_000), (200, 10_000), (3, 1_500)] {
        let directory = tempfile::tempdir().unwrap();
        crashed(directory.path(), commits).await;
        damage_log(directory.path(), from_end);
        check_refused(directory.path(), "Corruption");
        let relaxed = Options { synced: false, ..Options::default() };
        let engine = RocksEngine::open(directory.path(), relaxed).unwrap();
        let store = Store::open(engine, StoreOptions::default()).await.unwrap();
        assert!(rows(&store).await < usize::try_from(commits).unwrap());
    }
}

#[tokio::test]
async fn a_last_commit_that_a_power_failure_damaged_is_given_up() {
    for commits in [2, 20, 100] {
        let directory = tempfile::tempdir().unwrap();
        crashed(directory.path(), commits).await;
        damage_log(directory.path(), 500);
        let (_, store) = open(directory.path()).await;
        assert_eq!(rows(&store).await, usize::try_from(commits - 1).unwrap());
    }
}

#[tokio::test]
async fn a_store_whose_list_of_files_lost_them_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), StoreOptions::default()).await;
    fill(directory.path(), StoreOptions::default()).await;
    let is_list = |name: &OsString| name.to_str().unwrap().starts_with("MANIFEST");
    let (name, list) = contents(directory.path()).into_iter().find(|it| is_list(&it.0)).unwrap();
    fs::write(directory.path().join(name), &list[..60]).unwrap();
    check_refused(directory.path(), "cannot be opened");
}

#[test]
fn a_store_that_was_only_begun_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    drop(RocksEngine::open(directory.path(), Options::default()).unwrap());
    for file in contents(directory.path()).into_keys() {
        if !file.to_str().unwrap().starts_with("MANIFEST") {
            fs::remove_file(directory.path().join(file)).unwrap();
        }
    }
    RocksEngine::open(directory.path(), Options::default()).unwrap();
}

#[tokio::test]
async fn a_backup_is_a_store_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, store) = open(&directory.path().join("store")).await;
    store.write(Fill { from: 0, rows: 10, size: 100 }).await.unwrap();
    engine.backup(directory.path().join("copy")).unwrap();
    store.write(Fill { from: 10, rows: 10, size: 100 }).await.unwrap();
    let (_, copy) = open(&directory.path().join("copy")).await;
    assert_eq!((rows(&store).await, rows(&copy).await), (20, 10));
    copy.write(Fill { from: 10, rows: 1, size: 100 }).await.unwrap();
    assert_eq!((rows(&store).await, rows(&copy).await), (20, 11));
}

#[tokio::test]
async fn reads_beyond_the_cache_find_the_same_rows() {
    let directory = tempfile::tempdir().unwrap();
    let small = Options { cache: 64 << 10, write_buffer: 256 << 10, ..Options::default() };
    let engine = RocksEngine::open(directory.path(), small).unwrap();
    let store = Store::open(engine.clone(), StoreOptions::default()).await.unwrap();
    for page in 0..20 {
        store.write(Fill { from: page * 100, rows: 100, size: 1_000 }).await.unwrap();
    }
    engine.compact().unwrap();
    let view = store.view().await.unwrap();
    let keys: Vec<_> = (0..2_000).step_by(37).map(|row| (row,)).collect();
    let found = view.get_many(&BLOBS, &keys).await.unwrap();
    assert!(found.iter().all(|value| value.as_ref().is_some_and(|value| value.len() == 1_000)));
    for key in &keys {
        assert!(view.get(&BLOBS, key).await.unwrap().is_some());
        let newest = view.scan(&BLOBS, key, Direction::Backward, 1).await.unwrap();
        assert_eq!(newest.len(), 1);
    }
    assert_eq!(rows(&store).await, 2_000);
    let figures = engine.figures().unwrap();
    assert!(figures.disk > 2_000_000 && figures.disk < 10_000_000, "{figures:?}");
    assert!(figures.cache < 1_000_000, "{figures:?}");
}

/// A small file system in memory, while this lives.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    /// `None` where mounting is not allowed.
    fn mount(at: &'a Path) -> Option<Self> {
        let mut mount = Process::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(at);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Process::new("umount").arg(self.0).output();
    }
}

#[tokio::test]
async fn a_full_file_system_makes_the_store_read_only_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_full) = Tmpfs::mount(directory.path()) else {
        println!("not run: mounting a file system of 64 MB is not allowed here");
        return;
    };
    let path = directory.path().join("store");
    let mut acknowledged = 0;
    {
        let (_, store) = open(&path).await;
        let error = loop {
            match store.write(Fill { from: acknowledged, rows: 10, size: 80_000 }).await {
                Ok(_) => acknowledged += 10,
                Err(error) => break error,
            }
            assert!(acknowledged < 2_000, "160 MB do not fit into 64 MB");
        };
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert_eq!(rows(&store).await as u64, acknowledged);
        store.shutdown().await;
    }
    // Room is made, and the server is started again.
    Process::new("mount").args(["-o", "remount,size=256m"]).arg(directory.path()).output().unwrap();
    let (_, store) = open(&path).await;
    assert_eq!(rows(&store).await as u64, acknowledged);
    store.write(Fill { from: acknowledged, rows: 1, size: 10 }).await.unwrap();
}
