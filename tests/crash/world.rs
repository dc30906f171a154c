//! One server, its disk, and its sixteen clients.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::{join_all, try_join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tertulia_bench::client::{Client, Error};
use tertulia_bench::server::Server;
use tertulia_tests::program::Program;

use crate::actor::Actor;
use crate::check::check;
use crate::power::{self, Cut, Synced};

/// How many send at the same time.
const ACTORS: usize = 16;
/// How many rooms they are all in.
const ROOMS: usize = 6;

/// How the server dies, all of it chosen beforehand.
#[derive(Clone, Debug)]
pub struct Death {
    /// What the clients do follows from it, and what a power failure takes of what it may take.
    pub seed: u64,
    /// How long it lives under load, in milliseconds.
    pub after: u64,
    /// Whether the disk forgets what was not synced.
    pub power_fails: bool,
    /// It is killed again while it starts, after so many milliseconds.
    pub again: Option<u64>,
}

/// What happened in a round.
#[derive(Debug)]
pub struct Summary {
    death: Death,
    acknowledged: usize,
    cut: Option<Cut>,
    start: Duration,
}

/// A server that lives through several rounds.
#[derive(Debug)]
pub struct World {
    program: Program,
    library: PathBuf,
    server: Option<Server>,
    actors: Vec<Actor>,
    rooms: Vec<String>,
    /// Names that a store had when it was first ready: nothing had been acknowledged before.
    first_names: Vec<PathBuf>,
}

impl World {
    /// Starts a server on an empty disk and fills it with clients and rooms.
    pub async fn create(
        binary: &Path,
        home: &Path,
        library: &Path,
        commits: &str,
    ) -> anyhow::Result<World> {
        let program = Program::settle(
            binary,
            home,
            &format!("[storage]\ncommits = {commits:?}\n\n[logs]\nlevel = \"warn\"\n"),
        )?;
        let (actors, rooms, first_names) = (Vec::new(), Vec::new(), Vec::new());
        let mut world = World {
            program,
            library: library.to_owned(),
            server: None,
            actors,
            rooms,
            first_names,
        };
        world.start().await?;
        world.first_names = power::paths(&world.program.data())?;
        world.populate().await.context("registering clients and creating rooms")?;
        Ok(world)
    }

    async fn start(&mut self) -> anyhow::Result<Duration> {
        let (server, took) = self.program.start(self.command()?).await?;
        self.server = Some(server);
        Ok(took)
    }

    fn command(&self) -> anyhow::Result<std::process::Command> {
        let mut command = self.program.command()?;
        power::preload(&mut command, &self.library, &self.program.file("notes"));
        Ok(command)
    }

    async fn populate(&mut self) -> anyhow::Result<()> {
        let client = Client::new(&self.program.url());
        let names: Vec<_> = (0..ACTORS).map(|number| format!("actor-{number}")).collect();
        self.actors = try_join_all(names.iter().map(|name| Actor::register(&client, name))).await?;
        let body = json!({ "preset": "public_chat", "power_level_content_override": { "state_default": 0 } });
        for number in 0..ROOMS {
            let room = self.actors[number % ACTORS].account.create_room(&body).await?;
            try_join_all(self.actors.iter().map(|actor| actor.account.join(&room))).await?;
            self.rooms.push(room);
        }
        let rooms = &self.rooms;
        try_join_all(self.actors.iter_mut().map(|actor| actor.settle(rooms))).await?;
        Ok(())
    }

    /// Load, death, perhaps a power failure, a new start, and the question what is left.
    pub async fn round(&mut self, death: &Death) -> anyhow::Result<Summary> {
        let mut coin = StdRng::seed_from_u64(death.seed);
        let before = self.acknowledged();
        self.load_until(death, &mut coin).await?;
        let mut cut = death.power_fails.then(|| self.fail_power(&mut coin)).transpose()?;
        if let Some(wait) = death.again {
            self.kill_while_starting(wait).await?;
            if death.power_fails {
                cut = Some(self.fail_power(&mut coin)?);
            }
        }
        let start = self.start().await.context("the start after the crash")?;
        check(&mut self.actors, &self.rooms).await?;
        Ok(Summary { death: death.clone(), acknowledged: self.acknowledged() - before, cut, start })
    }

    fn acknowledged(&self) -> usize {
        self.actors.iter().map(|actor| actor.acknowledged).sum()
    }

    async fn load_until(&mut self, death: &Death, coin: &mut StdRng) -> anyhow::Result<()> {
        let mut server = self.server.take().context("no server is running")?;
        let seeds: Vec<u64> = self.actors.iter().map(|_| coin.random()).collect();
        let load = join_all(
            self.actors.iter_mut().zip(seeds).map(|(actor, seed)| actor.act_until_failure(seed)),
        );
        tokio::pin!(load);
        tokio::select! {
            errors = &mut load => return describe(&errors, "before the server was killed"),
            () = tokio::time::sleep(Duration::from_millis(death.after)) => server.kill()?,
        }
        let refused = |error: &Error| !error.is_unanswered();
        let (refused, _): (Vec<_>, Vec<_>) = load.await.into_iter().partition(refused);
        if refused.is_empty() { Ok(()) } else { describe(&refused, "though the server was alive") }
    }

    fn fail_power(&self, coin: &mut StdRng) -> anyhow::Result<Cut> {
        let mut synced = Synced::read(&self.program.file("notes"))?;
        synced.know_names(self.first_names.iter().cloned());
        synced.cut(&self.program.data(), coin).context("cutting files back")
    }

    async fn kill_while_starting(&self, wait: u64) -> anyhow::Result<()> {
        let mut server = Server::launch(self.command()?)?;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok(server.kill()?)
    }
}

fn describe(errors: &[Error], when: &str) -> anyhow::Result<()> {
    let words: Vec<_> = errors.iter().map(|error| format!("{error:?}")).collect();
    ensure!(words.is_empty(), "requests failed {when}: {}", words.join("; "));
    Ok(())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Death { after, again, .. } = &self.death;
        write!(f, "{} acknowledged, killed after {after} ms", self.acknowledged)?;
        if again.is_some() {
            write!(f, " and again while starting")?;
        }
        if let Some(Cut { shortened, vanished, bytes }) = &self.cut {
            write!(
                f,
                ", the power failure took {bytes} bytes of {shortened} files and {vanished} names"
            )?;
        }
        write!(f, ", back after {:.2} s", self.start.as_secs_f64())
    }
}
