//! Who may do what in a room.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashSet},
};

use ruma::{
    Int, OwnedUserId, UserId,
    events::{TimelineEventType, room::power_levels::UserPowerLevel},
    room_version_rules::{AuthorizationRules, RoomVersionRules},
    state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField as Field},
};

use crate::Pdu;

/// The powers in one room: its power levels, and the creators who stand above them where the room version says so.
///
/// Content that cannot be read counts as absent, so every question has an answer. Whether a change is allowed in the end is
/// for [`authorize`](crate::authorize) to say.
#[derive(Clone, Debug)]
pub struct Power {
    rules: AuthorizationRules,
    creators: HashSet<OwnedUserId>,
    levels: Option<RoomPowerLevelsEvent<Pdu>>,
}

impl Power {
    /// Reads the powers from the room's create event and its power levels, if it has any.
    pub fn new(rules: &RoomVersionRules, create: &Pdu, levels: Option<&Pdu>) -> Self {
        let rules = rules.authorization.clone();
        let creators = RoomCreateEvent::new(create).creators(&rules);
        Self {
            creators: creators.unwrap_or_default(),
            levels: levels.cloned().map(RoomPowerLevelsEvent::new),
            rules,
        }
    }

    /// Those who created the room.
    pub fn creators(&self) -> impl Iterator<Item = &UserId> {
        self.creators.iter().map(|id| &**id)
    }

    /// Whether a user's power comes from having created the room, and no level can take it away.
    pub fn is_above_levels(&self, user: &UserId) -> bool {
        self.rules.explicitly_privilege_room_creators && self.creators.contains(user)
    }

    /// Those whom the power levels name, and those who created the room.
    pub fn named(&self) -> impl Iterator<Item = OwnedUserId> {
        let levels = self.levels.as_ref();
        let named = levels.and_then(|levels| levels.users(&self.rules).ok().flatten());
        let named = named.into_iter().flat_map(|users| users.keys().cloned());
        let all: BTreeSet<_> = named.chain(self.creators.iter().cloned()).collect();
        all.into_iter()
    }

    /// The power of a user.
    pub fn of(&self, user: &UserId) -> UserPowerLevel {
        let creator = self.creators.contains(user);
        if creator && self.rules.explicitly_privilege_room_creators {
            return UserPowerLevel::Infinite;
        }
        match &self.levels {
            Some(levels) => levels.user_power_level(user, &self.rules).unwrap_or_default().into(),
            None if creator => Int::from(100).into(),
            None => self.required(Field::UsersDefault).into(),
        }
    }

    /// The power that an action needs.
    pub fn required(&self, action: Field) -> Int {
        self.levels
            .as_ref()
            .and_then(|levels| levels.get_as_int(action, &self.rules).ok().flatten())
            .unwrap_or_else(|| action.default_value())
    }

    /// The power that sending an event of this type needs.
    pub fn required_to_send(&self, kind: &TimelineEventType, state_key: Option<&str>) -> Int {
        let default = match state_key {
            Some(_) => Field::StateDefault,
            None => Field::EventsDefault,
        };
        self.levels
            .as_ref()
            .and_then(|levels| levels.event_power_level(kind, state_key, &self.rules).ok())
            .unwrap_or_else(|| self.required(default))
    }

    /// Whether `user` has the power to send an event of this type.
    pub fn may_send(
        &self,
        user: &UserId,
        kind: &TimelineEventType,
        state_key: Option<&str>,
    ) -> bool {
        self.of(user) >= self.required_to_send(kind, state_key)
    }

    /// Whether `user` has the power to invite.
    pub fn may_invite(&self, user: &UserId) -> bool {
        self.of(user) >= self.required(Field::Invite)
    }

