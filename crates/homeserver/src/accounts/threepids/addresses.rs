//! The addresses that users have. An address is claimed in its own row; the row of its user is written with it.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};
use tertulia_protocol::Email;
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::{EmailProof, id};
use crate::{
    Error, Homeserver, Language, Registration, Result, User,
    mail::{self, Letter, LetterKind},
    schema::{ADDRESSES, AddressRow, Proving, THREEPID_SESSIONS, ThreepidSession, USER_ADDRESSES},
    users,
};

/// How many addresses a user may have.
const MOST: usize = 10;

/// What proves an address that a user is to have.
const OWN: [Proving; 2] = [Proving::Addition, Proving::Change];

/// An e-mail address of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress {
    /// The address.
    pub address: String,
    /// When it was proven to be the user's.
    pub validated: MilliSecondsSinceUnixEpoch,
    /// When it was added.
    pub added: MilliSecondsSinceUnixEpoch,
}

/// Whose the address is that is written `text`, if it is an address and somebody's.
pub(in crate::accounts) async fn owner(view: &View, text: &str) -> Result<Option<OwnedUserId>> {
    let Ok(email) = Email::parse(text) else { return Ok(None) };
    let owner = view.get(&ADDRESSES, &(email.as_str().to_owned(),)).await?;
    Ok(owner.map(|(owner,)| owner))
}

/// Ends the session of `proof`, which proves an address for any of these; tells it. It is worth nothing
/// afterwards, and the commit fails if it was used meanwhile.
async fn spend(
    tx: &mut Tx,
    proof: &EmailProof,
    any_of: &[Proving],
    now: u64,
) -> Result<ThreepidSession> {
    let (key, word) = id::read(&proof.session).ok_or(Error::AddressNotProven)?;
    let session = tx.get_guarded(&THREEPID_SESSIONS, &key).await?;
    let session = session.ok_or(Error::AddressNotProven)?;
    check(tx, &session, word, proof, any_of, now).await?;
    tx.delete(&THREEPID_SESSIONS, &key);
    Ok(session)
}

/// As [`spend`], of the address of an account, whose owner is told.
pub(in crate::accounts) async fn spend_claimed(
    tx: &mut Tx,
    proof: &EmailProof,
    now: u64,
) -> Result<(OwnedUserId, String)> {
    let session = spend(tx, proof, &[Proving::Password], now).await?;
    let owner = tx.get_guarded(&ADDRESSES, &(session.address.clone(),)).await?;
    let (owner,) = owner.ok_or(Error::AddressNotProven)?;
    Ok((owner, session.address))
}

/// Whether `session` is the one that is meant, and proves an address for any of these; one whose mail came to nothing
/// says that.
async fn check(
    view: &View,
    session: &ThreepidSession,
    word: &str,
    proof: &EmailProof,
    any_of: &[Proving],
    now: u64,
) -> Result<()> {
    if !id::is_called(session, word) || !id::is_secret_of(session, &proof.client_secret) {
        return Err(Error::AddressNotProven);
    }
    let proves = session.check_proves(any_of, now);
    let is_open = proves.is_err() && session.validated.is_none();
    if is_open && mail::is_undelivered(view, &proof.session).await? {
        return Err(Error::MailNotDelivered);
    }
    proves
}

/// Makes the address that was proven for it, if one was, that of a new user.
pub(in crate::accounts) async fn claim_first(
    tx: &mut Tx,
    user: &UserId,
    proof: Option<&EmailProof>,
    now: u64,
) -> Result<()> {
    let Some(proof) = proof else { return Ok(()) };
    let session = spend(tx, proof, &[Proving::Registration], now).await?;
    claim(tx, user, &session, now).await
}

/// Makes the address of a spent session `user`'s.
async fn claim(tx: &mut Tx, user: &UserId, session: &ThreepidSession, now: u64) -> Result<()> {
    let key = (session.address.clone(),);
    match tx.get_guarded(&ADDRESSES, &key).await? {
        Some((owner,)) if owner != user => return Err(Error::EmailInUse),
        Some(_) => {}
        None if addresses(tx, user).await?.len() >= MOST => {
            return Err(Error::TooMany("e-mail addresses"));
        }
        None => tx.put(&ADDRESSES, &key, &(user.to_owned(),)),
    }
    let own = (user.to_owned(), session.address.clone());
    let added = tx.get(&USER_ADDRESSES, &own).await?.map_or(now, |row| row.added);
    let validated = session.validated.unwrap_or(now);
    tx.put(&USER_ADDRESSES, &own, &AddressRow { validated, added });
    Ok(())
}

/// Takes all addresses from `user`; others may have them then. The account's row is guarded by the caller.
pub(in crate::accounts) async fn release_all(tx: &mut Tx, user: &UserId) -> Result<()> {
    for (address, _) in addresses(tx, user).await? {
        release(tx, user, address);
    }
    Ok(())
}

fn release(tx: &mut Tx, user: &UserId, address: String) {
    let key = (address.clone(),);
    tx.guard(&ADDRESSES, &key);
    tx.delete(&ADDRESSES, &key);
    tx.delete(&USER_ADDRESSES, &(user.to_owned(), address));
}

async fn addresses(view: &View, user: &UserId) -> Result<Vec<(String, AddressRow)>> {
    let rows = view.scan(&USER_ADDRESSES, &(user.to_owned(),), Direction::Forward, MOST).await?;
    Ok(rows.into_iter().map(|((_, address), row)| (address, row)).collect())
}

