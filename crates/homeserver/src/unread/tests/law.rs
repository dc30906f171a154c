//! The law: after any sequence of syncs a client knows the counts that one gets by asking all push
//! rules about all unread events, one by one.

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ruma::{
    OwnedUserId, UserId,
    push::{EventMatchConditionData, HighlightTweakValue, NewConditionalPushRule, Ruleset, Tweak},
};
use serde_json::value::to_raw_value;
use tertulia_protocol::{
    Pdu, RoomIdShown,
    push::{PushContext, judge},
};
use tertulia_storage::{Direction, Position, View};

use super::*;
use crate::{
    ClientEvent, Error,
    events::{EventCache, Head, Ignored, current_power, load_head},
    schema::{EVENT_META, MEMBERSHIPS, RECEIPTS, TIMELINE, TimelineRow, Verdict},
};

const STEPS: usize = 40;
const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// A room in which three users do things at random; Alice counts.
struct World {
    dice: StdRng,
    server: Homeserver,
    users: Vec<Session>,
    room: Room,
    events: Vec<OwnedEventId>,
    clients: [Client; 2],
}

impl World {
    async fn new(seed: u64) -> Self {
        let server = server().await;
        let mut users = Vec::new();
        for name in NAMES {
            users.push(server.register(name).await.unwrap().0);
        }
        let room = public_room(&users[2], "11").await;
        for user in &users[..2] {
            user.room(room.id()).join(None).await.unwrap();
        }
        let clients = [false, true].map(|by_thread| Client::new(&users[0], by_thread));
        let dice = StdRng::seed_from_u64(seed);
        Self { dice, server, users, room, events: Vec::new(), clients }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice.random_range(0..sides)
    }

    fn an_event(&mut self) -> Option<OwnedEventId> {
        let recent = self.events.len().min(12);
        let back = self.roll(recent.max(1));
        self.events.iter().rev().nth(back).cloned()
    }

    async fn step(&mut self) {
        match self.roll(20) {
            0..=9 => self.speak().await,
            10 => self.redact().await,
            11..=13 => self.read().await,
            14 => self.change_rules().await,
            15 => self.ignore().await,
            16 => self.empower().await,
            17 => self.come_or_go().await,
            _ => {
                let which = self.roll(2);
                self.clients[which].sync(&self.room).await;
                self.check(which).await;
            }
        }
    }

    async fn speak(&mut self) {
        let who = [0, 1, 1, 1, 2, 2][self.roll(6)];
        let mut content = text();
        match self.roll(8) {
            0 => content["m.mentions"] = json!({ "user_ids": ["@alice:x"] }),
            1 => content["m.mentions"] = json!({ "room": true }),
            2 => content["msgtype"] = "m.notice".into(),
            3 => content["body"] = "coffee".into(),
            4 => {
                let crowd: Vec<_> = (0..20).map(|n| format!("@u{n}:x")).collect();
                content["m.mentions"] = json!({ "user_ids": crowd });
                content["m.mentions"]["user_ids"][3] = "@alice:x".into();
            }
            _ => {}
        }
        let kinds = ["m.thread", "m.thread", "m.replace", "m.reference", "none", "none", "none"];
        let (rel_type, parent) = (kinds[self.roll(7)], self.an_event());
        if let Some(parent) = parent.filter(|_| rel_type != "none") {
            content["m.relates_to"] = json!({ "rel_type": rel_type, "event_id": parent });
        }
        let kinds = ["m.room.message", "m.room.message", "m.room.encrypted", "m.sticker"];
        let kind = TimelineEventType::from(kinds[self.roll(4)]);
        let room = self.users[who].room(self.room.id());
        if let Ok(event) = room.send(kind, raw(&content), None).await {
            self.events.push(event);
        }
    }

    async fn redact(&mut self) {
        if let Some(event) = self.an_event() {
            self.room.redact(&event, None, None).await.unwrap();
        }
    }

    async fn read(&mut self) {
        let Some(event) = self.an_event() else { return };
        let root = self.an_event().unwrap_or_else(|| event.clone());
        let thread = [
            ReceiptThread::Unthreaded,
            ReceiptThread::Main,
            ReceiptThread::Thread(root.clone()),
            ReceiptThread::Thread(root),
        ][self.roll(4)]
        .clone();
        let mut marks = ReadMarks { thread, ..ReadMarks::default() };
        match self.roll(2) {
            0 => marks.read = Some(event),
            _ => marks.read_private = Some(event),
        }
        // Not every event is in every thread.
        let _ = self.users[0].mark_read(self.room.id(), marks).await;
    }

