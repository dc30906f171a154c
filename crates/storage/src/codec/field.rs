use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Descending, Position, Reader, ValueError, Writer};

/// One field of a value. Fields are compact, need not keep order, and know where they end.
pub trait Field: Sized {
    /// Adds the field.
    fn write(&self, out: &mut Writer);
    /// Takes the field off again.
    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError>;
}

macro_rules! varint {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn write(&self, out: &mut Writer) {
                out.varint(u64::from(*self));
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
                Self::try_from(input.varint()?).map_err(|_| ValueError::Invalid("a number that is too large".into()))
            }
        }
    )*};
}
varint!(u16, u32, u64);

impl Field for u8 {
    fn write(&self, out: &mut Writer) {
        out.byte(*self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(input.byte()?)
    }
}

// Small negative numbers stay short when the sign moves to the lowest bit.
impl Field for i64 {
    fn write(&self, out: &mut Writer) {
        out.varint(((self << 1) ^ (self >> 63)).cast_unsigned());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        let stored = input.varint()?;
        Ok((stored >> 1).cast_signed() ^ -((stored & 1).cast_signed()))
    }
}

impl Field for bool {
    fn write(&self, out: &mut Writer) {
        out.byte(u8::from(*self));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(ValueError::Invalid(format!("{other} where yes or no was expected"))),
        }
    }
}

impl Field for Position {
    fn write(&self, out: &mut Writer) {
        out.position(*self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(input.position()?)
    }
}

impl<T: Field> Field for Descending<T> {
    fn write(&self, out: &mut Writer) {
        self.0.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        T::read(input).map(Self)
    }
}

impl<const N: usize> Field for [u8; N] {
    fn write(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(input.array()?)
    }
}

impl Field for Bytes {
    fn write(&self, out: &mut Writer) {
        out.sized(self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(Self::copy_from_slice(input.sized()?))
    }
}

impl Field for String {
    fn write(&self, out: &mut Writer) {
        out.sized(self.as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        std::str::from_utf8(input.sized()?)
            .map(str::to_owned)
            .map_err(|_| ValueError::Invalid("text that is not UTF-8".into()))
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, out: &mut Writer) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        bool::read(input)?.then(|| T::read(input)).transpose()
    }
}

impl<T: Field> Field for Box<T> {
    fn write(&self, out: &mut Writer) {
        T::write(self, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        T::read(input).map(Self::new)
    }
}

/// Adds how many there are and then each.
fn write_all<'a, T: Field + 'a>(fields: impl ExactSizeIterator<Item = &'a T>, out: &mut Writer) {
    out.varint(fields.len() as u64);
    for field in fields {
        field.write(out);
    }
}

/// Reads what [`write_all`] wrote. The stated number is not trusted with memory: it is found out by reading.
fn read_all<T: Field, C: FromIterator<T>>(input: &mut Reader<'_>) -> Result<C, ValueError> {
    (0..input.varint()?).map(|_| T::read(input)).collect()
}

impl<T: Field> Field for Vec<T> {
    fn write(&self, out: &mut Writer) {
        write_all(self.iter(), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        read_all(input)
    }
}

impl<T: Field + Ord> Field for BTreeSet<T> {
    fn write(&self, out: &mut Writer) {
        write_all(self.iter(), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        read_all(input)
    }
}

impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    fn write(&self, out: &mut Writer) {
        out.varint(self.len() as u64);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        read_all::<(K, V), _>(input)
    }
}

macro_rules! tuple_field {
    ($($field:ident $n:tt),+) => {
        impl<$($field: Field),+> Field for ($($field,)+) {
            fn write(&self, out: &mut Writer) {
                $(self.$n.write(out);)+
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
                Ok(($($field::read(input)?,)+))
            }
        }
    };
}
tuple_field!(A 0, B 1);
tuple_field!(A 0, B 1, C 2);
tuple_field!(A 0, B 1, C 2, D 3);
