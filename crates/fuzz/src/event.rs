//! Events from elsewhere: the first byte chooses the room version, the rest is what came.

use ruma::room_version_rules::RoomVersionRules;
use serde_json::Value;
use tertulia_protocol::{
    Incoming, Known, Pdu, Power, Purpose, Rendered, RoomIdShown, Verified, acl_allows, admit,
    auth_slots_of, content_for_clients, may_redact, redact, stripped, verify,
    visibility::{Moment, can_see},
};

use crate::room::{Room, room};

/// An event is refused, or all that is asked about it has an answer.
pub(crate) fn run(input: &[u8]) {
    let Some((version, json)) = input.split_first() else {
        return;
    };
    let Ok(json) = std::str::from_utf8(json) else {
        return;
    };
    let room = room(*version);
    // Whose keys are unknown is not asked for them.
    let _ = verify(json, &room.rules, &Known::default());
    if let Ok(event) = Pdu::parse(json, &room.rules) {
        stays_itself(&event, &room.rules);
        ask(&event, room);
        judge(&event, room);
    }
}

/// What was read once reads the same again, be it from a store or from another server.
fn stays_itself(event: &Pdu, rules: &RoomVersionRules) {
    let json = event.json().get();
    let again = Pdu::parse(json, rules).expect("what was read can be read");
    assert_eq!(again.event_id(), event.event_id());
    assert_eq!(again.json().get(), json, "the canonical form is one");
    let stored =
        Pdu::load(event.event_id().clone(), json.as_bytes(), rules).expect("it was stored");
    assert_eq!(stored.event_id(), event.event_id());
    assert_eq!(stored.slot(), event.slot());
    assert_eq!(stored.prev_events(), event.prev_events());
    let redacted = redact(rules, event);
    assert_eq!(redacted.event_id(), event.event_id(), "a redaction leaves the ID");
    let twice = redact(rules, &redacted);
    assert_eq!(twice.json().get(), redacted.json().get(), "and takes all at once");
}

/// Asks what clients and rules ask.
fn ask(event: &Pdu, room: &Room) {
    let rules = &room.rules;
    for event in [event, &redact(rules, event)] {
        let content = content_for_clients(event);
        let rendered = Rendered::new(event, content.as_deref(), RoomIdShown::Yes, None::<&Value>);
        serde_json::to_string(&rendered).expect("clients can be told");
        stripped(event);
        let _ = auth_slots_of(rules, event);
        let power = Power::new(rules, event, Some(event));
        power.may_send(event.sender(), event.kind(), event.state_key());
        may_redact(rules, event, event, &power);
        acl_allows(Some(event), event.sender().server_name());
        can_see(event, event.sender(), &Moment::new(Some(event), Some(event)), true);
    }
}

/// Admits the event to the room; nothing can be had but what is there.
fn judge(event: &Pdu, room: &Room) {
    for purpose in [Purpose::Timeline { sent_by: Room::server() }, Purpose::Past, Purpose::Cited] {
        let event = Verified::trusted(event.clone());
        let incoming = Incoming { event, purpose };
        let mut known = room.known();
        let judged = (0..20).any(|_| match admit(&room.rules, &incoming, &known) {
            Ok(_) => true,
            Err(needs) => {
                needs.events.into_iter().for_each(|id| known.absent(id));
                for (at, slots) in needs.state {
                    for slot in slots {
                        let event = room.state.get(&slot.0, &slot.1).cloned();
                        known.tell_state(at.clone(), slot, event);
                    }
                }
                false
            }
        });
        assert!(judged, "the questions come to an end");
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use super::*;

    /// With `TERTULIA_WRITE_SEEDS` naming a folder, they are written there.
    #[test]
    fn the_room_s_own_events_pass() {
        let folder = env::var_os("TERTULIA_WRITE_SEEDS").map(PathBuf::from);
        for version in 0..12 {
            for (number, event) in room(version).events.iter().enumerate() {
                let input = [&[version], event.json().get().as_bytes()].concat();
                assert!(Pdu::parse(event.json().get(), &room(version).rules).is_ok());
                run(&input);
                if let Some(folder) = &folder {
                    fs::write(folder.join(format!("{}-{number}", version + 1)), input).unwrap();
                }
            }
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for input in [&b""[..], b"\x01", b"\x01{}", b"\x0b[1]", b"\x00\xff", b"\xff{\"type\":1}"] {
            run(input);
        }
    }
}
