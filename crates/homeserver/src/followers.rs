//! Followers: effects of the log that reach beyond the partition they began in. Each goes through
//! the log at its own pace, with a cursor that outlives the server.

mod people;

use crate::Homeserver;

impl Homeserver {
    /// Starts everything that follows the log; it ends with the server.
    pub(crate) fn follow_log(&self) {
        let core = self.core.clone();
        self.core.tasks.spawn(people::follow(core));
    }
}
