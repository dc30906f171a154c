//! The stored forms of keys and values: laws, and bytes that may never change.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use bytes::Bytes;
use proptest::prelude::*;
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UInt, event_id,
    events::{StateEventType, TimelineEventType},
    room_id, user_id,
};
use tertulia_storage::{
    Descending, Field, Json, Key, KeyError, KeyPart, Position, Reader, Value, ValueError, Writer,
    record,
};

/// Text with what is hard for keys: zeros, ones, what lies around them, and other alphabets.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!['\0', '\u{1}', 'a', 'b', 'ÿ', '\u{10FFFF}']),
        0..5,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, any::<u64>(), (u64::MAX - 3)..=u64::MAX]
}

fn check_key<K: Key + Ord + Debug>(a: &K, b: &K) {
    let (first, second) = (a.encode(), b.encode());
    assert_eq!(a.cmp(b), first.cmp(&second), "{a:?} {b:?}");
    assert_eq!(K::decode(&first).as_ref(), Ok(a));
    assert_eq!(K::decode(&second).as_ref(), Ok(b));
}

proptest! {
    #[test]
    fn keys_sort_as_their_bytes_do(
        a in (text(), number(), text(), any::<i64>(), any::<bool>()),
        b in (text(), number(), text(), any::<i64>(), any::<bool>()),
    ) {
        check_key(&a, &b);
        check_key(&(a.3, a.4, a.0.clone()), &(b.3, b.4, b.0.clone()));
        check_key(&(a.1 as u8, a.1 as u16, a.1 as u32, a.1), &(b.1 as u8, b.1 as u16, b.1 as u32, b.1));
        let newest = |key: &(String, u64, String, i64, bool)| {
            (key.0.clone(), Descending(Position::new(key.1)), Descending(key.2.clone()), Descending(key.3))
        };
        check_key(&newest(&a), &newest(&b));
        check_key(&(Descending(a.0), a.1), &(Descending(b.0), b.1));
    }

    #[test]
    fn a_shorter_key_is_a_prefix_of_its_own_longer_ones_only(a in (text(), text()), b in (text(), text())) {
        let is_prefix = (b.0.clone(), b.1).encode().starts_with(&(a.0.clone(),).encode());
        prop_assert_eq!(is_prefix, a.0 == b.0);
    }

    #[test]
    fn damaged_keys_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(key) = <(String, u64, bool)>::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes.clone());
        }
        let _ = <(OwnedUserId, Descending<String>)>::decode(&bytes);
    }

    #[test]
    fn values_come_back(record in record(), raw in prop::collection::vec(any::<u8>(), 0..50)) {
        check_value(&record);
        check_value(&Bytes::from(raw));
        check_value(&(record.clone(), record.words.clone()));
        check_value(&Json(record.counts));
        check_value(&());
    }

    #[test]
    fn damaged_values_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read::<Everything>(&bytes);
        let _ = read::<Json<BTreeMap<String, u64>>>(&bytes);
        let _ = read::<(Vec<Vec<u64>>, OwnedEventId)>(&bytes);
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Everything {
    small: u8,
    number: u64,
    signed: i64,
    flag: bool,
    words: Vec<String>,
    maybe: Option<Box<u32>>,
    position: Position,
    counts: BTreeMap<String, u64>,
    set: BTreeSet<i64>,
    raw: Bytes,
    pair: (u16, String),
    digest: [u8; 4],
}
record!(Everything = 1 {
    small, number, signed, flag, words, maybe, position, counts, set, raw, pair, digest
});

