//! When and from where devices were last heard of: noted in memory at every request, written
//! about once an hour.

use std::{collections::HashMap, net::IpAddr};

use parking_lot::Mutex;
use ruma::{OwnedDeviceId, OwnedUserId};
use tertulia_storage::{Command, Durability, Partition, Tx};

use super::{Session, token::TokenHash};
use crate::{
    Error, Result,
    schema::{DEVICES, LAST_SEEN, Sighting},
    users,
};

/// How old what is written may become.
const WRITE_EVERY_MS: u64 = 60 * 60_000;

/// How many sessions are kept in memory. When there are more, it starts anew.
const MOST: usize = 50_000;

/// The sessions that were heard of lately.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<TokenHash, Noted>>);

#[derive(Clone, Debug)]
struct Noted {
    sighting: Sighting,
    written: u64,
}

impl Seen {
    /// Notes that a session was heard of; tells whether it is time to write that down.
    fn note(&self, session: &TokenHash, sighting: Sighting) -> bool {
        let mut noted = self.0.lock();
        let written = noted.get(session).map(|noted| noted.written);
        if written.is_none() && noted.len() >= MOST {
            noted.clear();
        }
        let due = written.is_none_or(|at| sighting.at.saturating_sub(at) >= WRITE_EVERY_MS);
        let written = written.filter(|_| !due).unwrap_or(sighting.at);
        noted.insert(*session, Noted { sighting, written });
        due
    }

    /// When the session was last heard of since the start, if it was.
    pub(crate) fn last(&self, session: &TokenHash) -> Option<Sighting> {
        self.0.lock().get(session).map(|noted| noted.sighting.clone())
    }
}

impl Session {
    /// Notes that the session's client calls now, from `address`. Costs no write, as a rule.
    pub fn seen_from(&self, address: IpAddr) {
        let Some(token) = self.token else { return };
        let at = self.core.now().get().into();
        let sighting = Sighting { at, from: address.to_string() };
        if !self.core.local::<Seen>().note(&token, sighting.clone()) {
            return;
        }
        let write =
            WriteSighting { user: self.id.clone(), device: self.device.clone(), token, sighting };
        let store = self.core.store.clone();
        self.core.tasks.spawn(async move {
            if let Err(error) = store.write(write).await {
                tracing::warn!(%error, "could not note when a device was last seen");
            }
        });
    }
}

/// Writes down when a device was last heard of, unless its session has ended meanwhile.
struct WriteSighting {
    user: OwnedUserId,
    device: OwnedDeviceId,
    token: TokenHash,
    sighting: Sighting,
}

impl Command for WriteSighting {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    fn durability(&self) -> Durability {
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.user.clone(), self.device.clone());
        let device = tx.get_guarded(&DEVICES, &key).await?;
        if device.is_some_and(|device| device.token == self.token) {
            tx.put(&LAST_SEEN, &key, &self.sighting);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: u64) -> Sighting {
        Sighting { at, from: "192.0.2.1".to_owned() }
    }

    #[test]
    fn a_session_is_written_down_once_an_hour() {
        let seen = Seen::default();
        assert!(seen.note(&[1; 32], at(5)), "heard of for the first time since the start");
        assert!(!seen.note(&[1; 32], at(6)));
        assert!(!seen.note(&[1; 32], at(WRITE_EVERY_MS + 4)));
        assert!(seen.note(&[1; 32], at(WRITE_EVERY_MS + 5)));
        assert!(!seen.note(&[1; 32], at(WRITE_EVERY_MS + 6)));
        assert!(seen.note(&[2; 32], at(WRITE_EVERY_MS + 6)), "another session has its own hour");
    }

    #[test]
    fn memory_knows_the_latest() {
        let seen = Seen::default();
        assert_eq!(seen.last(&[1; 32]), None);
        seen.note(&[1; 32], at(5));
        seen.note(&[1; 32], at(6));
        assert_eq!(seen.last(&[1; 32]), Some(at(6)));
    }

    #[test]
    fn memory_is_bounded() {
        let seen = Seen::default();
        for number in 0..=MOST as u64 {
            let mut session = [0; 32];
            session[..8].copy_from_slice(&number.to_be_bytes());
            seen.note(&session, at(1));
        }
        assert!(seen.0.lock().len() <= MOST);
    }
}
