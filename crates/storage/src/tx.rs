use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use parking_lot::Mutex;

use crate::{
    Commit, Direction, Durability, Error, Key, MAX_COMMIT_BYTES, MAX_COMMIT_ROWS, MAX_ROW,
    MAX_WHOLE, Position, Result, Snapshot, Table, TableId, Topic, Value, View, Write, Writer,
    chunks::{self, LargeTables, seal, stored_chunks},
    engine::at_most,
    format::{self, META},
    own::Written,
};

/// A transaction: reads one settled state and its own writes, and keeps the writes until the commit.
pub struct Tx {
    view: View,
    guards: Mutex<Vec<Vec<u8>>>,
    refused: Option<Error>,
    large: Arc<LargeTables>,
}

impl Deref for Tx {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl Tx {
    pub(crate) fn new(snapshot: Arc<dyn Snapshot>, large: Arc<LargeTables>) -> Self {
        Self { view: View::new(snapshot), guards: Mutex::default(), refused: None, large }
    }

    /// The value at `key`, which must not change before this transaction commits.
    ///
    /// Guard one row for each thing that changes as a whole: a room's head, a user, a device.
    pub async fn get_guarded<K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<Option<V>> {
        self.guard(table, key);
        self.get(table, key).await
    }

    /// Lets the commit succeed only if this row, which may be absent, is still as this transaction sees it.
    pub fn guard<K: Key, V>(&self, table: &Table<K, V>, key: &K) {
        self.guards.lock().push(table.row(key));
    }

    /// Writes a row.
    ///
    /// A key of more than 1,000 bytes or a value of more than [`MAX_WHOLE`] makes the whole command fail with
    /// [`Error::TooLarge`] when it returns.
    pub fn put<K: Key, V: Value>(&mut self, table: &Table<K, V>, key: &K, value: &V) {
        let (row, row_places) = table.address(key);
        let mut out = Writer::with_capacity(128);
        value.write(&mut out);
        let (value, value_places) = out.finish();
        let fits = at_most("a key", row.len(), MAX_ROW - chunks::OVERHEAD)
            .and_then(|()| at_most("a value", value.len(), MAX_WHOLE));
        match fits {
            Ok(()) => {
                let value = Some(seal(value));
                self.view.own.set(row, Written { value, row_places, value_places, stale: None });
            }
            Err(error) => self.refused = Some(error),
        }
    }

    /// Deletes a row, if it is there.
    pub fn delete<K: Key, V>(&mut self, table: &Table<K, V>, key: &K) {
        let (row, row_places) = table.address(key);
        self.view
            .own
            .set(row, Written { value: None, row_places, value_places: Vec::new(), stale: None });
    }

    /// Deletes up to `limit` rows whose key begins with `prefix`, and says how many there were.
    ///
    /// If that is `limit` there may be more: delete them in further commits, as one bears 500 rows.
    pub async fn delete_page<P: Key, K: Key, V>(
        &mut self,
        table: &Table<K, V>,
        prefix: &P,
        limit: usize,
    ) -> Result<usize> {
        let rows = self.stored_rows(&table.prefix(prefix), Direction::Forward, limit).await?;
        for (row, _) in &rows {
            let deleted = Written {
                value: None,
                row_places: Vec::new(),
                value_places: Vec::new(),
                stale: None,
            };
            self.view.own.set(row.to_vec(), deleted);
        }
        Ok(rows.len())
    }

    /// Deletes the rows whose key begins with `prefix`, `limit` of them at a time; tells whether none is left.
    pub async fn delete_all<P: Key, K: Key, V>(
        &mut self,
        table: &Table<K, V>,
        prefix: &P,
        limit: usize,
    ) -> Result<bool> {
        Ok(self.delete_page(table, prefix, limit).await? < limit)
    }

    /// Takes the next position of the log. Positions are dense: write exactly one log entry for each.
    pub fn next_position(&mut self) -> Position {
        self.view.own.next_position()
    }

    /// Wakes those who watch this topic when the commit is settled.
    pub fn wake(&mut self, topic: Topic) {
        self.view.own.topics.push(topic);
    }

    /// What follows can be taken back.
    pub(crate) fn mark(&mut self) {
        self.view.own.mark();
        self.refused = None;
    }

    /// Takes back all writes since the mark. Guards stay: the refusal rests on what they guard.
    pub(crate) fn undo(&mut self) {
        self.view.own.undo();
    }

    /// Looks up which chunks the newest writes leave behind, and whether the writes since the mark were in order.
    pub(crate) async fn check(&mut self) -> Result<()> {
        if !self.large.is_empty() {
            self.look_up_stale().await?;
        }
        self.refused.take().map_or(Ok(()), Err)
    }

    async fn look_up_stale(&mut self) -> Result<()> {
        let unknown = |(row, written): (&Vec<u8>, &Written)| {
            (written.stale.is_none() && self.large.contains(row)).then(|| row.clone())
        };
        let rows: Vec<_> = self.view.own.since_mark().filter_map(unknown).collect();
        for row in rows {
            let stored = self.view.stored(&row).await?;
            self.view.own.set_stale(&row, stored_chunks(&row, stored.as_ref())?);
        }
        Ok(())
    }

    /// Whether one commit bears all writes.
    pub(crate) fn fits(&self) -> Result<()> {
        let size = self.own.size();
        at_most("a commit's number of rows", size.rows, MAX_COMMIT_ROWS - chunks::FLAGS)?;
        at_most("a commit", size.bytes, MAX_COMMIT_BYTES - chunks::FLAGS * MAX_ROW)
    }

    /// Whether there is anything to commit.
    pub(crate) fn is_idle(&self) -> bool {
        self.own.is_empty() && self.own.positions == 0
    }

    /// Everything that has to become true, for the engine.
    pub(crate) fn into_commit(self, durability: Durability) -> Commit {
        let Self { view, guards, large, .. } = self;
        let mut commit =
            Commit { version: view.snapshot.version(), durability, ..Commit::default() };
        commit.guards = guards.into_inner();
        commit.positions = view.own.positions;
        let (rows, topics) = view.own.into_parts();
        commit.topics = topics;
        let mut tables = BTreeSet::new();
        for (row, written) in rows {
            if written.is_large() {
                tables.insert(TableId::of(&row));
            }
            chunks::split(row, written, &mut commit.writes);
        }
        for table in tables {
            large.add(table);
            commit.writes.push(flag_large(table));
        }
        commit
    }
}

/// The row that tells later starts that this table holds chunks. It is written again with each large value, since
/// the commit that wrote it first may have failed.
fn flag_large(table: TableId) -> Write {
    let key = (format::LARGE.to_owned(), table.0.to_string());
    Write {
        row: META.row(&key),
        row_places: Vec::new(),
        value: Some(seal(Vec::new())),
        value_places: Vec::new(),
    }
}