    async fn change_rules(&mut self) {
        let put = |rule| PushRuleChange::Put { rule, after: None, before: None };
        let matches = |key: &str, pattern: &str| {
            vec![EventMatchConditionData::new(key.to_owned(), pattern.to_owned()).into()]
        };
        let conditional = |conditions, actions| {
            NewPushRule::Override(NewConditionalPushRule::new("o".to_owned(), conditions, actions))
        };
        let room = self.room.id().to_owned();
        let loud =
            vec![Action::Notify, Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))];
        let change = match self.roll(9) {
            0 => put(NewPushRule::Room(NewSimplePushRule::new(room, vec![]))),
            1 => PushRuleChange::Delete(RuleKind::Room, room.to_string()),
            2 => put(NewPushRule::Content(NewPatternedPushRule::new(
                "c".to_owned(),
                "coffee".to_owned(),
                loud,
            ))),
            3 => PushRuleChange::Delete(RuleKind::Content, "c".to_owned()),
            4 => put(NewPushRule::Sender(NewSimplePushRule::new(bob(), loud))),
            5 => PushRuleChange::Delete(RuleKind::Sender, bob().to_string()),
            6 => put(conditional(matches("type", "m.sticker"), loud)),
            7 => put(conditional(matches("room_id", room.as_str()), vec![])),
            _ => PushRuleChange::Delete(RuleKind::Override, "o".to_owned()),
        };
        // A rule that is not there cannot be taken away.
        let _ = self.users[0].change_push_rules(change).await;
    }

    async fn ignore(&mut self) {
        let users = if self.roll(2) == 0 { json!({}) } else { json!({ "@bob:x": {} }) };
        let list = raw(&json!({ "ignored_users": users }));
        self.users[0].set_account_data(None, "m.ignored_user_list", list).await.unwrap();
    }

    async fn empower(&mut self) {
        let level = [0, 50][self.roll(2)];
        let levels = json!({ "users": { "@carol:x": 100, "@bob:x": level } });
        self.room.set_state("m.room.power_levels".into(), "", raw(&levels)).await.unwrap();
    }

    async fn come_or_go(&mut self) {
        let who = self.roll(2);
        let room = self.users[who].room(self.room.id());
        if room.leave(None).await.is_err() {
            room.join(None).await.unwrap();
        }
    }

    async fn check(&self, which: usize) {
        let alice = &self.users[0];
        let view = self.server.core.store.view().await.unwrap();
        let head = load_head(&view, self.room.id()).await.unwrap();
        let naive = Naive { view: &view, alice, head: &head, server: &self.server };
        let Some(expected) = naive.count().await else { return };
        let client = &self.clients[which];
        let counts = |value: &Value| {
            let field = |name: &str| value[name].as_u64().unwrap();
            (field("notification_count"), field("highlight_count"))
        };
        if which == 0 {
            let total = expected.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            assert_eq!(counts(&client.unread), total);
            return;
        }
        let mut told: Counted = client
            .threads
            .as_object()
            .unwrap()
            .iter()
            .map(|(root, value)| (Some(root.clone().try_into().unwrap()), counts(value)))
            .collect();
        told.insert(None, counts(&client.unread));
        told.retain(|_, counts| *counts != (0, 0));
        assert_eq!(told, expected);
    }
}

fn bob() -> OwnedUserId {
    UserId::parse("@bob:x").unwrap().to_owned()
}

/// Notifications and highlights by thread.
type Counted = BTreeMap<Option<OwnedEventId>, (u64, u64)>;

/// Asks all rules about all unread events.
struct Naive<'a> {
    view: &'a View,
    alice: &'a Session,
    head: &'a Head,
    server: &'a Homeserver,
}

