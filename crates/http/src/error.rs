//! The one place where errors become Matrix error codes.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use ruma::api::{
    OutgoingResponseExt as _,
    client::uiaa::UiaaInfo,
    error::{
        DeserializationError, ErrorBody, ErrorKind, FromHttpRequestError,
        HeaderDeserializationError, LimitExceededErrorData, RetryAfter, StandardErrorBody,
        UnknownTokenErrorData,
    },
};
use tertulia::{AppendError, Error, Malformed, StorageError};

/// An error as a client sees it: a status and a JSON body.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: Box<ErrorBody>,
}

impl ApiError {
    fn new(status: StatusCode, kind: ErrorKind, message: impl ToString) -> Self {
        let body = StandardErrorBody::new(kind, message.to_string());
        Self { status, body: Box::new(ErrorBody::Standard(body)) }
    }

    fn bad_request(kind: ErrorKind, message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, message)
    }

    /// More stages of user-interactive authentication are to be passed: 401 with the flows.
    pub fn interactive(flows: &UiaaInfo) -> Self {
        match serde_json::to_value(flows) {
            Ok(body) => {
                Self { status: StatusCode::UNAUTHORIZED, body: Box::new(ErrorBody::Json(body)) }
            }
            Err(error) => Self::internal(error),
        }
    }

    /// As [`ApiError::interactive`]; `failure` says why what was offered did not pass.
    pub(crate) fn unproved(mut flows: UiaaInfo, failure: Option<&str>) -> Self {
        let forbidden =
            |words: &str| StandardErrorBody::new(ErrorKind::Forbidden, words.to_owned());
        flows.auth_error = failure.map(|words| Box::new(forbidden(words)));
        Self::interactive(&flows)
    }

    pub(crate) fn missing_token(error: impl ToString) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::MissingToken, error)
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge, message)
    }

    /// The body is no JSON at all.
    pub(crate) fn not_json(error: impl ToString) -> Self {
        Self::bad_request(ErrorKind::NotJson, error)
    }

    /// The body is JSON, but not what this endpoint takes.
    pub(crate) fn bad_json(error: impl ToString) -> Self {
        Self::bad_request(ErrorKind::BadJson, error)
    }

    /// A part of the path or the query is not what this endpoint takes.
    pub(crate) fn invalid_param(error: impl ToString) -> Self {
        Self::bad_request(ErrorKind::InvalidParam, error)
    }

    /// The query of one of our own endpoints lacks a parameter, or has one that is not what it takes.
    pub(crate) fn bad_query(error: impl ToString) -> Self {
        let error = error.to_string();
        // serde tells of a missing one in words only.
        match error.contains(": missing field `") {
            true => Self::bad_request(ErrorKind::MissingParam, error),
            false => Self::invalid_param(error),
        }
    }

    /// The body stopped coming.
    pub(crate) fn interrupted(error: impl ToString) -> Self {
        Self::bad_request(ErrorKind::Unknown, error)
    }

    /// The body comes too slowly to wait for its end.
    pub(crate) fn too_slow(patience: Duration) -> Self {
        let seconds = patience.as_secs();
        let message = format!("the body did not come within {seconds} seconds; send it again");
        Self::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::Unknown, message)
    }

    /// The account is locked: clients keep what they have until it is unlocked.
    fn locked(error: &Error) -> Self {
        let mut body = serde_json::json!({ "error": error.to_string(), "soft_logout": true });
        body["errcode"] = ErrorKind::UserLocked.errcode().as_str().into();
        Self { status: StatusCode::UNAUTHORIZED, body: Box::new(ErrorBody::Json(body)) }
    }

    /// The session of proving an address has ended. Ruma does not know the code, which is of version 1.18.
    fn session_expired(error: &Error) -> Self {
        let body =
            serde_json::json!({ "errcode": "M_SESSION_EXPIRED", "error": error.to_string() });
        Self { status: StatusCode::BAD_REQUEST, body: Box::new(ErrorBody::Json(body)) }
    }

    /// Nobody will ever read the code. Matrix has no code for that, so this is one of ours.
    fn mail_not_delivered(error: &Error) -> Self {
        let body = serde_json::json!({
            "errcode": "ORG.TERTULIA.MAIL_NOT_DELIVERED", "error": error.to_string(),
        });
        Self { status: StatusCode::BAD_REQUEST, body: Box::new(ErrorBody::Json(body)) }
    }

    /// There is something to accept first. Ruma does not know the code, which is of the identity service API.
    fn terms_not_signed(error: &Error) -> Self {
        let body =
            serde_json::json!({ "errcode": "M_TERMS_NOT_SIGNED", "error": error.to_string() });
        Self { status: StatusCode::FORBIDDEN, body: Box::new(ErrorBody::Json(body)) }
    }

    /// This server works with no identity server.
    pub(crate) fn identity_server_not_trusted() -> Self {
        let message = "this server trusts no identity server; it proves addresses itself";
        Self::bad_request(ErrorKind::ServerNotTrusted, message)
    }

    /// As [`ApiError::identity_server_not_trusted`], where the answer has to be that nothing was proven.
    pub(crate) fn identity_server_not_asked() -> Self {
        let message = "this server asks no identity server whether an address is proven";
        Self::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidAuthFailed, message)
    }

    /// Telephone numbers are nobody's here.
    pub(crate) fn telephone_unsupported() -> Self {
        let message = "this server knows nobody by a telephone number";
        Self::bad_request(ErrorKind::ThreepidMediumNotSupported, message)
    }

    /// A part that the endpoint needs is not there.
    pub(crate) fn missing_param(name: &str) -> Self {
        Self::bad_request(ErrorKind::MissingParam, format!("missing `{name}`"))
    }

    /// There is no such thing.
    pub(crate) fn not_found(what: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, what)
    }

    /// The request would be understood, but not by this server.
    pub(crate) fn unrecognized(what: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::Unrecognized, what)
    }

    /// People are known here by their Matrix IDs only.
    pub(crate) fn third_parties_unsupported() -> Self {
        let message = "this server does not invite by e-mail address or telephone number";
        Self::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidDenied, message)
    }

    /// The action was repeated too often; it may be tried again after `wait`.
    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        let kind = limit_exceeded(wait);
        Self::new(StatusCode::TOO_MANY_REQUESTS, kind, "too many requests; wait before the next")
    }

    /// A mistake in this program or a failure below it. The client is not told more, the log is.
    pub(crate) fn internal(error: impl std::error::Error + 'static) -> Self {
        // A value would lose its causes in a log of JSON.
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        tracing::error!(%error, cause = causes.join(": "), "request failed");
        Self::unknown()
    }

    /// There is no room for a file. The store has its own way to say that it cannot be written.
    fn no_room(error: &std::io::Error) -> Self {
        tracing::error!(%error, "an uploaded file was not kept");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Unknown,
            "there is no room left for files on this server; its administrator has to make some",
        )
    }

    /// A failure that the log tells of already.
    pub(crate) fn unknown() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Unknown, "internal error")
    }

    /// What the store cannot do now. Why it cannot is for the log: it may name files.
    fn of_storage(error: StorageError) -> Self {
        let unavailable =
            |message| Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unknown, message);
        match error {
            // The log tells what failed, once.
            StorageError::ReadOnly { .. } => unavailable(
                "this server can be read but not written, because writing to its disk failed; \
                 its administrator has to look into its log and restart it",
            ),
            StorageError::Closed => {
                unavailable("this server is stopping; try again when it is back")
            }
            // Keys are made of what clients name things.
            StorageError::TooLarge { what: "a key", .. } => {
                Self::invalid_param("what the request names has too long a name")
            }
            StorageError::Busy | StorageError::Conflict => {
                let kind = limit_exceeded(Duration::from_secs(1));
                Self::new(StatusCode::TOO_MANY_REQUESTS, kind, error)
            }
            error => Self::internal(error),
        }
    }

    /// How long to wait, if this error asks for it.
    fn wait(&self) -> Option<Duration> {
        let ErrorBody::Standard(body) = &*self.body else {
            return None;
        };
        match &body.kind {
            ErrorKind::LimitExceeded(data) => match data.retry_after {
                Some(RetryAfter::Delay(wait)) => Some(wait),
                _ => None,
            },
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        let ErrorBody::Standard(body) = &*self.body else {
            return "none";
        };
        String::leak(body.kind.errcode().to_string())
    }
}

