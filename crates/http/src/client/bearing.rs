//! Requests that need no access token, unless this server asks for one.

use http::{Method, Request};
use ruma::api::{
    IncomingRequest, Metadata,
    auth_scheme::{AccessToken, AuthScheme as _, NoAccessToken},
    error::DeserializationError,
};
use tertulia::{Homeserver, Session};

use crate::ApiError;

/// A request `R` and the access token that came with it.
pub(crate) struct Bearing<R> {
    pub(crate) request: R,
    pub(crate) token: Token,
}

/// What a request showed to prove whose it is; nobody has looked at it yet.
pub(crate) struct Token(Result<String, ApiError>);

impl Token {
    /// Proves whose the request is.
    ///
    /// # Errors
    ///
    /// 401 if it has no token, or one that is not good.
    pub(crate) async fn prove(self, server: &Homeserver) -> Result<Session, ApiError> {
        Ok(server.authenticate(&self.0?).await?)
    }
}

impl<R: Metadata<Authentication = NoAccessToken>> Metadata for Bearing<R> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = NoAccessToken;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: R::PathBuilder = R::PATH_BUILDER;
}

impl<R> IncomingRequest for Bearing<R>
where
    R: IncomingRequest<Authentication = NoAccessToken>,
{
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let token = AccessToken::extract_authentication(&request).map_err(ApiError::missing_token);
        let request = R::try_from_http_request_inner(request, path_args)?;
        Ok(Self { request, token: Token(token) })
    }
}
