//! A user's own account: who one is, the password, closing it.

use ruma::api::{
    IncomingRequest,
    client::account::{
        ThirdPartyIdRemovalStatus, change_password::v3 as change_password,
        deactivate::v3 as deactivate, whoami::v3 as whoami,
    },
};
use tertulia::{
    EmailProof, Flow, Homeserver, OtherSessions, Proven, Proving, Remains, Session, Stage, User,
};

use super::interactive::Interactive;
use crate::{Action, ApiError, Endpoints as _, Matrix, Routes, language::Spoken};

/// What proves that somebody is still the account's owner.
pub(super) const OWNER: &[Flow] = &[&[Stage::Password]];

/// As [`OWNER`], where one may have forgotten the password.
const OWNER_OR_MAIL: &[Flow] = &[&[Stage::Password], &[Stage::Email(Proving::Password)]];

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint(who_am_i)
        .endpoint_on(Action::Login, change_password)
        .endpoint_on(Action::Login, deactivate)
}

async fn who_am_i(
    _: Homeserver,
    call: Matrix<whoami::Request>,
) -> Result<whoami::Response, ApiError> {
    let mut response = whoami::Response::new(call.from.id().to_owned(), call.from.standing().guest);
    response.device_id = Some(call.from.device().to_owned());
    Ok(response)
}

async fn change_password(
    server: Homeserver,
    call: Matrix<Spoken<Interactive<change_password::Request>>>,
) -> Result<change_password::Response, ApiError> {
    let language = call.request.language;
    // Said before the client goes through the stages.
    server.check_new_password(&call.request.request.request.new_password)?;
    let flows = if server.sends_mail() { OWNER_OR_MAIL } else { OWNER };
    let owner = prove_owner(&server, call.request.request, flows, call.from.as_ref()).await?;
    let others = match (owner.request.logout_devices, call.from) {
        (false, _) => OtherSessions::Keep,
        (true, Some(session)) => OtherSessions::EndExcept(session.device().to_owned()),
        (true, None) => OtherSessions::End,
    };
    let (user, password) = (owner.user, owner.request.new_password);
    match owner.email {
        None => user.set_password(&password, others).await?,
        Some(proof) => user.set_password_by_email(&proof, &password, others, language).await?,
    }
    Ok(change_password::Response::new())
}

async fn deactivate(
    server: Homeserver,
    call: Matrix<Interactive<deactivate::Request>>,
) -> Result<deactivate::Response, ApiError> {
    let owner = prove_owner(&server, call.request, OWNER, call.from.as_ref()).await?;
    let remains = if owner.request.erase { Remains::Erase } else { Remains::Keep };
    owner.user.deactivate(remains).await?;
    // No third-party identifier was bound anywhere, so none is left.
    Ok(deactivate::Response::new(ThirdPartyIdRemovalStatus::Success))
}

/// What somebody asks for who has shown whose account it is for.
struct Owner<R> {
    request: R,
    user: User,
    /// What shows it, where that is no password.
    email: Option<EmailProof>,
}

/// Asks for what shows that one owns an account: that of the session's user or, without a session, any.
async fn prove_owner<R: IncomingRequest>(
    server: &Homeserver,
    call: Interactive<R>,
    flows: &'static [Flow],
    session: Option<&Session>,
) -> Result<Owner<R>, ApiError> {
    let subject = session.map(|session| session.id());
    let (request, Proven { user, email }) = call.prove(server, flows, subject).await?;
    let user = user.expect("each flow tells whose account it is");
    Ok(Owner { request, user: server.user(user.as_str()).await?, email })
}