fn record() -> impl Strategy<Value = Everything> {
    let numbers = (
        any::<u8>(),
        number(),
        any::<i64>(),
        any::<bool>(),
        any::<Option<u32>>(),
        any::<[u8; 4]>(),
    );
    let many = (
        prop::collection::vec(text(), 0..4),
        prop::collection::btree_map(text(), number(), 0..4),
        prop::collection::btree_set(any::<i64>(), 0..4),
    );
    (numbers, many).prop_map(
        |((small, number, signed, flag, maybe, digest), (words, counts, set))| Everything {
            small,
            number,
            signed,
            flag,
            raw: words.concat().into(),
            pair: (u16::from(small), words.concat()),
            words,
            maybe: maybe.map(Box::new),
            position: Position::new(number >> 1),
            counts,
            set,
            digest,
        },
    )
}

fn bytes_of(value: &impl Value) -> Vec<u8> {
    let mut out = Writer::default();
    value.write(&mut out);
    out.finish().0
}

fn read<V: Value>(bytes: &[u8]) -> Result<V, ValueError> {
    V::read(&mut Reader::new(bytes))
}

fn check_value<V: Value + PartialEq + Debug>(value: &V) {
    assert_eq!(read::<V>(&bytes_of(value)).as_ref(), Ok(value));
}

fn check_key_bytes(key: &impl Key, expected: &[u8]) {
    assert_eq!(key.encode().escape_ascii().to_string(), expected.escape_ascii().to_string());
}

