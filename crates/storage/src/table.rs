use std::{marker::PhantomData, ops::Bound};

use bytes::Bytes;

use crate::{
    Error, Key, Place, Reader, Result, RowRange, TableId, Value, ValueError, Writer,
    error::readable,
};

/// Tables from this number up belong to storage itself.
pub(crate) const RESERVED: u16 = 60_000;

/// The number, name, key type and value type of one table. Declared once, as a constant.
pub struct Table<K, V> {
    id: TableId,
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// The table with this number, which no other table ever had. Numbers below 60,000 are for those who use storage.
    ///
    /// # Panics
    /// At compile time, if the number is reserved.
    pub const fn new(id: u16, name: &'static str) -> Self {
        assert!(id < RESERVED, "tables from 60000 up belong to storage");
        Self::reserved(id, name)
    }

    pub(crate) const fn reserved(id: u16, name: &'static str) -> Self {
        Self { id: TableId(id), name, types: PhantomData }
    }

    /// The table's number.
    pub const fn id(&self) -> TableId {
        self.id
    }

    /// The table's name, for people.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K: Key, V: Value> Table<K, V> {
    pub(crate) fn read_value(&self, row: &[u8], bytes: &[u8]) -> Result<V> {
        let mut input = Reader::new(bytes);
        V::read(&mut input)
            .and_then(|value| if input.is_empty() { Ok(value) } else { Err(ValueError::Trailing) })
            .map_err(|error| corrupt(self.name, row, error))
    }

    pub(crate) fn read_row(&self, (row, value): &(Bytes, Bytes)) -> Result<(K, V)> {
        let key = K::decode(&row[2..]).map_err(|error| corrupt(self.name, row, error))?;
        Ok((key, self.read_value(row, value)?))
    }
}

impl<K, V> Table<K, V> {
    /// The address of a row, or the beginning that the addresses of all rows with this prefix share.
    pub(crate) fn address(&self, key: &impl Key) -> (Vec<u8>, Vec<Place>) {
        let mut out = Writer::with_capacity(96);
        out.bytes(&self.id.0.to_be_bytes());
        key.write(&mut out);
        out.finish()
    }

    pub(crate) fn row(&self, key: &impl Key) -> Vec<u8> {
        self.address(key).0
    }

    pub(crate) fn prefix(&self, prefix: &impl Key) -> RowRange {
        let start = self.row(prefix);
        let end = behind_prefix(start.clone());
        RowRange { start, end }
    }

    pub(crate) fn range(&self, start: Bound<&K>, end: Bound<&K>) -> RowRange
    where
        K: Key,
    {
        let all = self.prefix(&());
        let start = match start {
            Bound::Included(key) => self.row(key),
            Bound::Excluded(key) => behind(self.row(key)),
            Bound::Unbounded => all.start,
        };
        let end = match end {
            Bound::Included(key) => behind(self.row(key)),
            Bound::Excluded(key) => self.row(key),
            Bound::Unbounded => all.end,
        };
        RowRange { start, end }
    }
}

/// The next address after this one.
fn behind(mut row: Vec<u8>) -> Vec<u8> {
    row.push(0);
    row
}

/// The first address above all that begin with `prefix`.
pub(crate) fn behind_prefix(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if last < 0xFF {
            prefix.push(last + 1);
            break;
        }
    }
    prefix
}

pub(crate) fn corrupt(table: &str, row: &[u8], reason: impl ToString) -> Error {
    Error::Corrupt { table: table.to_owned(), key: readable(&row[2..]), reason: reason.to_string() }
}
