//! A user's push rules, ready to be asked, kept in memory under their version.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedUserId, UserId, push::Ruleset};
use tertulia_protocol::push;
use tertulia_storage::{Position, View};

use crate::{Result, account_data::push_rules, core::Core};

/// Of how many users the rules are kept.
const CAPACITY: usize = 5_000;

/// A user's push rules, and what one has to know to ask them.
#[derive(Debug)]
pub(crate) struct UserRules {
    /// When they last changed.
    pub(crate) at: Position,
    pub(super) rules: Ruleset,
    pub(super) ask_who_sent: bool,
    pub(super) ask_for_display_name: bool,
}

/// The rules that were asked last.
struct Memory(Cache<OwnedUserId, Arc<UserRules>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl UserRules {
    /// The rules of `user`.
    pub(crate) async fn of(view: &View, core: &Core, user: &UserId) -> Result<Arc<Self>> {
        let stored = push_rules::stored(view, user).await?;
        let at = stored.as_ref().map_or(Position::ZERO, |stored| stored.at);
        let memory = core.local::<Memory>();
        if let Some(known) = memory.0.get(user).filter(|known| known.at == at) {
            return Ok(known);
        }
        let rules = push_rules::current(user, stored.as_ref().map(|stored| &*stored.content));
        let (ask_who_sent, ask_for_display_name) =
            (push::asks_who_sent(&rules), push::asks_for_display_name(&rules));
        let rules = Arc::new(Self { at, rules, ask_who_sent, ask_for_display_name });
        memory.0.insert(user.to_owned(), rules.clone());
        Ok(rules)
    }
}
