//! What is known of how present people are, in memory. What time does to it is worked out when
//! somebody looks: no task waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ruma::{OwnedUserId, UserId, presence::PresenceState};
use serde::Serialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};

/// How long somebody is there after the last word of a client, in milliseconds.
const GONE_AFTER: u64 = 30_000;
/// How long somebody is there who does nothing, in milliseconds.
const IDLE_AFTER: u64 = 5 * 60_000;
/// For how long after doing something somebody is active, in milliseconds.
const ACTIVE_FOR: u64 = 60_000;
/// How many people are remembered. When there are more, those are forgotten who are not there.
const MOST: usize = 50_000;

/// How present somebody is. It serialises with the names that the specification has for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Presence {
    /// In one word.
    #[serde(rename = "presence")]
    pub state: PresenceState,
    /// What they say about it.
    #[serde(rename = "status_msg", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether they are doing something just now.
    pub currently_active: bool,
    /// How long ago they did something, in milliseconds, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active_ago: Option<u64>,
}

impl Presence {
    /// That of one of whom nothing is known.
    pub(super) fn unknown() -> Self {
        let state = PresenceState::Offline;
        Self { state, status: None, currently_active: false, last_active_ago: None }
    }

    /// The `m.presence` event that tells a client.
    pub(super) fn event(&self, user: &UserId) -> Box<RawValue> {
        let mut content = json!({ "presence": self.state });
        if let Some(ago) = self.last_active_ago {
            content["last_active_ago"] = ago.into();
        }
        if self.state == PresenceState::Online {
            content["currently_active"] = self.currently_active.into();
        }
        if let Some(status) = &self.status {
            content["status_msg"] = status.as_str().into();
        }
        to_raw_value(&json!({ "type": "m.presence", "sender": user, "content": content }))
            .expect("JSON serialises")
    }
}

/// Who has said how present somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// They themselves.
    Outright,
    /// A client, while it was waiting for news.
    Waiting,
}

#[derive(Clone, Debug)]
struct Person {
    wish: PresenceState,
    said: Said,
    status: Option<String>,
    /// When they last did something.
    active: Option<u64>,
    /// When a client was last heard of.
    heard: u64,
    /// How many clients wait for news.
    polls: u32,
    /// What others were told: the word, and whether they were active.
    told: (PresenceState, bool),
    /// The number of the last change that others are told of.
    changed: u64,
    /// When to look again.
    due: u64,
}

impl Person {
    fn new() -> Self {
        let offline = PresenceState::Offline;
        Self {
            wish: offline.clone(),
            said: Said::Waiting,
            status: None,
            active: None,
            heard: 0,
            polls: 0,
            told: (offline, false),
            changed: 0,
            due: u64::MAX,
        }
    }

    fn is_there(&self, now: u64) -> bool {
        let heard = self.polls > 0 || now < self.heard.saturating_add(GONE_AFTER);
        heard && self.wish != PresenceState::Offline
    }

    fn was_active_within(&self, time: u64, now: u64) -> bool {
        self.active.is_some_and(|active| now < active.saturating_add(time))
    }

    fn state(&self, now: u64) -> PresenceState {
        match () {
            () if !self.is_there(now) => PresenceState::Offline,
            () if self.wish == PresenceState::Unavailable => PresenceState::Unavailable,
            () if self.was_active_within(IDLE_AFTER, now) => PresenceState::Online,
            () => PresenceState::Unavailable,
        }
    }

    fn presence(&self, now: u64) -> Presence {
        let state = self.state(now);
        Presence {
            currently_active: state == PresenceState::Online
                && self.was_active_within(ACTIVE_FOR, now),
            state,
            status: self.status.clone(),
            last_active_ago: self.active.map(|active| now.saturating_sub(active)),
        }
    }

    /// When time alone changes what others are told.
    fn next_change(&self, now: u64) -> u64 {
        let active = self.active.unwrap_or_default();
        let gone = (self.polls == 0).then(|| self.heard.saturating_add(GONE_AFTER));
        let idle = [ACTIVE_FOR, IDLE_AFTER].map(|time| active.saturating_add(time));
        let all = gone.into_iter().chain(idle).filter(|at| *at > now && self.is_there(now));
        all.min().unwrap_or(u64::MAX)
    }
}

