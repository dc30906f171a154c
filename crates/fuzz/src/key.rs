//! Stored keys and values: the first byte chooses the types, the rest is what a damaged row may hold.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedServerName,
    OwnedTransactionId, OwnedUserId,
};
use tertulia_storage::{Descending, Key, Position, Reader, Value, Writer};

/// What reads as a key is written as it was, and keys sort as their bytes do.
pub(crate) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 16 {
        0 => keys::<(OwnedRoomId,)>(bytes),
        1 => keys::<(OwnedRoomId, OwnedEventId)>(bytes),
        2 => keys::<(OwnedRoomId, u32, String, String, Descending<Position>)>(bytes),
        3 => keys::<(OwnedRoomId, u32, Position)>(bytes),
        4 => keys::<(u16, Position)>(bytes),
        5 => keys::<(OwnedUserId, [u8; 32])>(bytes),
        6 => keys::<(OwnedUserId, OwnedDeviceId, OwnedTransactionId)>(bytes),
        7 => keys::<(OwnedServerName, String)>(bytes),
        8 => keys::<(OwnedRoomAliasId, bool, i64)>(bytes),
        9 => keys::<(Descending<String>, u8, Descending<OwnedUserId>)>(bytes),
        10 => value::<(OwnedEventId, Option<Position>, Vec<String>)>(bytes),
        11 => value::<(u64, i64, u16, [u8; 4])>(bytes),
        12 => value::<(Vec<Vec<Option<OwnedUserId>>>, bool)>(bytes),
        13 => value::<(BTreeMap<String, u32>,)>(bytes),
        14 => value::<(BTreeSet<OwnedRoomId>, Bytes)>(bytes),
        _ => value::<(Vec<(u8, String)>,)>(bytes),
    }
}

/// Two keys behind each other: one is read, and what it leaves is the second.
fn keys<K: Key + Ord>(bytes: &[u8]) {
    let _ = K::decode(bytes).map(|key| assert_eq!(key.encode(), bytes));
    let mut input = Reader::new(bytes);
    let Ok(first) = K::read(&mut input) else {
        return;
    };
    let rest = input.rest();
    let read = &bytes[..bytes.len() - rest.len()];
    assert_eq!(first.encode(), read, "a key has one form");
    if let Ok(second) = K::decode(rest) {
        assert_eq!(second.encode(), rest, "a key has one form");
        assert_eq!(first.cmp(&second), read.cmp(rest), "keys sort as their bytes do");
        let is_beginning = rest.starts_with(read) || read.starts_with(rest);
        assert_eq!(is_beginning, read == rest, "no key is the beginning of another");
    }
}

/// A value is refused, or what was read is written and read as the same bytes.
fn value<V: Value>(bytes: &[u8]) {
    let Ok(value) = V::read(&mut Reader::new(bytes)) else {
        return;
    };
    let written = write(&value);
    let again = V::read(&mut Reader::new(&written)).expect("what was written can be read");
    assert_eq!(write(&again), written);
}

fn write(value: &impl Value) -> Vec<u8> {
    let mut out = Writer::default();
    value.write(&mut out);
    out.finish().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_behind_each_other_are_told_apart() {
        let (first, second) = (("a".to_owned(), true), ("a\0".to_owned(), false));
        keys::<(String, bool)>(&[first.encode(), second.encode()].concat());
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        for kind in 0..16 {
            for bytes in
                [&b""[..], b"\0", b"\0\x01", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
            {
                run(&[&[kind], bytes].concat());
            }
        }
        run(b"");
    }
}
