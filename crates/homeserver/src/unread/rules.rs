//! A user's push rules, ready to be asked, kept in memory under their version.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use ruma::{
    OwnedUserId, RoomId, UserId,
    push::{Action, AnyPushRuleRef, PushCondition, Ruleset},
};
use tertulia_protocol::push::{self, Judgement};
use tertulia_storage::{Position, View};

use super::count::Look;
use crate::{Result, account_data::push_rules, core::Core};

/// Of how many users the rules are kept.
const CAPACITY: usize = 5_000;

/// What the rules said of events that look so, where that depends on nothing else.
type Judged = Mutex<HashMap<Look, Judgement>>;

/// A user's push rules, and what one has to know to ask them.
#[derive(Debug)]
pub(crate) struct UserRules {
    /// When they last changed.
    pub(crate) at: Position,
    pub(super) rules: Ruleset,
    pub(super) ask_who_sent: bool,
    pub(super) ask_for_display_name: bool,
    /// What they said, if they are predefined ones only, which say the same in all rooms.
    pub(super) judged: Option<Arc<Judged>>,
    /// Up to where in the log they did not change.
    seen: AtomicU64,
}

/// The rules that were asked last.
struct Memory {
    users: Cache<OwnedUserId, Arc<UserRules>>,
    /// What the predefined rules say, of those who have changed none.
    judged: Arc<Judged>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { users: Cache::new(CAPACITY), judged: Arc::default() }
    }
}

impl UserRules {
    /// The rules of `user`, who has changed none of them after `untouched`, if it is known.
    pub(crate) async fn of(
        view: &View,
        core: &Core,
        user: &UserId,
        untouched: Option<Position>,
    ) -> Result<Arc<Self>> {
        let memory = core.local::<Memory>();
        let known = memory.users.get(user);
        let holds = |known: &Arc<Self>| untouched.is_some_and(|since| known.is_of(since));
        if let Some(known) = known.as_ref().filter(|known| holds(known)) {
            known.holds_at(view.settled());
            return Ok(known.clone());
        }
        let stored = push_rules::stored(view, user).await?;
        let at = stored.as_ref().map_or(Position::ZERO, |stored| stored.at);
        if let Some(known) = known.filter(|known| known.at == at) {
            known.holds_at(view.settled());
            return Ok(known);
        }
        let rules = push_rules::current(user, stored.as_ref().map(|stored| &*stored.content));
        let shared = stored.is_none().then(|| memory.judged.clone());
        let rules = Arc::new(Self::new(at, rules, shared));
        rules.holds_at(view.settled());
        memory.users.insert(user.to_owned(), rules.clone());
        Ok(rules)
    }

    fn new(at: Position, rules: Ruleset, shared: Option<Arc<Judged>>) -> Self {
        let own = |rule: AnyPushRuleRef<'_>| rule.enabled() && !rule.is_server_default();
        let has_own = rules.iter().any(own);
        Self {
            at,
            ask_who_sent: push::asks_who_sent(&rules),
            ask_for_display_name: push::asks_for_display_name(&rules),
            judged: (!has_own).then(|| shared.unwrap_or_default()),
            rules,
            seen: AtomicU64::new(0),
        }
    }

    /// Whether the user does not want to be notified of anything in `room`: one of their own rules says
    /// so of the room as such.
    pub(crate) fn mutes(&self, room: &RoomId) -> bool {
        let silent = |actions: &[Action]| !actions.iter().any(Action::should_notify);
        let names = |condition: &PushCondition| {
            matches!(condition, PushCondition::EventMatch(matches)
                if matches.key == "room_id" && matches.pattern == room.as_str())
        };
        let of_room = self.rules.room.iter().find(|rule| rule.rule_id == *room);
        of_room.is_some_and(|rule| rule.enabled && silent(&rule.actions))
            || self.rules.override_.iter().any(|rule| {
                let is_whole = !rule.conditions.is_empty() && rule.conditions.iter().all(names);
                rule.enabled && is_whole && silent(&rule.actions)
            })
    }

    /// Whether they are those of everywhere after `since`.
    fn is_of(&self, since: Position) -> bool {
        self.seen.load(Ordering::Relaxed) >= since.get()
    }

    fn holds_at(&self, settled: Position) {
        self.seen.fetch_max(settled.get(), Ordering::Relaxed);
    }
}
