//! Turning a local user's wish into an event at the end of a room.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId,
    RoomId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules},
};
use serde_json::value::RawValue;

use crate::{
    AuthState, Known, Malformed, Needs, Pdu, Rejection, Signer,
    auth::{authorize_by_state, authorize_citations, cited_slots},
    canonical::canonical_content,
    format::{self, bad},
    hash,
    pdu::{self, Parsed, room_of},
    power::all_are_integers,
};

/// What a local user wants to say, before the room has had its word.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who says it.
    pub sender: OwnedUserId,
    /// The event's type.
    pub kind: TimelineEventType,
    /// The state key, if it changes the room's state.
    pub state_key: Option<String>,
    /// The content, any JSON object.
    pub content: Box<RawValue>,
    /// The event that a redaction redacts; put where the room version keeps it.
    pub redacts: Option<OwnedEventId>,
}

impl Draft {
    /// A message: an event that leaves the state as it is.
    pub fn message(sender: OwnedUserId, kind: TimelineEventType, content: Box<RawValue>) -> Self {
        Self { sender, kind, state_key: None, content, redacts: None }
    }

    /// A change of the state.
    pub fn state(
        sender: OwnedUserId,
        kind: StateEventType,
        key: impl Into<String>,
        content: Box<RawValue>,
    ) -> Self {
        Self {
            sender,
            kind: TimelineEventType::from(kind),
            state_key: Some(key.into()),
            content,
            redacts: None,
        }
    }
}

/// All of a room that a new event depends on.
#[derive(Clone, Copy, Debug)]
pub struct Tip<'a> {
    /// The room; nothing for the create event of a room whose ID will be that event's hash.
    pub room: Option<&'a RoomId>,
    /// The rules of the room's version.
    pub rules: &'a RoomVersionRules,
    /// The events that no other event follows yet; none if the room is being created.
    pub prev_events: &'a [OwnedEventId],
    /// The greatest depth among `prev_events`, 0 if there are none.
    pub depth: u64,
    /// The events in the slots that [`auth_slots`](crate::auth_slots) names.
    pub state: &'a AuthState,
    /// The `prev_events` themselves. Only room versions 1 and 2 ask for them, since they cite hashes; elsewhere leave it empty.
    pub known: &'a Known,
}

/// Why a draft did not become an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The rules of the room forbid it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It would not be a valid event: too large, a field too long, a number no integer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The room's version cites events by hash, and these are not loaded.
    #[error(transparent)]
    Needs(#[from] Needs),
    /// Its sender belongs to another server, in whose name this one cannot sign.
    #[error("the sender {0} belongs to another server")]
    Foreign(OwnedUserId),
}

/// Turns a draft into a signed, authorised event at the end of the room.
pub fn append(
    tip: &Tip<'_>,
    draft: Draft,
    now: MilliSecondsSinceUnixEpoch,
    signer: &Signer,
) -> Result<Pdu, AppendError> {
    if draft.sender.server_name() != signer.server() {
        return Err(AppendError::Foreign(draft.sender));
    }
    // Said before the events are needed that a room version may cite by their hash.
    if draft.kind == TimelineEventType::RoomCreate && !tip.prev_events.is_empty() {
        return Err(Rejection("a room is created once".to_owned()).into());
    }
    let event = build(tip, &draft, now, signer)?;
    if event.kind() == &TimelineEventType::RoomCreate {
        authorize_citations(tip.rules, &event, tip.known)??;
    }
    if event.is_at(&StateEventType::RoomPowerLevels, "") && !all_are_integers(&event) {
        return Err(bad("content", "must have integers as power levels").into());
    }
    authorize_by_state(tip.rules, &event, tip.state)?;
    Ok(event)
}

