//! The endpoints of the client-server API, as the specification and as clients name them.

use std::{fmt, sync::LazyLock};

use http::Method;

use crate::own::OWN;

/// Every endpoint of the specification.
const SPECIFIED: &str = include_str!("data/endpoints.tsv");
/// Every endpoint that clients were seen to call.
const IN_USE: &str = include_str!("data/endpoints-in-use.tsv");

/// The lists and what they hold, to be compared with their originals.
pub(crate) const LISTS: [(&str, &str); 2] =
    [("endpoints.tsv", SPECIFIED), ("endpoints-in-use.tsv", IN_USE)];

/// What is served though it is in neither list, or only in that of clients: the endpoint, who may ask, and
/// what the schemas lack of it.
pub(crate) const BESIDE: [(&str, Auth, &str); 3] = [
    (
        "GET /.well-known/matrix/server",
        Auth::None,
        r#"{ "responses": { "200": { "type": "object", "required": ["m.server"] } } }"#,
    ),
    (
        "GET /_matrix/federation/v1/openid/userinfo",
        Auth::None,
        r#"{ "parameters": [{ "name": "access_token", "in": "query", "required": true, "schema": { "type": "string" } }],
             "responses": { "200": { "type": "object", "required": ["sub"] } } }"#,
    ),
    (
        "GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
        Auth::Required,
        r#"{ "responses": { "200": { "type": "object", "required": ["rtc_transports"] } } }"#,
    ),
];

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Anybody.
    None,
    /// Anybody; who shows a token must show a good one.
    Optional,
    /// Users.
    Required,
}

/// A method and the template of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) auth: Auth,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Endpoint {
    fn new(method: &str, path: &str) -> Self {
        let method = method.parse().expect("lists name ordinary methods");
        Self { method, path: path.to_owned(), auth: Auth::None }
    }

    /// The endpoint that is written so.
    pub(crate) fn named(name: &str) -> Self {
        let (method, path) = name.split_once(' ').expect("a method and a path");
        Self::new(method, path)
    }

    /// The same endpoint where it has been last.
    pub(crate) fn newest(&self) -> Self {
        Self { path: newest(&self.path), ..self.clone() }
    }

    /// A path of this endpoint: each parameter is `fill`ed.
    pub(crate) fn filled(&self, fill: impl Fn(&str) -> String) -> String {
        let segment = |segment: &str| match segment.split_once('{') {
            Some((before, name)) => format!("{before}{}", fill(name.trim_end_matches('}'))),
            None => segment.to_owned(),
        };
        self.path.split('/').map(segment).collect::<Vec<_>>().join("/")
    }

    /// The names of the path's parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether `path` is one of this endpoint's, and with how many segments that are no parameters.
    fn likeness(&self, path: &str) -> Option<usize> {
        let (mut of_template, mut of_path) = (self.path.split('/'), path.split('/'));
        let mut alike = 0;
        loop {
            match (of_template.next(), of_path.next()) {
                (None, None) => return Some(alike),
                (Some(wanted), Some(given)) if wanted == given => alike += 1,
                (Some(wanted), Some(_)) if wanted.starts_with('{') => {}
                _ => return None,
            }
        }
    }
}

/// Every endpoint of the client-server API in v1.19, of our own, and of [`BESIDE`].
pub(crate) static ALL: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let lines = SPECIFIED.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let endpoint = |line: Vec<&str>| {
        let auth = match line[3] {
            "none" => Auth::None,
            // It is not looked at, as the answer is the same for all.
            _ if line[1] == "/_matrix/client/versions" => Auth::None,
            optional if optional.starts_with("optional") => Auth::Optional,
            _ => Auth::Required,
        };
        Endpoint { auth, ..Endpoint::new(line[0], line[1]) }
    };
    let specified = lines.filter(|line| line[2] == "cs").map(endpoint);
    let beside =
        BESIDE.iter().map(|(name, auth, _)| Endpoint { auth: *auth, ..Endpoint::named(name) });
    specified.chain(OWN.endpoints.iter().cloned()).chain(beside).collect()
});

/// Every endpoint that clients were seen to call, where it differs from those of the specification, too.
pub(crate) fn in_use() -> Vec<Endpoint> {
    let lines = IN_USE.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    lines.map(|line| Endpoint::new(line[0], line[1])).collect()
}

/// The newest path that means the same.
fn newest(path: &str) -> String {
    for (old, new) in [
        ("/_matrix/client/r0/", "/_matrix/client/v3/"),
        ("/_matrix/media/r0/", "/_matrix/media/v3/"),
        ("/_matrix/media/v1/upload", "/_matrix/media/v3/upload"),
    ] {
        if let Some(rest) = path.strip_prefix(old) {
            return format!("{new}{rest}");
        }
    }
    path.to_owned()
}

/// The endpoint of the specification that a request is for.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static Endpoint> {
    let path = newest(path);
    // A state key may be left out with its slash.
    let with_key = format!("{path}/");
    let of_method = || ALL.iter().filter(|endpoint| endpoint.method == *method);
    let best = |path: &str| {
        let alike = of_method().filter_map(|endpoint| Some((endpoint.likeness(path)?, endpoint)));
        alike.max_by_key(|(alike, _)| *alike).map(|(_, endpoint)| endpoint)
    };
    best(&path).or_else(|| best(&with_key).filter(|_| path.contains("/state/")))
}

#[test]
fn a_path_is_of_the_endpoint_that_is_most_like_it() {
    let check = |method: Method, path: &str, expected: Option<&str>| {
        let found = find(&method, path).map(|endpoint| endpoint.path.as_str());
        assert_eq!(found, expected, "{method} {path}");
    };
    check(Method::POST, "/_matrix/client/v3/logout", Some("/_matrix/client/v3/logout"));
    check(Method::POST, "/_matrix/client/v3/logout/all", Some("/_matrix/client/v3/logout/all"));
    let state = Some("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}");
    check(Method::GET, "/_matrix/client/v3/rooms/!a/state/m.room.name/", state);
    check(Method::GET, "/_matrix/client/r0/rooms/!a/state/m.room.name", state);
    let all = Some("/_matrix/client/v3/rooms/{roomId}/state");
    check(Method::GET, "/_matrix/client/v3/rooms/!a/state", all);
    check(Method::PUT, "/_matrix/client/v3/rooms/!a/state", None);
    check(Method::GET, "/_matrix/client/v3/nonsense", None);
}
