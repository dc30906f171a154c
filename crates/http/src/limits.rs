//! How often a user, or an address without one, may repeat an action.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};
use ruma::UserId;

use crate::places::network;

/// What is limited: endpoints that do the same thing share one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Making an account, or asking whether its name is free.
    Registration,
    /// Having a mail sent that proves an e-mail address.
    Mail,
    /// Logging in, or proving a password once more.
    Login,
    /// Sending an event into a room.
    Message,
    /// Joining, knocking and inviting.
    Join,
    /// Making a room.
    RoomCreation,
    /// Uploading a file.
    Upload,
    /// Reading a file.
    Download,
    /// Changing a name or a picture, which all of one's rooms are told.
    Profile,
    /// Looking for rooms and users, at every letter that is typed.
    Search,
    /// Telling the server's administrators of something.
    Report,
    /// Whatever else the specification calls rate limited.
    Other,
}

/// A rate: so many at once, and then so many per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many may come at once after a pause.
    pub burst: NonZeroU32,
    /// How many more are granted each second. Not above zero means that none are.
    pub per_second: f64,
}

impl Rate {
    /// `burst` at once, and then `per_second`. A burst of zero counts as one: what may never
    /// happen is switched off by a setting of its own.
    pub const fn new(burst: u32, per_second: f64) -> Self {
        let burst = match NonZeroU32::new(burst) {
            Some(burst) => burst,
            None => NonZeroU32::MIN,
        };
        Self { burst, per_second }
    }

    fn quota(self) -> Quota {
        // A day for one is as good as never, and has no overflow.
        let period = Duration::try_from_secs_f64(1.0 / self.per_second)
            .unwrap_or(Duration::MAX)
            .clamp(Duration::from_nanos(1), Duration::from_secs(86_400));
        Quota::with_period(period)
            .expect("the period is at least a nanosecond")
            .allow_burst(self.burst)
    }
}

/// The rate of each action; `None` means that it is not limited.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateLimits {
    /// For [`Action::Registration`].
    pub registration: Option<Rate>,
    /// For [`Action::Mail`].
    pub mail: Option<Rate>,
    /// For [`Action::Login`].
    pub login: Option<Rate>,
    /// For [`Action::Message`].
    pub message: Option<Rate>,
    /// For [`Action::Join`].
    pub join: Option<Rate>,
    /// For [`Action::RoomCreation`].
    pub room_creation: Option<Rate>,
    /// For [`Action::Upload`].
    pub upload: Option<Rate>,
    /// For [`Action::Download`].
    pub download: Option<Rate>,
    /// For [`Action::Profile`].
    pub profile: Option<Rate>,
    /// For [`Action::Search`].
    pub search: Option<Rate>,
    /// For [`Action::Report`].
    pub report: Option<Rate>,
    /// For [`Action::Other`].
    pub other: Option<Rate>,
}

impl RateLimits {
    /// Nothing is limited.
    pub const fn off() -> Self {
        Self {
            registration: None,
            mail: None,
            login: None,
            message: None,
            join: None,
            room_creation: None,
            upload: None,
            download: None,
            profile: None,
            search: None,
            report: None,
            other: None,
        }
    }
}

/// Limits that people do not notice.
impl Default for RateLimits {
    fn default() -> Self {
        Self {
            registration: Some(Rate::new(10, 0.2)),
            mail: Some(Rate::new(10, 0.02)),
            login: Some(Rate::new(20, 0.3)),
            message: Some(Rate::new(100, 20.0)),
            join: Some(Rate::new(50, 2.0)),
            room_creation: Some(Rate::new(20, 0.5)),
            upload: Some(Rate::new(50, 5.0)),
            download: Some(Rate::new(500, 50.0)),
            profile: Some(Rate::new(30, 0.5)),
            search: Some(Rate::new(100, 10.0)),
            report: Some(Rate::new(20, 0.1)),
            other: Some(Rate::new(300, 30.0)),
        }
    }
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    User(&'a UserId),
    Address(IpAddr),
    /// Nothing is known, as in a test without sockets: all who are unknown share one count.
    Unknown,
}

/// Counts the actions of everyone.
#[derive(Debug)]
pub(crate) struct Limits<C: Clock = DefaultClock> {
    registration: Option<Limit<C>>,
    mail: Option<Limit<C>>,
    login: Option<Limit<C>>,
    message: Option<Limit<C>>,
    join: Option<Limit<C>>,
    room_creation: Option<Limit<C>>,
    upload: Option<Limit<C>>,
    download: Option<Limit<C>>,
    profile: Option<Limit<C>>,
    search: Option<Limit<C>>,
    report: Option<Limit<C>>,
    other: Option<Limit<C>>,
    /// Subjects are kept as hashes: small, and nobody's address stays in memory.
    hasher: RandomState,
}

impl<C: Clock + Clone> Limits<C> {
    pub(crate) fn new(rates: &RateLimits, clock: &C) -> Self {
        let limit = |rate: Option<Rate>| rate.map(|rate| Limit::new(rate, clock.clone()));
        Self {
            registration: limit(rates.registration),
            mail: limit(rates.mail),
            login: limit(rates.login),
            message: limit(rates.message),
            join: limit(rates.join),
            room_creation: limit(rates.room_creation),
            upload: limit(rates.upload),
            download: limit(rates.download),
            profile: limit(rates.profile),
            search: limit(rates.search),
            report: limit(rates.report),
            other: limit(rates.other),
            hasher: RandomState::new(),
        }
    }