/// Builds and signs an event without asking whether it is allowed.
pub(crate) fn build(
    tip: &Tip<'_>,
    draft: &Draft,
    now: MilliSecondsSinceUnixEpoch,
    signer: &Signer,
) -> Result<Pdu, AppendError> {
    let slots = cited_slots(tip.rules, draft)?;
    let auth: Vec<_> = slots.iter().filter_map(|(kind, key)| tip.state.get(kind, key)).collect();
    let mut object = unsigned_object(tip, draft, &auth, now, signer)?;
    let signable = hash_and_sign(&mut object, tip.rules, signer)?;
    let id = hash::event_id(&object, &signable, tip.rules)?;
    if draft.kind == TimelineEventType::RoomRedaction {
        return Ok(Pdu::with_id(id, &object, tip.rules)?); // what it redacts stands in one of two places
    }
    Ok(Pdu::new(Parsed {
        room: tip.room.map_or_else(|| room_of(&id), |room| Ok(room.to_owned()))?,
        names_room: tip.room.is_some(),
        sender: draft.sender.clone(),
        kind: draft.kind.clone(),
        slot: draft.state_key.clone().map(|key| (draft.kind.to_string().into(), key)),
        content: pdu::raw(&object["content"])?,
        prev_events: tip.prev_events.to_vec(),
        auth_events: auth.into_iter().map(|event| event.event_id().clone()).collect(),
        redacts: None,
        origin_server_ts: now,
        depth: i64::from(next_depth(tip.depth)).unsigned_abs(),
        json: pdu::event_json(&object)?,
        id,
    }))
}

/// The event with this server's signature added, as an invited user's server and one that lets somebody into a restricted
/// room give it. The event stays the same.
pub fn co_sign(rules: &RoomVersionRules, event: &Pdu, signer: &Signer) -> Result<Pdu, Malformed> {
    let mut object = event.to_object()?;
    let signable = hash::signable(&object, rules)?;
    signer.sign_into(&mut object, &signable);
    let signed = Pdu::with_id(event.event_id().clone(), &object, rules)?;
    Ok(signed.with_rejected(event.rejected()))
}

/// Hashes and signs the object of an event. Gives the bytes that were signed, of which the event's ID is the hash.
pub(crate) fn hash_and_sign(
    object: &mut CanonicalJsonObject,
    rules: &RoomVersionRules,
    signer: &Signer,
) -> Result<String, Malformed> {
    let hash = CanonicalJsonValue::String(hash::content_hash(object)?);
    let hashes = CanonicalJsonObject::from([("sha256".to_owned(), hash)]);
    object.insert("hashes".to_owned(), hashes.into());
    let signable = hash::signable(object, rules)?;
    signer.sign_into(object, &signable);
    Ok(signable)
}

fn unsigned_object(
    tip: &Tip<'_>,
    draft: &Draft,
    auth: &[&Pdu],
    now: MilliSecondsSinceUnixEpoch,
    signer: &Signer,
) -> Result<CanonicalJsonObject, AppendError> {
    let mut object = wording(tip.rules, draft)?;
    let mut put = |key: &str, value: CanonicalJsonValue| object.insert(key.to_owned(), value);
    if let Some(room) = tip.room {
        put("room_id", room.as_str().into());
    }
    put("depth", CanonicalJsonValue::Integer(next_depth(tip.depth)));
    put("origin_server_ts", CanonicalJsonValue::Integer(now.0.into()));
    put("prev_events", cite_previous(tip)?);
    put("auth_events", cite(auth.iter().copied(), tip.rules)?);
    if tip.rules.event_format.require_event_id {
        let hash = hash::url_base64(hash::content_hash(&object)?.as_bytes());
        let id = format!("${hash}:{}", signer.server());
        object.insert("event_id".to_owned(), id.into());
    }
    format::check(&object, tip.rules)?;
    Ok(object)
}

/// What the sender says, without its place in the room.
fn wording(rules: &RoomVersionRules, draft: &Draft) -> Result<CanonicalJsonObject, Malformed> {
    let kind = draft.kind.to_string();
    // Other servers may send one; but no client could name the event or its slot in a path.
    if kind.is_empty() {
        return Err(bad("type", "must not be empty"));
    }
    let mut object = CanonicalJsonObject::new();
    let mut put = |key: &str, value: CanonicalJsonValue| object.insert(key.to_owned(), value);
    let mut content = canonical_content(&draft.content)?;
    if let Some(redacts) = &draft.redacts {
        if rules.redaction.content_field_redacts {
            content.insert("redacts".to_owned(), redacts.as_str().into());
        } else {
            put("redacts", redacts.as_str().into());
        }
    }
    if let Some(key) = &draft.state_key {
        put("state_key", key.as_str().into());
    }
    put("sender", draft.sender.as_str().into());
    put("type", kind.into());
    put("content", content.into());
    Ok(object)
}

