//! What it means that an old client knows what a new one is told.

use std::{collections::BTreeMap, fmt::Debug};

use serde_json::Value;

use super::{
    client::{Client, Known, Place},
    world::World,
};

/// Checks that `old` knows what `new` was just told. `complete` was told all members.
pub fn check(world: &World, old: &Client, new: &Client, complete: &Client) -> Result<(), String> {
    same("account data", &old.account_data, &new.account_data)?;
    for (id, told) in &new.rooms {
        let known = old.rooms.get(id).ok_or(format!("it does not know {id}"))?;
        let all = complete.rooms.get(id).ok_or(format!("{id} is told to lazy clients only"))?;
        told_once(known, world.was_renewed(id)).map_err(|what| format!("{id}: {what}"))?;
        begins_later(known, told, world.was_renewed(id)).map_err(|what| format!("{id}: {what}"))?;
        room(known, told, all, old.wishes.lazy).map_err(|what| format!("{id}: {what}"))?;
    }
    // A room that is told to nobody any more was left, or forgotten after that.
    let stale = |(id, known): (&String, &Known)| {
        let gone = known.place == Some(Place::Leave) || new.rooms.contains_key(id);
        (!gone).then(|| format!("it still sees {id} as {:?}", known.place))
    };
    old.rooms.iter().find_map(stale).map_or(Ok(()), Err)
}

fn room(known: &Known, told: &Known, all: &Known, lazy: bool) -> Result<(), String> {
    same("place", &known.place, &told.place)?;
    if matches!(told.place, Some(Place::Invite | Place::Knock)) {
        return stripped(&known.stripped["events"], &told.stripped["events"]);
    }
    state(known, told, all, lazy)?;
    timeline(known, told)?;
    same("account data", &known.account_data, &told.account_data)?;
    if told.place == Some(Place::Leave) {
        return Ok(());
    }
    same("those typing", &known.typing, &told.typing)?;
    same("summary", &known.summary, &told.summary)?;
    same("unread", &known.unread, &told.unread)?;
    within("receipts", &told.receipts, &known.receipts)
}

/// What a new client is told of a room from outside is what the old one was told, but for what was redacted.
fn stripped(known: &Value, told: &Value) -> Result<(), String> {
    let slots = |events: &Value| -> BTreeMap<(String, String), Value> {
        let events = events.as_array().into_iter().flatten();
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        events.map(|it| ((text(it, "type"), text(it, "state_key")), it.clone())).collect()
    };
    let (known, mut told) = (slots(known), slots(told));
    for (slot, event) in &mut told {
        let before = known.get(slot).map_or(&Value::Null, |event| &event["content"]);
        let Some(content) = event["content"].as_object() else { continue };
        if content.iter().all(|(field, value)| before[field] == *value) {
            event["content"] = before.clone();
        }
    }
    same("stripped state", &known, &told)
}

/// A client that knows all members knows the whole state. One that does not knows all else, at
/// least the members that a new one is told, and nothing that is not true any more.
fn state(known: &Known, told: &Known, all: &Known, lazy: bool) -> Result<(), String> {
    if !lazy {
        return same("state", &known.state, &told.state);
    }
    within("state", &told.state, &known.state)?;
    within("state that was true", &known.state, &all.state)?;
    let others = |state: &BTreeMap<(String, String), String>| -> BTreeMap<_, _> {
        let others = state.iter().filter(|((kind, _), _)| kind != "m.room.member");
        others.map(|(slot, event)| (slot.clone(), event.clone())).collect()
    };
    same("state without members", &others(&known.state), &others(&all.state))
}

/// It was told no event twice. Where the state was told anew, the user may have come in by that.
fn told_once(known: &Known, was_renewed: bool) -> Result<(), String> {
    let again = known.told_again.as_ref().filter(|_| !was_renewed);
    again.map_or(Ok(()), |event| Err(format!("it was told {event} again")))
}

/// It was told the newest events. Where the state was told anew, state events of before are cut
/// out of a timeline with all in front of them, and a new client can see them again once others
/// took their slots.
fn begins_later(known: &Known, told: &Known, was_renewed: bool) -> Result<(), String> {
    let is_known = |event: &&String| known.events.contains_key(*event);
    let after_gap = |event: &String| known.after_gap.as_ref() == Some(event);
    let start = told.timeline.iter().position(after_gap).filter(|_| known.gaps && was_renewed);
    let start = start.unwrap_or(0);
    let missed = told.timeline[start..].iter().find(|event| !is_known(event));
    missed.map_or(Ok(()), |event| Err(format!("it was not told {event}")))
}

/// It was told of the events that were redacted, unless it had left by then.
fn timeline(known: &Known, told: &Known) -> Result<(), String> {
    for (event, redacted) in &told.events {
        let Some(was_redacted) = known.events.get(event) else { continue };
        let away = known.gaps || known.place == Some(Place::Leave);
        let missed = *redacted && !was_redacted && away;
        if redacted != was_redacted && !missed {
            return Err(format!("{event} is redacted: {redacted}, known as {was_redacted}"));
        }
    }
    Ok(())
}

fn same<T: PartialEq + Debug>(what: &str, known: &T, told: &T) -> Result<(), String> {
    if known == told { Ok(()) } else { Err(format!("{what}\n known {known:?}\n  told {told:?}")) }
}

fn within<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    part: &BTreeMap<K, V>,
    whole: &BTreeMap<K, V>,
) -> Result<(), String> {
    let missing = part.iter().find(|(key, value)| whole.get(key) != Some(value));
    missing.map_or(Ok(()), |(key, value)| {
        Err(format!("{what}: {key:?} is {value:?}, known as {:?}", whole.get(key)))
    })
}
