//! What devices have been told of, as far as the server remembers: up to where each asked to go on
//! when it last synced.

use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use tertulia_storage::Position;

use crate::core::Core;

/// Of how many devices it is kept. Of all others it is not known.
const CAPACITY: usize = 20_000;

struct Told(Cache<(OwnedUserId, OwnedDeviceId), Position>);

impl Default for Told {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

/// A device has been told what happened up to `position`; nothing, if there is none.
pub(crate) fn note_told(core: &Core, user: &UserId, device: &DeviceId, position: Option<Position>) {
    let key = (user.to_owned(), device.to_owned());
    core.local::<Told>().0.insert(key, position.unwrap_or(Position::ZERO));
}

/// Up to where a device has been told what happened; where nobody knows, that is nothing.
pub(crate) fn known_to(core: &Core, user: &UserId, device: &DeviceId) -> Position {
    let key = (user.to_owned(), device.to_owned());
    core.local::<Told>().0.get(&key).unwrap_or(Position::ZERO)
}
