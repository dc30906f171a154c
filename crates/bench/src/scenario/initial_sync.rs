//! `initial-sync`: a user logs in afresh and asks for everything.

use std::collections::HashMap;

use anyhow::{Context, ensure};

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd::{self, Recruiter};
use crate::ledger;
use crate::measure::Meter;
use crate::timeline::Update;

/// How many syncs are under way at once.
const AT_ONCE: usize = 4;

/// The shape of the crowd.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Users who sync, each with rooms of their own.
    pub users: usize,
    /// Rooms of each of them.
    pub rooms: usize,
    /// Members of each room.
    pub members: usize,
    /// Messages in each room.
    pub messages: usize,
    /// Whether the user who syncs says nothing, so that all of them are unread.
    pub unread: bool,
}

/// Users in many small rooms. Each sync is the first of a device that has just logged in, which is not measured: a server
/// may remember what it has told a device.
pub struct InitialSync {
    shape: Shape,
    recruiter: Recruiter,
    users: Vec<Account>,
    /// Of each user, each room with its newest message.
    newest: Vec<HashMap<String, String>>,
}

impl InitialSync {
    /// Registers everybody, fills the rooms.
    pub async fn prepare(bench: &Bench, shape: Shape) -> anyhow::Result<InitialSync> {
        ensure!(
            shape.users > 0 && shape.members > usize::from(shape.unread) && shape.messages > 0,
            "rooms need members and messages"
        );
        let recruiter = bench.recruiter.clone();
        let (mut users, mut newest) = (Vec::new(), Vec::new());
        for _ in 0..shape.users {
            let members = recruiter.users(shape.members).await?;
            let rooms = &crowd::rooms(&members, shape.rooms).await?;
            let fill = |number: usize| {
                let speakers = &members[usize::from(shape.unread)..];
                let room = &rooms[number];
                async move { Ok((room.clone(), converse(speakers, room, shape.messages).await?)) }
            };
            let filled = crowd::many(rooms.len(), "conversations", fill).await?;
            newest.push(filled.into_iter().collect());
            users.push(members[0].clone());
        }
        Ok(InitialSync { shape, recruiter, users, newest })
    }
}

/// The members speak in turn; the answer is what was said last.
async fn converse(members: &[Account], room: &str, messages: usize) -> anyhow::Result<String> {
    let (mut newest, run) = (String::new(), ledger::fresh_run());
    for number in 0..messages {
        let speaker = number % members.len();
        let sent = ledger::say(&members[speaker], room, run, speaker, number as u64).await;
        newest = sent.context("filling a room")?.event;
    }
    Ok(newest)
}

impl Scenario for InitialSync {
    fn name(&self) -> String {
        let Shape { rooms, members, messages, unread, .. } = self.shape;
        let kind = if unread { "unread messages" } else { "messages" };
        format!("initial-sync: {rooms} rooms of {members}, {messages} {kind} each")
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let devices = self.recruiter.log_ins(&self.users, operations as usize).await?;
        let sync = |_, number: u64| {
            let newest = &self.newest[number as usize % self.users.len()];
            let device = &devices[number as usize];
            async move { check(&device.sync(None, None, 0).await?, newest) }
        };
        meter.start()?;
        meter.drive(AT_ONCE, operations, sync).await;
        meter.stop()
    }
}

/// Every room is there and ends with its newest message.
fn check(update: &Update, newest: &HashMap<String, String>) -> anyhow::Result<()> {
    let told = update.rooms.join.len();
    ensure!(told == newest.len(), "a sync told {told} of {} rooms", newest.len());
    for (room, event) in newest {
        let news = update.rooms.join.get(room).with_context(|| format!("{room} was not told"))?;
        let last = news.timeline.events.last().map(|event| &event.event_id);
        ensure!(last == Some(event), "{room} ends with {last:?} instead of {event}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_rooms(told: serde_json::Value, expected: bool) {
        let update =
            serde_json::from_value(json!({ "next_batch": "t", "rooms": { "join": told } }))
                .unwrap();
        let newest = HashMap::from([("!a".to_owned(), "$2".to_owned())]);
        assert_eq!(check(&update, &newest).is_ok(), expected, "{told}");
    }

    fn room(events: &[&str]) -> serde_json::Value {
        let event = |id: &&str| json!({ "event_id": id, "sender": "@a:x", "type": "m.room.message", "content": {} });
        json!({ "timeline": { "events": events.iter().map(event).collect::<Vec<_>>() } })
    }

    #[test]
    fn every_room_is_told_up_to_its_newest_message() {
        check_rooms(json!({ "!a": room(&["$1", "$2"]) }), true);
        check_rooms(json!({ "!a": room(&["$1"]) }), false);
        check_rooms(json!({ "!a": room(&[]) }), false);
        check_rooms(json!({}), false);
        check_rooms(json!({ "!a": room(&["$2"]), "!b": room(&["$3"]) }), false);
    }
}
