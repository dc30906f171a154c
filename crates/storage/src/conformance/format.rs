use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    Subject,
    fixture::{COUNT, GRID, Step, TEXT, key, open, put, script},
};
use crate::{
    Commit, Direction, Engine, Error, Migration, Result, Store, StoreOptions, Tx, Write,
    format::META, testing::Fault,
};

async fn open_as(
    subject: &impl Subject,
    format: u32,
    migrations: Vec<Arc<dyn Migration>>,
) -> Result<Store> {
    let options = StoreOptions { format, migrations, ..StoreOptions::default() };
    Store::open(subject.open(Fault::Never).0, options).await
}

async fn close(store: Store) {
    store.shutdown().await;
}

/// An empty store is begun in the newest format and opened as that afterwards.
pub async fn a_new_store_gets_its_format(subject: &impl Subject) {
    close(open_as(subject, 3, Vec::new()).await.unwrap()).await;
    close(open_as(subject, 3, Vec::new()).await.unwrap()).await;
    let Err(error) = open_as(subject, 4, Vec::new()).await else {
        panic!("there is no step from 3 to 4")
    };
    assert!(error.to_string().contains("no way on from its format 3"), "{error}");
}

/// A newer store is refused by name.
pub async fn a_newer_store_is_refused_and_left_as_it_is(subject: &impl Subject) {
    let store = open_as(subject, 7, Vec::new()).await.unwrap();
    store.write(script("a", [put("k", "v")])).await.unwrap();
    close(store).await;
    let Err(error) = open_as(subject, 2, Vec::new()).await else { panic!("it is newer") };
    assert!(matches!(error, Error::NewerFormat { found: 7, known: 2 }), "{error}");
    let store = open_as(subject, 7, Vec::new()).await.unwrap();
    let found = store.view().await.unwrap().get(&TEXT, &key("k")).await.unwrap();
    assert_eq!(found.unwrap(), "v");
}

/// Rows without a format number are not ours to touch.
pub async fn a_store_without_a_format_is_refused(subject: &impl Subject) {
    raw_put(subject, vec![0, 77, 1], b"someone else's").await;
    let Err(error) = open_as(subject, 1, Vec::new()).await else { panic!("it has no format") };
    assert!(matches!(&error, Error::Unreadable(reason) if reason.contains("table 77")), "{error}");
    let row = META.row(&("format".to_owned(), String::new()));
    raw_put(subject, row, b"not a number\0").await;
    let Err(error) = open_as(subject, 1, Vec::new()).await else { panic!("it has no format") };
    assert!(matches!(&error, Error::Unreadable(_)), "{error}");
}

/// Writes a row past the store.
async fn raw_put(subject: &impl Subject, row: Vec<u8>, value: &'static [u8]) {
    let (engine, _) = subject.open(Fault::Never);
    let version = engine.begin().await.unwrap().version();
    let value = Some(Bytes::from_static(value));
    let write = Write { row, row_places: Vec::new(), value, value_places: Vec::new() };
    engine.commit(Commit { version, writes: vec![write], ..Commit::default() }).await.unwrap();
    engine.close().await.unwrap();
}

/// Counts the rows of a table, three to a page.
struct CountRows {
    from: u32,
    /// Fails at this page, counted over all runs.
    fail_at: Option<u64>,
}

impl Migration for CountRows {
    fn from(&self) -> u32 {
        self.from
    }

    fn what(&self) -> &'static str {
        "counting rows"
    }

    fn page<'a>(
        &'a self,
        tx: &'a mut Tx,
        cursor: Option<Bytes>,
    ) -> BoxFuture<'a, Result<Option<Bytes>>> {
        Box::pin(async move {
            let start = cursor.map_or(0, |cursor| u64::from(cursor[0]));
            if self.fail_at == Some(start / 3) {
                return Err(Error::Unreadable("interrupted".into()));
            }
            let from = ("r".to_owned(), start);
            let from = std::ops::Bound::Included(&from);
            let rows = tx.scan_from(&GRID, &key("r"), from, Direction::Forward, 3).await?;
            let (before,) = tx.get(&COUNT, &key("rows")).await?.unwrap_or_default();
            tx.put(&COUNT, &key("rows"), &(before + rows.len() as u64,));
            Ok((rows.len() == 3).then(|| Bytes::from(vec![start as u8 + 3])))
        })
    }
}

async fn old_store(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", (0..10).map(|column| Step::Grid("r", column)))).await.unwrap();
    close(store).await;
}

/// An older store goes through every step, and says how far it is.
pub async fn an_older_store_is_upgraded_page_by_page(subject: &impl Subject) {
    old_store(subject).await;
    let told: Arc<Mutex<Vec<(u32, usize)>>> = Arc::default();
    let options = StoreOptions {
        format: 3,
        migrations: [1, 2]
            .map(|from| Arc::new(CountRows { from, fail_at: None }) as Arc<dyn Migration>)
            .to_vec(),
        progress: Arc::new({
            let told = told.clone();
            move |progress| told.lock().unwrap().push((progress.from, progress.pages))
        }),
        ..StoreOptions::default()
    };
    let store = Store::open(subject.open(Fault::Never).0, options).await.unwrap();
    assert_eq!(store.view().await.unwrap().get(&COUNT, &key("rows")).await.unwrap(), Some((20,)));
    assert_eq!(
        *told.lock().unwrap(),
        [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4)]
    );
    close(store).await;
    close(open_as(subject, 3, Vec::new()).await.unwrap()).await;
}

/// A step that was interrupted goes on behind its last page: no row is counted twice.
pub async fn an_interrupted_upgrade_goes_on(subject: &impl Subject) {
    old_store(subject).await;
    let step = |fail_at| vec![Arc::new(CountRows { from: 1, fail_at }) as Arc<dyn Migration>];
    for fail_at in [0, 1, 3] {
        assert!(open_as(subject, 2, step(Some(fail_at))).await.is_err());
    }
    let store = open_as(subject, 2, step(None)).await.unwrap();
    assert_eq!(store.view().await.unwrap().get(&COUNT, &key("rows")).await.unwrap(), Some((10,)));
}

/// A row that does not read is an error that says where it is.
pub async fn corruption_names_the_table_and_the_key(subject: &impl Subject) {
    close(open(subject).await).await;
    raw_put(subject, COUNT.row(&key("broken")), b"\x09\x00").await;
    raw_put(subject, COUNT.row(&key("empty")), b"").await;
    let view = open(subject).await.view().await.unwrap();
    for (at, reason) in [("broken", "version 9"), ("empty", "does not say what it is")] {
        let error = view.get(&COUNT, &key(at)).await.unwrap_err().to_string();
        assert!(error.contains(at) && error.contains(reason), "{error}");
    }
    let error = view.scan(&COUNT, &key("broken"), Direction::Forward, 9).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { table, .. } if table == "count"));
}
