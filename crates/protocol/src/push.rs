//! Push rules: what they say of an event (client-server API, "Push notifications").
//!
//! To ask them of every event that somebody has not read would cost too much. Most rules cannot
//! tell two messages apart: of an event they see its class, who sent it, and whom it mentions. So
//! events are counted by these, and the rules are asked once for all that look alike to them:
//! [`example`] makes an event that stands for the others, and [`reads_content`] tells of which
//! rules that is not true.

use std::{
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

use ruma::{
    Int, OwnedRoomId, OwnedUserId, RoomId, ServerName, UInt, UserId,
    power_levels::NotificationPowerLevels,
    push::{
        Action, AnyPushRuleRef, ConditionalPushRule, PushCondition, PushConditionPowerLevelsCtx,
        PushConditionRoomCtx, Ruleset,
    },
    room_version_rules::{AuthorizationRules, RoomPowerLevelsRules},
    serde::Raw,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use crate::{Pdu, Relation};

/// How many users an event may mention to have them written down. Who mentions more is asked again.
const MOST_MENTIONED: usize = 16;

/// What the predefined push rules can tell one event from another by, apart from mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventClass(u8);

/// The types of events that predefined rules name, in the order of their numbers from 1. What is
/// stored names them by these numbers: the list may only grow.
const TYPES: [&str; 8] = [
    "m.room.message",
    "m.room.encrypted",
    "m.call.invite",
    "m.room.member",
    "m.room.tombstone",
    "m.reaction",
    "m.room.server_acl",
    "m.room.redaction",
];
/// The number of the type.
const TYPE: u8 = 0b0000_1111;
/// The event has the `msgtype` of notices.
const NOTICE: u8 = 0b0001_0000;
/// The event replaces another.
const EDIT: u8 = 0b0010_0000;
/// The event has a state key.
const STATE: u8 = 0b0100_0000;
/// The event has a state key that is not empty.
const KEYED: u8 = 0b1000_0000;

impl EventClass {
    /// What was redacted, whatever it was: nobody is to be notified of it.
    pub const REDACTED: Self = Self(TYPE);

    /// The class of an event of this content.
    fn read(pdu: &Pdu, content: &Content) -> Self {
        let kind = pdu.kind().to_string().to_lowercase();
        let number = TYPES.iter().position(|known| *known == kind).map_or(0, |index| index + 1);
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let key = pdu.state_key();
        Self(
            u8::try_from(number).expect("there are few types")
                | flag(content.is_notice, NOTICE)
                | flag(content.is_edit(), EDIT)
                | flag(key.is_some(), STATE)
                | flag(key.is_some_and(|key| !key.is_empty()), KEYED),
        )
    }

    /// The class that [`EventClass::number`] names.
    pub const fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// The class as it is stored.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether the events of this class change the state of the room.
    pub const fn is_state(self) -> bool {
        self.0 & STATE != 0
    }

    /// Whether the events of this class redact others.
    pub fn is_redaction(self) -> bool {
        self.kind() == Some("m.room.redaction")
    }

    fn kind(self) -> Option<&'static str> {
        let number = usize::from(self.0 & TYPE);
        TYPES.get(number.checked_sub(1)?).copied()
    }
}

/// Whom an event says it mentions, of the users of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// These users, unless they are too many.
    pub users: Vec<OwnedUserId>,
    /// Whether more users are mentioned than are named here; the event itself tells who.
    pub many: bool,
    /// The whole room.
    pub room: bool,
}

impl Mentions {
    /// Whether nobody is mentioned.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.many && !self.room
    }
}

/// What push rules see of an event without asking who is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its class.
    pub class: EventClass,
    /// Whom it mentions.
    pub mentions: Mentions,
    /// What it relates to.
    pub relation: Option<Relation>,
}

/// What push rules see of `pdu`; of the users it mentions, those of `server`.
pub fn seen(pdu: &Pdu, server: &ServerName) -> Seen {
    let content = Content::of(pdu);
    let class = EventClass::read(pdu, &content);
    let mut users = content.mentioned;
    users.retain(|user| user.server_name() == server);
    users.sort();
    users.dedup();
    let many = users.len() > MOST_MENTIONED;
    if many {
        users.clear();
    }
    let mentions = Mentions { users, many, room: content.mentions_room };
    Seen { class, mentions, relation: content.relation }
}

