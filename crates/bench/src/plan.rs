//! What is measured one after the other.

use std::fmt;

use crate::measure::Failed;
use crate::report::Row;
use crate::scenario::create_and_join::CreateAndJoin;
use crate::scenario::delivery::Delivery;
use crate::scenario::fan_out::FanOut;
use crate::scenario::incremental_sync::{self, IncrementalSync, News};
use crate::scenario::initial_sync::{self, InitialSync};
use crate::scenario::lists::{self, LISTS, Lists};
use crate::scenario::login::Login;
use crate::scenario::media::{Direction, Media};
use crate::scenario::members::Members;
use crate::scenario::messages::Messages;
use crate::scenario::register::Register;
use crate::scenario::send::{self, Send};
use crate::scenario::{Bench, Scenario};

/// A scenario in a shape; several rows where one crowd serves for several.
#[derive(Clone, Debug)]
pub enum Load {
    /// New users.
    Register,
    /// So many users log in again and again.
    Login(usize),
    /// Pairs of users meet in new rooms.
    CreateAndJoin,
    /// Messages, with so many under way at once; a row for each number.
    Send(send::Shape, Vec<usize>),
    /// Messages to one who waits, beside so many who wait for nothing.
    Delivery(usize),
    /// Messages to so many who wait.
    FanOut(usize),
    /// First syncs.
    InitialSync(initial_sync::Shape),
    /// Syncs of users who are up to date: one event, and nothing new.
    IncrementalSync(incremental_sync::Shape),
    /// First pages of one user's lists, and one favourite more.
    Lists(lists::Shape),
    /// Pages of a history of so many messages.
    Messages(usize),
    /// Files up, and files down.
    Media,
    /// The members of a room of so many.
    Members(usize),
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As large as the tables: rooms of 10,000, users in 2,000 rooms.
    Full,
    /// Rooms stay below 300 members, users below 200 rooms: what slow servers can do, too.
    Small,
}

/// One load, and how often it is measured.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub load: Load,
    /// Operations in a run.
    pub operations: u64,
    /// Runs of which the median is told.
    pub runs: u32,
}

/// Every scenario in this size. The counts are chosen so that all of it ends in a quarter of an hour: full against a server
/// that takes about 0.2 ms of CPU for a message, small against one that takes 20 ms.
pub fn all(size: Size) -> Vec<Step> {
    let steps = match size {
        Size::Full => full(),
        Size::Small => small(),
    };
    steps.into_iter().map(|(load, operations)| Step { load, operations, runs: 3 }).collect()
}

fn full() -> Vec<(Load, u64)> {
    let several = send::Shape { rooms: 50, members: 16, syncing: 0 };
    let initial =
        initial_sync::Shape { users: 2, rooms: 200, members: 3, messages: 10, unread: false };
    let many_rooms =
        initial_sync::Shape { users: 1, rooms: 2_000, members: 2, messages: 5, unread: false };
    let groups = incremental_sync::Shape { groups: 8, users: 50, rooms: 10 };
    vec![
        (Load::Register, 2_000),
        (Load::Login(100), 2_000),
        (Load::CreateAndJoin, 1_000),
        (Load::Send(one_room(100), vec![1, 16, 64]), 10_000),
        (Load::Send(several, vec![1, 16, 64]), 10_000),
        (Load::Send(one_room(10_000), vec![1, 16, 64]), 10_000),
        (Load::Delivery(0), 5_000),
        (Load::Delivery(100), 5_000),
        (Load::Delivery(1_000), 5_000),
        (Load::FanOut(100), 200),
        (Load::FanOut(1_000), 20),
        (Load::InitialSync(initial), 200),
        (Load::InitialSync(many_rooms), 20),
        (Load::IncrementalSync(groups), 20_000),
        (Load::Messages(10_000), 2_000),
        (Load::Media, 200),
        (Load::Members(10_000), 40),
    ]
}

