//! User-interactive authentication, driven: checks what a client offers and keeps the sessions.

use parking_lot::Mutex;
use ruma::UserId;
use sha2::{Digest as _, Sha256};
use tertulia_protocol::Email;

use super::{
    CodeRequest, EmailProof,
    interaction::{Flow, Interactions, Operation, Progress, Proven, Refusal, Stage},
};
use crate::{Error, Homeserver, Registration, Result, Secret};

/// What a client offers to prove that it may do something.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The session it was given when it asked first.
    pub session: Option<String>,
    /// What it offers now; nothing if it only asks where the session stands.
    pub credential: Option<Credential>,
}

/// What a client offers in one stage.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A user, as for [`Homeserver::login`], and the password.
    Password {
        /// A whole user ID or its first part.
        user: String,
        /// The password.
        password: Secret,
    },
    /// The password of someone whom this server does not know by what they gave instead of a name.
    Stranger,
    /// Nothing.
    Dummy,
    /// A word that allows to register.
    RegistrationToken(Secret),
    /// That the documents of [`Settings::terms`](crate::Settings::terms) are accepted.
    Terms,
    /// A session in which an e-mail address was proven.
    Email(EmailProof),
    /// Something that no flow of this server has.
    Unknown,
}

impl Credential {
    /// The stage that it may pass. What an e-mail address has to be proven for is for the `flows` to say.
    fn stage(&self, flows: &[Flow]) -> Option<Stage> {
        let is_of_email = |stage: &Stage| matches!(stage, Stage::Email(_));
        match self {
            Self::Password { .. } | Self::Stranger => Some(Stage::Password),
            Self::Dummy => Some(Stage::Dummy),
            Self::RegistrationToken(_) => Some(Stage::RegistrationToken),
            Self::Terms => Some(Stage::Terms),
            Self::Email(_) => flows.iter().copied().flatten().copied().find(is_of_email),
            Self::Unknown => None,
        }
    }
}

/// What a client is told that has yet to prove that it may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The ways to prove it.
    pub flows: &'static [Flow],
    /// The stages passed so far.
    pub passed: Vec<Stage>,
    /// The session in which to go on.
    pub session: String,
    /// Why what was offered did not pass, if something was.
    pub failure: Option<&'static str>,
}

/// How far a proof has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is complete: the operation may be done, once.
    Given(Proven),
    /// More is needed.
    Missing(Challenge),
}

impl Operation<'static> {
    /// The operation `name` with everything the request says in `content`, which any of `flows`
    /// allows, for whoever asks.
    pub fn new(name: &'static str, flows: &'static [Flow], content: &[u8]) -> Self {
        Self { name, subject: None, content: Sha256::digest(content).into(), flows }
    }

    /// The same as a request of `subject`, if that is given: nobody else can prove that it may be done.
    pub fn of(self, subject: Option<&UserId>) -> Operation<'_> {
        Operation { subject, ..self }
    }
}

const UNKNOWN_STAGE: &str = "this server does not know this stage";
const PASSED: &str = "this was proven already";

/// The sessions of this server.
#[derive(Default)]
struct Sessions(Mutex<Interactions>);

impl Homeserver {
    /// Looks at what a client offers to prove that `operation` may be done. Where it has a
    /// subject, only that user's password passes, in sessions that this user opened.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if too many passwords wait to be checked, [`Error::WrongPassword`] for
    /// who is not known by what they gave instead of a name, [`Error::Forbidden`] for who proves
    /// to be another user than the subject: trying again does not help.
    pub async fn prove(&self, operation: Operation<'_>, attempt: Option<Attempt>) -> Result<Proof> {
        let Some(Attempt { session, credential }) = attempt else {
            return Ok(self.challenge(operation, None));
        };
        let session = session.unwrap_or_else(|| self.open(operation));
        let Some(credential) = credential else {
            return Ok(self.finish(operation, session));
        };
        let tried = self.try_stage(operation, &session, credential).await?;
        Ok(match tried {
            Ok(Progress::Proved(proven)) => Proof::Given(proven),
            Ok(Progress::Missing) => self.challenge_again(operation, session, None),
            Err(failure) => self.challenge_again(operation, session, failure),
        })
    }

