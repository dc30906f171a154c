//! Values that are larger than an engine bears, kept in pieces that no table sees.
//!
//! Every stored value ends with a byte that says what it is: the value itself, or the head of a value that lies in
//! chunks. Chunk `i` of a row has the row's address, then `i`, as its key. As one commit bears 1 MB, a value has to be
//! somewhat smaller than that: at most [`MAX_WHOLE`] bytes.

use std::collections::HashSet;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::{
    MAX_VALUE, Place, Reader, Result, Snapshot, TableId, Write, Writer,
    own::Written,
    table::{RESERVED, corrupt},
};

/// The most bytes of a value as a table sees it.
pub const MAX_WHOLE: usize = 900_000;
/// The bytes that a chunk's address has more than its row's.
pub(crate) const OVERHEAD: usize = 4;
/// So many rows of a commit are kept free to note tables that now hold chunks: more large values it cannot bear.
pub(crate) const FLAGS: usize = 12;
/// The chunks of values.
pub(crate) const CHUNKS: TableId = TableId(RESERVED + 1);

const WHOLE: u8 = 0;
const HEAD: u8 = 1;

/// The tables that ever held a value in chunks. Only in these has a write to ask whether it replaces one.
#[derive(Debug, Default)]
pub(crate) struct LargeTables(RwLock<HashSet<TableId>>);

impl LargeTables {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    pub(crate) fn contains(&self, row: &[u8]) -> bool {
        self.0.read().contains(&TableId::of(row))
    }

    pub(crate) fn add(&self, table: TableId) {
        self.0.write().insert(table);
    }
}

/// A value in its stored form, however large.
pub(crate) fn seal(mut value: Vec<u8>) -> Bytes {
    value.push(WHOLE);
    value.into()
}

/// How many chunks a sealed value of this length needs: none if it fits into its row.
pub(crate) fn chunks_of(sealed: usize) -> usize {
    if sealed <= MAX_VALUE { 0 } else { sealed.div_ceil(MAX_VALUE - 8) }
}

/// How many chunks the stored value of a row consists of.
pub(crate) fn stored_chunks(row: &[u8], stored: Option<&Bytes>) -> Result<usize> {
    match stored.map(|bytes| (bytes, bytes.last())) {
        Some((bytes, Some(&HEAD))) => read_head(row, bytes),
        _ => Ok(0),
    }
}

fn read_head(row: &[u8], stored: &[u8]) -> Result<usize> {
    let chunks = Reader::new(stored)
        .varint()
        .map_err(|_| corrupt(&table(row), row, "the chunk count is missing"))?;
    Ok(usize::try_from(chunks).unwrap_or(usize::MAX))
}

fn table(row: &[u8]) -> String {
    format!("number {}", TableId::of(row).0)
}

/// The value that is stored as `stored`, put together.
pub(crate) async fn open(snapshot: &dyn Snapshot, row: &[u8], mut stored: Bytes) -> Result<Bytes> {
    match stored.last() {
        Some(&WHOLE) => {
            stored.truncate(stored.len() - 1);
            Ok(stored)
        }
        Some(&HEAD) => gather(snapshot, row, read_head(row, &stored)?).await,
        _ => Err(corrupt(&table(row), row, "the value does not say what it is")),
    }
}

async fn gather(snapshot: &dyn Snapshot, row: &[u8], chunks: usize) -> Result<Bytes> {
    if chunks > chunks_of(MAX_WHOLE + 1) {
        return Err(corrupt(&table(row), row, "the chunk count is impossible"));
    }
    let rows: Vec<_> = (0..chunks).map(|chunk| address(row, chunk)).collect();
    let mut whole = Vec::with_capacity(chunks * MAX_VALUE);
    for chunk in snapshot.get_many(&rows).await? {
        let chunk = chunk.ok_or_else(|| corrupt(&table(row), row, "a chunk is missing"))?;
        whole.extend_from_slice(&chunk);
    }
    match whole.pop() {
        Some(WHOLE) => Ok(whole.into()),
        _ => Err(corrupt(&table(row), row, "the chunks do not end as they should")),
    }
}

fn address(row: &[u8], chunk: usize) -> Vec<u8> {
    let mut address = Vec::with_capacity(row.len() + 4);
    address.extend_from_slice(&CHUNKS.0.to_be_bytes());
    address.extend_from_slice(row);
    address.extend_from_slice(
        &u16::try_from(chunk).expect("a value has at most a dozen chunks").to_be_bytes(),
    );
    address
}

/// The rows to write for one row of a table: itself, and its chunks as they are to be.
pub(crate) fn split(row: Vec<u8>, written: Written, out: &mut Vec<Write>) {
    let Written { value, row_places, value_places, stale } = written;
    let pieces = match &value {
        Some(value) if value.len() > MAX_VALUE => cut(value, &value_places),
        _ => Vec::new(),
    };
    for chunk in pieces.len()..stale.unwrap_or(0) {
        out.push(Write {
            row: address(&row, chunk),
            row_places: Vec::new(),
            value: None,
            value_places: Vec::new(),
        });
    }
    if pieces.is_empty() {
        out.push(Write { row, row_places, value, value_places });
        return;
    }
    let shift = |place: &Place| Place { at: place.at + 2, ..*place };
    let chunk_places: Vec<_> = row_places.iter().map(shift).collect();
    let mut head = Writer::default();
    head.varint(pieces.len() as u64);
    head.byte(HEAD);
    for (chunk, (value, value_places)) in pieces.into_iter().enumerate() {
        let row = address(&row, chunk);
        out.push(Write { row, row_places: chunk_places.clone(), value: Some(value), value_places });
    }
    out.push(Write {
        row,
        row_places,
        value: Some(head.finish().0.into()),
        value_places: Vec::new(),
    });
}

/// Cuts a value into chunks, none of which ends within a position that is still to be put in.
fn cut(value: &Bytes, places: &[Place]) -> Vec<(Bytes, Vec<Place>)> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < value.len() {
        let full = value.len().min(start + MAX_VALUE);
        let crossing =
            places.iter().map(|place| place.at as usize).find(|at| (*at < full) && (full < at + 8));
        let end = crossing.unwrap_or(full);
        let inside = places.iter().filter(|place| (start..end).contains(&(place.at as usize)));
        let moved = inside.map(|place| Place { at: place.at - start as u32, ..*place }).collect();
        pieces.push((value.slice(start..end), moved));
        start = end;
    }
    pieces
}