fn small() -> Vec<(Load, u64)> {
    let several = send::Shape { rooms: 50, members: 8, syncing: 0 };
    let initial =
        initial_sync::Shape { users: 1, rooms: 150, members: 2, messages: 5, unread: false };
    let groups = incremental_sync::Shape { groups: 2, users: 20, rooms: 5 };
    vec![
        (Load::Register, 100),
        (Load::Login(20), 100),
        (Load::CreateAndJoin, 50),
        (Load::Send(one_room(100), vec![1, 16, 64]), 256),
        (Load::Send(several, vec![1, 16, 64]), 256),
        (Load::Send(one_room(250), vec![1, 16, 64]), 256),
        (Load::Delivery(0), 100),
        (Load::Delivery(100), 100),
        (Load::Delivery(1_000), 100),
        (Load::FanOut(100), 10),
        (Load::FanOut(250), 4),
        (Load::InitialSync(initial), 10),
        (Load::IncrementalSync(groups), 200),
        (Load::Messages(2_000), 100),
        (Load::Media, 50),
        (Load::Members(250), 50),
    ]
}

fn one_room(members: usize) -> send::Shape {
    send::Shape { rooms: 1, members, syncing: 0 }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Register => f.write_str("register"),
            Load::Login(users) => write!(f, "login: {users} users"),
            Load::CreateAndJoin => f.write_str("create-and-join"),
            Load::Send(shape, _) => write!(f, "send: {} rooms of {}", shape.rooms, shape.members),
            Load::Delivery(idle) => write!(f, "delivery: {idle} idle"),
            Load::FanOut(receivers) => write!(f, "fan-out: {receivers} syncs"),
            Load::InitialSync(shape) => write!(f, "initial-sync: {} rooms", shape.rooms),
            Load::IncrementalSync(_) => f.write_str("incremental-sync"),
            Load::Lists(shape) => write!(f, "lists: {} friends", shape.friends),
            Load::Messages(events) => write!(f, "messages: {events} events"),
            Load::Media => f.write_str("media"),
            Load::Members(members) => write!(f, "members: 1 room of {members}"),
        }
    }
}

/// The rows of one load at one server.
struct Rows<'a> {
    bench: &'a Bench,
    rows: Vec<Row>,
}

impl Step {
    /// Measures the load. What went wrong is a row without figures.
    pub async fn measure(&self, bench: &Bench) -> Vec<Row> {
        let bench = Bench { operations: self.operations, runs: self.runs, ..bench.clone() };
        let mut rows = Rows { bench: &bench, rows: Vec::new() };
        if let Err(error) = self.load.measure(&mut rows).await {
            rows.failed(self.load.to_string(), &error);
        }
        rows.rows
    }
}

impl Load {
    async fn measure(&self, rows: &mut Rows<'_>) -> anyhow::Result<()> {
        let bench = rows.bench;
        match *self {
            Load::Register => rows.add(&mut Register::prepare(bench)).await,
            Load::Login(users) => rows.add(&mut Login::prepare(bench, users).await?).await,
            Load::CreateAndJoin => rows.add(&mut CreateAndJoin::prepare(bench).await?).await,
            Load::Send(shape, ref senders) => rows.send(shape, senders).await?,
            Load::Delivery(idle) => rows.add(&mut Delivery::prepare(bench, idle).await?).await,
            Load::FanOut(syncs) => rows.add(&mut FanOut::prepare(bench, syncs).await?).await,
            Load::InitialSync(shape) => {
                rows.add(&mut InitialSync::prepare(bench, shape).await?).await;
            }
            Load::IncrementalSync(shape) => rows.incremental_sync(shape).await?,
            Load::Lists(shape) => rows.lists(shape).await?,
            Load::Messages(events) => rows.add(&mut Messages::prepare(bench, events).await?).await,
            Load::Media => {
                for direction in [Direction::Up, Direction::Down] {
                    rows.add(&mut Media::prepare(bench, direction).await?).await;
                }
            }
            Load::Members(members) => rows.add(&mut Members::prepare(bench, members).await?).await,
        }
        Ok(())
    }
}

