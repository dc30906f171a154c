//! All errors as clients see them, in one list.

use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use ruma::api::client::uiaa::{AuthFlow, AuthType};
use serde_json::{Value, json};

use tertulia::{BadEmail, UnfitName};

use super::*;

/// Status and body of an error.
async fn shown(error: impl Into<ApiError>) -> (u16, Value) {
    let response = error.into().into_response();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn check(error: impl Into<ApiError>, status: u16, code: &str, message: &str) {
    let expected = (status, json!({ "errcode": code, "error": message }));
    assert_eq!(shown(error).await, expected);
}

#[tokio::test]
async fn what_a_client_does_wrong_has_its_status_code_and_words() {
    for (error, status, code, message) in [
        (Error::NotFound("room"), 404, "M_NOT_FOUND", "there is no such room"),
        (Error::Forbidden("x".into()), 403, "M_FORBIDDEN", "not allowed: x"),
        (Error::TooMany("tags"), 403, "M_FORBIDDEN", "there are too many tags"),
        (Error::Invalid("the name"), 400, "M_INVALID_PARAM", "the name is not valid"),
        (
            Error::UnfitName(UnfitName::Invisible),
            400,
            "M_INVALID_PARAM",
            "names and topics have something that is seen",
        ),
        (
            Error::BadEmail(BadEmail::Form),
            400,
            "M_INVALID_PARAM",
            "an e-mail address has the form user@example.org",
        ),
        (Error::NotAnObject("tag"), 400, "M_BAD_JSON", "the tag must be a JSON object"),
        (Error::NoFilter("x".into()), 400, "M_BAD_JSON", "this is no filter: x"),
        (Error::TooLarge, 413, "M_TOO_LARGE", "the event is too large"),
        (Error::BodyTooLarge("filter"), 413, "M_TOO_LARGE", "the filter is too large"),
        (Error::UnknownToken, 401, "M_UNKNOWN_TOKEN", "the access token is unknown"),
        (Error::RegistrationClosed, 403, "M_FORBIDDEN", "this server does not let people register"),
        (
            Error::TermsNotAccepted,
            403,
            "M_TERMS_NOT_SIGNED",
            "the terms of this server have to be accepted",
        ),
        (
            Error::WrongRegistrationToken,
            403,
            "M_FORBIDDEN",
            "the registration token is missing or wrong",
        ),
        (Error::WrongPassword, 403, "M_FORBIDDEN", "the user name or the password is wrong"),
        (
            Error::WrongLoginToken,
            403,
            "M_FORBIDDEN",
            "the login token is unknown, was used already, or has expired",
        ),
        (
            Error::Suspended,
            403,
            "M_USER_SUSPENDED",
            "you cannot do this while your account is suspended",
        ),
        (Error::Deactivated, 403, "M_USER_DEACTIVATED", "the account was closed"),
        (Error::GuestsForbidden, 403, "M_GUEST_ACCESS_FORBIDDEN", "guests may not do this"),
        (Error::NoGuests, 403, "M_GUEST_ACCESS_FORBIDDEN", "this server has no guests"),
        (Error::UserNameTaken, 400, "M_USER_IN_USE", "the user name is taken"),
        (Error::InvalidUserName("is empty"), 400, "M_INVALID_USERNAME", "the user name is empty"),
        (Error::WeakPassword("is empty"), 400, "M_WEAK_PASSWORD", "the password is empty"),
        (Error::ShortPassword(8), 400, "M_WEAK_PASSWORD", "a password needs 8 characters"),
        (Error::ProfileTooLarge, 400, "M_PROFILE_TOO_LARGE", "a profile may have 64 KiB"),
        (
            Error::ProfileFieldTooLong,
            400,
            "M_KEY_TOO_LARGE",
            "the name of a profile field may have 255 bytes",
        ),
    ] {
        check(error, status, code, message).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_address_has_its_status_code_and_words() {
    for (error, status, code, message) in [
        (
            Error::NoMail,
            400,
            "M_THREEPID_MEDIUM_NOT_SUPPORTED",
            "this server sends no mail, and knows nobody by an e-mail address",
        ),
        (Error::EmailInUse, 400, "M_THREEPID_IN_USE", "the e-mail address is in use"),
        (
            Error::EmailUnknown,
            400,
            "M_THREEPID_NOT_FOUND",
            "there is no account with this e-mail address",
        ),
        (
            Error::LastEmail,
            403,
            "M_THREEPID_DENIED",
            "an account needs an e-mail address here; add another before you remove this",
        ),
        (
            Error::AddressNotProven,
            403,
            "M_THREEPID_AUTH_FAILED",
            "the e-mail address is not proven; show the code of the mail, or open its link",
        ),
        (Error::WrongCode, 400, "M_TOKEN_INCORRECT", "the code is wrong"),
        (
            Error::MailNotDelivered,
            400,
            "ORG.TERTULIA.MAIL_NOT_DELIVERED",
            "the mail could not be delivered; ask for another, or give another address",
        ),
        (
            Error::CodeExpired,
            400,
            "M_SESSION_EXPIRED",
            "the code is too old, or was wrong too often; ask for another",
        ),
    ] {
        check(error, status, code, message).await;
    }
}

#[tokio::test]
async fn what_cannot_be_done_with_rooms_and_files_has_its_status_code_and_words() {
    for (error, status, code, message) in [
        (Error::UnknownLoginType, 400, "M_UNKNOWN", "one cannot log in here in this way"),
        (
            Error::UnsupportedRoomVersion,
            400,
            "M_UNSUPPORTED_ROOM_VERSION",
            "the room version is not supported",
        ),
        (Error::Taken("room ID"), 400, "M_ROOM_IN_USE", "the room ID is taken"),
        (
            Error::RoomInUse("#a:b".into()),
            400,
            "M_ROOM_IN_USE",
            "the room alias #a:b stands for another room",
        ),
        (Error::AliasInUse("#a:b".into()), 409, "M_UNKNOWN", "the room alias #a:b exists already"),
        (
            Error::BadAlias("#a:b".into()),
            400,
            "M_BAD_ALIAS",
            "the alias #a:b does not stand for this room",
        ),
        (
            Error::InviteBlocked("@a:b".into()),
            403,
            "M_INVITE_BLOCKED",
            "@a:b does not want to be invited",
        ),
        (Error::InRoom, 400, "M_UNKNOWN", "you are still in the room; leave it first"),
        (
            Error::SetByServer("m.fully_read".into()),
            405,
            "M_BAD_JSON",
            "m.fully_read cannot be set as account data",
        ),
        (
            Error::DuplicateAnnotation,
            400,
            "M_DUPLICATE_ANNOTATION",
            "you have annotated the event so already",
        ),
        (
            Error::NoThreadRoot,
            400,
            "M_UNKNOWN",
            "a thread cannot begin at an event that relates to another",
        ),
        (Error::PushRule("x".into()), 400, "M_UNKNOWN", "the push rule cannot be changed so: x"),
        (Error::NotYetUploaded, 504, "M_NOT_YET_UPLOADED", "the file is not uploaded yet"),
        (Error::AlreadyUploaded, 409, "M_CANNOT_OVERWRITE_MEDIA", "the file is uploaded already"),
        (Error::QuotaReached, 403, "M_FORBIDDEN", "you have no room left for files on this server"),
        (Error::NoThumbnail, 400, "M_UNKNOWN", "the server cannot make a thumbnail of this file"),
    ] {
        check(error, status, code, message).await;
    }
}

#[tokio::test]
async fn what_a_room_refuses_says_why() {
    let too_large = AppendError::Malformed(Malformed::TooLarge(70_000));
    assert_eq!(shown(Error::Refused(too_large)).await.1["errcode"], "M_TOO_LARGE");
    let too_long = Error::Refused(AppendError::Malformed(Malformed::TooLong("type")));
    check(too_long, 413, "M_TOO_LARGE", "the field `type` has more than 255 bytes").await;
    let fraction = || AppendError::Malformed(Malformed::Json("1.5".to_owned()));
    let message = "not canonical JSON: 1.5";
    check(Error::Refused(fraction()), 400, "M_BAD_JSON", message).await;
    check(ApiError::of_new_room(Error::Refused(fraction())), 400, "M_BAD_JSON", message).await;
}

#[tokio::test]
async fn what_the_server_fails_at_is_told_to_its_log_only() {
    for error in [
        Error::CorruptEvent("$secret".to_owned()),
        Error::CorruptRoom("!secret".to_owned()),
        Error::OtherServer("secret.example".to_owned()),
        Error::Media(std::io::Error::other("/secret/path")),
        Error::Refused(AppendError::Foreign("@secret:x".try_into().unwrap())),
    ] {
        check(error, 500, "M_UNKNOWN", "internal error").await;
    }
}

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_not_a_mistake_of_the_program() {
    let message =
        "there is no room left for files on this server; its administrator has to make some";
    for kind in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded] {
        check(Error::Media(kind.into()), 503, "M_UNKNOWN", message).await;
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_now_says_so_and_what_to_do() {
    let read_only = || StorageError::ReadOnly { reason: "/secret/path is full".to_owned() };
    let message = "this server can be read but not written, because writing to its disk failed; \
                   its administrator has to look into its log and restart it";
    check(Error::Storage(read_only()), 503, "M_UNKNOWN", message).await;
    check(ApiError::of_new_room(read_only().into()), 503, "M_UNKNOWN", message).await;
    let message = "this server is stopping; try again when it is back";
    check(Error::Storage(StorageError::Closed), 503, "M_UNKNOWN", message).await;
    for error in [StorageError::Busy, StorageError::Conflict] {
        let (status, body) = shown(Error::Storage(error)).await;
        assert_eq!((status, &body["errcode"]), (429, &json!("M_LIMIT_EXCEEDED")));
        assert_eq!(body["retry_after_ms"], 1_000);
    }
    let too_large = |what| StorageError::TooLarge { what, size: 2_000, limit: 1_020 };
    let message = "what the request names has too long a name";
    check(Error::Storage(too_large("a key")), 400, "M_INVALID_PARAM", message).await;
    check(Error::Storage(too_large("a commit")), 500, "M_UNKNOWN", "internal error").await;
    let corrupt = StorageError::Unreadable("/secret/path".to_owned());
    check(Error::Storage(corrupt), 500, "M_UNKNOWN", "internal error").await;
}

#[tokio::test]
async fn what_a_request_gets_wrong_has_its_status_code_and_words() {
    for (error, status, code, message) in [
        (ApiError::missing_token("none"), 401, "M_MISSING_TOKEN", "none"),
        (ApiError::body_too_large(9), 413, "M_TOO_LARGE", "the body is larger than 9 bytes"),
        (ApiError::not_json("x"), 400, "M_NOT_JSON", "x"),
        (ApiError::bad_json("x"), 400, "M_BAD_JSON", "x"),
        (ApiError::invalid_param("x"), 400, "M_INVALID_PARAM", "x"),
        (ApiError::bad_query("x"), 400, "M_INVALID_PARAM", "x"),
        (
            ApiError::bad_query("x: missing field `y`"),
            400,
            "M_MISSING_PARAM",
            "x: missing field `y`",
        ),
        (ApiError::missing_param("x"), 400, "M_MISSING_PARAM", "missing `x`"),
        (ApiError::interrupted("x"), 400, "M_UNKNOWN", "x"),
        (
            ApiError::too_slow(Duration::from_secs(30)),
            408,
            "M_UNKNOWN",
            "the body did not come within 30 seconds; send it again",
        ),
        (ApiError::not_found("x"), 404, "M_NOT_FOUND", "x"),
        (ApiError::unrecognized("x"), 404, "M_UNRECOGNIZED", "x"),
        (unknown_path().await, 404, "M_UNRECOGNIZED", "there is no such endpoint"),
        (wrong_method().await, 405, "M_UNRECOGNIZED", "this endpoint does not have that method"),
        (
            ApiError::third_parties_unsupported(),
            403,
            "M_THREEPID_DENIED",
            "this server does not invite by e-mail address or telephone number",
        ),
        (
            ApiError::identity_server_not_trusted(),
            400,
            "M_SERVER_NOT_TRUSTED",
            "this server trusts no identity server; it proves addresses itself",
        ),
        (
            ApiError::identity_server_not_asked(),
            403,
            "M_THREEPID_AUTH_FAILED",
            "this server asks no identity server whether an address is proven",
        ),
        (
            ApiError::telephone_unsupported(),
            400,
            "M_THREEPID_MEDIUM_NOT_SUPPORTED",
            "this server knows nobody by a telephone number",
        ),
    ] {
        check(error, status, code, message).await;
    }
}

#[tokio::test]
async fn one_who_must_wait_is_told_how_long_in_both_units() {
    for (wait, header) in [(1, "1"), (999, "1"), (1_000, "1"), (1_001, "2"), (60_000, "60")] {
        let error = ApiError::too_many_requests(Duration::from_millis(wait));
        let response = error.into_response();
        assert_eq!(response.headers()[RETRY_AFTER], header, "{wait}");
        let error = ApiError::too_many_requests(Duration::from_millis(wait));
        let (status, body) = shown(error).await;
        assert_eq!((status, &body["errcode"]), (429, &json!("M_LIMIT_EXCEEDED")));
        assert_eq!(body["retry_after_ms"], wait);
    }
    for (error, wait) in [(Error::Busy, 1_000), (Error::TooManyPending, 60_000)] {
        let (status, body) = shown(error).await;
        assert_eq!((status, &body["retry_after_ms"]), (429, &json!(wait)));
    }
}

#[tokio::test]
async fn one_whose_session_goes_on_is_told_so() {
    let (status, body) = shown(Error::ExpiredToken).await;
    let message = "the access token has expired; refresh it, or log in again on the same device";
    let expected = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": message, "soft_logout": true });
    assert_eq!((status, body), (401, expected));
}

#[tokio::test]
async fn one_whose_account_is_locked_keeps_the_session() {
    let message = "the account is locked";
    let expected = json!({ "errcode": "M_USER_LOCKED", "error": message, "soft_logout": true });
    assert_eq!(shown(Error::Locked).await, (401, expected));
}

#[tokio::test]
async fn more_to_prove_is_told_as_flows() {
    let mut flows = UiaaInfo::new(vec![AuthFlow::new(vec![AuthType::Dummy])]);
    flows.session = Some("s".to_owned());
    let expected = json!({ "flows": [{ "stages": ["m.login.dummy"] }], "session": "s" });
    assert_eq!(shown(ApiError::interactive(&flows)).await, (401, expected));
    let (status, body) = shown(ApiError::unproved(flows, Some("wrong"))).await;
    assert_eq!(status, 401);
    assert_eq!((&body["errcode"], &body["error"]), (&json!("M_FORBIDDEN"), &json!("wrong")));
    assert_eq!(body["session"], "s");
}
