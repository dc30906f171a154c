use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

use crate::{
    Direction, Key, Position, Result, Row, RowRange, Snapshot, Table, Value, chunks, own::Own,
};

/// Reads one settled state of the store, which does not change while it is held.
pub struct View {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) own: Own,
}

impl View {
    pub(crate) fn new(snapshot: Arc<dyn Snapshot>) -> Self {
        Self { snapshot, own: Own::default() }
    }

    /// The newest position that this view may tell of. Everything up to it is here, and nothing beyond.
    pub fn settled(&self) -> Position {
        self.snapshot.settled()
    }

    /// The value at `key`, if there is one.
    pub async fn get<K: Key, V: Value>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let row = table.row(key);
        let stored = match self.own.get(&row) {
            Some(written) => written.value.clone(),
            None => self.snapshot.get(&row).await?,
        };
        let Some(stored) = stored else {
            return Ok(None);
        };
        let value = chunks::open(&*self.snapshot, &row, stored).await?;
        table.read_value(&row, &value).map(Some)
    }

    /// The values at many keys, in the order asked for.
    pub async fn get_many<K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        keys: &[K],
    ) -> Result<Vec<Option<V>>> {
        let rows: Vec<_> = keys.iter().map(|key| table.row(key)).collect();
        let mut found = self.snapshot.get_many(&rows).await?;
        let mut values = Vec::with_capacity(rows.len());
        for (row, stored) in rows.iter().zip(&mut found) {
            let stored = match self.own.get(row) {
                Some(written) => written.value.clone(),
                None => stored.take(),
            };
            values.push(match stored {
                Some(stored) => Some(
                    table.read_value(row, &chunks::open(&*self.snapshot, row, stored).await?)?,
                ),
                None => None,
            });
        }
        Ok(values)
    }

    /// Up to `limit` rows whose key begins with `prefix`, in the order of keys or backwards.
    pub async fn scan<P: Key, K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        prefix: &P,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        self.read(table, &table.prefix(prefix), direction, limit).await
    }

    /// Up to `limit` rows whose key begins with `prefix`, starting at `from` and going on in `direction`.
    pub async fn scan_from<P: Key, K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        prefix: &P,
        from: Bound<&K>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        let all = table.prefix(prefix);
        let range = match direction {
            Direction::Forward => {
                let from = table.range(from, Bound::Unbounded);
                RowRange { start: from.start.max(all.start), end: all.end }
            }
            Direction::Backward => {
                let to = table.range(Bound::Unbounded, from);
                RowRange { start: all.start, end: to.end.min(all.end) }
            }
        };
        self.read(table, &range, direction, limit).await
    }

    /// Up to `limit` rows whose key lies between the bounds.
    pub async fn range<K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        start: Bound<&K>,
        end: Bound<&K>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        self.read(table, &table.range(start, end), direction, limit).await
    }

    async fn read<K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        range: &RowRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        let mut out = Vec::new();
        for row in self.rows(range, direction, limit).await? {
            out.push(table.read_row(&row)?);
        }
        Ok(out)
    }

    /// Rows with their whole values, own writes included.
    pub(crate) async fn rows(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let mut rows = self.stored_rows(range, direction, limit).await?;
        for (row, value) in &mut rows {
            *value = chunks::open(&*self.snapshot, row, std::mem::take(value)).await?;
        }
        Ok(rows)
    }

    /// Rows as they are stored, own writes included.
    pub(crate) async fn stored_rows(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>> {
        if range.start >= range.end || limit == 0 {
            return Ok(Vec::new());
        }
        let own = self.own.count(range);
        let stored = self.snapshot.scan(range, direction, limit.saturating_add(own)).await?;
        Ok(if own == 0 { stored } else { self.own.merge(stored, range, direction, limit) })
    }

    pub(crate) async fn stored(&self, row: &[u8]) -> Result<Option<Bytes>> {
        self.snapshot.get(row).await
    }
}