/// One more than `depth`; it stays at the greatest integer that JSON can hold.
fn next_depth(depth: u64) -> ruma::Int {
    i64::try_from(depth.saturating_add(1))
        .ok()
        .and_then(|depth| ruma::Int::try_from(depth).ok())
        .unwrap_or(ruma::Int::MAX)
}

fn cite_previous(tip: &Tip<'_>) -> Result<CanonicalJsonValue, AppendError> {
    if tip.rules.events_reference_format != EventsReferenceFormatVersion::V1 {
        let ids = tip.prev_events.iter().map(|id| id.as_str().into());
        return Ok(CanonicalJsonValue::Array(ids.collect()));
    }
    tip.known.require(tip.prev_events)?;
    let found = tip.prev_events.iter().filter_map(|id| tip.known.get(id));
    Ok(cite(found, tip.rules)?)
}

/// References to events in the form of the room version.
fn cite<'a>(
    events: impl Iterator<Item = &'a Pdu>,
    rules: &RoomVersionRules,
) -> Result<CanonicalJsonValue, Malformed> {
    let hashed = rules.events_reference_format == EventsReferenceFormatVersion::V1;
    let reference = |event: &Pdu| {
        let id = CanonicalJsonValue::from(event.event_id().as_str());
        if !hashed {
            return Ok(id);
        }
        let signable = hash::signable(&event.to_readable_object(), rules)?;
        let hash = CanonicalJsonValue::String(hash::standard_base64(signable.as_bytes()));
        let hashes = CanonicalJsonObject::from([("sha256".to_owned(), hash)]);
        Ok(CanonicalJsonValue::Array(vec![id, hashes.into()]))
    };
    let entries: Result<Vec<_>, Malformed> = events.map(reference).collect();
    entries.map(CanonicalJsonValue::Array)
}

#[cfg(test)]
mod tests {
    use ruma::state_res::Event;
    use serde_json::json;

    use super::*;
    use crate::{
        testing::{
            Room, VERSIONS, draft, member, nested, redaction, rules, signer, tell_key, text,
        },
        verify,
    };

    /// Appends the drafts to a new invite-only room of every version, and tells which ones it refuses.
    #[track_caller]
    fn check(drafts: &[Draft], refused: &[usize]) {
        for version in VERSIONS {
            let mut room = Room::new(version, "invite");
            let mut got = Vec::new();
            for (index, draft) in drafts.iter().enumerate() {
                match room.try_say(draft.clone()) {
                    Ok(_) => {}
                    Err(AppendError::Rejected(_)) => got.push(index),
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(got, refused, "room version {version}");
        }
    }

    #[test]
    fn only_members_speak() {
        let drafts = [
            text("@b:x", "let me in"),
            member("@b:x", "@b:x", "join"),
            member("@a:x", "@b:x", "invite"),
            member("@b:x", "@b:x", "join"),
            text("@b:x", "thanks"),
            member("@b:x", "@b:x", "leave"),
            text("@b:x", "one more thing"),
        ];
        check(&drafts, &[0, 1, 6]);
    }

    #[test]
    fn a_banned_user_cannot_return() {
        let drafts = [
            member("@a:x", "@b:x", "invite"),
            member("@a:x", "@b:x", "ban"),
            member("@b:x", "@b:x", "join"),
            member("@a:x", "@b:x", "invite"),
            member("@a:x", "@b:x", "leave"),
            member("@a:x", "@b:x", "invite"),
            member("@b:x", "@b:x", "join"),
        ];
        check(&drafts, &[2, 3]);
    }

    #[test]
    fn a_newcomer_cannot_change_the_state() {
        let drafts = [
            member("@a:x", "@b:x", "invite"),
            member("@b:x", "@b:x", "join"),
            draft("@b:x", "m.room.name", Some(""), json!({"name": "mine"})),
            draft("@a:x", "m.room.name", Some(""), json!({"name": "ours"})),
        ];
        check(&drafts, &[2]);
    }

    #[test]
    fn the_same_inputs_give_the_same_event() {
        for version in VERSIONS {
            let ids = |room: Room| {
                let ids = room.events.iter().map(|event| event.event_id().clone());
                ids.collect::<Vec<_>>()
            };
            let (one, two) = (Room::new(version, "public"), Room::new(version, "public"));
            assert_eq!(ids(one), ids(two), "room version {version}");
        }
    }

    #[test]
    fn what_was_appended_reads_back_the_same() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            room.say(text("@a:x", "hello"));
            for event in &room.events {
                let read = Pdu::parse(event.json().get(), &room.rules).unwrap();
                assert_eq!(read.event_id(), event.event_id());
                assert_eq!(read.room_id(), event.room_id());
                assert_eq!(read.json().get(), event.json().get());
                let id = event.event_id().clone();
                let loaded = Pdu::load(id, event.json().get().as_bytes(), &room.rules).unwrap();
                assert_eq!(loaded.room_id(), event.room_id());
                assert_eq!(loaded.prev_events(), event.prev_events());
                assert_eq!(loaded.auth_events(), event.auth_events());
                assert_eq!((loaded.kind(), loaded.slot()), (event.kind(), event.slot()));
                assert_eq!((loaded.sender(), loaded.depth()), (event.sender(), event.depth()));
                assert_eq!(loaded.origin_server_ts(), event.origin_server_ts());
                assert_eq!(loaded.content().get(), event.content().get());
                assert_eq!(loaded.redacts(), event.redacts());
                assert_eq!(Event::room_id(&loaded), Event::room_id(event));
            }
        }
    }