/// The parts of an event's content that matter here. Each is read by itself, so that one which is
/// malformed hides no other.
#[derive(Default)]
struct Content {
    is_notice: bool,
    relation: Option<Relation>,
    rel_type: Option<String>,
    mentioned: Vec<OwnedUserId>,
    mentions_room: bool,
}

impl Content {
    fn of(pdu: &Pdu) -> Self {
        #[derive(Deserialize)]
        struct Parts<'a> {
            #[serde(borrow)]
            msgtype: Option<&'a RawValue>,
            #[serde(borrow, rename = "m.relates_to")]
            relates_to: Option<&'a RawValue>,
            #[serde(borrow, rename = "m.mentions")]
            mentions: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Relates {
            rel_type: Option<Value>,
        }
        #[derive(Deserialize)]
        struct Mentioned {
            user_ids: Option<Value>,
            room: Option<Value>,
        }
        let Ok(parts) = serde_json::from_str::<Parts<'_>>(pdu.content().get()) else {
            return Self::default();
        };
        let msgtype: Option<String> = read(parts.msgtype);
        let relates: Option<Relates> = read(parts.relates_to);
        let mentions: Option<Mentioned> = read(parts.mentions);
        let rel_type = relates.and_then(|relates| relates.rel_type);
        let (users, room) = mentions.map_or((None, None), |all| (all.user_ids, all.room));
        Self {
            is_notice: msgtype.is_some_and(|kind| kind.to_lowercase() == "m.notice"),
            relation: Relation::of(pdu.content()),
            rel_type: rel_type.and_then(|kind| kind.as_str().map(ToOwned::to_owned)),
            mentioned: users.map(|users| user_ids(&users)).unwrap_or_default(),
            mentions_room: room == Some(Value::Bool(true)),
        }
    }

    fn is_edit(&self) -> bool {
        self.rel_type.as_deref() == Some("m.replace")
    }
}

/// Whether an event says that it is for the attention of `user` (`m.mentions`).
pub fn mentions(pdu: &Pdu, user: &UserId) -> bool {
    Content::of(pdu).mentioned.iter().any(|mentioned| mentioned == user)
}

fn read<T: DeserializeOwned>(json: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(json?.get()).ok()
}

fn user_ids(list: &Value) -> Vec<OwnedUserId> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter_map(|text| UserId::parse(text).ok()).map(|user| user.to_owned()).collect()
}

/// What a user's push rules say of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The user is to be notified.
    pub notify: bool,
    /// And the event is to be highlighted.
    pub highlight: bool,
}

impl Judgement {
    /// What actions come to.
    pub fn of(actions: &[Action]) -> Self {
        let notify = actions.iter().any(|action| matches!(action, Action::Notify));
        let highlight = notify && actions.iter().any(|action| action.is_highlight());
        Self { notify, highlight }
    }
}

/// What push rules may ask of a room.
#[derive(Clone, Debug)]
pub struct PushContext {
    /// The room.
    pub room: OwnedRoomId,
    /// How many users are joined.
    pub members: u64,
    /// Whose rules they are.
    pub user: OwnedUserId,
    /// What that user is called in the room.
    pub display_name: String,
}

/// What `rules` say of `event`, a JSON object as clients are told events; nothing of an event that
/// the user sent. `may_notify_room` tells whether its sender has the power to.
pub fn judge(
    rules: &Ruleset,
    event: &RawValue,
    context: &PushContext,
    may_notify_room: bool,
) -> Judgement {
    Judgement::of(actions(rules, event, context, may_notify_room))
}

/// What `rules` want to be done about `event`, as [`judge`] is asked.
pub fn actions<'a>(
    rules: &'a Ruleset,
    event: &RawValue,
    context: &PushContext,
    may_notify_room: bool,
) -> &'a [Action] {
    let context = of_ruma(context, may_notify_room);
    let event: Raw<Value> = Raw::from_json(event.to_owned());
    let matching = pin!(rules.get_match(&event, &context));
    // It is asynchronous for the sake of conditions that this server does not have.
    match matching.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(rule) => rule.map(AnyPushRuleRef::actions).unwrap_or_default(),
        Poll::Pending => &[],
    }
}

