use super::{Position, Reader, Writer};

/// A stored key that does not read as its table says it should.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// The bytes stop inside a part.
    #[error("the key ends early")]
    Truncated,
    /// There are more bytes than parts.
    #[error("the key has bytes left over")]
    Trailing,
    /// A part is not what its type allows.
    #[error("the key holds an invalid part")]
    Invalid,
}

/// One part of a key. Its bytes sort as its values do, and no part's bytes are the beginning of another's.
pub trait KeyPart: Sized + Send + Sync {
    /// Adds the part.
    fn write(&self, out: &mut Writer);
    /// Takes the part off again.
    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError>;
}

/// A whole key: a tuple of parts. A shorter tuple is a prefix of the longer ones that begin with it.
pub trait Key: Sized + Send + Sync {
    /// Adds all parts.
    fn write(&self, out: &mut Writer);
    /// Takes all parts off; whoever calls sees to what is left.
    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError>;

    /// The key's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.write(&mut out);
        out.finish().0
    }

    /// The key that has these bytes.
    fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut input = Reader::new(bytes);
        let key = Self::read(&mut input)?;
        if input.is_empty() { Ok(key) } else { Err(KeyError::Trailing) }
    }
}

/// A key part that sorts the other way round: the newest position first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Descending<T>(pub T);

impl<T: Ord> Ord for Descending<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

impl<T: Ord> PartialOrd for Descending<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: KeyPart> KeyPart for Descending<T> {
    fn write(&self, out: &mut Writer) {
        out.flipped(|out| self.0.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        input.flipped(T::read).map(Self)
    }
}

macro_rules! big_endian {
    ($($number:ty),*) => {$(
        impl KeyPart for $number {
            fn write(&self, out: &mut Writer) {
                out.bytes(&self.to_be_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
                Ok(Self::from_be_bytes(input.array()?))
            }
        }
    )*};
}
big_endian!(u8, u16, u32, u64);

// With the sign bit turned over, negative numbers sort below the others.
impl KeyPart for i64 {
    fn write(&self, out: &mut Writer) {
        out.bytes(&(self.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok((u64::from_be_bytes(input.array()?) ^ (1 << 63)).cast_signed())
    }
}

impl KeyPart for bool {
    fn write(&self, out: &mut Writer) {
        out.byte(u8::from(*self));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(KeyError::Invalid),
        }
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    fn write(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(input.array()?)
    }
}

impl KeyPart for Position {
    fn write(&self, out: &mut Writer) {
        out.position(*self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(input.position()?)
    }
}

impl KeyPart for String {
    fn write(&self, out: &mut Writer) {
        write_text(self, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        read_text(input)
    }
}

// A string is its bytes with 0x00 written as 0x00 0xFF, closed by 0x00 0x01. The closing pair sorts below every
// continuation, so "a" < "a\0" < "ab" holds, whatever part follows.
pub(super) fn write_text(text: &str, out: &mut Writer) {
    let mut pieces = text.as_bytes().split(|&byte| byte == 0);
    out.bytes(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.bytes(&[0, 0xFF]);
        out.bytes(piece);
    }
    out.bytes(&[0, 1]);
}

pub(super) fn read_text(input: &mut Reader<'_>) -> Result<String, KeyError> {
    let mut text = Vec::new();
    loop {
        let (piece, mark) = input.until_zero()?;
        input.unflip_into(piece, &mut text);
        match mark {
            1 => return String::from_utf8(text).map_err(|_| KeyError::Invalid),
            0xFF => text.push(0),
            _ => return Err(KeyError::Invalid),
        }
    }
}

/// The empty key: the prefix of all keys.
impl Key for () {
    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(())
    }
}

macro_rules! tuple_key {
    ($($part:ident $n:tt),+) => {
        impl<$($part: KeyPart),+> Key for ($($part,)+) {
            fn write(&self, out: &mut Writer) {
                $(self.$n.write(out);)+
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
                Ok(($($part::read(input)?,)+))
            }
        }
    };
}
tuple_key!(A 0);
tuple_key!(A 0, B 1);
tuple_key!(A 0, B 1, C 2);
tuple_key!(A 0, B 1, C 2, D 3);
tuple_key!(A 0, B 1, C 2, D 3, E 4);
tuple_key!(A 0, B 1, C 2, D 3, E 4, F 5);