/// Everybody of whom something is known.
#[derive(Debug, Default)]
pub(super) struct People {
    people: HashMap<OwnedUserId, Person>,
    /// How many changes there were.
    pub(super) count: u64,
    changes: BTreeMap<u64, OwnedUserId>,
    due: BTreeSet<(u64, OwnedUserId)>,
}

impl People {
    /// Whether anything is known of somebody.
    pub(super) fn knows(&self, user: &UserId) -> bool {
        self.people.contains_key(user)
    }

    /// Whether there is room for more without forgetting anybody.
    pub(super) fn has_room(&self) -> bool {
        self.people.len() < MOST
    }

    /// Whether `status` is what somebody says of themself, as far as is known.
    pub(super) fn says(&self, user: &UserId, status: Option<&str>) -> bool {
        self.people.get(user).and_then(|person| person.status.as_deref()) == status
    }

    /// Learns what somebody said of themself in an earlier life of the server.
    pub(super) fn recall(&mut self, user: &UserId, status: String) {
        if !self.knows(user) {
            self.forget_some();
            let person = Person { status: Some(status), ..Person::new() };
            self.people.insert(user.to_owned(), person);
        }
    }

    /// Notes that a client waits for news, and what it says of its user; whether others are told.
    pub(super) fn begin_poll(&mut self, user: &UserId, wish: &PresenceState, now: u64) -> bool {
        self.update(user, now, |person| {
            let was_there = person.is_there(now);
            person.polls += 1;
            match wish {
                PresenceState::Unavailable => {
                    (person.wish, person.said) = (wish.clone(), Said::Waiting);
                }
                // Who has said outright to be busy is not made free by a client that goes on.
                _ if was_there && person.said == Said::Outright => {}
                _ if was_there && person.wish == PresenceState::Online => {}
                _ => {
                    (person.wish, person.said) = (PresenceState::Online, Said::Waiting);
                    person.active = Some(now);
                }
            }
        })
    }

    /// Notes that a client waits no longer.
    pub(super) fn end_poll(&mut self, user: &UserId, now: u64) {
        self.update(user, now, |person| {
            person.polls = person.polls.saturating_sub(1);
            person.heard = now;
        });
    }

    /// Notes what somebody says of themself; whether others are told.
    pub(super) fn say(
        &mut self,
        user: &UserId,
        state: PresenceState,
        status: Option<String>,
        now: u64,
    ) -> bool {
        let is_new = self.people.get(user).is_none_or(|person| person.status != status);
        let changed = self.update(user, now, |person| {
            if state == PresenceState::Online {
                person.active = Some(now);
            }
            (person.wish, person.said) = (state, Said::Outright);
            (person.status, person.heard) = (status, now);
        });
        if is_new && !changed {
            self.tell(user, now);
        }
        is_new || changed
    }

    /// Notes that somebody has done something; whether others are told.
    pub(super) fn note_active(&mut self, user: &UserId, now: u64) -> bool {
        if !self.people.get(user).is_some_and(|person| person.is_there(now)) {
            return false;
        }
        self.update(user, now, |person| {
            person.active = Some(now);
            if person.wish == PresenceState::Unavailable {
                person.wish = PresenceState::Online;
            }
        })
    }

    /// Has everybody told anew how present `user` is, if at all.
    pub(super) fn tell_again(&mut self, user: &UserId, now: u64) {
        if self.people.get(user).is_some_and(|person| person.is_there(now)) {
            self.tell(user, now);
        }
    }

