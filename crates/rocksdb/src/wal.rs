//! RocksDB's log of what is not in tables yet, and where it is damaged.
//!
//! A log is blocks of 32 KiB; a block holds records: a masked CRC-32C of what follows the length (4 bytes), the length
//! of the payload (2 bytes), the kind (1 byte), the payload. A write is one record, or a first one, some in the middle and
//! a last one.

use std::{fs, io, path::Path};

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
/// The kinds of record that a write begins with: whole, and first.
const BEGINNINGS: [u8; 2] = [1, 2];

/// Whether the directory's logs are damaged in front of a sound write. A crash damages at most the last write, where each
/// is on the disk before the next begins.
pub(crate) fn is_damaged_within(directory: &Path) -> io::Result<bool> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        logs.extend(path.extension().is_some_and(|kind| kind == "log").then_some(path));
    }
    logs.sort(); // their numbers have as many digits
    let mut damage = Damage::default();
    for log in logs {
        if fs::read(log)?.chunks(BLOCK).any(|block| damage.precedes(block)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether something was damaged so far.
#[derive(Default)]
struct Damage(bool);

impl Damage {
    /// Whether it precedes a write that begins in this block. Where a record is damaged, its length may be, too: the next
    /// one may begin at any byte.
    fn precedes(&mut self, block: &[u8]) -> bool {
        let mut at = 0;
        while at + HEADER <= block.len() {
            match record(&block[at..]) {
                Some((kind, _)) if self.0 && BEGINNINGS.contains(&kind) => return true,
                Some((_, length)) => at += length,
                None => {
                    self.0 = true;
                    at += 1;
                }
            }
        }
        false
    }
}

/// The kind and the length of the record that the bytes begin with, if it is sound.
fn record(bytes: &[u8]) -> Option<(u8, usize)> {
    let (sum, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let end = 1 + usize::from(u16::from_le_bytes(*length));
    let (kind, sealed) = (*rest.first()?, rest.get(..end)?);
    let is_sound = kind != 0 && masked(crc32c::crc32c(sealed)) == u32::from_le_bytes(*sum);
    is_sound.then_some((kind, HEADER - 1 + end))
}

/// A sum as it is stored, so that the sum of what holds sums is not odd.
fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(kind: u8, payload: &[u8]) -> Vec<u8> {
        let sum = masked(crc32c::crc32c(&[&[kind], payload].concat()));
        let length = u16::try_from(payload.len()).unwrap();
        [&sum.to_le_bytes()[..], &length.to_le_bytes(), &[kind], payload].concat()
    }

    fn check(records: &[Vec<u8>], damage: usize, expected: bool) {
        let mut block = records.concat();
        block[damage] ^= 1;
        assert_eq!(Damage::default().precedes(&block), expected, "{damage}");
    }

    #[test]
    fn damage_in_any_byte_of_a_write_precedes_those_after_it() {
        let writes =
            [sealed(1, b"first"), sealed(2, b"the sec"), sealed(4, b"ond"), sealed(1, b"!")];
        let ends: Vec<_> = (1..=4).map(|n| writes[..n].concat().len()).collect();
        assert!(!Damage::default().precedes(&writes.concat()), "nothing is damaged");
        (0..ends[2]).for_each(|at| check(&writes, at, true));
        (ends[2]..ends[3]).for_each(|at| check(&writes, at, false));
    }

    #[test]
    fn what_is_left_of_a_torn_write_is_no_sound_one() {
        let torn = [sealed(2, b"hole"), sealed(3, b"middle"), sealed(4, b"end")];
        check(&torn, 8, false);
        let mut zeros = Damage::default();
        assert!(!zeros.precedes(&[0; BLOCK]), "room for more");
        assert!(zeros.precedes(&sealed(1, b"sound")), "a hole in the log");
    }
}
