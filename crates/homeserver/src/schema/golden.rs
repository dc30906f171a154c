//! Holds rows and keys to the bytes in which they were first stored: later programs read them for ever.

use std::fmt::Debug;

use tertulia_storage::{Key, Reader, Value, Writer};

/// Checks that `row` is stored as these bytes, and read from them.
#[track_caller]
pub(super) fn check<T: Value + PartialEq + Debug>(row: &T, golden: impl AsRef<[u8]>) {
    let mut out = Writer::default();
    row.write(&mut out);
    assert_same(&out.finish().0, golden.as_ref(), row);
    check_old(row, golden);
}

/// Checks that these bytes, which an older version of the program wrote, are read as `row`.
#[track_caller]
pub(super) fn check_old<T: Value + PartialEq + Debug>(row: &T, golden: impl AsRef<[u8]>) {
    let read = T::read(&mut Reader::new(golden.as_ref()));
    assert_eq!(read.unwrap(), *row, "read from {}", digits(golden.as_ref()));
}

/// Checks that `key` is stored as these bytes, and read from them.
#[track_caller]
pub(super) fn check_key<T: Key + PartialEq + Debug>(key: &T, golden: impl AsRef<[u8]>) {
    let mut out = Writer::default();
    key.write(&mut out);
    assert_same(&out.finish().0, golden.as_ref(), key);
    assert_eq!(T::read(&mut Reader::new(golden.as_ref())).unwrap(), *key);
}

/// The bytes that are written so, for those that no text is in.
#[track_caller]
pub(super) fn hex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits a byte");
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[track_caller]
fn assert_same(bytes: &[u8], golden: &[u8], of: &dyn Debug) {
    assert_eq!(digits(bytes), digits(golden), "{of:?}");
}

/// Bytes as a failure shows them.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
