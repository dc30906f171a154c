//! What a user decided about a room holds for the room that replaces it: its tags, that it is a
//! direct chat, and the push rules that name it (client-server API, "Room upgrades").

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId,
    push::{
        ConditionalPushRule, NewConditionalPushRule, NewPushRule, NewSimplePushRule, PushCondition,
        Ruleset,
    },
};
use serde_json::{Map, Value};
use tertulia_storage::{Command, Partition, Position, Tx};

use super::{DIRECT, PUSH_RULES, TAG, check_size, direct::note_listed, partition, push_rules, put};
use crate::{
    Error, Result, User,
    schema::{ACCOUNT_DATA, Scope},
};

/// Lets what the user decided about `old` hold for `new`, where nothing was decided about that.
pub(crate) async fn carry_settings(user: &User, old: &RoomId, new: &RoomId) -> Result<()> {
    let command = Carry { user: user.id.clone(), old: old.to_owned(), new: new.to_owned() };
    match user.core.store.write(command).await {
        // There is nobody left whose settings they are.
        Err(Error::Deactivated) => Ok(()),
        carried => carried.map(drop),
    }
}

struct Carry {
    user: OwnedUserId,
    old: OwnedRoomId,
    new: OwnedRoomId,
}

impl Command for Carry {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        self.tags(tx).await?;
        self.direct(tx).await?;
        self.push_rules(tx).await
    }
}

impl Carry {
    async fn tags(&self, tx: &mut Tx) -> Result<()> {
        let new = Scope::Room(self.new.clone());
        let Some(tags) = self.datum(tx, Scope::Room(self.old.clone()), TAG).await? else {
            return Ok(());
        };
        if self.datum(tx, new.clone(), TAG).await?.is_none() {
            put(tx, &self.user, &new, TAG, tags).await?;
        }
        Ok(())
    }

    async fn direct(&self, tx: &mut Tx) -> Result<()> {
        let direct = self.datum(tx, Scope::Global, DIRECT).await?;
        if let Some(content) = direct.and_then(|direct| direct_with(&direct, &self.old, &self.new))
            && let Some(at) = self.put_global(tx, DIRECT, content).await?
        {
            note_listed(tx, &self.user, &self.new, at);
        }
        Ok(())
    }

    async fn push_rules(&self, tx: &mut Tx) -> Result<()> {
        // Who has changed none has none that name a room.
        let Some(stored) = self.datum(tx, Scope::Global, PUSH_RULES).await? else { return Ok(()) };
        let mut rules = push_rules::current(&self.user, Some(&stored));
        if copy_rules(&mut rules, &self.old, &self.new) {
            self.put_global(tx, PUSH_RULES, push_rules::content(&rules)).await?;
        }
        Ok(())
    }

    async fn datum(&self, tx: &Tx, scope: Scope, kind: &str) -> Result<Option<String>> {
        let key = (self.user.clone(), scope, kind.to_owned());
        Ok(tx.get_guarded(&ACCOUNT_DATA, &key).await?.map(|datum| datum.content))
    }

    /// Sets what did not become too large.
    async fn put_global(
        &self,
        tx: &mut Tx,
        kind: &str,
        content: String,
    ) -> Result<Option<Position>> {
        match check_size(&content) {
            Ok(()) => put(tx, &self.user, &Scope::Global, kind, content).await.map(Some),
            Err(_) => Ok(None),
        }
    }
}

/// The content of `m.direct` with `new` beside `old`, if it names `old` and not yet `new`.
fn direct_with(content: &str, old: &RoomId, new: &RoomId) -> Option<String> {
    let mut content: Map<String, Value> = serde_json::from_str(content).ok()?;
    let mut changes = false;
    for rooms in content.values_mut().filter_map(Value::as_array_mut) {
        let names = |room: &RoomId| rooms.iter().any(|named| named.as_str() == Some(room.as_str()));
        if names(old) && !names(new) {
            rooms.push(new.as_str().into());
            changes = true;
        }
    }
    changes.then(|| Value::Object(content).to_string())
}