    /// Those named by the power levels or as creators who have the power to invite, the most powerful first.
    pub fn inviters(&self) -> Vec<OwnedUserId> {
        // Where there are power levels, creators of old versions have no power that they do not name.
        let mut inviters: Vec<_> = self.named().filter(|user| self.may_invite(user)).collect();
        inviters.sort_by(|one, other| {
            self.of(other).partial_cmp(&self.of(one)).unwrap_or(Ordering::Equal)
        });
        inviters
    }

    /// Whether those of whom the power levels say nothing have the power to invite.
    pub fn everyone_may_invite(&self) -> bool {
        self.required(Field::UsersDefault) >= self.required(Field::Invite)
    }

    /// Whether those of whom the power levels say nothing do not speak: announcements only.
    pub fn is_for_announcements(&self) -> bool {
        self.required(Field::EventsDefault) > self.required(Field::UsersDefault)
    }

    /// Whether `user` has the power to kick `target`.
    pub fn may_kick(&self, user: &UserId, target: &UserId) -> bool {
        self.of(user) >= self.required(Field::Kick) && self.of(target) < self.of(user)
    }

    /// Whether `user` has the power to ban `target`.
    pub fn may_ban(&self, user: &UserId, target: &UserId) -> bool {
        self.of(user) >= self.required(Field::Ban) && self.of(target) < self.of(user)
    }

    /// Whether `user` has the power to lift a ban of `target`: it takes that of banning and that of kicking.
    pub fn may_unban(&self, user: &UserId, target: &UserId) -> bool {
        self.may_ban(user, target) && self.may_kick(user, target)
    }

    /// Whether `user` has the power to redact what others sent.
    pub fn may_redact_others(&self, user: &UserId) -> bool {
        self.of(user) >= self.required(Field::Redact)
    }

    /// Whether `user` has the power to notify the whole room.
    pub fn may_notify_room(&self, user: &UserId) -> bool {
        let required = self
            .levels
            .as_ref()
            .and_then(|levels| levels.notifications(&self.rules).ok().flatten())
            .and_then(|levels| levels.get("room").copied())
            .unwrap_or_else(|| Int::from(50));
        self.of(user) >= required
    }
}

