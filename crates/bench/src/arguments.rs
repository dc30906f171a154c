//! What one can ask the program for.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tertulia_bench::api::Registration;
use tertulia_bench::plan::{self, Load, Size, Step};
use tertulia_bench::scenario::{incremental_sync, initial_sync, lists, send};
use tertulia_bench::target::Target;

/// Measures Matrix homeservers by the standard client-server API.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// Print what the second report's figures are, divided by the first's
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], required = true)]
    pub compare: Vec<PathBuf>,
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub what: Option<What>,
}

#[derive(Args)]
pub struct Common {
    /// The server's address
    #[arg(long, global = true, default_value = "http://127.0.0.1:8008")]
    pub url: String,
    /// The server's process on this machine, for CPU time and memory
    #[arg(long, global = true)]
    pub pid: Option<u32>,
    /// The server's data directory, for bytes on disk
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// A server instead of the three above; several take turns, scenario by scenario
    #[arg(long, global = true, value_name = "NAME=URL,PID,DIRECTORY")]
    pub server: Vec<Target>,
    /// Operations in a run [default: fitting the scenario]
    #[arg(long, global = true)]
    pub operations: Option<u64>,
    /// Runs; each figure is their median
    #[arg(long, global = true, default_value_t = 3)]
    pub runs: u32,
    /// Register users by this shared secret instead of m.login.dummy
    #[arg(long, global = true, env = "BENCH_SHARED_SECRET", hide_env_values = true)]
    pub shared_secret: Option<String>,
    /// Also write the figures to this file, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The sizes of `all`, as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SizeName {
    /// Rooms of 10,000 members, users in 2,000 rooms
    Full,
    /// Rooms below 300 members, users below 200 rooms
    Small,
}

