//! Every endpoint is served, except those that are listed here with the reason.

use std::{collections::BTreeSet, fs, path::Path};

use http::StatusCode;
use tertulia_testkit::TestServer;

use crate::endpoints::{ALL, Endpoint, LISTS, find, in_use};

const ENCRYPTION: &str = "end-to-end encryption is not served yet";
const SEARCH: &str = "search is not served yet";
const NETWORKS: &str = "there are no third-party networks";
const SINGLE_SIGN_ON: &str = "nobody logs in with OAuth or by single sign-on";
const PREVIEW: &str = "URLs are not previewed";
const PUSHERS: &str = "nothing is pushed yet";
const SERVICES: &str = "application services are not served yet";
const SLIDING: &str = "sliding sync is not served yet";

/// What is not served, and why. A template ends with `*` where all that begins so is meant.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("POST /_matrix/client/v3/keys/*", ENCRYPTION),
    ("GET /_matrix/client/v3/keys/changes", ENCRYPTION),
    ("GET /_matrix/client/v3/room_keys/*", ENCRYPTION),
    ("PUT /_matrix/client/v3/room_keys/*", ENCRYPTION),
    ("POST /_matrix/client/v3/room_keys/*", ENCRYPTION),
    ("DELETE /_matrix/client/v3/room_keys/*", ENCRYPTION),
    // To-device messages carry keys.
    ("PUT /_matrix/client/v3/sendToDevice/*", ENCRYPTION),
    ("GET /_matrix/client/unstable/org.matrix.msc2697.v2/dehydrated_device", ENCRYPTION),
    ("POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync", SLIDING),
    ("POST /_matrix/client/v3/search", SEARCH),
    ("GET /_matrix/client/v3/thirdparty/location*", NETWORKS),
    ("GET /_matrix/client/v3/thirdparty/protocol/*", NETWORKS),
    ("GET /_matrix/client/v3/thirdparty/user*", NETWORKS),
    ("GET /_matrix/client/v1/auth_metadata", SINGLE_SIGN_ON),
    ("GET /_matrix/client/unstable/org.matrix.msc2965/auth_issuer", SINGLE_SIGN_ON),
    ("GET /_matrix/client/v3/login/sso/redirect*", SINGLE_SIGN_ON),
    ("GET /_matrix/client/v1/media/preview_url", PREVIEW),
    ("GET /_matrix/media/v3/preview_url", PREVIEW),
    ("GET /_matrix/client/v3/pushers", PUSHERS),
    ("POST /_matrix/client/v3/pushers/set", PUSHERS),
    ("POST /_matrix/client/v1/appservice/{appserviceId}/ping", SERVICES),
    ("PUT /_matrix/client/v3/directory/list/appservice/*", SERVICES),
    ("GET /_synapse/admin/v1/users/{userId}/admin", "another server's own API"),
];

/// What is served because of a proposal, and has no schema in the specification.
const PROPOSED: [&str; 1] = ["GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports"];

/// What is understood and never done, and how it is refused: nobody has a telephone number here, and no identity
/// server is asked.
pub(crate) const NEVER: [(&str, u16, &str); 5] = [
    ("POST /_matrix/client/v3/register/msisdn/requestToken", 400, MEDIUM),
    ("POST /_matrix/client/v3/account/password/msisdn/requestToken", 400, MEDIUM),
    ("POST /_matrix/client/v3/account/3pid/msisdn/requestToken", 400, MEDIUM),
    ("POST /_matrix/client/v3/account/3pid", 403, "M_THREEPID_AUTH_FAILED"),
    ("POST /_matrix/client/v3/account/3pid/bind", 400, "M_SERVER_NOT_TRUSTED"),
];

const MEDIUM: &str = "M_THREEPID_MEDIUM_NOT_SUPPORTED";

/// How the endpoint refuses everybody, if it does.
pub(crate) fn refusal(endpoint: &str) -> Option<(u16, &'static str)> {
    let refused = NEVER.iter().find(|(name, ..)| *name == endpoint);
    refused.map(|(_, status, code)| (*status, *code))
}

fn is_named(name: &str, endpoint: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => endpoint.starts_with(beginning),
        None => name == endpoint,
    }
}

fn exceptions() -> impl Iterator<Item = &'static str> {
    EXCEPTIONS.iter().map(|(name, _)| *name)
}

/// Whether the endpoint, or the newest path that means the same, is not served.
fn is_listed(endpoint: &Endpoint) -> bool {
    let name = endpoint.newest().to_string();
    exceptions().any(|listed| is_named(listed, &name))
}

/// Every endpoint that there is, each once.
fn endpoints() -> Vec<Endpoint> {
    let mut seen = BTreeSet::new();
    let all = ALL.iter().cloned().chain(in_use());
    all.filter(|endpoint| seen.insert(endpoint.to_string())).collect()
}

/// Those endpoints of the specification that the server serves.
pub(crate) async fn served(server: &TestServer) -> Vec<&'static Endpoint> {
    let mut served = Vec::new();
    for endpoint in ALL.iter() {
        if is_served(server, endpoint).await {
            served.push(endpoint);
        }
    }
    served
}

/// Whether the server knows the path and the method. Nobody asks, so most of them refuse to answer.
async fn is_served(server: &TestServer, endpoint: &Endpoint) -> bool {
    let path = endpoint.filled(|_| "x".to_owned());
    let answer = server.call(endpoint.method.clone(), path).await;
    let code = answer.outcome().1;
    let unknown = code.as_deref() == Some("M_UNRECOGNIZED");
    !unknown && answer.status != StatusCode::METHOD_NOT_ALLOWED
}

#[tokio::test]
async fn every_endpoint_is_served_or_listed_with_the_reason() {
    let server = TestServer::start().await;
    let mut complaints = Vec::new();
    for endpoint in endpoints() {
        let name = endpoint.to_string();
        let is_listed = is_listed(&endpoint);
        match (is_served(&server, &endpoint).await, is_listed) {
            (true, true) => {
                complaints.push(format!("{name} is served, but listed as if it were not"))
            }
            (false, false) => complaints.push(format!("{name} is not served")),
            _ => {}
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_exception_is_one_of_an_endpoint() {
    let all: Vec<_> = endpoints().iter().map(ToString::to_string).collect();
    for listed in exceptions() {
        assert!(all.iter().any(|name| is_named(listed, name)), "there is no {listed}");
    }
}

#[test]
fn what_clients_call_is_in_the_specification_a_proposal_or_an_exception() {
    for endpoint in in_use() {
        let known = find(&endpoint.method, &endpoint.path).is_some();
        let is_proposed = PROPOSED.contains(&endpoint.to_string().as_str());
        assert!(known || is_proposed || is_listed(&endpoint), "{endpoint} is new");
    }
}

/// A clean clone has no specification beside it; where there is one, it is the one that was taken over.
#[test]
fn the_lists_are_those_of_the_specification() {
    let specification = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec");
    if !specification.is_dir() {
        return;
    }
    for (name, taken_over) in LISTS {
        let original = fs::read_to_string(specification.join(name)).unwrap();
        assert!(original == taken_over, "`cargo xtask spec` takes over the new {name}");
    }
}