/// Whether all power levels in an event are integers, as those sent here must be in every room version. Old rooms also read
/// strings, but only because there are some.
pub(crate) fn all_are_integers(levels: &Pdu) -> bool {
    let levels = RoomPowerLevelsEvent::new(levels);
    let strict = &AuthorizationRules::V10;
    let fields = [
        Field::UsersDefault,
        Field::EventsDefault,
        Field::StateDefault,
        Field::Ban,
        Field::Redact,
        Field::Kick,
        Field::Invite,
    ];
    fields.into_iter().all(|field| levels.get_as_int(field, strict).is_ok())
        && levels.events(strict).is_ok()
        && levels.notifications(strict).is_ok()
        && levels.users(strict).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Room, VERSIONS, draft, user};

    fn power(version: &str, levels: Option<Value>) -> Power {
        let mut room = Room::new(version, "public");
        let levels =
            levels.map(|content| room.say(draft("@a:x", "m.room.power_levels", Some(""), content)));
        Power::new(&room.rules, &room.events[0], levels.as_ref())
    }

    /// Who of the creator @a, the moderator @m and the ordinary @o may do it to whom, in all versions.
    #[track_caller]
    fn check(question: impl Fn(&Power, &UserId, &UserId) -> bool, expected: &str) {
        for version in VERSIONS {
            let creators = ["12"].contains(&version);
            let mut levels = json!({"users": {"@m:x": 50}, "invite": 10});
            if !creators {
                levels["users"]["@a:x"] = 100.into();
            }
            let power = power(version, Some(levels));
            let mut got = Vec::new();
            for by in ["@a:x", "@m:x", "@o:x"] {
                for to in ["@a:x", "@m:x", "@o:x"] {
                    if question(&power, &user(by), &user(to)) {
                        got.push(format!("{}{}", &by[1..2], &to[1..2]));
                    }
                }
            }
            assert_eq!(got.join(" "), expected, "room version {version}");
        }
    }

    #[test]
    fn a_room_is_for_announcements_if_speaking_needs_more_than_one_has() {
        for (levels, expected) in [
            (None, false),
            (Some(json!({})), false),
            (Some(json!({ "events_default": 50 })), true),
            (Some(json!({ "events_default": 50, "users_default": 50 })), false),
            (Some(json!({ "users_default": -1 })), true),
        ] {
            assert_eq!(power("11", levels.clone()).is_for_announcements(), expected, "{levels:?}");
        }
    }

    #[test]
    fn one_acts_only_against_those_with_less_power() {
        check(Power::may_kick, "am ao mo");
        check(Power::may_ban, "am ao mo");
        check(Power::may_unban, "am ao mo");
    }

    #[test]
    fn inviting_takes_its_own_level() {
        check(|power, by, _| power.may_invite(by), "aa am ao ma mm mo");
    }

    #[test]
    fn redacting_others_and_notifying_all_takes_half_the_power() {
        check(|power, by, _| power.may_redact_others(by), "aa am ao ma mm mo");
        check(|power, by, _| power.may_notify_room(by), "aa am ao ma mm mo");
    }

    #[test]
    fn everyone_speaks_and_moderators_change_the_state() {
        let (message, name) = ("m.room.message".into(), "m.room.name".into());
        let all = "aa am ao ma mm mo oa om oo";
        check(|power, by, _| power.may_send(by, &message, None), all);
        check(|power, by, _| power.may_send(by, &name, Some("")), "aa am ao ma mm mo");
    }

    #[test]
    fn without_power_levels_the_creator_has_a_hundred_or_all() {
        for version in VERSIONS {
            let power = power(version, None);
            let expected =
                if version == "12" { UserPowerLevel::Infinite } else { Int::from(100).into() };
            assert_eq!(power.of(&user("@a:x")), expected, "room version {version}");
            assert_eq!(power.of(&user("@b:x")), Int::from(0));
        }
    }

    #[test]
    fn old_rooms_read_levels_from_strings() {
        let room = Room::new("9", "public");
        let levels = json!({"users": {"@a:x": 100, "@m:x": "75"}, "ban": " 60 "});
        let levels = room.forge(&draft("@a:x", "m.room.power_levels", Some(""), levels));
        let power = Power::new(&room.rules, &room.events[0], Some(&levels));
        assert_eq!(power.of(&user("@m:x")), Int::from(75));
        assert_eq!(power.required(Field::Ban), Int::from(60));
    }

    #[test]
    fn what_is_sent_here_has_integers() {
        for (content, expected) in [
            (json!({"ban": 5, "users": {"@b:x": 1}, "events": {"m.test": 2}}), true),
            (json!({"unknown": "5"}), true),
            (json!({"ban": "5"}), false),
            (json!({"ban": null}), false),
            (json!({"users": {"@b:x": "1"}}), false),
            (json!({"events": {"m.test": "2"}}), false),
            (json!({"notifications": {"room": "2"}}), false),
            (json!({"users": []}), false),
        ] {
            let room = Room::new("9", "public");
            let levels = room.forge(&draft("@a:x", "m.room.power_levels", Some(""), content));
            assert_eq!(all_are_integers(&levels), expected, "{}", levels.content());
        }
    }

    #[test]
    fn the_levels_of_a_type_win_over_the_defaults() {
        let mut room = Room::new("11", "public");
        let content =
            json!({"users": {"@a:x": 100}, "events": {"m.test": 30}, "events_default": 5});
        let levels = room.say(draft("@a:x", "m.room.power_levels", Some(""), content));
        let power = Power::new(&room.rules, &room.events[0], Some(&levels));
        assert_eq!(power.required_to_send(&"m.test".into(), None), Int::from(30));
        assert_eq!(power.required_to_send(&"m.other".into(), None), Int::from(5));
        assert_eq!(power.required_to_send(&"m.other".into(), Some("")), Int::from(50));
    }
}