    /// Works out what time has done; whose presence it has changed.
    pub(super) fn pass(&mut self, now: u64) -> Vec<OwnedUserId> {
        let mut changed = Vec::new();
        while let Some((due, user)) = self.due.first().cloned().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, user.clone()));
            if self.update(&user, now, |_| {}) {
                changed.push(user);
            }
        }
        changed
    }

    /// How present `user` is.
    pub(super) fn presence(&self, user: &UserId, now: u64) -> Presence {
        self.people.get(user).map_or_else(Presence::unknown, |person| person.presence(now))
    }

    /// Up to `limit` of those whose presence changed after the `count`-th change, the earliest
    /// first, with the number of the change.
    pub(super) fn changed(&self, count: u64, limit: usize) -> Vec<(u64, OwnedUserId)> {
        let newer = self.changes.range(count.saturating_add(1)..);
        newer.take(limit).map(|(number, user)| (*number, user.clone())).collect()
    }

    /// Up to `limit` of those who are there, or have said something.
    pub(super) fn there(&self, limit: usize) -> Vec<OwnedUserId> {
        let offline = |person: &Person| person.told.0 == PresenceState::Offline;
        let there =
            self.people.iter().filter(|(_, person)| !offline(person) || person.status.is_some());
        there.take(limit).map(|(user, _)| user.clone()).collect()
    }

    /// Changes what is known of somebody; whether others are told.
    fn update(&mut self, user: &UserId, now: u64, change: impl FnOnce(&mut Person)) -> bool {
        if !self.people.contains_key(user) {
            self.forget_some();
        }
        let person = self.people.entry(user.to_owned()).or_insert_with(Person::new);
        change(person);
        let due = person.next_change(now);
        if due != person.due {
            self.due.remove(&(person.due, user.to_owned()));
            if due < u64::MAX {
                self.due.insert((due, user.to_owned()));
            }
            person.due = due;
        }
        let presence = person.presence(now);
        let news = (presence.state, presence.currently_active);
        // While somebody is active, others need not hear of it again and again.
        let changed = news != person.told;
        if changed {
            self.tell(user, now);
        }
        changed
    }

    /// Gives the presence of `user` a new number.
    fn tell(&mut self, user: &UserId, now: u64) {
        let Some(person) = self.people.get_mut(user) else { return };
        self.count += 1;
        self.changes.remove(&person.changed);
        self.changes.insert(self.count, user.to_owned());
        let presence = person.presence(now);
        person.changed = self.count;
        person.told = (presence.state, presence.currently_active);
    }

    /// Forgets those who are not there, when there are too many.
    fn forget_some(&mut self) {
        if self.people.len() < MOST {
            return;
        }
        let changes = &mut self.changes;
        self.people.retain(|_, person| {
            let stays = person.polls > 0 || person.told.0 != PresenceState::Offline;
            if !stays {
                changes.remove(&person.changed);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use PresenceState::{Offline, Online, Unavailable};
    use ruma::user_id;

    use super::*;

    const START: u64 = 1_000_000;
    const SECOND: u64 = 1_000;

    fn alice() -> &'static UserId {
        user_id!("@alice:x")
    }

    fn polling(wish: &PresenceState) -> People {
        let mut people = People::default();
        people.begin_poll(alice(), wish, START);
        people
    }

    #[track_caller]
    fn check(people: &mut People, seconds: u64, state: &PresenceState, active: bool) {
        let now = START + seconds * SECOND;
        people.pass(now);
        let presence = people.presence(alice(), now);
        assert_eq!((&presence.state, presence.currently_active), (state, active), "{seconds}");
    }

    #[test]
    fn who_waits_for_news_is_there_and_idle_after_five_minutes() {
        let mut people = polling(&Online);
        check(&mut people, 0, &Online, true);
        check(&mut people, 59, &Online, true);
        check(&mut people, 60, &Online, false);
        check(&mut people, 299, &Online, false);
        check(&mut people, 300, &Unavailable, false);
        check(&mut people, 100_000, &Unavailable, false);
        people.note_active(alice(), START + 100_000 * SECOND);
        check(&mut people, 100_001, &Online, true);
        assert!(people.due.len() <= 1, "there is one time to look again");
    }

    #[test]
    fn who_stops_waiting_is_gone_after_half_a_minute() {
        let mut people = polling(&Online);
        people.end_poll(alice(), START + 10 * SECOND);
        check(&mut people, 39, &Online, true);
        check(&mut people, 40, &Offline, false);
        people.note_active(alice(), START + 41 * SECOND);
        check(&mut people, 41, &Offline, false);
        people.begin_poll(alice(), &Online, START + 1_000 * SECOND);
        check(&mut people, 1_000, &Online, true);
    }

    #[test]
    fn going_on_to_wait_is_no_activity() {
        let mut people = polling(&Online);
        for n in 1..=30 {
            people.end_poll(alice(), START + n * 10 * SECOND);
            people.begin_poll(alice(), &Online, START + n * 10 * SECOND);
        }
        check(&mut people, 300, &Unavailable, false);
    }

    #[test]
    fn a_client_says_that_it_is_idle_and_that_it_is_not() {
        let mut people = polling(&Unavailable);
        check(&mut people, 1, &Unavailable, false);
        people.begin_poll(alice(), &Online, START + 2 * SECOND);
        check(&mut people, 2, &Online, true);
        people.begin_poll(alice(), &Unavailable, START + 3 * SECOND);
        check(&mut people, 3, &Unavailable, false);
    }

    #[test]
    fn what_one_says_outright_stays_until_one_does_something() {
        let mut people = polling(&Online);
        let away = Some("away".to_owned());
        assert!(people.say(alice(), Unavailable, away.clone(), START));
        assert!(!people.say(alice(), Unavailable, away.clone(), START), "nothing is new");
        people.begin_poll(alice(), &Online, START + SECOND);
        check(&mut people, 1, &Unavailable, false);
        assert_eq!(people.presence(alice(), START).status, away);
        assert!(people.say(alice(), Unavailable, None, START), "the words are new");
        people.note_active(alice(), START + 2 * SECOND);
        check(&mut people, 2, &Online, true);
        people.say(alice(), Offline, None, START + 3 * SECOND);
        check(&mut people, 3, &Offline, false);
    }

    #[test]
    fn each_change_has_one_number_and_is_told_once() {
        let mut people = polling(&Online);
        let first = people.count;
        assert_eq!(people.changed(0, 10), [(first, alice().to_owned())]);
        assert!(!people.note_active(alice(), START + SECOND), "they are active already");
        assert_eq!(people.changed(first, 10), []);
        assert_eq!(people.pass(START + 70 * SECOND), [alice().to_owned()]);
        assert!(people.pass(START + 70 * SECOND).is_empty());
        assert_eq!(people.changed(0, 10), [(first + 1, alice().to_owned())]);
        people.tell_again(alice(), START + 70 * SECOND);
        assert_eq!(people.changed(first + 1, 10).len(), 1);
        assert_eq!(people.changed(0, 0), []);
    }

    #[test]
    fn those_who_are_gone_are_forgotten_when_there_are_too_many() {
        let mut people = polling(&Online);
        for n in 0..MOST {
            let user = UserId::parse(format!("@u{n}:x")).unwrap();
            people.say(&user, Offline, None, START);
        }
        assert!(people.people.len() < MOST);
        check(&mut people, 1, &Online, true);
        assert_eq!(people.there(10), [alice().to_owned()]);
    }

    #[test]
    fn what_was_said_in_an_earlier_life_is_told_unless_more_is_known() {
        let mut people = polling(&Online);
        people.recall(alice(), "old".to_owned());
        assert_eq!(people.presence(alice(), START).status, None);
        let mut people = People::default();
        people.recall(alice(), "old".to_owned());
        assert!(people.says(alice(), Some("old")) && !people.says(alice(), None));
        check(&mut people, 0, &Offline, false);
        assert_eq!(people.there(10), [alice().to_owned()]);
        for n in 0..2 * MOST {
            let user = UserId::parse(format!("@u{n}:x")).unwrap();
            people.recall(&user, "words".to_owned());
        }
        assert!(people.people.len() <= MOST);
    }

    #[test]
    fn an_event_says_what_is_known() {
        let content = |people: &People, now| -> serde_json::Value {
            let event = people.presence(alice(), now).event(alice());
            serde_json::from_str(event.get()).unwrap()
        };
        let people = People::default();
        let unknown = json!({ "presence": "offline" });
        let event = json!({ "type": "m.presence", "sender": "@alice:x", "content": unknown });
        assert_eq!(content(&people, START), event);
        let mut people = polling(&Online);
        people.say(alice(), Online, Some("here".to_owned()), START);
        let here = json!({
            "presence": "online", "currently_active": true, "last_active_ago": 5, "status_msg": "here",
        });
        assert_eq!(content(&people, START + 5)["content"], here);
    }
}
