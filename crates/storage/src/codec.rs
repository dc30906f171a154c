//! How keys and values become bytes.
//!
//! Keys keep order: `a < b` exactly when the bytes of `a` sort below those of `b`. Values are compact and carry a
//! version. Both are written through a [`Writer`], which remembers where positions stand that only the commit knows.

mod field;
mod identifiers;
mod key;
mod position;
mod record;
mod value;
mod writer;

pub use field::Field;
pub use key::{Descending, Key, KeyError, KeyPart};
pub use position::Position;
pub use value::{Json, Value, ValueError};
pub(crate) use writer::resolve;
pub use writer::{Place, Reader, Writer};
