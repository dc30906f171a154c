//! Groups: rooms of several, as a chat application shows them.

mod members;

use crate::core::User;

pub use members::{GroupMember, GroupMembers};

/// The groups of a user, who acts in them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Groups {
    user: User,
}

impl User {
    /// The user's groups.
    pub fn groups(&self) -> Groups {
        Groups { user: self.clone() }
    }
}

#[cfg(test)]
mod tests;
