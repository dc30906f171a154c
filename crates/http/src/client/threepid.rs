//! The third-party identifiers of accounts: e-mail addresses, and nothing else. This server proves them itself
//! and works with no identity server.

use http::Request;
use ruma::{
    OwnedClientSecret, OwnedSessionId, SessionId,
    api::{
        IncomingRequest,
        auth_scheme::AccessToken,
        client::account::{
            ThirdPartyIdRemovalStatus::NoSupport, add_3pid::v3 as add, bind_3pid::v3 as bind,
            delete_3pid::v3 as delete, get_3pids::v3 as list,
            request_3pid_management_token_via_email::v3 as add_by_email,
            request_3pid_management_token_via_msisdn::v3 as add_by_msisdn,
            request_password_change_token_via_email::v3 as password_by_email,
            request_password_change_token_via_msisdn::v3 as password_by_msisdn,
            request_registration_token_via_email::v3 as register_by_email,
            request_registration_token_via_msisdn::v3 as register_by_msisdn,
            unbind_3pid::v3 as unbind,
        },
        error::DeserializationError,
    },
    metadata,
    thirdparty::Medium,
};
use serde::{Deserialize, Serialize};
use tertulia::{CodeRequest, EmailAddress, EmailProof, Homeserver, Language, Proving, Secret};

use super::{account::OWNER, interactive::Interactive};
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes, language::Spoken};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint_on(Action::Mail, mail_to_register)
        .endpoint_on(Action::Mail, mail_to_set_the_password)
        .endpoint_on(Action::Mail, mail_to_add)
        .endpoint(|_, _: Matrix<register_by_msisdn::Request>| {
            no_telephone::<register_by_msisdn::Response>()
        })
        .endpoint(|_, _: Matrix<password_by_msisdn::Request>| {
            no_telephone::<password_by_msisdn::Response>()
        })
        .endpoint(|_, _: Matrix<add_by_msisdn::Request>| no_telephone::<add_by_msisdn::Response>())
        .endpoint(addresses)
        .endpoint_on(Action::Login, add_address)
        .endpoint_on(Action::Profile, delete_address)
        .endpoint(bind_address)
        .endpoint(bind_address_as_before)
        .endpoint(unbind_address)
}

/// Where clients submit codes, below the server's public base URL.
const SUBMIT: &str = "/_tertulia/client/v1/email/submit";

/// A session in which an address is proven, and where its code is to be sent.
#[derive(Serialize)]
pub(crate) struct Requested {
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    submit_url: Option<String>,
}

impl Requested {
    pub(crate) fn new(server: &Homeserver, sid: String) -> Self {
        let base = server.settings().public_base_url.as_ref();
        let submit_url = base.map(|base| format!("{}{SUBMIT}", base.trim_end_matches('/')));
        Self { sid, submit_url }
    }
}

/// What the endpoints have in common that have a mail sent. Where the link of the mail leads afterwards is for
/// the server to say: else anybody could let it send people anywhere.
struct Wish {
    secret: OwnedClientSecret,
    email: String,
    attempt: u64,
}

async fn send_mail(
    server: &Homeserver,
    proving: Proving,
    wish: Spoken<Wish>,
) -> Result<Answer<Requested>, ApiError> {
    let Spoken { request: Wish { secret, email, attempt }, language } = wish;
    let client_secret = secret.as_str();
    let wish = CodeRequest { email: &email, client_secret, attempt, language };
    let sid = server.request_code(proving, wish).await?;
    Ok(Answer(Requested::new(server, sid)))
}

fn wish(
    language: Language,
    secret: OwnedClientSecret,
    email: String,
    attempt: ruma::UInt,
) -> Spoken<Wish> {
    Spoken { request: Wish { secret, email, attempt: attempt.into() }, language }
}

async fn mail_to_register(
    server: Homeserver,
    call: Matrix<Spoken<register_by_email::Request>>,
) -> Result<Answer<Requested>, ApiError> {
    let Spoken { request, language } = call.request;
    let wish = wish(language, request.client_secret, request.email, request.send_attempt);
    send_mail(&server, Proving::Registration, wish).await
}

async fn mail_to_set_the_password(
    server: Homeserver,
    call: Matrix<Spoken<password_by_email::Request>>,
) -> Result<Answer<Requested>, ApiError> {
    let Spoken { request, language } = call.request;
    let wish = wish(language, request.client_secret, request.email, request.send_attempt);
    send_mail(&server, Proving::Password, wish).await
}