/// What the path, the query or the body of a request got wrong.
impl From<FromHttpRequestError> for ApiError {
    fn from(error: FromHttpRequestError) -> Self {
        use DeserializationError as Wrong;
        let FromHttpRequestError::Deserialization(error) = error else {
            return wrong_method_of(error);
        };
        match error {
            Wrong::Json(error) if error.is_data() => Self::bad_json(error),
            Wrong::Json(error) => Self::not_json(error),
            // serde tells of a missing key in words only.
            Wrong::Query(error) if error.to_string().starts_with("missing field") => {
                Self::bad_request(ErrorKind::MissingParam, error)
            }
            Wrong::Header(HeaderDeserializationError::MissingHeader(header)) => {
                Self::bad_request(ErrorKind::MissingParam, format!("missing header `{header}`"))
            }
            error => Self::invalid_param(error),
        }
    }
}

/// What went wrong with a new room.
impl ApiError {
    /// Wishes that contradict each other are not a lack of permission.
    pub(crate) fn of_new_room(error: Error) -> Self {
        match error {
            Error::Refused(AppendError::Rejected(reason)) => {
                Self::bad_request(ErrorKind::InvalidRoomState, reason)
            }
            error => error.into(),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match (code(&error), error) {
            (_, error @ Error::Locked) => Self::locked(&error),
            (_, error @ Error::CodeExpired) => Self::session_expired(&error),
            (_, error @ Error::MailNotDelivered) => Self::mail_not_delivered(&error),
            (_, error @ Error::TermsNotAccepted) => Self::terms_not_signed(&error),
            (Some((status, kind)), error) => Self::new(status, kind, error),
            (None, Error::Storage(error)) => Self::of_storage(error),
            (None, Error::Media(error)) if is_full(&error) => Self::no_room(&error),
            (None, error) => Self::internal(error),
        }
    }
}

/// Whether a disk or a quota is full.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// The status and the code of what a client did wrong; none for what the server failed at.
fn code(error: &Error) -> Option<(StatusCode, ErrorKind)> {
    use ErrorKind as Kind;
    use StatusCode as Status;
    Some(match error {
        Error::NotFound(_) => (Status::NOT_FOUND, Kind::NotFound),
        Error::Forbidden(_) | Error::TooMany(_) => (Status::FORBIDDEN, Kind::Forbidden),
        Error::Invalid(_) | Error::UnfitName(_) | Error::BadEmail(_) => {
            (Status::BAD_REQUEST, Kind::InvalidParam)
        }
        Error::NotAnObject(_) | Error::NoFilter(_) => (Status::BAD_REQUEST, Kind::BadJson),
        Error::TooLarge | Error::BodyTooLarge(_) => (Status::PAYLOAD_TOO_LARGE, Kind::TooLarge),
        Error::Busy => (Status::TOO_MANY_REQUESTS, limit_exceeded(Duration::from_secs(1))),
        Error::Refused(refusal) => return code_of_refusal(refusal),

        Error::UnknownToken => {
            (Status::UNAUTHORIZED, Kind::UnknownToken(UnknownTokenErrorData::new()))
        }
        Error::Suspended => (Status::FORBIDDEN, Kind::UserSuspended),
        Error::ExpiredToken => (Status::UNAUTHORIZED, soft_logout()),
        Error::RegistrationClosed
        | Error::WrongRegistrationToken
        | Error::WrongPassword
        | Error::WrongLoginToken => (Status::FORBIDDEN, Kind::Forbidden),
        Error::Deactivated => (Status::FORBIDDEN, Kind::UserDeactivated),
        Error::NoGuests | Error::GuestsForbidden => (Status::FORBIDDEN, Kind::GuestAccessForbidden),
        Error::UserNameTaken => (Status::BAD_REQUEST, Kind::UserInUse),
        Error::NoMail => (Status::BAD_REQUEST, Kind::ThreepidMediumNotSupported),
        Error::EmailInUse => (Status::BAD_REQUEST, Kind::ThreepidInUse),
        Error::EmailUnknown => (Status::BAD_REQUEST, Kind::ThreepidNotFound),
        Error::LastEmail => (Status::FORBIDDEN, Kind::ThreepidDenied),
        Error::AddressNotProven => (Status::FORBIDDEN, Kind::ThreepidAuthFailed),
        Error::WrongCode => (Status::BAD_REQUEST, Kind::TokenIncorrect),
        Error::InvalidUserName(_) => (Status::BAD_REQUEST, Kind::InvalidUsername),
        Error::WeakPassword(_) | Error::ShortPassword(_) => {
            (Status::BAD_REQUEST, Kind::WeakPassword)
        }
        Error::ProfileTooLarge => (Status::BAD_REQUEST, Kind::ProfileTooLarge),
        Error::ProfileFieldTooLong => (Status::BAD_REQUEST, Kind::KeyTooLarge),
        Error::UnknownLoginType => (Status::BAD_REQUEST, Kind::Unknown),

        Error::UnsupportedRoomVersion => (Status::BAD_REQUEST, Kind::UnsupportedRoomVersion),
        Error::Taken(_) | Error::RoomInUse(_) => (Status::BAD_REQUEST, Kind::RoomInUse),
        Error::AliasInUse(_) => (Status::CONFLICT, Kind::Unknown),
        Error::BadAlias(_) => (Status::BAD_REQUEST, Kind::BadAlias),
        Error::InviteBlocked(_) => (Status::FORBIDDEN, Kind::InviteBlocked),
        Error::InRoom => (Status::BAD_REQUEST, Kind::Unknown),

        Error::NotYetUploaded => (Status::GATEWAY_TIMEOUT, Kind::NotYetUploaded),
        Error::AlreadyUploaded => (Status::CONFLICT, Kind::CannotOverwriteMedia),
        Error::QuotaReached => (Status::FORBIDDEN, Kind::Forbidden),
        Error::TooManyPending => {
            (Status::TOO_MANY_REQUESTS, limit_exceeded(Duration::from_secs(60)))
        }

        Error::SetByServer(_) => (Status::METHOD_NOT_ALLOWED, Kind::BadJson),
        Error::DuplicateAnnotation => (Status::BAD_REQUEST, Kind::DuplicateAnnotation),
        Error::NoThreadRoot | Error::PushRule(_) | Error::NoThumbnail => {
            (Status::BAD_REQUEST, Kind::Unknown)
        }
        _ => return None,
    })
}

fn code_of_refusal(refusal: &AppendError) -> Option<(StatusCode, ErrorKind)> {
    match refusal {
        AppendError::Rejected(_) => Some((StatusCode::FORBIDDEN, ErrorKind::Forbidden)),
        AppendError::Malformed(Malformed::TooLarge(_) | Malformed::TooLong(_)) => {
            Some((StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge))
        }
        AppendError::Malformed(_) => Some((StatusCode::BAD_REQUEST, ErrorKind::BadJson)),
        _ => None,
    }
}

fn limit_exceeded(wait: Duration) -> ErrorKind {
    let mut data = LimitExceededErrorData::new();
    data.retry_after = Some(RetryAfter::Delay(wait));
    ErrorKind::LimitExceeded(data)
}

/// The session goes on once its client has another token.
fn soft_logout() -> ErrorKind {
    let mut data = UnknownTokenErrorData::new();
    data.soft_logout = true;
    ErrorKind::UnknownToken(data)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let wait = self.wait();
        let error = self.body.into_error(self.status);
        let Ok(response) = error.try_into_http_response::<Vec<u8>>() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let mut response = response.map(Body::from);
        if let Some(wait) = wait {
            // Whole seconds, and never too few.
            let seconds = HeaderValue::from(wait.as_millis().div_ceil(1000) as u64);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

fn wrong_method_of(error: impl ToString) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::Unrecognized, error)
}

/// What every unknown path answers.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::unrecognized("there is no such endpoint")
}

/// What a known path answers to a method it does not have.
pub(crate) async fn wrong_method() -> ApiError {
    wrong_method_of("this endpoint does not have that method")
}

#[cfg(test)]
mod tests;