    /// Looks at what was passed elsewhere by one who offers nothing more.
    fn finish(&self, operation: Operation<'_>, session: String) -> Proof {
        let sessions = self.core.local::<Sessions>();
        let finished = sessions.0.lock().finish(&session, &operation, self.core.steady());
        match finished {
            Ok(Progress::Proved(proven)) => Proof::Given(proven),
            Ok(Progress::Missing) | Err(_) => self.challenge_again(operation, session, None),
        }
    }

    /// Looks at what somebody offers on a page of this server to pass one stage of a `session`
    /// that a client has opened. The client goes on when the page says so.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::prove`].
    pub async fn prove_aside(
        &self,
        session: &str,
        credential: Credential,
    ) -> Result<Result<(), &'static str>> {
        let sessions = self.core.local::<Sessions>();
        let stage = match self.stage_aside(session, &credential) {
            Ok(stage) => stage,
            Err(failure) => return Ok(Err(failure)),
        };
        let owner = match sessions.0.lock().may_try_aside(session, stage, self.core.steady()) {
            Err(Refusal::Passed) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(words(refusal).unwrap_or_default())),
            Ok(owner) => owner,
        };
        let told = match self.check_credential(credential, stage, owner.as_deref()).await? {
            Ok(told) => told,
            Err(failure) => return Ok(Err(failure)),
        };
        let passed = sessions.0.lock().pass_aside(session, stage, told, self.core.steady());
        Ok(passed.map_err(|refusal| words(refusal).unwrap_or_default()))
    }

    /// Sends a mail with a code to an address that somebody on a page of this server wants to prove in one stage of a
    /// `session` that a client has opened; tells the session in which they prove it, for
    /// [`Homeserver::prove_aside`]. What it is to be proven for is what the client's session needs.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::request_code`].
    pub async fn request_code_aside(
        &self,
        session: &str,
        wish: CodeRequest<'_>,
    ) -> Result<Result<String, &'static str>> {
        let proof = EmailProof { session: String::new(), client_secret: Secret::new("") };
        let stage = match self.stage_aside(session, &Credential::Email(proof)) {
            Ok(stage) => stage,
            Err(failure) => return Ok(Err(failure)),
        };
        let sessions = self.core.local::<Sessions>();
        let may = sessions.0.lock().may_try_aside(session, stage, self.core.steady());
        match (stage, may) {
            (Stage::Email(proving), Ok(_)) => Ok(Ok(self.request_code(proving, wish).await?)),
            (_, Err(refusal)) => Ok(Err(words(refusal).unwrap_or(PASSED))),
            _ => Ok(Err(UNKNOWN_STAGE)),
        }
    }

    /// The stage of a `session` that `credential` may pass.
    fn stage_aside(&self, session: &str, credential: &Credential) -> Result<Stage, &'static str> {
        let sessions = self.core.local::<Sessions>();
        let flows = sessions.0.lock().flows(session, self.core.steady());
        let unknown = words(Refusal::UnknownSession).unwrap_or_default();
        match credential.stage(flows) {
            _ if flows.is_empty() => Err(unknown),
            Some(stage) => Ok(stage),
            None => Err(UNKNOWN_STAGE),
        }
    }

    /// The inner error is why the client may try again; `None` says that nothing was wrong.
    async fn try_stage(
        &self,
        operation: Operation<'_>,
        session: &str,
        credential: Credential,
    ) -> Result<Result<Progress, Option<&'static str>>> {
        let sessions = self.core.local::<Sessions>();
        let Some(stage) = credential.stage(operation.flows) else {
            return Ok(Err(Some(UNKNOWN_STAGE)));
        };
        let now = self.core.steady();
        if let Err(refusal) = sessions.0.lock().may_try(session, &operation, stage, now) {
            return Ok(Err(words(refusal)));
        }
        let told = match self.check_credential(credential, stage, operation.subject).await? {
            Ok(told) => told,
            Err(failure) => return Ok(Err(Some(failure))),
        };
        let passed = sessions.0.lock().pass(session, &operation, stage, told, self.core.steady());
        Ok(passed.map_err(words))
    }

    pub(super) async fn check_credential(
        &self,
        credential: Credential,
        stage: Stage,
        subject: Option<&UserId>,
    ) -> Result<Result<Proven, &'static str>> {
        match credential {
            Credential::Dummy | Credential::Terms => Ok(Ok(Proven::default())),
            Credential::Stranger => Err(Error::WrongPassword),
            Credential::RegistrationToken(token) if self.allows_registration(&token) => {
                Ok(Ok(Proven::default()))
            }
            Credential::Password { user, password } => {
                match self.check_password(&user, password.reveal()).await {
                    Ok(user) if subject.is_none_or(|subject| subject == user) => {
                        Ok(Ok(Proven::of(Some(user))))
                    }
                    Ok(_) => Err(Error::Forbidden("this is another user's password".to_owned())),
                    // An address that nobody has is to be refused for good, and so is one that somebody has, or
                    // one could tell them apart ("Password-based").
                    Err(Error::WrongPassword) if Email::is_meant_by(&user) => {
                        Err(Error::WrongPassword)
                    }
                    Err(Error::WrongPassword) => Ok(Err("the password is wrong")),
                    Err(Error::Deactivated) => Ok(Err("the account was closed")),
                    Err(error) => Err(error),
                }
            }
            Credential::Email(proof) => self.check_email(proof, stage, subject).await,
            _ => Ok(Err("this does not pass")),
        }
    }

    async fn check_email(
        &self,
        proof: EmailProof,
        stage: Stage,
        subject: Option<&UserId>,
    ) -> Result<Result<Proven, &'static str>> {
        let Stage::Email(proving) = stage else { return Ok(Err("this does not pass")) };
        match self.find_owner(&proof, proving).await? {
            Ok(Some(user)) if subject.is_some_and(|subject| subject != user) => {
                Err(Error::Forbidden("this is another user's e-mail address".to_owned()))
            }
            Ok(user) => Ok(Ok(Proven { user, email: Some(proof) })),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Whether `token` allows to register here now.
    pub fn allows_registration(&self, token: &Secret) -> bool {
        match &self.core.settings.registration {
            Registration::Tokens(tokens) => tokens.iter().any(|good| good == token),
            Registration::Open | Registration::Email | Registration::Closed => false,
        }
    }

    fn open(&self, operation: Operation<'_>) -> String {
        let id = self.core.random.word(24);
        let sessions = self.core.local::<Sessions>();
        sessions.0.lock().open(id.clone(), operation, self.core.steady());
        id
    }

    fn challenge(&self, operation: Operation<'_>, failure: Option<&'static str>) -> Proof {
        let session = self.open(operation);
        let flows = operation.flows;
        Proof::Missing(Challenge { flows, passed: Vec::new(), session, failure })
    }

    /// Goes on in `session`, or in a new one if that is not one for `operation`.
    fn challenge_again(
        &self,
        operation: Operation<'_>,
        session: String,
        failure: Option<&'static str>,
    ) -> Proof {
        let sessions = self.core.local::<Sessions>();
        let passed = sessions.0.lock().passed(&session, &operation, self.core.steady());
        match passed {
            Err(refusal) => self.challenge(operation, failure.or(words(refusal))),
            Ok(passed) => {
                let flows = operation.flows;
                Proof::Missing(Challenge { flows, passed, session, failure })
            }
        }
    }
}

fn words(refusal: Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::UnknownSession => Some("the session is unknown, or its time is over"),
        Refusal::OtherOperation => Some("the session was opened for another request"),
        Refusal::OutOfOrder => Some("this is not the next stage of any flow"),
        Refusal::Passed => None,
    }
}

#[cfg(test)]
mod tests;
