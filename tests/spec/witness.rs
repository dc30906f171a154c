//! One who sees every answer of a server, holds it against the schemas, and remembers what was called.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::{endpoints::find, schemas::complaint};

/// What was seen.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Seen>);

#[derive(Default)]
struct Seen {
    statuses: std::sync::Mutex<BTreeMap<String, BTreeSet<StatusCode>>>,
    complaints: std::sync::Mutex<Vec<String>>,
}

impl Witness {
    /// Stands before `router`.
    pub(crate) fn before(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), see))
    }

    /// Whether the endpoint was seen to answer so.
    pub(crate) fn saw(&self, endpoint: &str, status: StatusCode) -> bool {
        let statuses = self.0.statuses.lock().unwrap();
        statuses.get(endpoint).is_some_and(|seen| seen.contains(&status))
    }

    /// What was not as specified.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.0.complaints.lock().unwrap().clone()
    }

    fn note(&self, method: &http::Method, path: &str, status: StatusCode, body: &[u8]) {
        let Some(endpoint) = find(method, path) else { return };
        let name = endpoint.to_string();
        if let Some(complaint) = complaint(endpoint, status, body) {
            self.0.complaints.lock().unwrap().push(format!("{status} of {name}: {complaint}"));
        }
        self.0.statuses.lock().unwrap().entry(name).or_default().insert(status);
    }
}

async fn see(State(witness): State<Witness>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (head, body) = next.run(request).await.into_parts();
    let body = body.collect().await.expect("the body is in memory").to_bytes();
    witness.note(&method, &path, head.status, &body);
    Response::from_parts(head, Body::from(body))
}
