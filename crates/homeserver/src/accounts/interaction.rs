//! User-interactive authentication as a machine: which stages a session has passed, and which
//! may come next. Time is given to it; credentials are checked elsewhere.
//!
//! A session belongs to one operation (say, "delete a device") and to the user who opened it, where
//! the operation is a user's: to everyone else it does not exist. As soon as a stage was passed it
//! also belongs to one content, so that a proof given for one request cannot be used for another.

use std::collections::{HashMap, VecDeque};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};

use super::threepids::EmailProof;
use crate::schema::Proving;

/// How long a client has to pass all stages.
pub(crate) const LIFETIME_MS: u64 = 15 * 60_000;

/// How many sessions may be open at a time. The oldest gives way.
pub(crate) const MOST: usize = 10_000;

/// One step of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The password of an account.
    Password,
    /// Nothing at all: a stage that always passes.
    Dummy,
    /// A word that allows to register.
    RegistrationToken,
    /// That the documents that are to be accepted are.
    Terms,
    /// An e-mail address that was proven for this.
    Email(Proving),
}

/// Stages that together are a proof, in their order.
pub type Flow = &'static [Stage];

/// What is to be done once it was proved that it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The kind of thing: the endpoint.
    pub name: &'static str,
    /// Whose request it is, if whoever asks is known.
    pub subject: Option<&'a UserId>,
    /// A digest of everything the request says, apart from its proof.
    pub content: [u8; 32],
    /// The ways to prove that it may be done. One of them suffices.
    pub flows: &'static [Flow],
}

/// Why a stage cannot be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such session, its time is over, or it is another user's.
    UnknownSession,
    /// The session was opened for something else.
    OtherOperation,
    /// The stage was passed before; nothing is wrong, but others are missing.
    Passed,
    /// No flow has this stage at this point.
    OutOfOrder,
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All stages of a flow are passed, and the session has ended.
    Proved(Proven),
    /// These stages are passed, others are missing.
    Missing,
}

/// What the stages of a proof tell beside that they were passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// Whose password was given, or whose address was proven, if either was.
    pub user: Option<OwnedUserId>,
    /// The session in which an e-mail address was proven, if one was. Whatever is done with the proof ends it.
    pub email: Option<EmailProof>,
}

impl Proven {
    /// That it is `user` who asks.
    pub(crate) fn of(user: Option<OwnedUserId>) -> Self {
        Self { user, email: None }
    }
}

#[derive(Clone, Debug)]
struct Session {
    name: &'static str,
    owner: Option<OwnedUserId>,
    content: [u8; 32],
    flows: &'static [Flow],
    opened: u64,
    passed: Vec<Stage>,
    proven: Proven,
    /// Whether a proof was given together with a content, which is the session's since then.
    bound: bool,
}

impl Session {
    fn new(operation: Operation<'_>, opened: u64) -> Self {
        let Operation { name, subject, content, flows } = operation;
        let owner = subject.map(ToOwned::to_owned);
        let (passed, proven) = (Vec::new(), Proven::default());
        Self { name, owner, content, flows, opened, passed, proven, bound: false }
    }

    fn belongs_to(&self, subject: Option<&UserId>) -> bool {
        self.owner.as_deref() == subject
    }

    fn is_for(&self, operation: &Operation<'_>) -> bool {
        self.name == operation.name && (!self.bound || self.content == operation.content)
    }

    fn note(&mut self, stage: Stage, told: Proven) {
        self.passed.push(stage);
        self.proven.user = told.user.or(self.proven.user.take());
        self.proven.email = told.email.or(self.proven.email.take());
    }

    fn may_come_next(&self, stage: Stage) -> bool {
        let next = self.passed.len();
        let fits = |flow: &Flow| flow.starts_with(&self.passed) && flow.get(next) == Some(&stage);
        self.flows.iter().any(fits)
    }

    fn is_complete(&self) -> bool {
        self.flows.contains(&self.passed.as_slice())
    }
}

/// All open sessions, bounded in number and time.
#[derive(Debug, Default)]
pub(crate) struct Interactions {
    sessions: HashMap<String, Session>,
    /// The sessions in the order of their opening; ended ones drop out when they come to the front.
    ages: VecDeque<(String, u64)>,
}

impl Interactions {
    /// Opens the session `id` for `operation`.
    pub(crate) fn open(
        &mut self,
        id: String,
        operation: Operation<'_>,
        now: MilliSecondsSinceUnixEpoch,
    ) {
        let opened = now.get().into();
        self.forget_old(opened);
        if self.ages.len() == MOST {
            self.forget_oldest();
        }
        self.ages.push_back((id.clone(), opened));
        self.sessions.insert(id, Session::new(operation, opened));
    }

