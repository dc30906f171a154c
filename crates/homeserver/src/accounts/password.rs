//! Passwords: what is kept of one, and the threads that do the heavy arithmetic.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use argon2::{
    Algorithm, Argon2, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::{Error, PasswordCost, Random, Result};

/// How many passwords are hashed at a time.
const AT_A_TIME: usize = 2;

/// How many more may wait for their turn.
const WAITING: usize = 64;

/// The longest password, in bytes.
const LONGEST: usize = 512;

/// Whether `password` may be chosen for an account that is to have one of `least` characters.
///
/// # Errors
///
/// [`Error::WeakPassword`] or [`Error::ShortPassword`], which say why not.
pub(crate) fn check_new(password: &str, least: usize) -> Result<()> {
    check_choice(password)?;
    if password.chars().count() < least {
        return Err(Error::ShortPassword(least));
    }
    Ok(())
}

/// Whether `password` can be an account's at all.
///
/// # Errors
///
/// [`Error::WeakPassword`], which says why not.
fn check_choice(password: &str) -> Result<()> {
    if password.is_empty() {
        return Err(Error::WeakPassword("is empty"));
    }
    if password.len() > LONGEST {
        return Err(Error::WeakPassword("has more than 512 bytes"));
    }
    Ok(())
}

/// What is kept of a password: an argon2id hash with its salt and cost, as a PHC string.
pub(crate) fn hash(password: &str, cost: PasswordCost, salt: [u8; 16]) -> String {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params())
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("a salt of 16 bytes and checked parameters make a hash")
        .to_string()
}

/// Whether `password` is the one that `kept` was made of.
pub(crate) fn verify(password: &str, kept: &str) -> bool {
    // The cost is read from the hash, so that old hashes stay good when the setting changes.
    PasswordHash::new(kept)
        .is_ok_and(|kept| Argon2::default().verify_password(password.as_bytes(), &kept).is_ok())
}

/// What hashes and verifies: two threads of its own, so that logins can neither take the machine nor
/// keep anything else from a thread that waits for it. They begin with the first password, and end
/// when this is dropped and what they have begun is done.
#[derive(Debug)]
pub(crate) struct Hashing {
    /// Everyone whose password is at work or waits.
    places: Semaphore,
    /// Where the threads take their work from, once there are some.
    desk: Mutex<Option<SyncSender<Work>>>,
    /// The hash that is verified where no account is, so that it takes as long.
    nobody: OnceLock<String>,
}

/// Something for the threads to do.
type Work = Box<dyn FnOnce() + Send>;

impl Default for Hashing {
    fn default() -> Self {
        let places = Semaphore::new(AT_A_TIME + WAITING);
        Self { places, desk: Mutex::new(None), nobody: OnceLock::new() }
    }
}

impl Hashing {
    /// Hashes a chosen password with a fresh salt.
    ///
    /// # Errors
    ///
    /// [`Error::WeakPassword`] if it may not be chosen, [`Error::Busy`] if too many wait.
    pub(crate) async fn hash(
        &self,
        password: &str,
        cost: PasswordCost,
        random: &dyn Random,
    ) -> Result<String> {
        check_choice(password)?;
        let password = password.to_owned();
        let salt = fresh_salt(random);
        self.run(move || hash(&password, cost, salt)).await
    }

    /// Whether `password` is the one that `kept` was made of. Takes as long, and says no, when
    /// nothing is kept: an answer's time does not tell which accounts exist.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if too many wait.
    pub(crate) async fn verify(
        &self,
        password: &str,
        kept: Option<String>,
        cost: PasswordCost,
        random: &dyn Random,
    ) -> Result<bool> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let exists = kept.is_some();
        let kept = match kept {
            Some(kept) => kept,
            None => self.nobody(cost, random).await?,
        };
        let password = password.to_owned();
        let right = self.run(move || verify(&password, &kept)).await?;
        Ok(right && exists)
    }

    async fn nobody(&self, cost: PasswordCost, random: &dyn Random) -> Result<String> {
        if let Some(kept) = self.nobody.get() {
            return Ok(kept.clone());
        }
        let salt = fresh_salt(random);
        let kept = self.run(move || hash("", cost, salt)).await?;
        Ok(self.nobody.get_or_init(|| kept).clone())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?;
        let (tell, told) = oneshot::channel();
        self.hand_over(Box::new(move || {
            // A caller that went away frees its place, and its password need not be looked at.
            if !tell.is_closed() {
                let _ = tell.send(work());
            }
        }))?;
        told.await.map_err(|_| Error::Busy)
    }

    /// Lays work on the desk, which those who went away may have filled.
    fn hand_over(&self, work: Work) -> Result<()> {
        let mut desk = self.desk.lock();
        if desk.is_none() {
            let (started, _) = start().map_err(|error| {
                tracing::error!(%error, "no thread can be started to look at passwords");
                Error::Busy
            })?;
            *desk = Some(started);
        }
        let desk = desk.as_ref().expect("it was just put there");
        desk.try_send(work).map_err(|_| Error::Busy)
    }
}

