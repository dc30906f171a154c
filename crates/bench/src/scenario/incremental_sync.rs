//! `incremental-sync`: users who are up to date ask what is new. One event is, or nothing.

use std::cell::RefCell;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd;
use crate::ledger;
use crate::measure::Meter;
use crate::timeline::Update;

/// How many syncs are under way at once.
const AT_ONCE: usize = 16;
/// How long a sync may wait for the one event, in milliseconds. It was acknowledged before, so it should be there.
const PATIENCE: u32 = 10_000;

/// What there is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// One message in one of the user's rooms.
    OneEvent,
    /// Nothing.
    Nothing,
}

/// The shape of the crowd.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Groups of users; nobody is in two.
    pub groups: usize,
    /// Users in a group.
    pub users: usize,
    /// Rooms that a group shares.
    pub rooms: usize,
}

/// Users in groups. In each round one of a group's rooms gets a message, unmeasured; then each user syncs once, measured.
pub struct IncrementalSync {
    news: News,
    shape: Shape,
    groups: Vec<Group>,
    run: u32,
    round: usize,
}

struct Group {
    users: Vec<Account>,
    since: RefCell<Vec<String>>,
    rooms: Vec<String>,
}

/// The message that all of a group have yet to hear.
struct Latest<'a> {
    room: &'a str,
    event: String,
}

impl IncrementalSync {
    /// Registers the groups, joins them to their rooms and brings everybody up to date. There will be one event to tell.
    pub async fn prepare(bench: &Bench, shape: Shape) -> anyhow::Result<IncrementalSync> {
        ensure!(
            shape.groups > 0 && shape.users > 0 && shape.rooms > 0,
            "a group needs users and rooms"
        );
        let mut groups = Vec::new();
        for _ in 0..shape.groups {
            let users = bench.recruiter.users(shape.users).await?;
            let rooms = crowd::rooms(&users, shape.rooms).await?;
            let syncs = try_join_all(users.iter().map(|user| user.sync(None, None, 0))).await?;
            let since = syncs.into_iter().map(|update| update.next_batch).collect();
            groups.push(Group { users, since: RefCell::new(since), rooms });
        }
        Ok(IncrementalSync { news: News::OneEvent, shape, groups, round: 0, run: 0 })
    }

    /// The same with other things to tell.
    pub fn with(self, news: News) -> IncrementalSync {
        IncrementalSync { news, ..self }
    }

    async fn speak(&self) -> anyhow::Result<Vec<Latest<'_>>> {
        try_join_all(self.groups.iter().map(|group| group.speak(self.run, self.round))).await
    }

    async fn sync_all(&self, meter: &Meter, operations: u64, latest: &[Latest<'_>]) {
        let sync = |_, number: u64| {
            let (group, user) =
                (number as usize / self.shape.users, number as usize % self.shape.users);
            self.groups[group].sync(user, latest.get(group))
        };
        meter.drive(AT_ONCE, operations, sync).await;
    }
}

impl Scenario for IncrementalSync {
    fn name(&self) -> String {
        match self.news {
            News::OneEvent => "incremental-sync: one event".to_owned(),
            News::Nothing => "incremental-sync: nothing new".to_owned(),
        }
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        self.run = ledger::fresh_run();
        let round = (self.shape.groups * self.shape.users) as u64;
        let mut left = operations;
        while left > 0 {
            self.round += 1;
            let latest = match self.news {
                News::OneEvent => self.speak().await?,
                News::Nothing => Vec::new(),
            };
            // A last round may be shorter; those who were left out would be told two messages in the next run.
            let count = if self.news == News::Nothing { left.min(round) } else { round };
            meter.start()?;
            self.sync_all(meter, count, &latest).await;
            meter.stop()?;
            left = left.saturating_sub(count);
        }
        Ok(())
    }
}

impl Group {
    /// One of them says something in one of their rooms, each in turn.
    async fn speak(&self, run: u32, round: usize) -> anyhow::Result<Latest<'_>> {
        let (speaker, room) =
            (&self.users[round % self.users.len()], &self.rooms[round % self.rooms.len()]);
        let sent = ledger::say(speaker, room, run, 0, round as u64).await;
        Ok(Latest { room, event: sent.context("sending what the syncs shall tell")?.event })
    }

    async fn sync(&self, user: usize, latest: Option<&Latest<'_>>) -> anyhow::Result<()> {
        let since = self.since.borrow()[user].clone();
        let timeout = if latest.is_some() { PATIENCE } else { 0 };
        let update = self.users[user].sync(Some(&since), None, timeout).await?;
        check(&update, latest.map(|latest| (latest.room, latest.event.as_str())))?;
        self.since.borrow_mut()[user] = update.next_batch;
        Ok(())
    }
}

/// The update tells the expected event and no other.
fn check(update: &Update, expected: Option<(&str, &str)>) -> anyhow::Result<()> {
    let told = update.rooms.join.iter().flat_map(|(room, news)| {
        news.timeline.events.iter().map(|event| (room.as_str(), event.event_id.as_str()))
    });
    let told: Vec<_> = told.collect();
    ensure!(told == Vec::from_iter(expected), "a sync told {told:?} instead of {expected:?}");
    ensure!(update.rooms.join.len() == told.len(), "a sync told a room without events");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(rooms: &[(&str, &[&str])]) -> Update {
        let event = |id: &&str| json!({ "event_id": id, "sender": "@a:x", "type": "m.room.message", "content": {} });
        let room = |events: &[&str]| json!({ "timeline": { "events": events.iter().map(event).collect::<Vec<_>>() } });
        let join: serde_json::Map<_, _> =
            rooms.iter().map(|(id, events)| ((*id).to_owned(), room(events))).collect();
        serde_json::from_value(json!({ "next_batch": "t", "rooms": { "join": join } })).unwrap()
    }

    #[test]
    fn a_sync_tells_what_is_new_and_nothing_else() {
        let expected = Some(("!a", "$1"));
        assert!(check(&update(&[("!a", &["$1"])]), expected).is_ok());
        assert!(check(&update(&[("!a", &["$1", "$1"])]), expected).is_err());
        assert!(check(&update(&[("!b", &["$1"])]), expected).is_err());
        assert!(check(&update(&[("!a", &["$1"]), ("!b", &[])]), expected).is_err());
        assert!(check(&update(&[]), expected).is_err());
    }

    #[test]
    fn a_sync_with_nothing_new_is_empty() {
        assert!(check(&update(&[]), None).is_ok());
        assert!(check(&update(&[("!a", &[])]), None).is_err());
    }
}
