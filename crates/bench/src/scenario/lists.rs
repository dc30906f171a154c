//! `lists`: what a chat application shows of a user with many friends, groups and favourites, and what one favourite more
//! costs. Only Tertulia has these endpoints, so they are no part of `all`.

use std::collections::HashSet;
use std::fmt;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Bench, Scenario};
use crate::api::Account;
use crate::crowd::{self, patiently};
use crate::ledger;
use crate::measure::Meter;

/// Where the endpoints of Tertulia's own API lie.
const OWN: &str = "/_tertulia/client/v1";
/// How many rows a page has.
const PAGE: usize = 50;
/// How many pages are asked for at once.
const AT_ONCE: usize = 4;

/// What the user has.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Friends, each of whom has said something that is unread.
    pub friends: usize,
    /// Groups, in each of which something was said.
    pub groups: usize,
    /// Messages kept as favourites.
    pub favourites: usize,
}

/// A list of the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Friends.
    Friends,
    /// Chats of both kinds.
    Chats,
    /// Groups.
    Groups,
    /// Favourites of all kinds.
    Favourites,
    /// Favourites that are images: every third one.
    Images,
    /// Favourites in which a word is found: every hundredth one.
    Words,
}

/// Every list, in the order they are measured.
pub const LISTS: [List; 6] =
    [List::Friends, List::Chats, List::Groups, List::Favourites, List::Images, List::Words];

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            List::Friends => "friends",
            List::Chats => "chats",
            List::Groups => "groups",
            List::Favourites => "favourites",
            List::Images => "images among favourites",
            List::Words => "favourites with a word",
        })
    }
}

impl List {
    /// The path, the query beside the limit, and the name of the rows.
    fn request(self) -> (&'static str, &'static [(&'static str, &'static str)], &'static str) {
        match self {
            List::Friends => ("friends", &[], "friends"),
            List::Chats => ("chats", &[], "chats"),
            List::Groups => ("groups", &[], "chats"),
            List::Favourites => ("favourites", &[], "favourites"),
            List::Images => ("favourites", &[("kind", "image")], "favourites"),
            List::Words => ("favourites", &[("words", "hundredth")], "favourites"),
        }
    }

    /// What tells the rows apart.
    fn key(self) -> &'static str {
        match self {
            List::Friends => "user_id",
            List::Chats | List::Groups => "room_id",
            List::Favourites | List::Images | List::Words => "id",
        }
    }

    /// How many rows there are in all.
    fn length(self, shape: Shape) -> usize {
        match self {
            List::Friends => shape.friends,
            List::Chats => shape.friends + shape.groups,
            List::Groups => shape.groups,
            List::Favourites => shape.favourites,
            List::Images => shape.favourites.div_ceil(3),
            List::Words => shape.favourites.div_ceil(100),
        }
    }
}

/// A user with long lists, of which one asks for the first page.
pub struct Lists {
    shape: Shape,
    list: List,
    user: Account,
    /// The group that all favourites are of.
    group: String,
}

impl Lists {
    /// Registers the user and their friends, makes the groups, keeps the favourites.
    pub async fn prepare(bench: &Bench, shape: Shape) -> anyhow::Result<Lists> {
        ensure!(shape.groups > 0, "favourites are of a group");
        let user = bench.recruiter.users(1).await?.remove(0);
        let friends = &bench.recruiter.users(shape.friends).await?;
        let befriend = |number: usize| befriend(&user, &friends[number]);
        crowd::many(shape.friends, "friends", befriend).await?;
        let mut groups = crowd::many(shape.groups, "groups", |_| group(&user)).await?;
        let group = groups.swap_remove(0);
        let run = ledger::fresh_run();
        let add = |number: usize| {
            let (user, group) = (&user, &group);
            async move { keep(user, group, &say(user, group, run, number).await?).await }
        };
        crowd::many(shape.favourites, "favourites", add).await?;
        Ok(Lists { shape, list: List::Friends, user, group })
    }

    /// The same user, asking for another list.
    pub fn of(self, list: List) -> Lists {
        Lists { list, ..self }
    }

    /// What one favourite more costs this user.
    pub fn keeping(self, bench: &Bench) -> Keep {
        Keep {
            bench: bench.clone(),
            group: self.group,
            user: self.user,
            kept: self.shape.favourites,
        }
    }

    async fn ask(&self) -> anyhow::Result<()> {
        let (path, query, rows) = self.list.request();
        let limit = PAGE.to_string();
        let query: Vec<_> = query.iter().copied().chain([("limit", limit.as_str())]).collect();
        let page: Value = self.user.client.get(&format!("{OWN}/{path}"), &query).await?;
        check(&page[rows], self.list.key(), self.list.length(self.shape).min(PAGE))
    }
}

