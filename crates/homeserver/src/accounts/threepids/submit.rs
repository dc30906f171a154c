//! Showing what the mail said: its code, typed into a client, or its link.

use tertulia_storage::{Command, Partition, Tx};

use super::{
    EmailProof,
    id::{self, AddressKey, SessionKey},
    session::Shown,
};
use crate::{
    Error, Homeserver, Result, Secret, accounts::tries::Tries, mail, schema::THREEPID_SESSIONS,
};

/// So many codes may be wrong for one address at once, in whatever sessions; then one every hour. Whoever is kept
/// from typing by others' guesses still has the link.
const MOST_WRONG: u32 = 20;
const REGAINED_MS: u64 = 60 * 60_000;

/// The codes that were wrong lately, of each address.
type WrongCodes = Tries<AddressKey, REGAINED_MS>;

impl Homeserver {
    /// Shows the six digits of a mail, or what its link says. From then on the address is proven, for whoever
    /// knows the session and its client secret.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is no such session with this client secret; [`Error::WrongCode`];
    /// [`Error::CodeExpired`] if it is too late, or was wrong too often; instead of either
    /// [`Error::MailNotDelivered`] where nobody can know the right one; [`Error::Busy`] if too many codes of the
    /// address were wrong lately.
    pub async fn submit_code(&self, proof: &EmailProof, code: &Secret) -> Result<()> {
        if *code == mail::link_token(&self.core, &proof.session) {
            return self.show(&proof.session, Some(&proof.client_secret), Shown::Right).await;
        }
        let is_right = *code == mail::code(&self.core, &proof.session);
        let (key, _) = id::read(&proof.session).ok_or_else(no_session)?;
        let wrong = self.core.local::<WrongCodes>();
        if !wrong.take(&key.0, MOST_WRONG, self.core.steady()) {
            return Err(Error::Busy);
        }
        let shown = if is_right { Shown::Right } else { Shown::WrongCode };
        let outcome = self.show(&proof.session, Some(&proof.client_secret), shown).await;
        if !matches!(outcome, Err(Error::WrongCode)) {
            wrong.give_back(&key.0);
        }
        match outcome {
            Err(refusal @ (Error::WrongCode | Error::CodeExpired)) => {
                let view = self.core.store.view().await?;
                let is_undelivered = mail::is_undelivered(&view, &proof.session).await?;
                Err(if is_undelivered { Error::MailNotDelivered } else { refusal })
            }
            outcome => outcome,
        }
    }

    /// Opens the link of a mail. From then on the address is proven, as by [`Homeserver::submit_code`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is no such session, [`Error::WrongCode`], [`Error::CodeExpired`].
    pub async fn follow_link(&self, session: &str, token: &Secret) -> Result<()> {
        let is_right = *token == mail::link_token(&self.core, session);
        let shown = if is_right { Shown::Right } else { Shown::WrongLink };
        self.show(session, None, shown).await
    }

    async fn show(&self, session: &str, secret: Option<&Secret>, shown: Shown) -> Result<()> {
        let (key, word) = id::read(session).ok_or_else(no_session)?;
        let secret = secret.map(|secret| id::secret(secret.reveal()));
        let now = self.core.steady().get().into();
        let show = Show { key, word: word.to_owned(), secret, shown, now };
        self.core.store.write(show).await?.out
    }
}

fn no_session() -> Error {
    Error::Invalid("the session or its client secret")
}

/// Notes what was shown in a session.
struct Show {
    key: SessionKey,
    word: String,
    /// The SHA-256 of the client secret, if it has to be the session's.
    secret: Option<[u8; 32]>,
    shown: Shown,
    now: u64,
}

impl Command for Show {
    /// A wrong code is noted.
    type Out = Result<()>;
    type Error = Error;

    fn partition(&self) -> Partition {
        id::partition(&self.key.0)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Result<()>> {
        let session = tx.get_guarded(&THREEPID_SESSIONS, &self.key).await?;
        let session = session.filter(|session| id::is_called(session, &self.word));
        let mut session = session.ok_or_else(no_session)?;
        if !self.secret.is_none_or(|secret| id::is_hash_of(&session, &secret)) {
            return Err(no_session());
        }
        let before = session.clone();
        let outcome = session.show(self.shown, self.now)?;
        if session != before {
            tx.put(&THREEPID_SESSIONS, &self.key, &session);
        }
        Ok(outcome)
    }
}
