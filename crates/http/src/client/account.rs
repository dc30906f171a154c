//! A user's own account: who one is, the password, closing it.

use ruma::api::{
    IncomingRequest,
    client::account::{
        ThirdPartyIdRemovalStatus, change_password::v3 as change_password,
        deactivate::v3 as deactivate, get_3pids::v3 as get_3pids, whoami::v3 as whoami,
    },
};
use serde::Serialize;
use tertulia::{Flow, Homeserver, OtherSessions, Remains, Session, Stage, User};

use super::interactive::Interactive;
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

/// What proves that somebody is still the account's owner.
pub(super) const OWNER: &[Flow] = &[&[Stage::Password]];

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint(who_am_i)
        .endpoint_on(Action::Login, change_password)
        .endpoint_on(Action::Login, deactivate)
        .endpoint(third_party_identifiers)
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
    call: Matrix<Interactive<change_password::Request>>,
) -> Result<change_password::Response, ApiError> {
    // Said before the client goes through the stages.
    server.check_new_password(&call.request.request.new_password)?;
    let (request, user) = prove_owner(&server, call.request, call.from.as_ref()).await?;
    let others = match (request.logout_devices, call.from) {
        (false, _) => OtherSessions::Keep,
        (true, Some(session)) => OtherSessions::EndExcept(session.device().to_owned()),
        (true, None) => OtherSessions::End,
    };
    user.set_password(&request.new_password, others).await?;
    Ok(change_password::Response::new())
}

async fn deactivate(
    server: Homeserver,
    call: Matrix<Interactive<deactivate::Request>>,
) -> Result<deactivate::Response, ApiError> {
    let (request, user) = prove_owner(&server, call.request, call.from.as_ref()).await?;
    let remains = if request.erase { Remains::Erase } else { Remains::Keep };
    user.deactivate(remains).await?;
    // There are no third-party identifiers, so none is left bound anywhere.
    Ok(deactivate::Response::new(ThirdPartyIdRemovalStatus::Success))
}

/// Asks for the password: of the session's user or, without a session, of any.
async fn prove_owner<R: IncomingRequest>(
    server: &Homeserver,
    call: Interactive<R>,
    session: Option<&Session>,
) -> Result<(R, User), ApiError> {
    let subject = session.map(|session| session.id());
    let (request, user) = call.prove(server, OWNER, subject).await?;
    let user = user.expect("the only flow asks for a password");
    Ok((request, server.user(user.as_str()).await?))
}

/// No account has third-party identifiers yet.
async fn third_party_identifiers(
    _: Homeserver,
    _: Matrix<get_3pids::Request>,
) -> Result<Answer<ThirdPartyIdentifiers>, ApiError> {
    Ok(Answer(ThirdPartyIdentifiers { threepids: [] }))
}

/// Ruma's own type leaves an empty list out, and clients count on it.
#[derive(Serialize)]
struct ThirdPartyIdentifiers {
    threepids: [(); 0],
}