async fn mail_to_add(
    server: Homeserver,
    call: Matrix<Spoken<add_by_email::Request>>,
) -> Result<Answer<Requested>, ApiError> {
    let Spoken { request, language } = call.request;
    let wish = wish(language, request.client_secret, request.email, request.send_attempt);
    send_mail(&server, Proving::Addition, wish).await
}

async fn no_telephone<T>() -> Result<T, ApiError> {
    Err(ApiError::telephone_unsupported())
}

/// Ruma's own type leaves an empty list out, and clients count on it.
#[derive(Serialize)]
struct ThirdPartyIdentifiers {
    threepids: Vec<ThirdPartyIdentifier>,
}

#[derive(Serialize)]
struct ThirdPartyIdentifier {
    medium: Medium,
    address: String,
    validated_at: ruma::MilliSecondsSinceUnixEpoch,
    added_at: ruma::MilliSecondsSinceUnixEpoch,
}

impl From<EmailAddress> for ThirdPartyIdentifier {
    fn from(email: EmailAddress) -> Self {
        let EmailAddress { address, validated, added } = email;
        Self { medium: Medium::Email, address, validated_at: validated, added_at: added }
    }
}

async fn addresses(
    _: Homeserver,
    call: Matrix<list::Request>,
) -> Result<Answer<ThirdPartyIdentifiers>, ApiError> {
    let emails = call.from.emails().await?;
    Ok(Answer(ThirdPartyIdentifiers { threepids: emails.into_iter().map(Into::into).collect() }))
}

async fn add_address(
    server: Homeserver,
    call: Matrix<Interactive<add::Request>>,
) -> Result<add::Response, ApiError> {
    let (request, _) = call.request.prove(&server, OWNER, Some(call.from.id())).await?;
    call.from.add_email(&proof(&request.sid, &request.client_secret)).await?;
    Ok(add::Response::new())
}

fn proof(session: &SessionId, client_secret: &ruma::ClientSecret) -> EmailProof {
    let (session, client_secret) = (session.to_string(), Secret::new(client_secret.as_str()));
    EmailProof { session, client_secret }
}

async fn delete_address(
    _: Homeserver,
    call: Matrix<delete::Request>,
) -> Result<delete::Response, ApiError> {
    if call.request.medium != Medium::Email {
        return Err(ApiError::telephone_unsupported());
    }
    call.from.remove_email(&call.request.address).await?;
    // No identity server knows it from here.
    Ok(delete::Response::new(NoSupport))
}

async fn bind_address(_: Homeserver, _: Matrix<bind::Request>) -> Result<bind::Response, ApiError> {
    Err(ApiError::identity_server_not_trusted())
}

/// What `POST /account/3pid` takes, which ruma does not know: it is what binding an address was before.
#[derive(Deserialize)]
struct BindAsBefore {
    #[serde(rename = "three_pid_creds", alias = "threePidCreds")]
    _credentials: Credentials,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(rename = "client_secret")]
    _client_secret: OwnedClientSecret,
    #[serde(rename = "sid")]
    _sid: OwnedSessionId,
    #[serde(rename = "id_server")]
    _id_server: String,
    #[serde(rename = "id_access_token")]
    _id_access_token: String,
}

metadata! {
    @for BindAsBefore,
    method: POST,
    rate_limited: false,
    authentication: AccessToken,
    history: {
        1.0 => "/_matrix/client/r0/account/3pid",
        1.1 => "/_matrix/client/v3/account/3pid",
    }
}

impl IncomingRequest for BindAsBefore {
    type EndpointError = <bind::Request as IncomingRequest>::EndpointError;
    type OutgoingResponse = bind::Response;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        _: &[&str],
    ) -> Result<Self, DeserializationError> {
        Ok(serde_json::from_slice(request.body())?)
    }
}

async fn bind_address_as_before(
    _: Homeserver,
    _: Matrix<BindAsBefore>,
) -> Result<bind::Response, ApiError> {
    Err(ApiError::identity_server_not_asked())
}

/// None was bound from here, and no identity server is known that could have been asked.
async fn unbind_address(
    _: Homeserver,
    _: Matrix<unbind::Request>,
) -> Result<unbind::Response, ApiError> {
    Ok(unbind::Response::new(NoSupport))
}