    #[test]
    fn each_event_goes_one_deeper_and_follows_the_last() {
        for version in VERSIONS {
            let room = Room::new(version, "public");
            for (index, event) in room.events.iter().enumerate() {
                assert_eq!(event.depth(), index as u64 + 1);
                let previous = index.checked_sub(1).map(|index| &room.events[index]);
                let expected: Vec<_> = previous.iter().map(|e| e.event_id().clone()).collect();
                assert_eq!(event.prev_events(), expected);
            }
        }
    }

    #[test]
    fn only_where_the_room_id_is_no_hash_is_the_create_event_cited() {
        for version in VERSIONS {
            let room = Room::new(version, "public");
            let create = room.events[0].event_id();
            let cited = room.events[2].auth_events().contains(create);
            assert_eq!(cited, version != "12");
            if version == "12" {
                assert_eq!(create.as_str()[1..], room.events[2].room_id().as_str()[1..]);
            }
        }
    }

    #[test]
    fn a_room_is_created_once() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            for key in [Some(""), Some("x"), None] {
                let again = draft("@a:x", "m.room.create", key, json!({}));
                let refused = room.try_say(again).unwrap_err();
                assert!(matches!(refused, AppendError::Rejected(_)), "{version}: {refused:?}");
            }
        }
    }

    #[test]
    fn a_redaction_names_its_target_where_its_version_wants_it() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let target = room.say(text("@a:x", "oops"));
            let redaction = room.say(redaction("@a:x", &target));
            assert_eq!(redaction.redacts(), Some(target.event_id()));
            let object = redaction.to_object().unwrap();
            let beside = object.contains_key("redacts");
            assert_eq!(beside, !["11", "12"].contains(&version));
        }
    }

    #[test]
    fn the_oldest_rooms_cite_hashes_of_the_events_they_name() {
        let rules = rules("1");
        let room = Room::new("1", "public");
        let object = room.events[1].to_object().unwrap();
        let cited = object["prev_events"].as_array().unwrap()[0].as_array().unwrap();
        assert_eq!(cited[0].as_str(), Some(room.events[0].event_id().as_str()));
        let hash = ruma::signatures::reference_hash(&room.events[0].to_object().unwrap(), &rules);
        assert_eq!(cited[1].as_object().unwrap()["sha256"].as_str(), hash.ok().as_deref());
    }

    #[test]
    fn hashes_and_signatures_are_those_that_ruma_checks() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            room.say(text("@a:x", "hello"));
            let signer = signer("x");
            let key = ruma::serde::Base64::new(signer.public_key().to_vec());
            let keys = [("x".to_owned(), [(signer.key_id(), key)].into())].into();
            for event in &room.events {
                let verified =
                    ruma::signatures::verify_event(&keys, &event.to_object().unwrap(), &room.rules);
                assert_eq!(verified.unwrap(), ruma::signatures::Verified::All);
            }
        }
    }

    #[test]
    fn a_second_signature_changes_nothing_else() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let invite = room.say(member("@a:x", "@b:y", "invite"));
            let signed = co_sign(&room.rules, &invite, &signer("y")).unwrap();
            assert_eq!(signed.event_id(), invite.event_id());
            let object = signed.to_object().unwrap();
            let signers = object["signatures"].as_object().unwrap().keys();
            assert_eq!(signers.collect::<Vec<_>>(), ["x", "y"]);
            let mut known = Known::default();
            tell_key(&mut known, "x", 1_000_000);
            let json = signed.json().get();
            assert!(verify(json, &room.rules, &known).unwrap().is_ok());
        }
    }

    #[test]
    fn the_oldest_rooms_ask_for_the_events_they_follow() {
        let mut room = Room::new("2", "public");
        room.events.clear();
        let refused = room.try_say(text("@a:x", "hello")).unwrap_err();
        let AppendError::Needs(needs) = refused else {
            panic!("{refused}");
        };
        assert_eq!(needs.events, room.tips.iter().cloned().collect());
    }

    #[test]
    fn nobody_signs_for_another_server() {
        let mut room = Room::new("12", "public");
        let (state, known) = (AuthState::default(), Known::default());
        let tip = Tip {
            room: room.id.as_deref(),
            rules: &room.rules,
            prev_events: &room.tips,
            depth: 3,
            state: &state,
            known: &known,
        };
        let refused = append(&tip, text("@b:y", "hi"), room.time(), &signer("x"));
        assert_eq!(refused.unwrap_err(), AppendError::Foreign("@b:y".try_into().unwrap()));
        room.join("@b:y");
    }

    #[test]
    fn an_event_that_is_too_large_is_refused() {
        let mut room = Room::new("11", "public");
        let body = "x".repeat(66_000);
        let refused = room.try_say(text("@a:x", &body)).unwrap_err();
        assert!(matches!(refused, AppendError::Malformed(Malformed::TooLarge(_))));
    }

    #[test]
    fn a_fraction_is_no_canonical_number() {
        let mut room = Room::new("11", "public");
        let refused = room.try_say(draft("@a:x", "m.test", None, json!({"n": 0.5})));
        assert!(matches!(refused, Err(AppendError::Malformed(Malformed::Json(_)))));
    }

    #[test]
    fn a_type_has_at_least_one_byte() {
        let mut room = Room::new("11", "public");
        for key in [None, Some(""), Some("key")] {
            let refused = room.try_say(draft("@a:x", "", key, json!({})));
            let field = Malformed::Field { field: "type", problem: "must not be empty" };
            assert_eq!(refused.unwrap_err(), AppendError::Malformed(field));
        }
    }

    #[test]
    fn a_content_is_not_nested_too_deeply() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let mut say = |depth| {
                let content = serde_json::value::RawValue::from_string(nested(depth)).unwrap();
                room.try_say(Draft { content, ..text("@a:x", "") })
            };
            let event = say(crate::MAX_NESTING).unwrap();
            assert!(Pdu::parse(event.json().get(), &rules(version)).is_ok());
            for depth in [crate::MAX_NESTING + 1, 127, 128, 10_000] {
                let refused = say(depth).unwrap_err();
                assert!(matches!(refused, AppendError::Malformed(_)), "{depth}: {refused:?}");
            }
        }
    }

    #[test]
    fn the_oldest_rooms_go_on_after_an_event_too_deep_to_be_read() {
        let mut room = Room::new("1", "public");
        let last = room.say(text("@a:x", "here"));
        let content = format!(r#""content":{},"#, nested(5_000));
        let json =
            last.json().get().replace(r#""content":{"body":"here","msgtype":"m.text"},"#, &content);
        let stored = Pdu::load(last.event_id().clone(), json.as_bytes(), &room.rules).unwrap();
        assert_eq!(stored.content().get().len(), nested(5_000).len());
        assert!(stored.to_object().is_err());
        *room.events.last_mut().unwrap() = stored;
        let next = room.say(text("@a:x", "next"));
        assert_eq!(next.prev_events(), [last.event_id().clone()]);
    }

    #[test]
    fn a_type_has_at_most_255_bytes() {
        let mut room = Room::new("11", "public");
        let refused = room.try_say(draft("@a:x", &"t".repeat(256), None, json!({})));
        assert_eq!(refused.unwrap_err(), AppendError::Malformed(Malformed::TooLong("type")));
    }
}