impl Naive<'_> {
    /// The counts; none if Alice is not in the room.
    async fn count(&self) -> Option<Counted> {
        let key = (self.alice.id().to_owned(), self.head.room.clone());
        let me = self.view.get(&MEMBERSHIPS, &key).await.unwrap().unwrap();
        if me.kind != crate::MembershipKind::Join {
            return None;
        }
        let events = self.events(me.since).await;
        let read = self.read(&events).await;
        let rules = self.alice.push_rules().await.unwrap();
        let ignored = Ignored::by(self.view, self.alice.id()).await.unwrap();
        let mut counted = Counted::new();
        for (at, row, pdu, thread) in &events {
            let whole = read.get("").copied().unwrap_or_default();
            let key = thread.as_ref().map_or("main", |root| root.as_str());
            let up_to = whole.max(read.get(key).copied().unwrap_or_default());
            let silent = pdu.state_key().is_none() && ignored.contains(pdu.sender());
            if *at <= up_to || row.redacted_by.is_some() || silent {
                continue;
            }
            let judgement = self.judge(&rules, pdu).await;
            let counts = counted.entry(thread.clone()).or_default();
            counts.0 += u64::from(judgement.notify);
            counts.1 += u64::from(judgement.highlight);
        }
        counted.retain(|_, counts| *counts != (0, 0));
        Some(counted)
    }

    /// Everything after a position, with the thread it is in.
    async fn events(
        &self,
        since: Position,
    ) -> Vec<(Position, TimelineRow, Pdu, Option<OwnedEventId>)> {
        let prefix = (self.head.room.clone(), self.head.row.stretch);
        let rows =
            self.view.scan(&TIMELINE, &prefix, Direction::Forward, usize::MAX).await.unwrap();
        let mut events = Vec::new();
        for ((.., place), row) in rows {
            let at = place.position().unwrap();
            if at > since {
                let pdu = self.load(&row.event).await.unwrap();
                let thread = self.thread(&pdu).await;
                events.push((at, row, pdu, thread));
            }
        }
        events
    }

    async fn load(&self, id: &OwnedEventId) -> Result<Pdu, Error> {
        let cache = self.server.core.local::<EventCache>();
        cache.load(self.view, &self.head.rules, id).await
    }

    async fn thread(&self, pdu: &Pdu) -> Option<OwnedEventId> {
        let mut content: Value = serde_json::from_str(pdu.content().get()).unwrap();
        for _ in 0..3 {
            let relation = content["m.relates_to"].take();
            let parent: OwnedEventId = serde_json::from_value(relation["event_id"].clone()).ok()?;
            if relation["rel_type"] == "m.thread" {
                return Some(parent);
            }
            let parent = self.load(&parent).await.ok()?;
            content = serde_json::from_str(parent.content().get()).unwrap();
        }
        None
    }

    /// Up to where Alice has read, by the thread of a receipt; what she wrote is one, too.
    async fn read(
        &self,
        events: &[(Position, TimelineRow, Pdu, Option<OwnedEventId>)],
    ) -> BTreeMap<String, Position> {
        let mut read = BTreeMap::new();
        let mut note = |thread: String, at: Position| {
            let known: &mut Position = read.entry(thread).or_default();
            *known = at.max(*known);
        };
        let prefix = (self.head.room.clone(), self.alice.id().to_owned());
        let rows =
            self.view.scan(&RECEIPTS, &prefix, Direction::Forward, usize::MAX).await.unwrap();
        for ((.., thread), row) in rows {
            let key = (self.head.room.clone(), row.event);
            let meta = self.view.get(&EVENT_META, &key).await.unwrap().unwrap();
            let Verdict::Timeline { ordinal, .. } = meta.verdict else { continue };
            note(thread, ordinal.position().unwrap());
        }
        for (at, _, pdu, thread) in events {
            if pdu.sender() == self.alice.id() {
                let thread = thread.as_ref().map_or("main".to_owned(), ToString::to_string);
                note(thread, *at);
            }
        }
        read
    }

    async fn judge(&self, rules: &Ruleset, pdu: &Pdu) -> tertulia_protocol::push::Judgement {
        let power = current_power(self.view, &self.server.core, self.head).await.unwrap();
        let context = PushContext {
            room: self.head.room.clone(),
            members: self.head.row.joined,
            user: self.alice.id().to_owned(),
            display_name: "alice".to_owned(),
        };
        let event = to_raw_value(&ClientEvent::new(pdu.clone(), RoomIdShown::Yes)).unwrap();
        judge(rules, &event, &context, power.may_notify_room(pdu.sender()))
    }
}

/// A thousand histories for `cargo xtask laws`, a few of them otherwise, or the one that is asked for.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("TERTULIA_SEED").ok().and_then(|seed| seed.parse().ok());
    let all = std::env::var("TERTULIA_LAWS").is_ok_and(|laws| laws == "all");
    asked.map_or(0..if all { 1_000 } else { 40 }, |seed: u64| seed..seed + 1)
}

#[tokio::test]
async fn counts_are_those_of_asking_all_rules_about_all_unread_events() {
    for seed in seeds() {
        println!("seed {seed}");
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        for which in [0, 1] {
            world.clients[which].sync(&world.room).await;
            world.check(which).await;
        }
        world.server.shutdown().await;
    }
}