impl Scenario for Lists {
    fn name(&self) -> String {
        let length = self.list.length(self.shape);
        format!("lists: first {PAGE} of {length} {}", self.list)
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        meter.start()?;
        meter.drive(AT_ONCE, operations, |_, _| self.ask()).await;
        meter.stop()
    }
}

/// Every row of a page is another one, and there are as many as there should be.
fn check(rows: &Value, key: &str, expected: usize) -> anyhow::Result<()> {
    let rows = rows.as_array().context("the answer has no rows")?;
    let told: HashSet<_> = rows.iter().filter_map(|row| row[key].as_str()).collect();
    ensure!(told.len() == rows.len(), "a row was told twice");
    ensure!(told.len() == expected, "{} of {expected} rows were told", told.len());
    Ok(())
}

/// They become friends, and the friend says something.
async fn befriend(user: &Account, friend: &Account) -> anyhow::Result<()> {
    let ask = json!({ "user": friend.user, "reason": "we met" });
    let path = format!("{OWN}/friends");
    let _: Value = patiently(|| user.client.post(&path, &ask)).await.context("asking")?;
    let path = format!("{OWN}/friends/{}/accept", user.user);
    let nothing = json!({});
    let friends: Value = patiently(|| friend.client.post(&path, &nothing)).await?;
    let room = friends["room_id"].as_str().context("friends have a room")?;
    ledger::say(friend, room, ledger::fresh_run(), 0, 0).await.map(drop)
}

/// A group in which something was said.
async fn group(user: &Account) -> anyhow::Result<String> {
    let body = json!({ "name": "A group to measure in", "public": true });
    let path = format!("{OWN}/groups");
    let made: Value = patiently(|| user.client.post(&path, &body)).await.context("a group")?;
    let group = made["room_id"].as_str().context("a group is a room")?.to_owned();
    ledger::say(user, &group, ledger::fresh_run(), 0, 0).await?;
    Ok(group)
}

/// A message to keep: every third one is an image, every hundredth one says so.
async fn say(user: &Account, group: &str, run: u32, number: usize) -> anyhow::Result<String> {
    let hundredth = if number.is_multiple_of(100) { "hundredth " } else { "" };
    let text = format!("{hundredth}{}", ledger::text(run, 0, number as u64));
    let mut content = ledger::message(&text);
    if number.is_multiple_of(3) {
        content["msgtype"] = "m.image".into();
        content["url"] = "mxc://example.org/nothing".into();
    }
    let transaction = format!("{run}-{number}");
    Ok(user.send(group, "m.room.message", &transaction, &content).await?)
}

async fn keep(user: &Account, group: &str, event: &str) -> anyhow::Result<()> {
    let body = json!({ "room_id": group, "event_id": event });
    let path = format!("{OWN}/favourites");
    let kept: Value = patiently(|| user.client.post(&path, &body)).await.context("keeping")?;
    ensure!(kept["event_id"] == event, "{kept} was kept instead of {event}");
    Ok(())
}

/// Favourites one after the other, of a user who has many or none.
pub struct Keep {
    bench: Bench,
    group: String,
    user: Account,
    /// How many they had at first.
    kept: usize,
}

impl Keep {
    /// The same for somebody who has none yet.
    pub async fn by_a_newcomer(self) -> anyhow::Result<Keep> {
        let user = self.bench.recruiter.users(1).await?.remove(0);
        user.join(&self.group).await?;
        Ok(Keep { user, kept: 0, ..self })
    }
}

impl Scenario for Keep {
    fn name(&self) -> String {
        format!("lists: one favourite more beside {}", self.kept)
    }

    async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
        let run = ledger::fresh_run();
        let say = |number: usize| say(&self.user, &self.group, run, number);
        let said = &crowd::many(operations as usize, "messages to keep", say).await?;
        let keep = |_, number: u64| keep(&self.user, &self.group, &said[number as usize]);
        meter.start()?;
        meter.drive(1, operations, keep).await;
        meter.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_full_and_tells_nothing_twice() {
        let rows =
            |keys: &[&str]| json!(keys.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>());
        assert!(check(&rows(&["a", "b"]), "id", 2).is_ok());
        let words = |rows: &Value, expected| check(rows, "id", expected).unwrap_err().to_string();
        assert_eq!(words(&rows(&["a", "a"]), 2), "a row was told twice");
        assert_eq!(words(&rows(&["a"]), 2), "1 of 2 rows were told");
        assert_eq!(words(&json!(null), 0), "the answer has no rows");
    }

    #[test]
    fn lists_are_as_long_as_what_the_user_has() {
        let shape = Shape { friends: 5, groups: 2, favourites: 301 };
        assert_eq!(LISTS.map(|list| list.length(shape)), [5, 7, 2, 301, 101, 4]);
    }
}
