use serde_json::json;

use super::*;
use crate::{
    Draft,
    testing::{Room, VERSIONS, draft, member, text},
};

/// What one server knows: all events, and the states at both places.
struct World {
    known: Known,
    before: Room,
    now: Room,
    rounds: usize,
}

impl World {
    fn new(before: &Room, now: &Room) -> Self {
        Self { known: Known::default(), before: before.clone(), now: now.clone(), rounds: 0 }
    }

    fn answer(&mut self, needs: Needs) {
        self.rounds += 1;
        assert!(!needs.is_empty() && self.rounds < 9, "{needs:?}");
        for id in needs.events {
            let events = &mut self.now.events.iter().chain(&self.before.events);
            match events.find(|event| *event.event_id() == id) {
                Some(event) => self.known.found(event.clone()),
                None => self.known.absent(id),
            }
        }
        for (at, slots) in needs.state {
            let room = match at {
                At::Before(_) => &self.before,
                At::Now(_) => &self.now,
            };
            for slot in slots {
                let event = room.state.get(&slot).cloned();
                self.known.tell_state(at.clone(), slot, event);
            }
        }
    }

    fn judge(&mut self, event: Pdu, purpose: Purpose) -> Verdict {
        let rules = self.now.rules.clone();
        let event = Verified::trusted(event);
        let incoming = Incoming { event, purpose };
        loop {
            match admit(&rules, &incoming, &self.known) {
                Ok(verdict) => return verdict,
                Err(needs) => self.answer(needs),
            }
        }
    }
}

fn from(server: &str) -> Purpose {
    let sent_by = server.try_into().unwrap();
    Purpose::Timeline { sent_by }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Drop(_) => "drop",
        Verdict::Reject(_) => "reject",
        Verdict::SoftFail(_) => "soft-fail",
        Verdict::Accept => "accept",
    }
}

/// A room of @a:x and @b:y, in which @b has followed `before`, while here `now` has happened too.
#[track_caller]
fn check(before: &[Draft], now: &[Draft], event: &Draft, purpose: &Purpose, expected: &str) {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        room.join("@b:y");
        for draft in before {
            room.say(draft.clone());
        }
        let mut here = room.clone();
        for draft in now {
            here.say(draft.clone());
        }
        let event = room.forge(event);
        let verdict = World::new(&room, &here).judge(event, purpose.clone());
        assert_eq!(word(&verdict), expected, "room version {version}: {verdict:?}");
    }
}

fn acl(allow: &[&str], deny: &[&str]) -> Draft {
    let content = json!({"allow": allow, "deny": deny, "allow_ip_literals": false});
    draft("@a:x", "m.room.server_acl", Some(""), content)
}

#[test]
fn what_a_member_says_is_accepted() {
    check(&[], &[], &text("@b:y", "hi"), &from("y"), "accept");
    check(&[], &[text("@a:x", "meanwhile")], &text("@b:y", "hi"), &from("y"), "accept");
}

#[test]
fn what_a_stranger_says_is_rejected() {
    check(&[], &[], &text("@c:y", "hi"), &from("y"), "reject");
    check(&[], &[], &text("@c:y", "hi"), &Purpose::Cited, "reject");
}

#[test]
fn what_the_banned_say_in_a_past_of_their_own_is_soft_failed() {
    let ban = [member("@a:x", "@b:y", "ban")];
    check(&[], &ban, &text("@b:y", "hi"), &from("y"), "soft-fail");
    check(&[], &ban, &text("@b:y", "hi"), &Purpose::Past, "accept");
}

#[test]
fn what_the_banned_say_after_the_ban_is_rejected() {
    let ban = [member("@a:x", "@b:y", "ban")];
    check(&ban, &[], &text("@b:y", "hi"), &from("y"), "reject");
    check(&ban, &[], &member("@b:y", "@b:y", "join"), &from("y"), "reject");
}

#[test]
fn a_denied_server_brings_nothing() {
    let ours = [acl(&["*"], &["y"])];
    check(&[], &ours, &text("@b:y", "hi"), &from("y"), "drop");
    check(&[], &ours, &text("@b:y", "hi"), &from("y:8448"), "drop");
    check(&[], &ours, &text("@b:y", "hi"), &from("z"), "accept");
    check(&[], &ours, &text("@b:y", "hi"), &Purpose::Past, "accept");
}

