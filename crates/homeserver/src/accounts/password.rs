//! Passwords: what is kept of one, and the bounded pool that does the heavy arithmetic.

use std::sync::{Arc, OnceLock};

use argon2::{
    Algorithm, Argon2, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use tokio::sync::Semaphore;

use crate::{Error, PasswordCost, Random, Result};

/// How many passwords are hashed at a time.
const AT_A_TIME: usize = 2;

/// How many more may wait for their turn.
const WAITING: usize = 64;

/// The longest password, in bytes.
const LONGEST: usize = 512;

/// Whether `password` may be chosen for an account.
///
/// # Errors
///
/// [`Error::WeakPassword`], which says why not.
pub(crate) fn check_choice(password: &str) -> Result<()> {
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

/// The pool that hashes and verifies: two at a time, so that logins cannot take the machine.
#[derive(Debug)]
pub(crate) struct Hashing {
    /// Everyone in the pool, at work or waiting.
    places: Semaphore,
    /// Everyone at work.
    desks: Arc<Semaphore>,
    /// The hash that is verified where no account is, so that it takes as long.
    nobody: OnceLock<String>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            places: Semaphore::new(AT_A_TIME + WAITING),
            desks: Arc::new(Semaphore::new(AT_A_TIME)),
            nobody: OnceLock::new(),
        }
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
        let desk = self.desks.clone().acquire_owned().await;
        let work = move || {
            // A caller that goes away frees its place; the desk is free when the work is done.
            let _desk = desk;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Busy)
    }
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

    #[tokio::test]
    async fn two_work_64_wait_and_the_next_is_sent_away() {
        let hashing = Arc::new(Hashing::default());
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let callers: Vec<_> = (0..AT_A_TIME + WAITING)
            .map(|_| {
                let (hashing, held) = (hashing.clone(), held.clone());
                tokio::spawn(async move {
                    hashing.run(move || held.lock().unwrap().recv().unwrap()).await
                })
            })
            .collect();
        while hashing.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hashing.run(|| ()).await, Err(Error::Busy)));
        for _ in &callers {
            release.send(()).unwrap();
        }
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        assert!(hashing.run(|| ()).await.is_ok(), "places are free again");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_frees_its_place() {
        let hashing = Hashing::default();
        let waiting = hashing.run(|| ());
        drop(waiting);
        assert_eq!(hashing.places.available_permits(), AT_A_TIME + WAITING);
    }
}
