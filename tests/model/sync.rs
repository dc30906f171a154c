//! The law of sync: a client that applied every update knows what a new client is told.

mod client;
mod compare;
mod world;

use tertulia_rocksdb::{Options, RocksEngine};
use tertulia_storage::{
    Engine, LocalEngine, Memory, MemoryEngine,
    testing::{FailingEngine, Fault},
};

use self::{
    client::{Client, Flaw, Wishes},
    world::{Stopped, World},
};
use crate::{
    dice::Dice,
    seeds::{broken, hold, seeds},
};

/// How many clients of each kind there are of each user.
const CLIENTS: usize = 2;

/// A history in the making, and its clients.
struct History {
    world: World,
    clients: Vec<Client>,
    dice: Dice,
}

impl History {
    async fn begin(seed: u64, engine: impl Engine, flaw: Option<Flaw>) -> Result<Self, Stopped> {
        let mut dice = Dice::new(seed);
        let mut world = World::start(dice.seed(), engine).await?;
        if dice.once_in(3) {
            world.make_restless();
        }
        world.ignore_some(&mut dice).await?;
        let clients = (0..world.users() * CLIENTS)
            .map(|n| Client::new(n / CLIENTS, Wishes::random(&mut dice), flaw))
            .collect();
        Ok(Self { world, clients, dice })
    }

    /// Does some commands, between which clients sync as often as they care to.
    async fn go_on(&mut self, commands: usize) -> Result<(), Stopped> {
        for _ in 0..commands {
            self.world.command(&mut self.dice).await?;
            for client in &mut self.clients {
                if self.dice.once_in(client.wishes.syncs_once_in) {
                    client.sync(&self.world).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether every client knows what a new one with the same wishes is told.
    async fn check(&mut self) -> Result<(), String> {
        for client in &mut self.clients {
            let (new, complete) = Self::told_at_once(&self.world, client).await?;
            compare::check(&self.world, client, &new, &complete)
                .map_err(|what| format!("{client}: {what}"))?;
        }
        Ok(())
    }

    /// Lets a client sync, and two new ones that are told the same moment: what follows the log, as the
    /// list of direct rooms does, may change something in between.
    async fn told_at_once(world: &World, client: &mut Client) -> Result<(Client, Client), String> {
        for _ in 0..100 {
            client.sync(world).await.map_err(|_| "a client cannot sync")?;
            let (mut new, mut complete) = (client.like(), client.complete());
            for client in [&mut new, &mut complete] {
                client.sync(world).await.map_err(|_| "a new client cannot sync")?;
            }
            if [&new, &complete].iter().all(|new| new.moment() == client.moment()) {
                return Ok((new, complete));
            }
        }
        Err("something happens all the time".to_owned())
    }
}

async fn law(seed: u64, engine: impl Engine, flaw: Option<Flaw>) -> Result<(), String> {
    let stopped = |_| "a server without faults has stopped".to_owned();
    let mut history = History::begin(seed, engine, flaw).await.map_err(stopped)?;
    for _ in 0..4 {
        history.go_on(25).await.map_err(stopped)?;
        history.check().await?;
    }
    Ok(())
}

#[test]
fn a_client_that_applied_every_update_knows_what_a_new_client_is_told() {
    hold(seeds(1_000), |seed| law(seed, MemoryEngine::default(), None));
}

#[test]
fn so_it_is_on_rocksdb() {
    hold(seeds(50), |seed| async move {
        let folder = tempfile::tempdir().unwrap();
        let engine = RocksEngine::open(folder.path(), Options::default()).unwrap();
        law(seed, engine, None).await
    });
}

#[test]
fn a_client_that_ignores_what_changed_in_gaps_is_found_out() {
    let flawed = |seed| law(seed, MemoryEngine::default(), Some(Flaw::IgnoresGaps));
    assert!(broken(0..100, flawed).is_some());
}

#[test]
fn a_client_that_keeps_what_it_was_told_of_those_typing_is_found_out() {
    let flawed = |seed| law(seed, MemoryEngine::default(), Some(Flaw::NeverStopsTyping));
    assert!(broken(0..100, flawed).is_some());
}

#[test]
fn a_client_that_misses_that_a_state_was_told_anew_is_found_out() {
    let flawed = |seed| law(seed, MemoryEngine::default(), Some(Flaw::MissesRenewals));
    assert!(broken(0..100, flawed).is_some());
}

/// How long the histories are in which something fails at every commit.
const SHORT: usize = 20;

/// A history that meets `fault`, and goes on with a new server over what was synced until then.
/// Tells how many writes there were.
async fn law_of_faults(seed: u64, fault: Fault) -> Result<usize, String> {
    let memory = Memory::default();
    let local = FailingEngine::new(memory.clone(), fault);
    let counts = local.counts();
    let engine = LocalEngine::start(local).map_err(|error| error.to_string())?;
    let Ok(mut history) = History::begin(seed, engine, None).await else {
        return Ok(counts.writes());
    };
    let went = history.go_on(SHORT).await;
    let writes = counts.writes();
    if went.is_err() {
        let engine = MemoryEngine::over(memory.crash());
        history.world.restart(engine).await.map_err(|_| "it does not start again")?;
    }
    history.check().await.map_err(|what| format!("{fault:?}: {what}"))?;
    Ok(writes)
}

/// The law after a fault at every one of a history's writes.
async fn law_at_every_write(seed: u64, fault: impl Fn(usize) -> Fault) -> Result<(), String> {
    let writes = law_of_faults(seed, Fault::Never).await?;
    for nth in 1..=writes {
        law_of_faults(seed, fault(nth)).await?;
    }
    Ok(())
}

#[test]
fn a_server_that_stops_after_any_write_has_told_nothing_that_it_forgets() {
    hold(seeds(200), |seed| law_at_every_write(seed, Fault::StopAfter));
}

#[test]
fn a_write_that_fails_was_told_to_nobody() {
    hold(seeds(200), |seed| law_at_every_write(seed, Fault::Write));
}