    /// Whether `stage` may be tried in the session `id` for `operation`.
    pub(crate) fn may_try(
        &self,
        id: &str,
        operation: &Operation<'_>,
        stage: Stage,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<(), Refusal> {
        let session = self.find(id, operation, now)?;
        if session.passed.contains(&stage) {
            return Err(Refusal::Passed);
        }
        if session.may_come_next(stage) { Ok(()) } else { Err(Refusal::OutOfOrder) }
    }

    /// Notes that `stage` was passed, and what it told.
    ///
    /// # Errors
    ///
    /// As [`Interactions::may_try`]: things may have changed since that was asked.
    pub(crate) fn pass(
        &mut self,
        id: &str,
        operation: &Operation<'_>,
        stage: Stage,
        told: Proven,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Progress, Refusal> {
        self.may_try(id, operation, stage, now)?;
        let session = self.sessions.get_mut(id).ok_or(Refusal::UnknownSession)?;
        session.content = operation.content;
        session.bound = true;
        session.note(stage, told);
        Ok(self.end_if_complete(id))
    }

    /// Ends the session `id` if all stages of a flow were passed, as those of one who passed them
    /// [aside](Interactions::pass_aside) and now comes with the operation itself.
    pub(crate) fn finish(
        &mut self,
        id: &str,
        operation: &Operation<'_>,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Progress, Refusal> {
        self.find(id, operation, now)?;
        Ok(self.end_if_complete(id))
    }

    /// The ways to prove what the session `id` is for; none if there is no such session.
    pub(crate) fn flows(&self, id: &str, now: MilliSecondsSinceUnixEpoch) -> &'static [Flow] {
        let session = self.sessions.get(id);
        let open = session.filter(|session| !is_over(session.opened, now.get().into()));
        open.map_or(&[], |session| session.flows)
    }

    /// Whether `stage` may be tried in the session `id` by whoever knows the session, and whose
    /// proof is needed there: anybody's if that is `None`.
    pub(crate) fn may_try_aside(
        &self,
        id: &str,
        stage: Stage,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Option<OwnedUserId>, Refusal> {
        let session = self.sessions.get(id).ok_or(Refusal::UnknownSession)?;
        if is_over(session.opened, now.get().into()) {
            return Err(Refusal::UnknownSession);
        }
        if session.passed.contains(&stage) {
            return Err(Refusal::Passed);
        }
        if !session.may_come_next(stage) {
            return Err(Refusal::OutOfOrder);
        }
        Ok(session.owner.clone())
    }

    /// Notes that `stage` was passed, and what it told, somewhere else than in a request for the operation:
    /// on a page of this server.
    pub(crate) fn pass_aside(
        &mut self,
        id: &str,
        stage: Stage,
        told: Proven,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<(), Refusal> {
        self.may_try_aside(id, stage, now)?;
        let session = self.sessions.get_mut(id).ok_or(Refusal::UnknownSession)?;
        session.note(stage, told);
        Ok(())
    }

    fn end_if_complete(&mut self, id: &str) -> Progress {
        if !self.sessions.get(id).is_some_and(Session::is_complete) {
            return Progress::Missing;
        }
        let ended = self.sessions.remove(id);
        Progress::Proved(ended.map(|session| session.proven).unwrap_or_default())
    }

    /// The stages that the session `id` has passed for `operation`, in their order.
    pub(crate) fn passed(
        &self,
        id: &str,
        operation: &Operation<'_>,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<Vec<Stage>, Refusal> {
        self.find(id, operation, now).map(|session| session.passed.clone())
    }

    fn find(
        &self,
        id: &str,
        operation: &Operation<'_>,
        now: MilliSecondsSinceUnixEpoch,
    ) -> Result<&Session, Refusal> {
        let session = self.sessions.get(id).ok_or(Refusal::UnknownSession)?;
        if is_over(session.opened, now.get().into()) || !session.belongs_to(operation.subject) {
            return Err(Refusal::UnknownSession);
        }
        if session.is_for(operation) { Ok(session) } else { Err(Refusal::OtherOperation) }
    }

    fn forget_old(&mut self, now: u64) {
        while self.ages.front().is_some_and(|(_, opened)| is_over(*opened, now)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.ages.pop_front() {
            self.sessions.remove(&id);
        }
    }
}

fn is_over(opened: u64, now: u64) -> bool {
    now.saturating_sub(opened) >= LIFETIME_MS
}

#[cfg(test)]
mod tests;
