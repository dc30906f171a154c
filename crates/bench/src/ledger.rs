//! What was sent and what was heard: each message once, under its ID, each sender's in their order.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::api::{Account, Towards};
use crate::timeline::Event;

/// The length of a message's text.
const CHARACTERS: usize = 100;
/// How many events a page of history holds.
const PAGE: u32 = 1000;

/// A message that the server has acknowledged.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it said.
    pub text: String,
    /// The ID that the server gave it.
    pub event: String,
}

/// A message that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its ID.
    pub event: String,
    /// What it says.
    pub text: String,
}

impl Heard {
    /// The message, if the event is one.
    pub fn of(event: &Event) -> Option<Heard> {
        let text = event.text().filter(|_| event.kind == "m.room.message")?;
        Some(Heard { event: event.event_id.clone(), text })
    }

    /// The message, if the event is one of that run.
    pub fn of_run(event: &Event, run: u32) -> Option<Heard> {
        Heard::of(event).filter(|heard| heard.text.starts_with(&format!("run {run} ")))
    }

    /// Sender and number, from the text.
    fn turn(&self) -> Option<(usize, u64)> {
        let mut words = self.text.split_whitespace();
        let (sender, turn) = (words.nth(3)?, words.nth(1)?);
        Some((sender.parse().ok()?, turn.parse().ok()?))
    }
}

/// A number that no other run has, at this server or another.
pub fn fresh_run() -> u32 {
    rand::random()
}

/// What a sender says at its turn.
pub fn text(run: u32, sender: usize, turn: u64) -> String {
    let words = format!("run {run} sender {sender} message {turn} ");
    format!("{words:.<CHARACTERS$}")
}

/// The content of a message as the scenarios send it.
pub fn message(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

/// Sends what the sender with this number says at its turn.
pub async fn say(
    account: &Account,
    room: &str,
    run: u32,
    sender: usize,
    turn: u64,
) -> anyhow::Result<Sent> {
    let (text, transaction) = (text(run, sender, turn), format!("{run}-{sender}-{turn}"));
    let event = account.send(room, "m.room.message", &transaction, &message(&text)).await?;
    Ok(Sent { text, event })
}

/// The messages of a run in a room, oldest first, as a reader of its history finds them.
pub async fn history(account: &Account, room: &str, run: u32) -> anyhow::Result<Vec<Heard>> {
    let (mut heard, mut from) = (Vec::new(), None::<String>);
    loop {
        let page = account.messages(room, from.as_deref(), Towards::Past, PAGE).await;
        let page = page.with_context(|| format!("reading {room}"))?;
        let before = heard.len();
        heard.extend(page.chunk.iter().filter_map(|event| Heard::of_run(event, run)));
        // A page with anything of an earlier time is the last that matters.
        if page.end.is_none() || heard.len() - before < page.chunk.len() {
            heard.reverse();
            return Ok(heard);
        }
        from = page.end;
    }
}

/// Every message that was acknowledged is heard once, under its ID, each sender's in their order.
pub fn compare(sent: &[Sent], heard: &[Heard]) -> anyhow::Result<()> {
    let mut missing: HashMap<&str, &str> =
        sent.iter().map(|sent| (sent.event.as_str(), sent.text.as_str())).collect();
    let mut turns = HashMap::new();
    for message in heard {
        let text = missing.remove(message.event.as_str());
        let text =
            text.with_context(|| format!("{} came twice or was never sent", message.event))?;
        ensure!(text == message.text, "{} holds another text", message.event);
        let (sender, turn) = message.turn().context("a message without a number")?;
        let before = turns.insert(sender, turn);
        ensure!(
            before.is_none_or(|before| before < turn),
            "message {turn} of sender {sender} came late"
        );
    }
    ensure!(missing.is_empty(), "{} messages are lost", missing.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages named by sender and turn, as they were sent and as they were heard.
    fn check(sent: &[(usize, u64)], heard: &[(usize, u64)], expected: Result<(), &str>) {
        let event = |sender, turn| format!("${sender}-{turn}");
        let told =
            |&(sender, turn): &_| Heard { event: event(sender, turn), text: text(1, sender, turn) };
        let sent = sent.iter().map(|&(sender, turn)| Sent {
            text: text(1, sender, turn),
            event: event(sender, turn),
        });
        let (sent, heard): (Vec<_>, Vec<_>) = (sent.collect(), heard.iter().map(told).collect());
        let outcome = compare(&sent, &heard).map_err(|error| error.to_string());
        assert_eq!(outcome, expected.map_err(str::to_owned));
    }

    fn event(kind: &str, content: &Value) -> Event {
        Event {
            event_id: "$e".into(),
            sender: "@a:x".into(),
            kind: kind.into(),
            state_key: None,
            content: serde_json::value::to_raw_value(content).unwrap(),
        }
    }

    #[test]
    fn what_was_sent_must_be_heard_once_and_in_order() {
        check(&[(0, 0), (1, 0), (0, 1)], &[(1, 0), (0, 0), (0, 1)], Ok(()));
        check(&[(0, 0), (0, 1)], &[(0, 0)], Err("1 messages are lost"));
        check(&[(0, 0)], &[(0, 0), (0, 0)], Err("$0-0 came twice or was never sent"));
        check(&[(0, 0), (0, 1)], &[(0, 1), (0, 0)], Err("message 0 of sender 0 came late"));
        check(&[], &[], Ok(()));
    }

    #[test]
    fn a_message_has_a_hundred_characters() {
        assert_eq!(text(1, 2, 3).len(), CHARACTERS);
        assert_eq!(text(u32::MAX, 63, 99_999).chars().count(), CHARACTERS);
    }

    #[test]
    fn a_message_of_another_run_does_not_count() {
        let event = event("m.room.message", &message(&text(12, 0, 0)));
        assert!(Heard::of_run(&event, 1).is_none());
        assert_eq!(Heard::of_run(&event, 12).unwrap().turn(), Some((0, 0)));
    }

    #[test]
    fn what_is_no_message_is_not_heard() {
        assert!(Heard::of(&event("m.room.topic", &json!({ "body": "run 1 " }))).is_none());
        assert!(Heard::of(&event("m.room.message", &json!({ "body": 7 }))).is_none());
        assert_eq!(Heard::of(&event("m.room.message", &message("hello"))).unwrap().text, "hello");
    }
}
