//! Push rules: which events a user wants to be told of. They are the account data `m.push_rules`,
//! which clients read as such and change one rule at a time.

use ruma::{
    OwnedUserId, UserId,
    api::client::push::PushRule,
    push::{Action, InsertPushRuleError, NewPushRule, RemovePushRuleError, RuleKind, Ruleset},
};
use serde::{Deserialize, Serialize};
use tertulia_storage::{Command, Partition, Tx, View};

use super::{PUSH_RULES, check_size, partition, put};
use crate::{
    Error, Result, User,
    schema::{ACCOUNT_DATA, AccountDatum, Scope},
};

/// The most rules of a user, the server's own included. Each may be tried on every event.
const MAX_RULES: usize = 1_000;
/// The most conditions of a rule. An event is held against one after the other.
const MAX_CONDITIONS: usize = 50;
/// The most bytes of a rule as JSON.
const MAX_RULE: usize = 8 * 1024;

/// A change of one push rule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PushRuleChange {
    /// Adds a rule, or replaces the one of its kind and ID.
    Put {
        /// The rule.
        rule: NewPushRule,
        /// Places it next below the rule of this ID.
        after: Option<String>,
        /// Places it next above the rule of this ID.
        before: Option<String>,
    },
    /// Removes a rule that the user made.
    Delete(RuleKind, String),
    /// Switches a rule on or off.
    Enable(RuleKind, String, bool),
    /// Decides what a rule does.
    Actions(RuleKind, String, Vec<Action>),
}

impl User {
    /// The user's push rules: the server's own with the user's changes.
    pub async fn push_rules(&self) -> Result<Ruleset> {
        load_rules(&self.core.store.view().await?, &self.id).await
    }

    /// Changes a push rule.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such rule, [`Error::PushRule`] if the change makes no
    /// sense, [`Error::Invalid`] for more than 50 conditions, [`Error::BodyTooLarge`] for a rule of
    /// more than 8 KiB, [`Error::TooMany`] beyond 1,000 rules.
    pub async fn change_push_rules(&self, change: PushRuleChange) -> Result<()> {
        check_kind(&change)?;
        self.core.store.write(ChangePushRules { user: self.id.clone(), change }).await?;
        Ok(())
    }
}

/// The push rules of a user.
pub(crate) async fn load_rules(view: &View, user: &UserId) -> Result<Ruleset> {
    let stored = stored(view, user).await?;
    Ok(current(user, stored.as_ref().map(|datum| &*datum.content)))
}

/// The push rules of a user as they are stored, once they differ from the server's own.
pub(crate) async fn stored(view: &View, user: &UserId) -> Result<Option<AccountDatum>> {
    Ok(view.get(&ACCOUNT_DATA, &key(user)).await?)
}

fn key(user: &UserId) -> (OwnedUserId, Scope, String) {
    (user.to_owned(), Scope::Global, PUSH_RULES.to_owned())
}

/// The content of `m.push_rules`.
#[derive(Deserialize, Serialize)]
struct Content<R> {
    global: R,
}

pub(super) fn content(rules: &Ruleset) -> String {
    serde_json::to_string(&Content { global: rules }).expect("push rules are JSON")
}

/// The rules that are stored as `stored`, brought up to date with the server's own of today.
pub(crate) fn current(user: &UserId, stored: Option<&str>) -> Ruleset {
    let default = Ruleset::server_default(user);
    let Some(stored) = stored else { return default };
    let stored: Content<Ruleset> =
        serde_json::from_str(stored).expect("push rules are stored as they are written");
    let mut rules = stored.global;
    rules.update_with_server_default(default);
    rules
}

struct ChangePushRules {
    user: OwnedUserId,
    change: PushRuleChange,
}

impl Command for ChangePushRules {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let stored = tx.get_guarded(&ACCOUNT_DATA, &key(&self.user)).await?;
        let mut rules = current(&self.user, stored.as_ref().map(|datum| &*datum.content));
        apply(&mut rules, self.change.clone())?;
        let content = content(&rules);
        check_size(&content)?;
        put(tx, &self.user, &Scope::Global, PUSH_RULES, content).await?;
        Ok(())
    }
}

