//! Everything the server answers to, from its own list of routes: each is an endpoint of the lists, or such
//! an endpoint at another path: where it was in older versions, or while it was a proposal.

use std::{collections::BTreeMap, sync::LazyLock};

use tertulia_http::{Options, Served};

use crate::endpoints::{ALL, Endpoint};

/// Where something begins that is meant by another beginning.
const BEGINNINGS: &[(&str, &str)] = &[
    ("/_matrix/client/r0/", "/_matrix/client/v3/"),
    ("/_matrix/media/r0/", "/_matrix/media/v3/"),
    ("/_matrix/media/v1/create", "/_matrix/media/v1/create"),
    ("/_matrix/media/v1/", "/_matrix/media/v3/"),
    ("/_matrix/media/unstable/fi.mau.msc2246/upload", "/_matrix/media/v3/upload"),
    ("/_matrix/media/unstable/fi.mau.msc2246/create", "/_matrix/media/v1/create"),
    ("/_matrix/client/v1/rtc/", "/_matrix/client/unstable/org.matrix.msc4143/rtc/"),
    ("/_matrix/client/unstable/im.nheko.summary/rooms/", "/_matrix/client/v1/room_summary/"),
    ("/_matrix/client/unstable/im.nheko.summary/summary/", "/_matrix/client/v1/room_summary/"),
    ("/_matrix/client/unstable/org.matrix.msc2432/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/org.matrix.msc2918/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/org.matrix.msc2946/", "/_matrix/client/v1/"),
    ("/_matrix/client/unstable/org.matrix.msc3030/", "/_matrix/client/v1/"),
    (
        "/_matrix/client/unstable/org.matrix.msc3231/register/org.matrix.msc3231.",
        "/_matrix/client/v1/register/m.",
    ),
    ("/_matrix/client/unstable/org.matrix.msc3856/", "/_matrix/client/v1/"),
    ("/_matrix/client/unstable/org.matrix.msc3882/", "/_matrix/client/v1/"),
    ("/_matrix/client/unstable/org.matrix.msc3916/", "/_matrix/client/v1/"),
    ("/_matrix/client/unstable/org.matrix.msc4151/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/org.matrix.msc4260/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/rooms/", "/_matrix/client/v1/rooms/"),
    ("/_matrix/client/unstable/uk.half-shot.msc2666/user/", "/_matrix/client/v1/"),
    ("/_matrix/client/unstable/uk.tcpip.msc4133/", "/_matrix/client/v3/"),
    ("/_matrix/client/unstable/uk.timedout.msc4323/", "/_matrix/client/v1/"),
    ("/_matrix/client/unstable/xyz.amorgan.knock/", "/_matrix/client/v3/"),
];

/// What is served and held to tables of its own, in `odd.rs`.
const ELSEWHERE: [&str; 4] = [
    "POST /_matrix/client/v3/auth/{}/fallback/web",
    "POST /_matrix/client/r0/auth/{}/fallback/web",
    "GET /_synapse/admin/v1/register",
    "POST /_synapse/admin/v1/register",
];

/// Endpoint of the lists → all paths at which the server answers for it.
pub(crate) static TEMPLATES: LazyLock<BTreeMap<String, Vec<Endpoint>>> = LazyLock::new(|| {
    let mut templates = BTreeMap::<_, Vec<_>>::new();
    for (meant, served) in routes().into_iter().filter_map(|served| Some((meant(&served)?, served)))
    {
        templates.entry(meant.to_string()).or_default().push(at(meant, &served.path));
    }
    templates
});

fn routes() -> Vec<Served> {
    tertulia_http::routes(&Options::default()).served().to_vec()
}

/// A template without what its parameters are called.
fn nameless(path: &str) -> String {
    let segment = |segment| if is_parameter(segment) { "{}" } else { segment };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

/// The endpoint of the lists that a route stands for.
fn meant(served: &Served) -> Option<&'static Endpoint> {
    let path = match BEGINNINGS.iter().find(|(older, _)| served.path.starts_with(older)) {
        Some((older, newer)) => served.path.replacen(older, newer, 1),
        None => served.path.clone(),
    };
    let path = path.trim_end_matches("/summary");
    // A state key may be left out, with its slash or without.
    let with_key = format!("{}/{{}}", path.trim_end_matches('/'));
    let find = |path: &str| {
        let is = |endpoint: &&Endpoint| {
            endpoint.method.as_str() == served.method && nameless(&endpoint.path) == path
        };
        ALL.iter().find(is)
    };
    find(&nameless(path))
        .or_else(|| find(&nameless(&with_key)).filter(|_| path.contains("/state/")))
}

/// The endpoint at the path of a route, whose parameters are called as the lists call them.
fn at(endpoint: &Endpoint, path: &str) -> Endpoint {
    let mut names = endpoint.path.split('/').filter(|segment| is_parameter(segment));
    let segment =
        |segment| if is_parameter(segment) { names.next().unwrap_or(segment) } else { segment };
    let path = path.split('/').map(segment).collect::<Vec<_>>().join("/");
    Endpoint { path, ..endpoint.clone() }
}

#[test]
fn every_route_is_an_endpoint_of_the_lists() {
    let name = |served: &Served| format!("{} {}", served.method, nameless(&served.path));
    let unknown = routes().into_iter().filter(|served| meant(served).is_none());
    let unknown: Vec<_> = unknown.map(|served| name(&served)).collect();
    let unexpected: Vec<_> =
        unknown.iter().filter(|name| !ELSEWHERE.contains(&name.as_str())).collect();
    assert!(unexpected.is_empty(), "held to no table: {unexpected:#?}");
    assert_eq!(unknown.len(), ELSEWHERE.len(), "{ELSEWHERE:?} are served");
}