    /// Counts one `action` of `subject`; the error is how long he has to wait instead.
    pub(crate) fn check(&self, action: Action, subject: Subject<'_>) -> Result<(), Duration> {
        let limit = match action {
            Action::Registration => &self.registration,
            Action::Mail => &self.mail,
            Action::Login => &self.login,
            Action::Message => &self.message,
            Action::Join => &self.join,
            Action::RoomCreation => &self.room_creation,
            Action::Upload => &self.upload,
            Action::Download => &self.download,
            Action::Profile => &self.profile,
            Action::Search => &self.search,
            Action::Report => &self.report,
            Action::Other => &self.other,
        };
        limit.as_ref().map_or(Ok(()), |limit| limit.check(self.key(subject)))
    }

    fn key(&self, subject: Subject<'_>) -> u64 {
        match subject {
            Subject::User(user) => self.hasher.hash_one(("user", user.as_str())),
            Subject::Address(address) => self.hasher.hash_one(("address", network(address))),
            Subject::Unknown => 0,
        }
    }
}

/// Counts one action of everyone.
#[derive(Debug)]
struct Limit<C: Clock> {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    checks: AtomicU32,
}

impl<C: Clock + Clone> Limit<C> {
    /// After so many checks, those whose count has run out are forgotten.
    const CHECKS_BETWEEN_SWEEPS: u32 = 4_096;

    fn new(rate: Rate, clock: C) -> Self {
        let limiter = RateLimiter::dashmap_with_clock(rate.quota(), clock.clone());
        Self { limiter, clock, checks: AtomicU32::new(1) }
    }

    fn check(&self, key: u64) -> Result<(), Duration> {
        let checks = self.checks.fetch_add(1, Ordering::Relaxed);
        if checks.is_multiple_of(Self::CHECKS_BETWEEN_SWEEPS) {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(&key).map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use ruma::user_id;

    use super::*;

    fn limits(rate: Rate) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rates = RateLimits { message: Some(rate), login: Some(rate), ..RateLimits::off() };
        (Limits::new(&rates, &clock), clock)
    }

    fn alice() -> Subject<'static> {
        Subject::User(user_id!("@alice:example.org"))
    }

    fn from(address: &str) -> Subject<'static> {
        Subject::Address(address.parse().unwrap())
    }

    #[test]
    fn a_burst_is_granted_then_one_has_to_wait() {
        let (limits, clock) = limits(Rate::new(2, 4.0));
        assert_eq!(limits.check(Action::Message, alice()), Ok(()));
        assert_eq!(limits.check(Action::Message, alice()), Ok(()));
        let wait = limits.check(Action::Message, alice()).unwrap_err();
        assert_eq!(wait, Duration::from_millis(250));
        clock.advance(wait);
        assert_eq!(limits.check(Action::Message, alice()), Ok(()));
        assert!(limits.check(Action::Message, alice()).is_err());
    }

    #[test]
    fn users_addresses_and_actions_are_counted_apart() {
        let (limits, _) = limits(Rate::new(1, 0.1));
        let bob = Subject::User(user_id!("@bob:example.org"));
        for subject in [alice(), bob, from("192.0.2.1"), from("192.0.2.2"), Subject::Unknown] {
            for action in [Action::Message, Action::Login] {
                assert_eq!(limits.check(action, subject), Ok(()), "{action:?} {subject:?}");
                assert!(limits.check(action, subject).is_err(), "{action:?} {subject:?}");
            }
        }
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let (limits, _) = limits(Rate::new(1, 0.1));
        assert_eq!(limits.check(Action::Login, from("2001:db8::1")), Ok(()));
        assert!(limits.check(Action::Login, from("2001:db8::2:1")).is_err());
        assert_eq!(limits.check(Action::Login, from("2001:db8:0:1::1")), Ok(()));
        assert_eq!(limits.check(Action::Login, from("192.0.2.1")), Ok(()));
        assert!(limits.check(Action::Login, from("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn what_has_no_rate_is_not_limited() {
        let (limits, _) = limits(Rate::new(1, 0.1));
        for _ in 0..1_000 {
            assert_eq!(limits.check(Action::Upload, alice()), Ok(()));
        }
    }

    #[test]
    fn those_who_went_away_are_forgotten() {
        let (limits, clock) = limits(Rate::new(1, 1.0));
        let limit = limits.message.as_ref().unwrap();
        for key in 0..5_000 {
            assert_eq!(limit.check(key), Ok(()));
            clock.advance(Duration::from_millis(10));
        }
        assert!(limit.limiter.len() < 1_500, "{} are remembered", limit.limiter.len());
    }

    #[test]
    fn odd_rates_are_rates_all_the_same() {
        for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-30, 1e30] {
            let (limits, _) = limits(Rate::new(0, per_second));
            assert_eq!(limits.check(Action::Message, alice()), Ok(()), "{per_second}");
        }
        let (limits, _) = limits(Rate::new(1, 0.0));
        assert_eq!(limits.check(Action::Message, alice()), Ok(()));
        assert!(limits.check(Action::Message, alice()).unwrap_err() > Duration::from_secs(80_000));
    }
}
