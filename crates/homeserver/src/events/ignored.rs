//! Whom a user ignores: what they say is not told, what they change is (client-server API,
//! "Ignoring Users").

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, de::IgnoredAny};
use tertulia_protocol::Pdu;
use tertulia_storage::{Position, View};

use super::{EventCache, Head};
use crate::{
    Result,
    core::Core,
    schema::{ACCOUNT_DATA, AccountDatum, Scope},
};

/// The type of the account data that says whom a user ignores.
pub(super) const IGNORED_USER_LIST: &str = "m.ignored_user_list";

/// Those whom a user ignores.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignored {
    /// Since when it is these.
    at: Position,
    users: BTreeSet<String>,
}

impl Ignored {
    /// Those whom `user` ignores.
    pub(crate) async fn by(view: &View, user: &UserId) -> Result<Self> {
        let key = (user.to_owned(), Scope::Global, IGNORED_USER_LIST.to_owned());
        let list = view.get(&ACCOUNT_DATA, &key).await?;
        Ok(list.map_or_else(Self::default, |list| Self::new(list, user)))
    }

    /// Those whom each of `users` ignores.
    pub(crate) async fn by_many(view: &View, users: &[OwnedUserId]) -> Result<Vec<Self>> {
        let key = |user: &OwnedUserId| (user.clone(), Scope::Global, IGNORED_USER_LIST.to_owned());
        let keys: Vec<_> = users.iter().map(key).collect();
        let lists = view.get_many(&ACCOUNT_DATA, &keys).await?;
        let read = |(user, list): (&OwnedUserId, Option<AccountDatum>)| {
            list.map_or_else(Self::default, |list| Self::new(list, user))
        };
        Ok(users.iter().zip(lists).map(read).collect())
    }

    fn new(list: AccountDatum, owner: &UserId) -> Self {
        Self { at: list.at, users: named(&list.content, owner) }
    }

    /// Since when these are ignored, and nobody else.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// Whether nobody is ignored.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Those who are ignored.
    pub(crate) fn users(&self) -> impl Iterator<Item = OwnedUserId> {
        self.users.iter().filter_map(|user| UserId::parse(user.as_str()).ok())
    }

    /// Whether `user` is ignored.
    pub(crate) fn contains(&self, user: &UserId) -> bool {
        self.users.contains(user.as_str())
    }

    /// Whether `event` is not told. What changes the state of the room is always told, and so is
    /// what redacts an event that is told: otherwise it would depend on when a client was told of
    /// it what is left of it.
    pub(crate) async fn hides(
        &self,
        view: &View,
        core: &Core,
        head: &Head,
        event: &Pdu,
    ) -> Result<bool> {
        if !self.silences(event) {
            return Ok(false);
        }
        let Some(target) = event.redacts() else { return Ok(true) };
        let targets = std::slice::from_ref(target);
        let targets = core.local::<EventCache>().load_many(view, &head.rules, targets).await?;
        Ok(targets.into_iter().flatten().all(|target| self.silences(&target)))
    }

    /// Whether `event` is a word of one who is ignored.
    fn silences(&self, event: &Pdu) -> bool {
        !self.is_empty() && event.state_key().is_none() && self.contains(event.sender())
    }
}

/// Whom a list names, other than its owner: nobody ignores themselves. A list that cannot be read
/// names nobody.
fn named(list: &str, owner: &UserId) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Content {
        ignored_users: BTreeMap<String, IgnoredAny>,
    }
    let content = serde_json::from_str::<Content>(list).ok();
    let named = content.into_iter().flat_map(|content| content.ignored_users.into_keys());
    named.filter(|user| owner != user).collect()
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_version_rules::RoomVersionRules, user_id};
    use serde_json::{Value, json};

    use super::*;

    fn event(sender: &str, state_key: Option<&str>) -> Pdu {
        let mut json = json!({
            "type": "org.example", "sender": sender, "content": {}, "room_id": "!r:x",
            "origin_server_ts": 1, "depth": 1, "prev_events": [], "auth_events": [],
        });
        if let Some(key) = state_key {
            json["state_key"] = key.into();
        }
        let json = json.to_string();
        Pdu::load(event_id!("$e").to_owned(), json.as_bytes(), &RoomVersionRules::V11).unwrap()
    }

    #[track_caller]
    fn check(list: &Value, hidden: &[&str]) {
        let users = named(&list.to_string(), user_id!("@me:x"));
        let ignored = Ignored { users, at: Position::new(1) };
        for sender in ["@me:x", "@bob:x", "@carol:x"] {
            let is_hidden = ignored.silences(&event(sender, None));
            assert_eq!(is_hidden, hidden.contains(&sender), "{list} {sender}");
            assert!(!ignored.silences(&event(sender, Some(""))), "{list} {sender}");
        }
        assert_eq!(ignored.is_empty(), hidden.is_empty(), "{list}");
    }

    #[test]
    fn what_the_ignored_say_is_hidden_and_what_they_change_is_not() {
        check(&json!({ "ignored_users": { "@bob:x": {} } }), &["@bob:x"]);
        check(
            &json!({ "ignored_users": { "@bob:x": {}, "@carol:x": {} } }),
            &["@bob:x", "@carol:x"],
        );
        check(&json!({ "ignored_users": { "@bob:x": 1 } }), &["@bob:x"]);
        check(&json!({ "ignored_users": {} }), &[]);
    }

    #[test]
    fn nobody_ignores_themselves() {
        check(&json!({ "ignored_users": { "@me:x": {} } }), &[]);
    }

    #[test]
    fn a_list_that_cannot_be_read_names_nobody() {
        for list in [json!({}), json!([]), json!({ "ignored_users": ["@bob:x"] })] {
            check(&list, &[]);
        }
    }
}