/// Refuses a kind of rules that there is not.
fn check_kind(change: &PushRuleChange) -> Result<()> {
    use RuleKind::{Content, Override, Room, Sender, Underride};
    let kind = match change {
        PushRuleChange::Put { rule, .. } => rule.kind(),
        PushRuleChange::Delete(kind, _)
        | PushRuleChange::Enable(kind, ..)
        | PushRuleChange::Actions(kind, ..) => kind.clone(),
    };
    match kind {
        Content | Override | Room | Sender | Underride => Ok(()),
        _ => Err(Error::Invalid("the kind of the push rule")),
    }
}

/// Changes `rules`. After an error they are not to be used.
fn apply(rules: &mut Ruleset, change: PushRuleChange) -> Result<()> {
    let missing = |_| Error::NotFound("push rule");
    match change {
        PushRuleChange::Put { rule, after, before } => {
            check_actions(actions(&rule))?;
            if conditions(&rule) > MAX_CONDITIONS {
                return Err(Error::Invalid("the number of conditions"));
            }
            let (kind, id) = (rule.kind(), rule.rule_id().to_owned());
            place(rules, rule, after.as_deref(), before.as_deref())?;
            check_rule(rules, kind, &id)?;
            match rules.iter().count() {
                0..=MAX_RULES => Ok(()),
                _ => Err(Error::TooMany("push rules")),
            }
        }
        PushRuleChange::Delete(kind, id) => rules.remove(kind, id).map_err(|error| match error {
            RemovePushRuleError::NotFound => Error::NotFound("push rule"),
            error => Error::PushRule(error.to_string()),
        }),
        PushRuleChange::Enable(kind, id, on) => rules.set_enabled(kind, id, on).map_err(missing),
        PushRuleChange::Actions(kind, id, does) => {
            check_actions(&does)?;
            rules.set_actions(kind.clone(), &id, does).map_err(missing)?;
            check_rule(rules, kind, &id)
        }
    }
}

fn actions(rule: &NewPushRule) -> &[Action] {
    match rule {
        NewPushRule::Override(rule) | NewPushRule::Underride(rule) => &rule.actions,
        NewPushRule::Content(rule) => &rule.actions,
        NewPushRule::Room(rule) => &rule.actions,
        NewPushRule::Sender(rule) => &rule.actions,
        _ => &[],
    }
}

fn conditions(rule: &NewPushRule) -> usize {
    match rule {
        NewPushRule::Override(rule) | NewPushRule::Underride(rule) => rule.conditions.len(),
        _ => 0,
    }
}

/// Refuses a rule that is too large now.
fn check_rule(rules: &Ruleset, kind: RuleKind, id: &str) -> Result<()> {
    let rule = rules.get(kind, id).map(PushRule::from);
    match serde_json::to_string(&rule).expect("push rules are JSON").len() {
        0..=MAX_RULE => Ok(()),
        _ => Err(Error::BodyTooLarge("push rule")),
    }
}

/// Refuses actions that are neither known, nor were once, nor have somebody's own name.
fn check_actions(actions: &[Action]) -> Result<()> {
    for action in actions {
        if let Ok(serde_json::Value::String(name)) = serde_json::to_value(action)
            && !["notify", "dont_notify", "coalesce"].contains(&name.as_str())
            && !name.contains('.')
        {
            return Err(Error::PushRule(format!("there is no action `{name}`")));
        }
    }
    Ok(())
}

