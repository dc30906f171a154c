//! In which language somebody who asks wants to be written to.

use http::{Method, Request, header::ACCEPT_LANGUAGE};
use ruma::api::{IncomingRequest, Metadata, error::DeserializationError};
use tertulia::Language;

/// The request `R`, and the language of whoever asks.
pub(crate) struct Spoken<R> {
    /// What is asked for.
    pub(crate) request: R,
    /// The best of those that the request names, or English.
    pub(crate) language: Language,
}

impl<R: Metadata> Metadata for Spoken<R> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = R::Authentication;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: R::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest> IncomingRequest for Spoken<R> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let language = language(&request);
        Ok(Self { request: R::try_from_http_request_inner(request, path_args)?, language })
    }
}

/// The language of whoever sends `request`.
pub(crate) fn language<T>(request: &Request<T>) -> Language {
    let wished = request.headers().get(ACCEPT_LANGUAGE).and_then(|wished| wished.to_str().ok());
    Language::of(wished)
}

#[cfg(test)]
mod tests {
    use ruma::api::{IncomingRequestExt as _, client::account::change_password};

    use super::*;

    fn check(wished: &[u8], expected: Language) {
        let body = br#"{"new_password":"new"}"#;
        let request = Request::post("/").header(ACCEPT_LANGUAGE, wished).body(&body[..]).unwrap();
        let read: Spoken<change_password::v3::Request> =
            Spoken::try_from_http_request(request, &[]).unwrap();
        assert_eq!((read.language, &*read.request.new_password), (expected, "new"));
    }

    #[test]
    fn the_language_is_the_one_that_is_wished_for() {
        check(b"", Language::English);
        check(b"zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese);
        check(b"de, en;q=0.5", Language::English);
        check(b"\xff", Language::English);
    }
}