/// The message of @b:y, citing what `cite` makes of the right citations.
#[track_caller]
fn check_cited(cite: impl Fn(&Room, Vec<String>) -> Vec<String>, expected: &str) {
    let mut room = Room::new("11", "public");
    room.join("@b:y");
    room.say(draft("@a:x", "m.room.name", Some(""), json!({"name": "n"})));
    let event = room.forge(&text("@b:y", "hi"));
    let cited = event.auth_events().iter().map(ToString::to_string).collect();
    let mut object = event.to_object().unwrap();
    let cited = cite(&room, cited).into_iter().map(Into::into).collect();
    object.insert("auth_events".to_owned(), ruma::CanonicalJsonValue::Array(cited));
    let event = Pdu::from_object(object, &room.rules).unwrap();
    let verdict = World::new(&room, &room).judge(event, from("y"));
    assert_eq!(word(&verdict), expected, "{verdict:?}");
}

#[test]
fn an_event_cites_what_decides_on_it_and_nothing_else() {
    check_cited(|_, cited| cited, "accept");
    check_cited(|_, cited| [cited.clone(), cited].concat(), "reject");
    check_cited(|_, _| vec![], "reject");
    check_cited(|_, cited| [cited, vec!["$unknown".to_owned()]].concat(), "reject");
    let with_name = |room: &Room, cited: Vec<String>| {
        let name = room.events.last().unwrap().event_id().to_string();
        [cited, vec![name]].concat()
    };
    check_cited(with_name, "reject");
}

#[test]
fn whoever_cites_a_rejected_event_is_rejected() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        room.join("@b:y");
        let event = room.forge(&text("@b:y", "hi"));
        let mut world = World::new(&room, &room);
        let join = room.events.last().unwrap().clone();
        world.known.found(join.with_rejected(true));
        assert_eq!(word(&world.judge(event, from("y"))), "reject");
    }
}

#[test]
fn in_new_rooms_the_create_event_must_have_been_accepted() {
    let mut room = Room::new("12", "public");
    room.join("@b:y");
    let event = room.forge(&text("@b:y", "hi"));
    let mut world = World::new(&room, &room);
    world.known.found(room.events[0].clone().with_rejected(true));
    assert_eq!(word(&world.judge(event, from("y"))), "reject");
}

#[test]
fn few_questions_lead_to_the_answer() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        room.join("@b:y");
        let event = room.forge(&text("@b:y", "hi"));
        let mut world = World::new(&room, &room);
        world.judge(event, from("y"));
        assert!(world.rounds <= 3, "{} rounds", world.rounds);
    }
}

#[test]
fn the_create_event_begins_the_room() {
    for version in VERSIONS {
        let room = Room::new(version, "public");
        let empty = Room::empty(version);
        let create = room.events[0].clone();
        let verdict = World::new(&empty, &empty).judge(create, Purpose::Cited);
        assert_eq!(word(&verdict), "accept");
    }
}

#[track_caller]
fn check_acl(content: serde_json::Value, server: &str, expected: bool) {
    let mut room = Room::new("11", "public");
    let acl = room.say(draft("@a:x", "m.room.server_acl", Some(""), content));
    let server: OwnedServerName = server.try_into().unwrap();
    assert_eq!(acl_allows(Some(&acl), &server), expected, "{server}");
}

#[test]
fn an_access_list_denies_first_and_allows_what_it_names() {
    check_acl(json!({"allow": ["*"], "deny": ["*.evil.com"]}), "a.evil.com", false);
    check_acl(json!({"allow": ["*"], "deny": ["*.evil.com"]}), "evil.com", true);
    check_acl(json!({"allow": ["*"], "deny": ["EVIL.com"]}), "evil.com:80", false);
    check_acl(json!({"allow": ["good.com"]}), "other.com", false);
    check_acl(json!({"allow": ["g??d.com"]}), "good.com", true);
    check_acl(json!({}), "any.com", false);
}

#[test]
fn an_access_list_may_deny_numbers() {
    check_acl(json!({"allow": ["*"], "allow_ip_literals": false}), "1.2.3.4", false);
    check_acl(json!({"allow": ["*"], "allow_ip_literals": "no"}), "1.2.3.4", true);
    check_acl(json!({"allow": ["*", 5], "deny": 7}), "[::1]:80", true);
}

#[test]
fn without_an_access_list_everyone_has_access() {
    assert!(acl_allows(None, ruma::server_name!("any.com")));
}