/// Starts the threads, which end when nobody can send them work any more.
fn start() -> io::Result<(SyncSender<Work>, Vec<JoinHandle<()>>)> {
    let (desk, queue) = sync_channel(AT_A_TIME + WAITING);
    let queue = Arc::new(Mutex::new(queue));
    let thread = |number| {
        let queue = queue.clone();
        let name = format!("password-{number}");
        Builder::new().name(name).spawn(move || while do_next(&queue) {})
    };
    let threads = (0..AT_A_TIME).map(thread).collect::<io::Result<_>>()?;
    Ok((desk, threads))
}

/// Waits for work and does it; false if there will be none any more.
fn do_next(queue: &Mutex<Receiver<Work>>) -> bool {
    // Only the waiting is done under the lock.
    let next = queue.lock().recv();
    let Ok(work) = next else { return false };
    // Whoever waits for work that panics is told so by its end of the channel; the thread lives on.
    let _ = catch_unwind(AssertUnwindSafe(work));
    true
}

fn fresh_salt(random: &dyn Random) -> [u8; 16] {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::SystemRandom;

    const CHEAP: PasswordCost = PasswordCost::LEAST;

    #[test]
    fn a_password_is_known_again_and_others_are_not() {
        let kept = hash("ilovebananas", CHEAP, [7; 16]);
        assert!(verify("ilovebananas", &kept));
        for wrong in ["", "ILoveBananas", "ilovebananas ", "ihatebananas"] {
            assert!(!verify(wrong, &kept), "{wrong:?}");
        }
        assert!(!verify("ilovebananas", "not a hash"));
    }

    #[test]
    fn what_is_kept_is_argon2id_with_its_cost() {
        let kept = hash("ilovebananas", CHEAP, [7; 16]);
        assert!(kept.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{kept}");
        assert_ne!(kept, hash("ilovebananas", CHEAP, [8; 16]), "the salt counts");
    }

    #[test]
    fn a_password_stays_good_when_the_cost_changes() {
        let dearer = PasswordCost::new(64, 2, 1).unwrap();
        assert!(verify("old", &hash("old", CHEAP, [1; 16])));
        assert!(verify("new", &hash("new", dearer, [1; 16])));
    }

    #[test]
    fn any_text_of_bounded_length_may_be_a_password() {
        for good in ["a", "päßwörd 🔑", " ", &"x".repeat(LONGEST)] {
            assert!(check_choice(good).is_ok(), "{good:?}");
        }
        for bad in ["", &"x".repeat(LONGEST + 1)] {
            assert!(matches!(check_choice(bad), Err(Error::WeakPassword(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_chosen_password_has_so_many_characters() {
        for (least, good) in [(0, "a"), (1, "a"), (8, "12345678"), (8, "пароль🔑🔑")] {
            assert!(check_new(good, least).is_ok(), "{good:?}");
        }
        for (least, short) in [(2, "a"), (8, "1234567"), (8, "пароль🔑")] {
            let refused = check_new(short, least);
            assert!(matches!(refused, Err(Error::ShortPassword(said)) if said == least));
        }
        for bad in ["", &"x".repeat(LONGEST + 1)] {
            assert!(matches!(check_new(bad, 0), Err(Error::WeakPassword(_))), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn the_pool_hashes_and_verifies() {
        let hashing = Hashing::default();
        let kept = hashing.hash("ilovebananas", CHEAP, &SystemRandom).await.unwrap();
        let verify = async |password: &str, kept| {
            hashing.verify(password, kept, CHEAP, &SystemRandom).await.unwrap()
        };
        assert!(verify("ilovebananas", Some(kept.clone())).await);
        assert!(!verify("wrong", Some(kept.clone())).await);
        assert!(!verify(&"x".repeat(LONGEST + 1), Some(kept)).await);
        assert!(matches!(
            hashing.hash("", CHEAP, &SystemRandom).await,
            Err(Error::WeakPassword(_))
        ));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let hashing = Hashing::default();
        for password in ["", "guess"] {
            assert!(!hashing.verify(password, None, CHEAP, &SystemRandom).await.unwrap());
        }
    }

    /// Work that is not done before the test says so.
    struct Gate(mpsc::Sender<()>, Arc<Mutex<Receiver<()>>>);

    impl Gate {
        fn new() -> Self {
            let (open, closed) = mpsc::channel();
            Self(open, Arc::new(Mutex::new(closed)))
        }

        /// As many callers, all of whom have their places; those at work wait at the gate.
        async fn hold(&self, hashing: &Arc<Hashing>, callers: usize) -> Vec<Caller> {
            let before = hashing.places.available_permits();
            let call = |_| {
                let (hashing, gate) = (hashing.clone(), self.1.clone());
                tokio::spawn(async move {
                    hashing.run(move || gate.lock().recv().expect("the gate is there")).await
                })
            };
            let callers: Vec<_> = (0..callers).map(call).collect();
            while hashing.places.available_permits() > before - callers.len() {
                tokio::task::yield_now().await;
            }
            callers
        }

        /// Lets so many pass.
        fn open(&self, callers: usize) {
            (0..callers).for_each(|_| self.0.send(()).unwrap());
        }
    }

    type Caller = tokio::task::JoinHandle<Result<()>>;

    #[tokio::test]
    async fn two_work_64_wait_and_the_next_is_sent_away() {
        let (hashing, gate) = (Arc::new(Hashing::default()), Gate::new());
        let callers = gate.hold(&hashing, AT_A_TIME + WAITING).await;
        assert!(matches!(hashing.run(|| ()).await, Err(Error::Busy)));
        gate.open(callers.len());
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        assert!(hashing.run(|| ()).await.is_ok(), "places are free again");
    }

    #[test]
    fn nothing_else_waits_for_passwords_nor_they_for_it() {
        let only_one = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime starts");
        only_one.block_on(async {
            let (hashing, gate) = (Arc::new(Hashing::default()), Gate::new());
            let callers = gate.hold(&hashing, AT_A_TIME + WAITING).await;
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            gate.open(callers.len());
            for caller in callers {
                caller.await.unwrap().unwrap();
            }
            let (release, held) = mpsc::channel::<()>();
            let other = tokio::task::spawn_blocking(move || held.recv());
            hashing.run(|| ()).await.unwrap();
            release.send(()).unwrap();
            other.await.unwrap().unwrap();
        });
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_frees_its_place() {
        let (hashing, gate) = (Arc::new(Hashing::default()), Gate::new());
        let working = gate.hold(&hashing, AT_A_TIME).await;
        let (tell, told) = mpsc::channel();
        let waiting = hashing.clone();
        let waiting = tokio::spawn(async move { waiting.run(move || tell.send(())).await });
        while hashing.places.available_permits() == WAITING {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(hashing.places.available_permits(), WAITING);
        gate.open(AT_A_TIME);
        for caller in working {
            caller.await.unwrap().unwrap();
        }
        hashing.run(|| ()).await.unwrap();
        assert!(told.recv().is_err(), "nobody waited for it any more");
    }

    #[tokio::test]
    async fn work_that_panics_takes_no_thread_with_it() {
        let hashing = Hashing::default();
        for _ in 0..2 * AT_A_TIME {
            let broken: Result<()> = hashing.run(|| panic!("on purpose")).await;
            assert!(matches!(broken, Err(Error::Busy)));
        }
        hashing.run(|| ()).await.unwrap();
    }

    #[test]
    fn the_threads_end_when_nobody_sends_them_work() {
        let (desk, threads) = start().unwrap();
        assert_eq!(threads.len(), AT_A_TIME);
        let (tell, told) = mpsc::channel();
        desk.send(Box::new(move || tell.send(()).unwrap())).unwrap();
        drop(desk);
        for thread in threads {
            thread.join().unwrap();
        }
        told.recv().expect("what was on the desk was done");
    }
}