impl Homeserver {
    /// Whether a proof proves an address for this now, before anything dear is done about it.
    ///
    /// # Errors
    ///
    /// [`Error::AddressNotProven`], [`Error::MailNotDelivered`].
    pub(in crate::accounts) async fn check_proof(
        &self,
        proof: &EmailProof,
        proving: Proving,
    ) -> Result<()> {
        self.proven(proof, proving).await.map(drop)
    }

    /// Whose address a proof proves that lets its owner set the password; none if it proves no such thing now.
    pub(in crate::accounts) async fn find_owner(
        &self,
        proof: &EmailProof,
        proving: Proving,
    ) -> Result<Result<Option<OwnedUserId>, &'static str>> {
        // In the words of the errors.
        let not_proven = Ok(Err(
            "the e-mail address is not proven; show the code of the mail, or open its link",
        ));
        let (view, session) = match self.proven(proof, proving).await {
            Ok(proven) => proven,
            Err(Error::AddressNotProven) => return not_proven,
            Err(Error::MailNotDelivered) => {
                return Ok(Err(
                    "the mail could not be delivered; ask for another, or give another address",
                ));
            }
            Err(error) => return Err(error),
        };
        match (proving, owner(&view, &session.address).await?) {
            (Proving::Password, None) => not_proven,
            (Proving::Password, owner) => Ok(Ok(owner)),
            _ => Ok(Ok(None)),
        }
    }

    async fn proven(
        &self,
        proof: &EmailProof,
        proving: Proving,
    ) -> Result<(View, ThreepidSession)> {
        let (key, word) = id::read(&proof.session).ok_or(Error::AddressNotProven)?;
        let view = self.core.store.view().await?;
        let session = view.get(&THREEPID_SESSIONS, &key).await?.ok_or(Error::AddressNotProven)?;
        let now = self.core.steady().get().into();
        check(&view, &session, word, proof, &[proving], now).await?;
        Ok((view, session))
    }
}

impl User {
    /// The e-mail addresses of the user.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if they cannot be read.
    pub async fn emails(&self) -> Result<Vec<EmailAddress>> {
        let time = |at: u64| MilliSecondsSinceUnixEpoch(at.try_into().unwrap_or_default());
        let show = |(address, row): (String, AddressRow)| EmailAddress {
            address,
            validated: time(row.validated),
            added: time(row.added),
        };
        let rows = addresses(&self.core.store.view().await?, &self.id).await?;
        Ok(rows.into_iter().map(show).collect())
    }

    /// Adds the address that was proven in a session, which is over then.
    ///
    /// # Errors
    ///
    /// [`Error::AddressNotProven`], [`Error::MailNotDelivered`], [`Error::EmailInUse`], [`Error::TooMany`],
    /// [`Error::GuestsForbidden`].
    pub async fn add_email(&self, proof: &EmailProof) -> Result<()> {
        self.have_email(proof, Others::Keep, Language::default()).await
    }

    /// Has the address that was proven in a session instead of all that the user had, in one step. Each of them
    /// is told by a mail in `language`.
    ///
    /// # Errors
    ///
    /// Those of [`User::add_email`].
    pub async fn change_email(&self, proof: &EmailProof, language: Language) -> Result<()> {
        self.have_email(proof, Others::Replace, language).await
    }

    async fn have_email(
        &self,
        proof: &EmailProof,
        others: Others,
        language: Language,
    ) -> Result<()> {
        let letter = Letter::new(&self.core, LetterKind::AddressChanged, "", language);
        let have = Have {
            user: self.id.clone(),
            proof: proof.clone(),
            others,
            letter: letter.about(self.id.clone()),
            now: self.core.steady().get().into(),
        };
        self.core.store.write(have).await?;
        Ok(())
    }

    /// Takes an address from the user.
    ///
    /// # Errors
    ///
    /// [`Error::BadEmail`], [`Error::EmailUnknown`] if the user does not have it, or [`Error::LastEmail`] if
    /// everyone is to have one here and it is the last.
    pub async fn remove_email(&self, address: &str) -> Result<()> {
        let address = Email::parse(address)?.as_str().to_owned();
        let needed = self.core.settings.registration == Registration::Email;
        self.core.store.write(Remove { user: self.id.clone(), address, needed }).await?;
        Ok(())
    }
}

/// What becomes of the addresses that a user has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    Keep,
    Replace,
}

/// Makes a proven address a user's.
struct Have {
    user: OwnedUserId,
    proof: EmailProof,
    others: Others,
    /// What tells the addresses that the user has no more.
    letter: Letter,
    now: u64,
}

impl Command for Have {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        if users::active_account(tx, &self.user).await?.guest {
            return Err(Error::GuestsForbidden);
        }
        let session = spend(tx, &self.proof, &OWN, self.now).await?;
        if self.others == Others::Replace {
            let before = addresses(tx, &self.user).await?.into_iter();
            let others = before.filter(|(address, _)| *address != session.address);
            for (n, (address, _)) in others.enumerate() {
                let number = self.letter.number.wrapping_add(n as u64);
                mail::post(tx, &Letter { address: address.clone(), number, ..self.letter.clone() });
                release(tx, &self.user, address);
            }
        }
        claim(tx, &self.user, &session, self.now).await
    }
}

/// Takes an address from a user.
struct Remove {
    user: OwnedUserId,
    address: String,
    /// Whether one must be left.
    needed: bool,
}

impl Command for Remove {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::active_account(tx, &self.user).await?;
        let own = addresses(tx, &self.user).await?;
        if !own.iter().any(|(address, _)| *address == self.address) {
            return Err(Error::EmailUnknown);
        }
        if self.needed && own.len() == 1 {
            return Err(Error::LastEmail);
        }
        release(tx, &self.user, self.address.clone());
        Ok(())
    }
}