fn check_value_bytes(value: &impl Value, expected: &[u8]) {
    assert_eq!(bytes_of(value).escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn golden_bytes_of_keys() {
    let room: OwnedRoomId = room_id!("!r:x").to_owned();
    check_key_bytes(&(room.clone(), Position::new(258)), b"!r:x\0\x01\0\0\0\0\0\0\x01\x02");
    check_key_bytes(
        &(room, Descending(Position::new(258))),
        b"!r:x\0\x01\xff\xff\xff\xff\xff\xff\xfe\xfd",
    );
    check_key_bytes(
        &("a\0b".to_owned(), 7_u8, -1_i64),
        b"a\0\xffb\0\x01\x07\x7f\xff\xff\xff\xff\xff\xff\xff",
    );
    check_key_bytes(
        &(Descending("a".to_owned()), true, 1_u16, 2_u32),
        b"\x9e\xff\xfe\x01\0\x01\0\0\0\x02",
    );
    check_key_bytes(&([1_u8, 2], StateEventType::RoomMember), b"\x01\x02m.room.member\0\x01");
    check_key_bytes(&(), b"");
}

#[test]
fn golden_bytes_of_values() {
    let user: OwnedUserId = user_id!("@u:x").to_owned();
    check_value_bytes(&(user, Position::new(3)), b"\x01\x04@u:x\0\0\0\0\0\0\0\x03");
    check_value_bytes(&(300_u64, -2_i64, true), b"\x01\xac\x02\x03\x01");
    check_value_bytes(&(vec!["a".to_owned(), String::new()], None::<u8>), b"\x01\x02\x01a\0\0");
    check_value_bytes(&(Some(5_u32), Bytes::from_static(b"raw")), b"\x01\x01\x05\x03raw");
    check_value_bytes(&Json(vec![1, 2]), b"\x01[1,2]");
    check_value_bytes(&(Json(vec![1, 2]),), b"\x01\x05[1,2]");
    check_value_bytes(&Bytes::from_static(b"{}"), b"{}");
    check_value_bytes(&(), b"");
    check_value_bytes(&(RoomVersionId::V11, UInt::from(9_u8)), b"\x01\x0211\x09");
    check_value_bytes(&(TimelineEventType::RoomMessage,), b"\x01\x0em.room.message");
}

#[derive(Debug, PartialEq)]
struct Head {
    depth: u64,
    name: String,
}
record!(Head = 1 { depth, name });

mod later {
    use tertulia_storage::record;

    #[derive(Debug, PartialEq)]
    pub(super) struct Head {
        pub depth: u64,
        pub name: String,
        pub avatar: Option<String>,
        pub twice: u64,
    }
    record!(Head = 3 { depth, name } since 2 { avatar = None } since 3 { twice = depth * 2 });
}

#[test]
fn golden_bytes_of_records() {
    check_value_bytes(&Head { depth: 5, name: "n".into() }, b"\x01\x05\x01n");
    let newer = later::Head { depth: 5, name: "n".into(), avatar: Some("a".into()), twice: 11 };
    check_value_bytes(&newer, b"\x03\x05\x01n\x01\x01a\x0b");
    // Within another value a record keeps its version.
    check_value_bytes(&(Head { depth: 5, name: "n".into() }, 1_u8), b"\x01\x01\x05\x01n\x01");
}

#[test]
fn newer_records_read_older_rows_and_not_the_other_way_round() {
    let old = later::Head { depth: 5, name: "n".into(), avatar: None, twice: 10 };
    assert_eq!(read::<later::Head>(b"\x01\x05\x01n"), Ok(old));
    let middle = later::Head { depth: 5, name: "n".into(), avatar: Some("a".into()), twice: 10 };
    assert_eq!(read::<later::Head>(b"\x02\x05\x01n\x01\x01a"), Ok(middle));
    assert_eq!(
        read::<Head>(b"\x03\x05\x01n\x01\x01a\x0b"),
        Err(ValueError::Version { found: 3, newest: 1 })
    );
    assert_eq!(read::<Head>(b"\0\x05\x01n"), Err(ValueError::Version { found: 0, newest: 1 }));
}

#[test]
fn keys_that_do_not_read_say_why() {
    assert_eq!(<(u64,)>::decode(b"\0\0"), Err(KeyError::Truncated));
    assert_eq!(<(u8,)>::decode(b"\0\0"), Err(KeyError::Trailing));
    assert_eq!(<(bool,)>::decode(b"\x02"), Err(KeyError::Invalid));
    assert_eq!(<(String,)>::decode(b"a\0\x02"), Err(KeyError::Invalid));
    assert_eq!(<(String,)>::decode(b"\xff\0\x01"), Err(KeyError::Invalid));
    assert_eq!(<(OwnedUserId,)>::decode(b"nobody\0\x01"), Err(KeyError::Invalid));
}

#[test]
fn identifiers_are_checked_when_they_are_read() {
    let event = event_id!("$e:x").to_owned();
    check_value(&(event, Some(user_id!("@u:x").to_owned())));
    assert!(matches!(read::<(OwnedEventId,)>(b"\x01\x02ab"), Err(ValueError::Invalid(_))));
}

/// An enum whose stored form is written by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Rejected,
    At(Position),
}

impl Field for Verdict {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Rejected => out.byte(0),
            Self::At(position) => {
                out.byte(1);
                Field::write(position, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        match input.byte()? {
            0 => Ok(Self::Rejected),
            1 => Ok(Self::At(Field::read(input)?)),
            other => Err(ValueError::Invalid(format!("verdict {other}"))),
        }
    }
}

#[test]
fn writers_know_where_positions_stand() {
    let mut out = Writer::default();
    KeyPart::write(&"ab".to_owned(), &mut out);
    KeyPart::write(&Descending(Position::here(1)), &mut out);
    Field::write(
        &vec![Verdict::Rejected, Verdict::At(Position::here(0)), Verdict::At(Position::new(4))],
        &mut out,
    );
    let (_, places) = out.finish();
    assert_eq!(
        places.iter().map(|place| (place.at, place.flipped)).collect::<Vec<_>>(),
        [(4, true), (15, false)]
    );
}

#[test]
fn promised_positions_come_after_all_known_ones() {
    assert!(Position::MAX < Position::here(0) && Position::here(0) < Position::here(1));
    assert_eq!(Position::here(3).resolved(Position::new(10)), Position::new(13));
    assert_eq!(Position::new(3).resolved(Position::new(10)), Position::new(3));
    assert_eq!(format!("{:?} {}", Position::here(3), Position::new(3)), "here+3 3");
    assert_eq!(Position::ZERO.next().get(), 1);
}