/// Adds for `new` what the rules say of `old`; whether that is anything.
fn copy_rules(rules: &mut Ruleset, old: &RoomId, new: &RoomId) -> bool {
    let mut copies = Vec::new();
    // Each goes above those before it.
    for rule in rules.underride.iter().rev() {
        copies.extend(
            condition_copy(rule, old, new).map(|c| (NewPushRule::Underride(c), rule.enabled)),
        );
    }
    for rule in rules.room.iter().filter(|rule| rule.rule_id == *old) {
        let copy = NewSimplePushRule::new(new.to_owned(), rule.actions.clone());
        copies.push((NewPushRule::Room(copy), rule.enabled));
    }
    for rule in rules.override_.iter().rev() {
        copies.extend(
            condition_copy(rule, old, new).map(|c| (NewPushRule::Override(c), rule.enabled)),
        );
    }
    let mut changes = false;
    for (rule, enabled) in copies {
        let (kind, id) = (rule.kind(), rule.rule_id().to_owned());
        if rules.get(kind.clone(), &id).is_some() || rules.insert(rule, None, None).is_err() {
            continue;
        }
        rules.set_enabled(kind, &id, enabled).expect("the rule was just put in");
        changes = true;
    }
    changes
}

/// A rule of the user's own that names the room `old`, for `new`.
fn condition_copy(
    rule: &ConditionalPushRule,
    old: &RoomId,
    new: &RoomId,
) -> Option<NewConditionalPushRule> {
    let mut conditions = rule.conditions.clone();
    let mut names = false;
    for condition in &mut conditions {
        if let PushCondition::EventMatch(matches) = condition
            && matches.key == "room_id"
            && matches.pattern == old.as_str()
        {
            matches.pattern = new.to_string();
            names = true;
        }
    }
    let id = match rule.rule_id.replace(old.as_str(), new.as_str()) {
        // Its name did not have the room in it.
        id if id == rule.rule_id => new.to_string(),
        id => id,
    };
    let copied = names && !rule.default;
    copied.then(|| NewConditionalPushRule::new(id, conditions, rule.actions.clone()))
}

#[cfg(test)]
mod tests {
    use ruma::{
        push::{Action, RuleKind},
        room_id, user_id,
    };
    use serde_json::json;

    use super::*;

    fn rules() -> Ruleset {
        Ruleset::server_default(user_id!("@a:x"))
    }

    #[test]
    fn the_new_room_is_direct_with_whom_the_old_one_was() {
        let check = |content: Value, expected: Option<Value>| {
            let direct = direct_with(&content.to_string(), room_id!("!o:x"), room_id!("!n:x"));
            let direct = direct.map(|direct| serde_json::from_str::<Value>(&direct).unwrap());
            assert_eq!(direct, expected, "{content}");
        };
        check(
            json!({ "@b:x": ["!1:x", "!o:x"], "@c:x": ["!2:x"], "other": 7 }),
            Some(json!({ "@b:x": ["!1:x", "!o:x", "!n:x"], "@c:x": ["!2:x"], "other": 7 })),
        );
        check(json!({ "@b:x": ["!o:x", "!n:x"] }), None);
        check(json!({ "@b:x": [] }), None);
        check(json!([]), None);
    }

    #[test]
    fn rules_that_name_the_old_room_are_there_for_the_new_one_once() {
        let (old, new) = (room_id!("!o:x"), room_id!("!n:x"));
        let mut rules = rules();
        assert!(!copy_rules(&mut rules, old, new), "nothing names it");
        let room = NewSimplePushRule::new(old.to_owned(), vec![]);
        rules.insert(NewPushRule::Room(room), None, None).unwrap();
        let mute = |id: &str| {
            let condition = json!({ "kind": "event_match", "key": "room_id", "pattern": old });
            let conditions = vec![serde_json::from_value(condition).unwrap()];
            NewConditionalPushRule::new(id.to_owned(), conditions, vec![Action::Notify])
        };
        rules.insert(NewPushRule::Override(mute("!o:x")), None, None).unwrap();
        rules.set_enabled(RuleKind::Override, "!o:x", false).unwrap();
        rules.insert(NewPushRule::Underride(mute("mine")), None, None).unwrap();
        assert!(copy_rules(&mut rules, old, new));
        assert!(rules.get(RuleKind::Room, "!n:x").unwrap().actions().is_empty());
        let muted = rules.get(RuleKind::Override, "!n:x").unwrap();
        assert!(!muted.enabled() && muted.actions().len() == 1);
        assert!(rules.get(RuleKind::Underride, "!n:x").unwrap().enabled());
        assert!(rules.get(RuleKind::Room, "!o:x").is_some(), "the old ones stay");
        assert!(!copy_rules(&mut rules, old, new), "once is enough");
    }
}
