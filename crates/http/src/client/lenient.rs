//! Requests whose bodies ruma reads too strictly, or as something other than they mean here.

use std::marker::PhantomData;

use http::{Method, Request};
use ruma::api::{IncomingRequest, Metadata, error::DeserializationError};
use serde::{Deserialize, de::DeserializeOwned};
use tertulia::Email;

/// A request to the endpoint of `R` whose body is read as a `B`.
pub(crate) struct Lenient<R, B> {
    /// The values of the path's parameters.
    pub(crate) path: Vec<String>,
    /// What the body says.
    pub(crate) body: B,
    endpoint: PhantomData<fn() -> R>,
}

impl<R: Metadata, B> Metadata for Lenient<R, B> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = R::Authentication;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: R::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest, B: DeserializeOwned> IncomingRequest for Lenient<R, B> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        Ok(Self {
            path: path_args.iter().map(|&argument| argument.to_owned()).collect(),
            body: serde_json::from_slice(request.body())?,
            endpoint: PhantomData,
        })
    }
}

/// A request as ruma reads it, and what its body says that ruma does not tell.
pub(crate) struct Beside<R, B> {
    /// What ruma reads.
    pub(crate) request: R,
    /// What else the body says.
    pub(crate) beside: B,
}

impl<R: Metadata, B> Metadata for Beside<R, B> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = R::Authentication;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: R::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest, B: DeserializeOwned> IncomingRequest for Beside<R, B> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let beside = serde_json::from_slice(request.body())?;
        Ok(Self { request: R::try_from_http_request_inner(request, path_args)?, beside })
    }
}

/// Whom a client means.
#[derive(Deserialize)]
pub(crate) struct Identifier {
    r#type: String,
    user: Option<String>,
    medium: Option<String>,
    address: Option<String>,
}

impl Identifier {
    /// The user meant by an identifier or, as before version r0.4, by `user`: a name, or an e-mail address. Nobody
    /// here has another third-party identifier.
    pub(crate) fn user(identifier: Option<Self>, user: Option<String>) -> Option<String> {
        match identifier {
            Some(identifier) => match identifier.r#type.as_str() {
                "m.id.user" => identifier.user,
                "m.id.thirdparty" => third_party(identifier.medium.as_deref(), identifier.address),
                _ => None,
            },
            None => user,
        }
    }
}

/// The address, if it is one of e-mail. A name is none, so that it cannot be taken for one here.
pub(crate) fn third_party(medium: Option<&str>, address: Option<String>) -> Option<String> {
    let is_email = medium == Some("email");
    address.filter(|address| is_email && Email::is_meant_by(address))
}

#[cfg(test)]
mod tests {
    use ruma::api::{IncomingRequestExt as _, client::session::login};
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn the_path_is_kept_and_the_body_is_read_as_asked() {
        let body = json!({ "anything": ["goes"] });
        let bytes = serde_json::to_vec(&body).unwrap();
        let request = Request::post("/").body(bytes.as_slice()).unwrap();
        let read: Lenient<login::v3::Request, Map<String, Value>> =
            Lenient::try_from_http_request(request, &["one", "two"]).unwrap();
        assert_eq!(read.path, ["one", "two"]);
        assert_eq!(Value::Object(read.body), body);
    }

    #[test]
    fn what_ruma_reads_stands_beside_the_rest() {
        let body = br#"{"type":"m.login.token","token":"t","more":[1]}"#;
        let request = Request::post("/_matrix/client/v3/login").body(body.as_slice()).unwrap();
        let read: Beside<login::v3::Request, Map<String, Value>> =
            Beside::try_from_http_request(request, &[]).unwrap();
        assert_eq!(read.request.login_info.login_type(), "m.login.token");
        assert_eq!(read.beside["more"], json!([1]));
    }

    fn check(identifier: Value, user: Option<&str>, expected: Option<&str>) {
        let read = serde_json::from_value(identifier.clone()).unwrap();
        let meant = Identifier::user(read, user.map(ToOwned::to_owned));
        assert_eq!(meant.as_deref(), expected, "{identifier} {user:?}");
    }

    #[test]
    fn an_identifier_goes_before_the_old_user() {
        let alice = json!({ "type": "m.id.user", "user": "alice" });
        check(alice.clone(), None, Some("alice"));
        check(alice, Some("bob"), Some("alice"));
        check(Value::Null, Some("bob"), Some("bob"));
        check(Value::Null, None, None);
        check(json!({ "type": "m.id.thirdparty", "address": "a@b.org" }), Some("bob"), None);
        let third_party = |medium: &str, address: &str| json!({ "type": "m.id.thirdparty", "medium": medium, "address": address });
        check(third_party("email", "a@b.org"), Some("bob"), Some("a@b.org"));
        check(third_party("msisdn", "a@b.org"), Some("bob"), None);
        for name in ["alice", "@alice:b.org"] {
            check(third_party("email", name), Some("bob"), None);
        }
        check(json!({ "type": "m.id.user" }), None, None);
    }
}
