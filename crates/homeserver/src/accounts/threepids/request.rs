//! Asking for a mail that proves an address.

use ruma::OwnedUserId;
use tertulia_protocol::Email;
use tertulia_storage::{Command, Partition, Tx};

use super::{
    id::{self, AddressKey, SessionKey},
    session::Asked,
};
use crate::{
    Error, Homeserver, Language, Registration, Result, User,
    accounts::tries::Tries,
    mail::{self, Letter, LetterKind},
    schema::{ADDRESSES, Proving, THREEPID_SESSIONS, ThreepidSession},
};

/// So many mails one address may be sent at once, and one account may ask for; then one every ten minutes.
const MOST_LETTERS: u32 = 5;
const REGAINED_MS: u64 = 10 * 60_000;

/// The longest client secret, in bytes.
const LONGEST_SECRET: usize = 255;

/// The mails that each address was sent lately.
type OfAddresses = Tries<AddressKey, REGAINED_MS>;
/// The mails that each user asked for lately.
type OfUsers = Tries<OwnedUserId, REGAINED_MS>;

/// What somebody says who wants a mail that proves an address.
#[derive(Clone, Copy, Debug)]
pub struct CodeRequest<'a> {
    /// The address, as they wrote it.
    pub email: &'a str,
    /// A word that only their client knows: who shows it may use the session.
    pub client_secret: &'a str,
    /// How often they asked for one with this address and this word. One that is not greater than the last sends
    /// no mail.
    pub attempt: u64,
    /// In which language it is written.
    pub language: Language,
}

impl Homeserver {
    /// Sends a mail with a code and a link to an address, and tells the session in which they prove that it is
    /// somebody's. Where the server hides which addresses it knows, it tells one in any case.
    ///
    /// # Errors
    ///
    /// [`Error::NoMail`], [`Error::RegistrationClosed`], [`Error::BadEmail`], [`Error::Invalid`] for the client
    /// secret, or [`Error::Busy`] if too many mails went to the address lately or too many wait.
    /// [`Error::EmailInUse`] and [`Error::EmailUnknown`] unless the server hides that.
    pub async fn request_code(&self, proving: Proving, wish: CodeRequest<'_>) -> Result<String> {
        let mut request = self.request(proving, wish)?;
        let letters = self.core.local::<OfAddresses>();
        let address = request.key.0;
        let has_place = mail::take_place(&self.core).await?;
        let is_counted = letters.take(&address, MOST_LETTERS, self.core.steady());
        request.may_send = has_place && is_counted;
        let asked = self.core.store.write(request).await;
        let sent = asked.as_ref().is_ok_and(|asked| asked.out.sent);
        if has_place && !sent {
            mail::give_place_back(&self.core);
        }
        if is_counted && !sent {
            letters.give_back(&address);
        }
        Ok(asked?.out.session)
    }

    fn request(&self, proving: Proving, wish: CodeRequest<'_>) -> Result<Request> {
        if !self.sends_mail() {
            return Err(Error::NoMail);
        }
        if proving == Proving::Registration && self.settings().registration == Registration::Closed
        {
            return Err(Error::RegistrationClosed);
        }
        if !(1..=LONGEST_SECRET).contains(&wish.client_secret.len()) {
            return Err(Error::Invalid("the client secret"));
        }
        let email = Email::parse(wish.email)?;
        let secret = id::secret(wish.client_secret);
        let unknown = LetterKind::Unknown;
        Ok(Request {
            key: id::key(&email, proving, &secret),
            session: ThreepidSession {
                word: self.core.random.word(id::WORD),
                proving,
                address: email.as_str().to_owned(),
                secret,
                attempt: wish.attempt,
                created: self.core.steady().get().into(),
                hollow: false,
                wrong: 0,
                validated: None,
            },
            hides: self.settings().hide_known_addresses,
            may_send: false,
            letter: Letter::new(&self.core, unknown, email.as_str(), wish.language),
        })
    }
}

impl User {
    /// As [`Homeserver::request_code`], for an address that this user wants to have; counted with all that the
    /// user asks for.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::request_code`].
    pub async fn request_code(&self, proving: Proving, wish: CodeRequest<'_>) -> Result<String> {
        let letters = self.core.local::<OfUsers>();
        if !letters.take(&self.id, MOST_LETTERS, self.core.steady()) {
            return Err(Error::Busy);
        }
        Homeserver { core: self.core.clone() }.request_code(proving, wish).await
    }
}

/// Begins a session or goes on with one, and has a mail sent.
struct Request {
    key: SessionKey,
    /// The session, if it is a new one.
    session: ThreepidSession,
    hides: bool,
    /// Whether the address may be sent another mail now.
    may_send: bool,
    /// The mail, of which it is not known yet what it is about.
    letter: Letter,
}

/// What came of a request.
struct Begun {
    /// The session's ID.
    session: String,
    /// Whether a mail is sent.
    sent: bool,
}

impl Request {
    /// Refuses what leads to nothing, where that is no secret; tells whether it leads to nothing.
    fn is_hollow(&self, owner: Option<&OwnedUserId>) -> Result<bool> {
        let is_reset = self.session.proving == Proving::Password;
        match (is_reset == owner.is_some(), is_reset) {
            (true, _) => Ok(false),
            (false, _) if self.hides => Ok(true),
            (false, true) => Err(Error::EmailUnknown),
            (false, false) => Err(Error::EmailInUse),
        }
    }

    /// The mail of the session that is called so.
    fn letter(&self, name: String, of: &ThreepidSession, owner: Option<OwnedUserId>) -> Letter {
        let hollow = of.hollow;
        let kind = match (self.session.proving, hollow) {
            (Proving::Registration, false) => LetterKind::ProveToRegister,
            (Proving::Password, false) => LetterKind::ProveToReset,
            (Proving::Addition, false) => LetterKind::ProveToAdd,
            (Proving::Change, false) => LetterKind::ProveToChange,
            (Proving::Password, true) => LetterKind::Unknown,
            (_, true) => LetterKind::AlreadyKnown,
        };
        let user = owner.filter(|_| kind == LetterKind::ProveToReset || hollow);
        // One that leads to nothing is told what becomes of its mail, too: it is to look like any other.
        Letter { kind, user, ..self.letter.clone() }.proving(name, of.until())
    }
}

impl Command for Request {
    type Out = Begun;
    type Error = Error;

    fn partition(&self) -> Partition {
        id::partition(&self.key.0)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Begun> {
        let known = tx.get_guarded(&THREEPID_SESSIONS, &self.key).await?;
        let owner = tx.get(&ADDRESSES, &(self.session.address.clone(),)).await?;
        let owner = owner.map(|(owner,)| owner);
        let hollow = self.is_hollow(owner.as_ref())?;
        let (now, attempt) = (self.session.created, self.session.attempt);
        let asked = known.as_ref().map_or(Asked::Anew, |known| known.ask(attempt, now));
        let session = match (asked, known) {
            (Asked::Nothing, Some(known)) => {
                return Ok(Begun { session: id::name(&self.key, &known.word), sent: false });
            }
            _ if !self.may_send => return Err(Error::Busy),
            // Whether it is hollow stays as it was: else its code would tell that something has changed.
            (Asked::Remind, Some(known)) => ThreepidSession { attempt, ..known },
            _ => ThreepidSession { hollow, ..self.session.clone() },
        };
        let name = id::name(&self.key, &session.word);
        tx.put(&THREEPID_SESSIONS, &self.key, &session);
        mail::post(tx, &self.letter(name.clone(), &session, owner));
        Ok(Begun { session: name, sent: true })
    }
}