#[derive(Subcommand)]
pub enum What {
    /// Every scenario, one after the other
    All {
        /// How much is done
        #[arg(long, default_value = "full")]
        size: SizeName,
    },
    /// New users, each with a first device
    Register,
    /// Logins by password, each with a new device
    Login {
        /// Users who log in
        #[arg(long, default_value_t = 100)]
        users: usize,
    },
    /// Rooms that one user creates and another joins
    CreateAndJoin,
    /// Messages of 100 characters
    Send {
        /// Messages under way at once; several numbers, with commas, are measured one after the other
        #[arg(long, default_value = "16", value_delimiter = ',')]
        senders: Vec<usize>,
        /// Rooms [default: 50, with --members: 1]
        #[arg(long)]
        rooms: Option<usize>,
        /// Joined users of each room [default: 16]
        #[arg(long)]
        members: Option<usize>,
        /// Members whose sync is open all the time
        #[arg(long, default_value_t = 0)]
        syncing: usize,
    },
    /// Messages to somebody who waits for them
    Delivery {
        /// Others whose syncs are open, and who have nothing to hear
        #[arg(long, default_value_t = 0)]
        idle: usize,
    },
    /// Messages to many who wait for them
    FanOut {
        /// Members of the room whose syncs are open
        #[arg(long, default_value_t = 100)]
        syncing: usize,
    },
    /// Syncs of users who are up to date: one event, then nothing new
    IncrementalSync {
        /// Groups of users who share rooms
        #[arg(long, default_value_t = 8)]
        groups: usize,
        /// Users in a group
        #[arg(long, default_value_t = 50)]
        users: usize,
        /// Rooms of a group
        #[arg(long, default_value_t = 10)]
        rooms: usize,
    },
    /// First syncs of users in many rooms
    InitialSync {
        /// Users who sync
        #[arg(long, default_value_t = 4)]
        users: usize,
        /// Rooms of each
        #[arg(long, default_value_t = 200)]
        rooms: usize,
        /// Members of each room
        #[arg(long, default_value_t = 3)]
        members: usize,
        /// Messages in each room
        #[arg(long, default_value_t = 10)]
        messages: usize,
        /// The user who syncs says nothing, so that all messages are unread
        #[arg(long)]
        unread: bool,
    },
    /// First pages of the lists of a user with friends, groups and favourites; Tertulia only
    Lists {
        /// Friends of the user
        #[arg(long, default_value_t = 5_000)]
        friends: usize,
        /// Groups of the user
        #[arg(long, default_value_t = 500)]
        groups: usize,
        /// Messages that the user keeps
        #[arg(long, default_value_t = 10_000)]
        favourites: usize,
    },
    /// Pages of a long history
    Messages {
        /// Messages in the room
        #[arg(long, default_value_t = 10_000)]
        events: usize,
    },
    /// Files of 1 MiB, up and down
    Media,
    /// The members of a large room
    Members {
        /// How many there are
        #[arg(long, default_value_t = 10_000)]
        members: usize,
    },
    /// People who come, talk and go for a long time: whether anything grows or is left over
    Soak {
        /// How long; the last third of it, ten minutes at most, is compared with what lies before
        #[arg(long, default_value_t = 30)]
        minutes: u64,
        /// Messages a second
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// The program of the server, which is started on a directory of its own
        #[arg(last = true, required = true)]
        program: PathBuf,
    },
    /// What this machine can do at best: HTTP, signatures, hashes, JSON, synced writes
    Floors {
        /// Where a file is written
        #[arg(long, default_value = ".")]
        directory: PathBuf,
        /// Repetitions
        #[arg(long, default_value_t = 20_000)]
        times: u32,
    },
    /// Starts a server: time to the first answer, memory at rest
    Start {
        /// Seconds after the start at which memory is read
        #[arg(long, default_value_t = 60)]
        rest: u64,
        /// The server's program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

impl Common {
    /// The servers that take turns.
    pub fn targets(&self) -> Vec<Target> {
        if !self.server.is_empty() {
            return self.server.clone();
        }
        let Common { url, pid, data, .. } = self;
        vec![Target { name: None, url: url.clone(), pid: *pid, data: data.clone() }]
    }

    /// How new users come to be.
    pub fn registration(&self) -> Registration {
        self.shared_secret.clone().map_or(Registration::Open, Registration::SharedSecret)
    }

    fn adapt(&self, step: Step) -> Step {
        let operations = self.operations.unwrap_or(step.operations);
        Step { operations, runs: self.runs.max(1), ..step }
    }
}

impl What {
    /// What is to be measured; nothing, if this is no load.
    pub fn plan(self, common: &Common) -> Vec<Step> {
        let steps = match self {
            What::All { size: SizeName::Full } => plan::all(Size::Full),
            What::All { size: SizeName::Small } => plan::all(Size::Small),
            other => other.load().into_iter().collect(),
        };
        steps.into_iter().map(|step| common.adapt(step)).collect()
    }

    fn load(self) -> Option<Step> {
        let (load, operations) = match self {
            What::All { .. } | What::Floors { .. } | What::Start { .. } | What::Soak { .. } => {
                return None;
            }
            What::Register => (Load::Register, 10_000),
            What::Login { users } => (Load::Login(users), 10_000),
            What::CreateAndJoin => (Load::CreateAndJoin, 1_000),
            What::Send { senders, rooms, members, syncing } => {
                let rooms = rooms.unwrap_or(if members.is_some() { 1 } else { 50 });
                let shape = send::Shape { rooms, members: members.unwrap_or(16), syncing };
                (Load::Send(shape, senders), 100_000)
            }
            What::Delivery { idle } => (Load::Delivery(idle), 10_000),
            What::FanOut { syncing } => (Load::FanOut(syncing), 100),
            What::IncrementalSync { groups, users, rooms } => {
                let shape = incremental_sync::Shape { groups, users, rooms };
                (Load::IncrementalSync(shape), 100_000)
            }
            What::InitialSync { users, rooms, members, messages, unread } => {
                let shape = initial_sync::Shape { users, rooms, members, messages, unread };
                (Load::InitialSync(shape), 1_000)
            }
            What::Lists { friends, groups, favourites } => {
                (Load::Lists(lists::Shape { friends, groups, favourites }), 1_000)
            }
            What::Messages { events } => (Load::Messages(events), 10_000),
            What::Media => (Load::Media, 200),
            What::Members { members } => (Load::Members(members), 100),
        };
        Some(Step { load, operations, runs: 3 })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn plan(arguments: &[&str]) -> Vec<Step> {
        let words = std::iter::once("tertulia-bench").chain(arguments.iter().copied());
        let Arguments { common, what, .. } = Arguments::parse_from(words);
        what.unwrap().plan(&common)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_may_stand_behind_the_scenario() {
        let words = ["tertulia-bench", "send", "--members", "10", "--pid", "7"];
        let Arguments { common, .. } = Arguments::parse_from(words);
        assert_eq!(common.targets()[0].pid, Some(7));
    }

    #[test]
    fn a_room_with_members_is_one_and_without_there_are_fifty() {
        let check = |arguments: &[&str], expected: (usize, usize, &[usize])| match plan(arguments)
            .as_slice()
        {
            [Step { load: Load::Send(shape, senders), operations: 100_000, runs: 3 }] => {
                assert_eq!((shape.rooms, shape.members, senders.as_slice()), expected);
            }
            other => panic!("{other:?}"),
        };
        check(&["send"], (50, 16, &[16]));
        check(&["send", "--members", "10"], (1, 10, &[16]));
        check(&["send", "--members", "10", "--rooms", "2"], (2, 10, &[16]));
        check(&["send", "--senders", "1,16,64"], (50, 16, &[1, 16, 64]));
    }

    #[test]
    fn counts_can_be_chosen_for_one_scenario_and_for_all() {
        let steps = plan(&["all", "--size", "small", "--operations", "3", "--runs", "1"]);
        assert!(steps.len() > 10);
        assert!(steps.iter().all(|step| step.operations == 3 && step.runs == 1));
        assert_eq!(plan(&["register", "--runs", "0"])[0].runs, 1);
        assert_eq!(plan(&["all"]).len(), plan::all(Size::Full).len());
    }

    #[test]
    fn several_servers_may_be_measured_in_one_go() {
        let words =
            ["tertulia-bench", "all", "--server", "a=http://h:1,7", "--server", "b=http://h:2"];
        let targets = Arguments::parse_from(words).common.targets();
        let names: Vec<_> = targets.iter().map(|target| target.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
    }

    #[test]
    fn reports_are_compared_two_at_a_time() {
        let arguments = Arguments::parse_from(["tertulia-bench", "--compare", "a.json", "b.json"]);
        assert_eq!(arguments.compare.len(), 2);
        assert!(arguments.what.is_none());
        assert!(Arguments::try_parse_from(["tertulia-bench", "--compare", "a.json"]).is_err());
        assert!(Arguments::try_parse_from(["tertulia-bench", "--runs", "3"]).is_err());
    }

    #[test]
    fn a_server_to_start_is_given_with_its_own_options() {
        let words = ["tertulia-bench", "start", "--", "tertulia", "serve", "--config", "c"];
        let what = Arguments::parse_from(words).what;
        assert!(matches!(what, Some(What::Start { command, rest: 60 }) if command.len() == 4));
    }

    #[test]
    fn what_is_no_load_has_no_plan() {
        assert!(plan(&["floors"]).is_empty());
        assert!(plan(&["soak", "--minutes", "1", "--rate", "7", "--", "tertulia"]).is_empty());
    }
}
