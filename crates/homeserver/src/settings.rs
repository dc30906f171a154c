//! What an owner of a server decides.

use ruma::RoomVersionId;

/// What an owner of a server decides. The defaults are right for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The version of rooms whose creator does not name one.
    pub default_room_version: RoomVersionId,
    /// How many events are kept parsed in memory.
    pub cached_events: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { default_room_version: RoomVersionId::V12, cached_events: 4_000 }
    }
}
