//! Groups: rooms of several, as a chat application shows them.

mod create;
mod members;
mod membership;
mod roles;

use crate::core::User;

pub use create::NewGroup;
pub use members::{GroupMember, GroupMembers};
pub use membership::Joined;

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
