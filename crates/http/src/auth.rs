//! Who sent a request. Ruma says in its types how each endpoint is authenticated; here each of
//! those schemes gets the type of identity it proves. A handler cannot ask for a user on an
//! endpoint that has none.

use std::net::IpAddr;

use ruma::{
    UserId,
    api::auth_scheme::{
        AccessToken, AccessTokenOptional, AppserviceTokenOptional, AuthScheme, NoAccessToken,
        NoAuthentication,
    },
};
use tertulia::{Homeserver, Session, Standing};

use crate::ApiError;

/// An authentication scheme that this server can check.
pub trait Identify: AuthScheme {
    /// What a successful check proves.
    type Identity: Send;

    /// Checks the head of a request. The body has not been read yet, so that nobody can make the
    /// server read one without having proved who he is.
    ///
    /// # Errors
    ///
    /// 401 if the request does not carry the proof which the scheme asks for.
    fn identify(
        server: &Homeserver,
        head: &http::Request<()>,
    ) -> impl Future<Output = Result<Self::Identity, ApiError>> + Send;

    /// Notes that whoever was proved called from `address`.
    fn seen(_: &Self::Identity, _address: IpAddr) {}

    /// How the user stands who was proved.
    fn standing(_: &Self::Identity) -> Standing {
        Standing::default()
    }

    /// The user whose rate limit a request counts against; without one it is the client's address.
    fn user(_: &Self::Identity) -> Option<&UserId> {
        None
    }
}

/// Schemes that prove nothing.
macro_rules! anybody {
    ($($scheme:ty),*) => {$(
        impl Identify for $scheme {
            type Identity = ();

            async fn identify(_: &Homeserver, _: &http::Request<()>) -> Result<(), ApiError> {
                Ok(())
            }
        }
    )*};
}

// Application services are not served yet, so their optional token proves nothing.
anybody!(NoAuthentication, NoAccessToken, AppserviceTokenOptional);

impl Identify for AccessToken {
    type Identity = Session;

    async fn identify(server: &Homeserver, head: &http::Request<()>) -> Result<Session, ApiError> {
        let token = Self::extract_authentication(head).map_err(ApiError::missing_token)?;
        Ok(server.authenticate(&token).await?)
    }

    fn standing(session: &Session) -> Standing {
        session.standing()
    }

    fn seen(session: &Session, address: IpAddr) {
        session.seen_from(address);
    }

    fn user(session: &Session) -> Option<&UserId> {
        Some(session.id())
    }
}

impl Identify for AccessTokenOptional {
    type Identity = Option<Session>;

    async fn identify(
        server: &Homeserver,
        head: &http::Request<()>,
    ) -> Result<Option<Session>, ApiError> {
        match Self::extract_authentication(head).map_err(ApiError::missing_token)? {
            Some(token) => Ok(Some(server.authenticate(&token).await?)),
            None => Ok(None),
        }
    }

    fn standing(session: &Option<Session>) -> Standing {
        // What those may do who are nobody, guests may do as well.
        let standing = session.as_ref().map(Session::standing).unwrap_or_default();
        Standing { guest: false, ..standing }
    }

    fn seen(session: &Option<Session>, address: IpAddr) {
        if let Some(session) = session {
            session.seen_from(address);
        }
    }

    fn user(session: &Option<Session>) -> Option<&UserId> {
        session.as_ref().map(|session| session.id())
    }
}