fn of_ruma(context: &PushContext, may_notify_room: bool) -> PushConditionRoomCtx {
    let PushContext { room, members, user, display_name } = context.clone();
    let members = UInt::new_saturating(members);
    let mut context = PushConditionRoomCtx::new(room, members, user, display_name);
    let power = Int::from(i32::from(may_notify_room));
    let mut required = NotificationPowerLevels::new();
    required.room = Int::from(1);
    let rules = RoomPowerLevelsRules::new(&AuthorizationRules::V1, []);
    context.power_levels =
        Some(PushConditionPowerLevelsCtx::new(BTreeMap::new(), power, required, rules));
    context
}

/// An event that push rules which do not read content cannot tell from those of `class` by
/// `sender` in `room` with the same mentions.
pub fn example(
    class: EventClass,
    sender: &UserId,
    room: &RoomId,
    mentioned: Option<&UserId>,
    mentions_room: bool,
) -> Box<RawValue> {
    let mut content = json!({});
    if class.0 & NOTICE != 0 {
        content["msgtype"] = "m.notice".into();
    }
    if class.0 & EDIT != 0 {
        content["m.relates_to"] = json!({ "rel_type": "m.replace" });
    }
    if mentioned.is_some() || mentions_room {
        content["m.mentions"] =
            json!({ "user_ids": Vec::from_iter(mentioned), "room": mentions_room });
    }
    let mut event = json!({ "sender": sender, "room_id": room, "content": content });
    event["type"] = class.kind().unwrap_or_default().into();
    if class.is_state() {
        // Rules that ask for more of a state key than whether it is empty read content.
        event["state_key"] = if class.0 & KEYED == 0 { "" } else { "-" }.into();
    }
    serde_json::value::to_raw_value(&event).expect("an event is JSON")
}

/// Whether what `rules` say of an event in `room` may depend on more than its class, its sender
/// and its mentions.
pub fn reads_content(rules: &Ruleset, room: &RoomId) -> bool {
    let own = rules.override_.iter().chain(&rules.underride).filter(|rule| !rule.default);
    rules.content.iter().any(|rule| rule.enabled)
        || own.filter(|rule| rule.enabled).any(|rule| rule_reads_content(rule, room))
}

/// Whether what `rules` say of an event may depend on who sent it, mentions of the room apart.
pub fn asks_who_sent(rules: &Ruleset) -> bool {
    let own = rules.override_.iter().chain(&rules.underride).filter(|rule| !rule.default);
    let mut conditions = own.filter(|rule| rule.enabled).flat_map(|rule| &rule.conditions);
    rules.sender.iter().any(|rule| rule.enabled)
        || conditions.any(|condition| match condition {
            PushCondition::EventMatch(is) => is.key == "sender",
            PushCondition::EventPropertyIs(is) => is.key == "sender",
            PushCondition::SenderNotificationPermission(_) => true,
            _ => false,
        })
}

fn rule_reads_content(rule: &ConditionalPushRule, room: &RoomId) -> bool {
    let elsewhere = |condition: &PushCondition| match condition {
        PushCondition::EventMatch(is) => is.key == "room_id" && is_other_room(&is.pattern, room),
        _ => false,
    };
    !rule.conditions.iter().any(elsewhere) && !rule.conditions.iter().all(is_of_class)
}

/// Whether `pattern` is for certain not about `room`.
fn is_other_room(pattern: &str, room: &RoomId) -> bool {
    !is_glob(pattern) && pattern.to_lowercase() != room.as_str().to_lowercase()
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether all events of a class, by one sender in one room, meet the condition alike.
fn is_of_class(condition: &PushCondition) -> bool {
    match condition {
        PushCondition::EventMatch(is) => match &*is.key {
            "room_id" | "sender" => true,
            "type" => TYPES.contains(&&*is.pattern.to_lowercase()),
            _ => false,
        },
        PushCondition::EventPropertyIs(is) => ["room_id", "sender"].contains(&&*is.key),
        PushCondition::RoomMemberCount(_) | PushCondition::SenderNotificationPermission(_) => true,
        _ => false,
    }
}

/// Whether any of `rules` asks what its user is called in a room.
pub fn asks_for_display_name(rules: &Ruleset) -> bool {
    let kinds = rules.override_.iter().chain(&rules.underride).filter(|rule| rule.enabled);
    let mut conditions = kinds.flat_map(|rule| &rule.conditions);
    conditions.any(|condition| condition.kind() == "contains_display_name")
}

#[cfg(test)]
mod tests;
