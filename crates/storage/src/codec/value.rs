use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{Field, KeyError, Reader, Writer};

/// A stored value that does not read as its table says it should.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ValueError {
    /// The bytes stop inside a field.
    #[error("the value ends early")]
    Truncated,
    /// There are more bytes than fields.
    #[error("the value has bytes left over")]
    Trailing,
    /// A newer program wrote this value, or nobody did.
    #[error("the value has version {found}, known are 1 to {newest}")]
    Version {
        /// The version byte.
        found: u8,
        /// The newest one this program knows.
        newest: u8,
    },
    /// A field is not what its type allows.
    #[error("the value holds {0}")]
    Invalid(String),
}

impl From<KeyError> for ValueError {
    fn from(error: KeyError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// What a table keeps under a key.
pub trait Value: Sized {
    /// Adds the value.
    fn write(&self, out: &mut Writer);
    /// Reads the value; whoever calls sees to what is left.
    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError>;
}

/// Raw bytes, without a version: for what has a form of its own, such as the canonical JSON of events.
impl Value for Bytes {
    fn write(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(Self::copy_from_slice(input.rest()))
    }
}

/// Nothing: the key says it all.
impl Value for () {
    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(())
    }
}

/// Anything that serde can write, as JSON. Positions inside are not put in by the commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    fn write(&self, out: &mut Writer) {
        out.byte(1);
        out.bytes(&serde_json::to_vec(&self.0).expect("types that are stored have a JSON form"));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        input.version(1)?;
        from_json(input.rest())
    }
}

impl<T: Serialize + DeserializeOwned> Field for Json<T> {
    fn write(&self, out: &mut Writer) {
        out.sized(&serde_json::to_vec(&self.0).expect("types that are stored have a JSON form"));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        from_json(input.sized()?)
    }
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<Json<T>, ValueError> {
    serde_json::from_slice(bytes).map(Json).map_err(|error| ValueError::Invalid(error.to_string()))
}

macro_rules! tuple_value {
    ($($field:ident $n:tt),+) => {
        impl<$($field: Field),+> Value for ($($field,)+) {
            fn write(&self, out: &mut Writer) {
                out.byte(1);
                $(self.$n.write(out);)+
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
                input.version(1)?;
                Ok(($($field::read(input)?,)+))
            }
        }
    };
}
tuple_value!(A 0);
tuple_value!(A 0, B 1);
tuple_value!(A 0, B 1, C 2);
tuple_value!(A 0, B 1, C 2, D 3);