impl Rows<'_> {
    async fn add(&mut self, scenario: &mut impl Scenario) {
        match self.bench.row(scenario).await {
            Ok(row) => self.rows.push(row),
            Err(error) => self.failed(scenario.name(), &error),
        }
    }

    fn failed(&mut self, scenario: String, error: &anyhow::Error) {
        let errors = error.downcast_ref::<Failed>().map_or(0, |failed| failed.errors);
        self.rows.push(Row::failed(scenario, self.bench.runs, errors, format!("{error:#}")));
    }

    async fn send(&mut self, shape: send::Shape, senders: &[usize]) -> anyhow::Result<()> {
        let mut scenario = Send::prepare(self.bench, shape).await?;
        for senders in senders {
            scenario = scenario.by(*senders);
            self.add(&mut scenario).await;
        }
        Ok(())
    }

    async fn lists(&mut self, shape: lists::Shape) -> anyhow::Result<()> {
        let mut scenario = Lists::prepare(self.bench, shape).await?;
        for list in LISTS {
            scenario = scenario.of(list);
            self.add(&mut scenario).await;
        }
        let mut keep = scenario.keeping(self.bench);
        self.add(&mut keep).await;
        self.add(&mut keep.by_a_newcomer().await?).await;
        Ok(())
    }

    async fn incremental_sync(&mut self, shape: incremental_sync::Shape) -> anyhow::Result<()> {
        let mut scenario = IncrementalSync::prepare(self.bench, shape).await?;
        for news in [News::OneEvent, News::Nothing] {
            scenario = scenario.with(news);
            self.add(&mut scenario).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Registration;
    use crate::target::Target;

    /// The most members of a room, and the most rooms of a user.
    fn extent(load: &Load) -> (usize, usize) {
        match *load {
            Load::Register | Load::Login(_) | Load::Media => (0, 0),
            // Three runs, sixteen pairs.
            Load::CreateAndJoin => (2, 3 * 1_000_usize.div_ceil(16)),
            Load::Send(shape, _) => (shape.members, shape.rooms),
            Load::Delivery(_) => (2, 1),
            Load::FanOut(receivers) => (receivers + 1, 1),
            Load::InitialSync(shape) => (shape.members, shape.rooms),
            Load::Lists(shape) => (2, shape.friends + shape.groups),
            Load::IncrementalSync(shape) => (shape.users, shape.rooms),
            Load::Messages(_) => (1, 1),
            Load::Members(members) => (members, 1),
        }
    }

    fn largest(size: Size) -> (usize, usize) {
        let extents = all(size).into_iter().map(|step| extent(&step.load));
        extents.fold((0, 0), |most, next| (most.0.max(next.0), most.1.max(next.1)))
    }

    #[test]
    fn a_small_measurement_has_small_rooms() {
        let (members, rooms) = largest(Size::Small);
        assert!(members < 300 && rooms < 200, "{members} {rooms}");
        assert_eq!(largest(Size::Full), (10_000, 2_000));
    }

    #[test]
    fn both_sizes_hold_every_scenario() {
        let kinds = |size| {
            let all = all(size).into_iter();
            let mut kinds: Vec<_> = all
                .map(|step| step.load.to_string().split(':').next().unwrap().to_owned())
                .collect();
            kinds.dedup();
            kinds
        };
        assert_eq!(kinds(Size::Full), kinds(Size::Small));
        assert_eq!(kinds(Size::Full).len(), 11);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_has_rows_without_figures() {
        let nobody: Target = "nobody=http://127.0.0.1:1".parse().unwrap();
        let bench = nobody.bench(Registration::Open);
        for load in [Load::Register, Load::Members(3)] {
            let rows = Step { load, operations: 5, runs: 2 }.measure(&bench).await;
            assert_eq!(rows.len(), 1);
            assert!(rows[0].figures.is_none(), "{rows:?}");
            assert!(rows[0].failure.as_ref().unwrap().contains("no answer"), "{rows:?}");
        }
    }
}
