//! Declaring endpoints of our own. What `ruma` does for Matrix, `serde` does here: the parts of the
//! path, the query and the body are structs of the endpoint; all else is as in [`crate::endpoint`].

use std::{pin::Pin, sync::Arc};

use axum::{
    extract::{FromRequestParts as _, Path, Query, Request},
    response::{IntoResponse as _, Response},
};
use http::Method;
use ruma::api::auth_scheme::AccessToken;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tertulia::{Homeserver, Language};

use crate::{
    Answer, ApiError, Identify, Reply, Routes, Terms, body,
    endpoint::{Route, admit, path_arguments},
    language::language,
};

/// Where everything of our own begins.
const ROOT: &str = "/_tertulia/client/v1";

/// Nothing to say: no parameters, no answer but that it was done. Unknown fields are passed over.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Nothing {}

/// A request, and whom its scheme `S` proved it to come from.
pub(crate) struct Call<P = Nothing, Q = Nothing, B = Nothing, S: Identify = AccessToken> {
    pub(crate) from: S::Identity,
    pub(crate) path: P,
    pub(crate) query: Q,
    pub(crate) body: B,
    /// In which language who asks wants to be written to.
    pub(crate) language: Language,
}

impl<P, Q, B, S> Call<P, Q, B, S>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned,
    B: DeserializeOwned,
    S: Identify,
{
    /// Takes a request apart: who asks, whether they may ask again so soon, and only then what.
    async fn receive(
        request: Request,
        server: &Homeserver,
        terms: Terms,
    ) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let arguments = path_arguments(&mut parts, server).await?;
        let path = Path::from_request_parts(&mut parts, server).await;
        let head = http::Request::from_parts(parts, ());
        let from = admit::<S>(server, &head, &arguments, terms).await?;
        let Path(path) = path.map_err(ApiError::invalid_param)?;
        let Query(query) = Query::try_from_uri(head.uri()).map_err(ApiError::bad_query)?;
        let language = language(&head);
        let body = terms.read_object(head.method(), body).await?;
        Ok(Self { from, path, query, body: body::parsed(&body)?, language })
    }
}

impl Routes {
    /// Serves `path`, which follows [`ROOT`], with `handler`.
    pub(crate) fn own<P, Q, B, S, A, F, Fut>(
        self,
        method: Method,
        path: &str,
        terms: impl Into<Terms>,
        handler: F,
    ) -> Self
    where
        P: DeserializeOwned + Send + 'static,
        Q: DeserializeOwned + Send + 'static,
        B: DeserializeOwned + Send + 'static,
        S: Identify + 'static,
        A: Serialize,
        F: Fn(Homeserver, Call<P, Q, B, S>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<A, ApiError>> + Send + 'static,
    {
        let path = format!("{ROOT}{path}");
        let terms = terms.into().at(&method, &path);
        let route = Route(Arc::new(move |server: Homeserver, request| {
            let handler = handler.clone();
            Box::pin(async move {
                let served = serve(&server, request, terms, handler).await;
                served.unwrap_or_else(ApiError::into_response)
            }) as Pin<Box<_>>
        }));
        self.at(method, &path, route)
    }
}

async fn serve<P, Q, B, S, A, F, Fut>(
    server: &Homeserver,
    request: Request,
    terms: Terms,
    handler: F,
) -> Result<Response, ApiError>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned,
    B: DeserializeOwned,
    S: Identify,
    A: Serialize,
    F: Fn(Homeserver, Call<P, Q, B, S>) -> Fut,
    Fut: Future<Output = Result<A, ApiError>>,
{
    let call = Call::receive(request, server, terms).await?;
    Reply::<()>::reply(Answer(handler(server.clone(), call).await?))
}
