//! Ordered, transactional key–value storage behind typed tables.
//!
//! A [`Store`] is opened over an [`Engine`]. Whoever reads asks it for a [`View`], one settled state; whoever writes
//! hands it a [`Command`], which runs on a [`Tx`] in the lane of its [`Partition`] and is committed as a whole.
//! [`Table`]s are declared once, with the types of their keys and values, so that no caller names a column by string
//! or glues a key by hand. New log entries get their [`Position`] in the commit. [`Topic`]s wake those who wait.
//!
//! Below, [`Engine`] and [`Snapshot`] are the seam, in bytes. Embedded engines bring a [`Local`] store and share
//! everything else ([`LocalEngine`]); [`MemoryEngine`] is the one for tests.
//!
//! ```
//! use tertulia_storage::{Command, Error, MemoryEngine, Partition, Result, Store, StoreOptions, Table, Tx};
//!
//! /// Who → how often they were greeted.
//! const GREETINGS: Table<(String,), (u64,)> = Table::new(1, "greetings");
//!
//! struct Greet(String);
//!
//! impl Command for Greet {
//!     type Out = u64;
//!     type Error = Error;
//!
//!     fn partition(&self) -> Partition {
//!         Partition::of("greetings", &self.0)
//!     }
//!
//!     async fn run(&self, tx: &mut Tx) -> Result<u64> {
//!         let key = (self.0.clone(),);
//!         let (before,) = tx.get_guarded(&GREETINGS, &key).await?.unwrap_or((0,));
//!         tx.put(&GREETINGS, &key, &(before + 1,));
//!         Ok(before + 1)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
//! let store = Store::open(MemoryEngine::default(), StoreOptions::default()).await?;
//! store.write(Greet("Ana".into())).await?;
//! assert_eq!(store.write(Greet("Ana".into())).await?.out, 2);
//! assert_eq!(store.view().await?.get(&GREETINGS, &("Ana".into(),)).await?, Some((2,)));
//! # Ok(()) }
//! ```

#![deny(missing_docs)]

mod chunks;
mod codec;
mod committer;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod engine;
mod error;
mod follow;
mod format;
mod lane;
mod local;
mod memory;
mod own;
mod store;
mod table;
pub mod testing;
mod topics;
mod tx;
mod unchanged;
mod view;

pub use chunks::MAX_WHOLE;
pub use codec::{
    Descending, Field, Json, Key, KeyError, KeyPart, Place, Position, Reader, Value, ValueError,
    Writer,
};
pub use engine::{
    Answer, Commit, Direction, Durability, Engine, MAX_COMMIT_BYTES, MAX_COMMIT_ROWS, MAX_ROW,
    MAX_VALUE, Receipt, Row, RowRange, Snapshot, TableId, Write, at_once,
};
pub use error::{Error, Result};
pub use follow::{Follower, Start};
pub use format::{Migration, Progress, StoreOptions, check_format};
pub use lane::Partition;
pub use local::{Batch, Local, LocalEngine, Reach, Rows, reading_in_place};
pub use memory::{Memory, MemoryEngine};
pub use store::{Command, Committed, Store};
pub use table::Table;
pub use topics::{Bell, Topic, Watch};
pub use tx::Tx;
pub use view::View;