/// Puts a rule in its place.
fn place(
    rules: &mut Ruleset,
    rule: NewPushRule,
    after: Option<&str>,
    before: Option<&str>,
) -> Result<()> {
    let (kind, id) = (rule.kind(), rule.rule_id().to_owned());
    if [after, before].contains(&Some(&*id)) {
        return Err(Error::PushRule("a rule cannot stand next to itself".to_owned()));
    }
    let enabled = rules.get(kind.clone(), &id).map(|old| old.enabled());
    if enabled.is_some() && (after.is_some() || before.is_some()) {
        // Ruma finds the right place for new rules only: it forgets that an old one's is vacant.
        rules.remove(kind.clone(), &id).map_err(|error| Error::PushRule(error.to_string()))?;
    }
    rules.insert(rule, after, before).map_err(|error| match error {
        InsertPushRuleError::ServerDefaultRuleId | InsertPushRuleError::InvalidRuleId => {
            Error::Invalid("the ID of the push rule")
        }
        error => Error::PushRule(error.to_string()),
    })?;
    if let Some(enabled) = enabled {
        rules.set_enabled(kind, &id, enabled).expect("the rule was just put in");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ruma::{
        push::{
            EventMatchConditionData, NewConditionalPushRule, NewPatternedPushRule, PushCondition,
        },
        user_id,
    };

    use super::*;

    fn default() -> Ruleset {
        current(user_id!("@alice:x"), None)
    }

    fn word(id: &str) -> NewPushRule {
        let actions = vec![Action::Notify];
        NewPushRule::Content(NewPatternedPushRule::new(id.to_owned(), id.to_owned(), actions))
    }

    fn put(id: &str, after: Option<&str>, before: Option<&str>) -> PushRuleChange {
        let [after, before] = [after, before].map(|id| id.map(ToOwned::to_owned));
        PushRuleChange::Put { rule: word(id), after, before }
    }

    fn content_rules(rules: &Ruleset) -> Vec<&str> {
        rules.content.iter().map(|rule| rule.rule_id.as_str()).collect()
    }

    /// Puts rules one after the other and looks at the order of what comes out.
    fn check(changes: &[PushRuleChange], expected: &[&str]) {
        let mut rules = default();
        for change in changes {
            apply(&mut rules, change.clone()).unwrap();
        }
        assert_eq!(content_rules(&rules), expected, "{changes:?}");
    }

    fn check_refused(change: PushRuleChange, is_expected: fn(&Error) -> bool) {
        let mut rules = default();
        apply(&mut rules, put("known", None, None)).unwrap();
        let error = apply(&mut rules, change).unwrap_err();
        assert!(is_expected(&error), "{error:?}");
    }

    #[test]
    fn a_rule_goes_where_it_is_put() {
        let [a, b, c] = ["a", "b", "c"].map(|id| put(id, None, None));
        check(&[a.clone(), b.clone(), c.clone()], &["c", "b", "a"]);
        check(&[a.clone(), b.clone(), put("c", Some("a"), None)], &["b", "a", "c"]);
        check(&[a.clone(), b.clone(), put("c", None, Some("a"))], &["b", "c", "a"]);
        check(&[a.clone(), b.clone(), put("c", Some("b"), Some("a"))], &["b", "c", "a"]);
        // An old rule stays where it is, unless it is told where to go.
        check(&[a.clone(), b.clone(), a.clone()], &["b", "a"]);
        check(&[a.clone(), b.clone(), put("b", Some("a"), None)], &["a", "b"]);
        check(&[a.clone(), b.clone(), put("a", None, Some("b"))], &["a", "b"]);
        check(&[a.clone(), b.clone(), c, put("c", None, Some("a"))], &["b", "c", "a"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check_refused(put(".mine", None, None), |e| matches!(e, Error::Invalid(_)));
        check_refused(put("a/b", None, None), |e| matches!(e, Error::Invalid(_)));
        check_refused(put("a", Some("b"), None), |e| matches!(e, Error::PushRule(_)));
        check_refused(put("a", None, Some(".m.rule.master")), |e| matches!(e, Error::PushRule(_)));
        check_refused(put("known", None, Some("known")), |e| matches!(e, Error::PushRule(_)));
        check_refused(put("known", Some("known"), None), |e| matches!(e, Error::PushRule(_)));
        let delete = |kind, id: &str| PushRuleChange::Delete(kind, id.to_owned());
        check_refused(delete(RuleKind::Content, "a"), |e| matches!(e, Error::NotFound(_)));
        check_refused(delete(RuleKind::Override, ".m.rule.master"), |e| {
            matches!(e, Error::PushRule(_))
        });
        check_refused(delete("nonsense".into(), "a"), |e| matches!(e, Error::NotFound(_)));
        check_refused(PushRuleChange::Enable(RuleKind::Room, "a".to_owned(), true), |e| {
            matches!(e, Error::NotFound(_))
        });
        check_refused(PushRuleChange::Actions(RuleKind::Room, "a".to_owned(), vec![]), |e| {
            matches!(e, Error::NotFound(_))
        });
    }

    #[test]
    fn a_replaced_rule_stays_switched_off() {
        for after in [None, Some("b")] {
            let mut rules = default();
            let off = PushRuleChange::Enable(RuleKind::Content, "a".to_owned(), false);
            for change in [put("a", None, None), put("b", None, None), off, put("a", after, None)] {
                apply(&mut rules, change).unwrap();
            }
            assert!(!rules.get(RuleKind::Content, "a").unwrap().enabled());
            assert!(rules.get(RuleKind::Content, "b").unwrap().enabled());
        }
    }

    #[test]
    fn a_rule_of_the_user_comes_after_the_master_rule_and_before_the_others() {
        let mut rules = default();
        let rule = NewConditionalPushRule::new("mine".to_owned(), vec![], vec![]);
        let rule = NewPushRule::Override(rule);
        apply(&mut rules, PushRuleChange::Put { rule, after: None, before: None }).unwrap();
        let ids: Vec<&str> = rules.override_.iter().map(|rule| rule.rule_id.as_str()).collect();
        assert_eq!(ids[..3], [".m.rule.master", "mine", ".m.rule.suppress_notices"]);
    }

    #[test]
    fn stored_rules_keep_the_users_changes_and_learn_the_servers() {
        let mut rules = default();
        let off = PushRuleChange::Enable(RuleKind::Override, ".m.rule.master".to_owned(), true);
        apply(&mut rules, off).unwrap();
        apply(&mut rules, put("mine", None, None)).unwrap();
        rules.override_.shift_remove(".m.rule.tombstone");
        let again = current(user_id!("@alice:x"), Some(&content(&rules)));
        assert!(again.get(RuleKind::Override, ".m.rule.master").unwrap().enabled());
        assert!(again.get(RuleKind::Override, ".m.rule.tombstone").is_some());
        assert_eq!(content_rules(&again), ["mine"]);
    }

    #[test]
    fn there_are_at_most_a_thousand_rules() {
        let mut rules = default();
        let room = MAX_RULES - rules.iter().count();
        for n in 0..room {
            apply(&mut rules, put(&format!("r{n}"), None, None)).unwrap();
        }
        let error = apply(&mut rules, put("more", None, None)).unwrap_err();
        assert!(matches!(error, Error::TooMany(_)));
    }

    fn on(conditions: usize, pattern: usize) -> PushRuleChange {
        let pattern = "p".repeat(pattern);
        let condition = EventMatchConditionData::new("k".to_owned(), pattern);
        let condition = PushCondition::EventMatch(condition);
        let conditions = vec![condition; conditions];
        let rule = NewConditionalPushRule::new("mine".to_owned(), conditions, vec![]);
        PushRuleChange::Put { rule: NewPushRule::Override(rule), after: None, before: None }
    }

    #[test]
    fn a_rule_is_of_a_bounded_size() {
        let mut rules = default();
        apply(&mut rules, on(MAX_CONDITIONS, 1)).unwrap();
        let error = apply(&mut default(), on(MAX_CONDITIONS + 1, 1)).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        apply(&mut default(), on(1, MAX_RULE - 200)).unwrap();
        let actions = vec![Action::Notify; MAX_RULE / 8];
        let many = PushRuleChange::Actions(RuleKind::Override, "mine".to_owned(), actions);
        for large in [on(1, MAX_RULE), many] {
            let error = apply(&mut rules.clone(), large).unwrap_err();
            assert!(matches!(error, Error::BodyTooLarge(_)), "{error}");
        }
    }

    #[test]
    fn a_kind_of_rules_that_there_is_not_is_refused() {
        let id = || "mine".to_owned();
        for change in [
            PushRuleChange::Delete("odd".into(), id()),
            PushRuleChange::Enable("odd".into(), id(), true),
            PushRuleChange::Actions("odd".into(), id(), Vec::new()),
        ] {
            assert!(matches!(check_kind(&change), Err(Error::Invalid(_))), "{change:?}");
        }
        check_kind(&put("a", None, None)).unwrap();
    }
}
