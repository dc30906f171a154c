//! What tests asked for, and what the server served: both are read from lines that the suite prints.
//!
//! The server's own log names the pattern of the route that took a request, and `unknown` where none did. The suite's
//! clients name the path. A path that no served pattern fits is an endpoint the server lacks.

use std::collections::BTreeSet;

use serde::Deserialize;

/// A request that a test made, as the suite's clients tell it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    method: String,
    /// The name that the suite gave the server, such as `hs1`.
    server: String,
    path: String,
    /// Whether the suite asked as a server itself.
    as_server: bool,
}

impl Request {
    /// Reads `… [CSAPI] GET hs1/_matrix/client/versions => 200 OK (2ms)`; `[SSAPI]` is the suite as a server.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (before, after) = line.split_once("API] ")?;
        let as_server = before.ends_with("[SS");
        if !as_server && !before.ends_with("[CS") {
            return None;
        }
        let (asked, _) = after.rsplit_once(" => ")?;
        let (method, target) = asked.split_once(' ')?;
        let (server, path) = target.split_once('/')?;
        Some(Self {
            method: method.to_owned(),
            server: server.to_owned(),
            path: format!("/{path}"),
            as_server,
        })
    }

    /// The request without what differs from run to run.
    fn endpoint(&self) -> String {
        let parts: Vec<_> = self.path.split('/').map(generalised).collect();
        format!("{} {}", self.method, parts.join("/"))
    }
}

/// A part of a path, or a name for what stands there.
fn generalised(part: &str) -> &str {
    let is_version = part.starts_with(['r', 'v']) && part[1..].parse::<u8>().is_ok();
    match part.chars().next() {
        Some('!') => "{roomId}",
        Some('@') => "{userId}",
        Some('#') => "{roomAlias}",
        Some('$') => "{eventId}",
        _ if is_version => part,
        Some(_) if part.chars().any(|letter| letter.is_ascii_digit() || letter.is_uppercase()) => {
            "{…}"
        }
        _ => part,
    }
}

/// What the server's log tells of one request.
#[derive(Deserialize)]
struct Logged {
    status: u16,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    method: String,
    route: String,
}

/// The endpoints that the server was seen to serve.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served {
    routes: BTreeSet<(String, String)>,
    /// Whether any line of the log was seen: without it nothing can be decided.
    pub(crate) log_was_seen: bool,
}

impl Served {
    /// Notes a line of the server's log; other lines tell nothing.
    pub(crate) fn note(&mut self, line: &str) {
        const NO_ROUTE: &str = "unknown";
        const WRONG_METHOD: u16 = 405;
        let line = line.trim();
        if !line.starts_with('{') {
            return;
        }
        let Ok(Logged { status, span }) = serde_json::from_str(line) else { return };
        self.log_was_seen = true;
        if span.route != NO_ROUTE && status != WRONG_METHOD {
            self.routes.insert((span.method, span.route));
        }
    }

    /// Adds what another run saw.
    pub(crate) fn join(&mut self, other: Self) {
        self.routes.extend(other.routes);
        self.log_was_seen |= other.log_was_seen;
    }

    fn serves(&self, request: &Request) -> bool {
        self.routes
            .iter()
            .any(|(method, pattern)| *method == request.method && fits(&request.path, pattern))
    }

    /// What these requests needed that is not there: endpoints, or a second server.
    pub(crate) fn lacks(&self, requests: &BTreeSet<Request>) -> Vec<String> {
        let is_lacking = |request: &&Request| !self.serves(request);
        let mut lacks: BTreeSet<_> =
            requests.iter().filter(is_lacking).map(Request::endpoint).collect();
        let servers: BTreeSet<_> = requests.iter().map(|request| &request.server).collect();
        if servers.len() > 1 || requests.iter().any(|request| request.as_server) {
            lacks.insert("a second server".to_owned());
        }
        lacks.into_iter().collect()
    }
}

/// Whether a path is one that `/rooms/{room_id}/state/{*rest}` stands for.
fn fits(path: &str, pattern: &str) -> bool {
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        if wanted.starts_with("{*") {
            return parts.next().is_some();
        }
        let Some(part) = parts.next() else { return false };
        let is_parameter = wanted.starts_with('{') && !part.is_empty();
        if !is_parameter && part != wanted {
            return false;
        }
    }
    parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(method: &str, target: &str) -> String {
        format!("    client.go:741: [CSAPI] {method} {target} => 404 Not Found (1.5ms)\n")
    }

    fn requests(lines: &[(&str, &str)]) -> BTreeSet<Request> {
        lines.iter().map(|(method, target)| Request::read(&line(method, target)).unwrap()).collect()
    }

    fn log(method: &str, route: &str, status: u16) -> String {
        let span = format!(
            r#"{{"id":"0a","method":"{method}","route":"{route}","status":{status},"name":"request"}}"#
        );
        format!(
            r#"{{"level":"DEBUG","status":{status},"latency_us":9,"message":"answered","span":{span}}}"#
        )
    }

    fn served() -> Served {
        let mut served = Served::default();
        for (method, route, status) in [
            ("GET", "/_matrix/client/versions", 200),
            ("PUT", "/_matrix/client/v3/rooms/{room_id}/send/{event_type}/{txn_id}", 403),
            ("PUT", "/_matrix/client/versions", 405),
            ("GET", "unknown", 404),
            ("GET", "/_matrix/media/v3/download/{*rest}", 200),
        ] {
            served.note(&log(method, route, status));
        }
        served
    }

    #[test]
    fn a_request_is_read_from_the_line_of_the_suite_s_client() {
        let read = Request::read(&line("GET", "hs1/_matrix/client/v3/profile/@a:hs1/displayname"));
        let expected = Request {
            method: "GET".to_owned(),
            server: "hs1".to_owned(),
            path: "/_matrix/client/v3/profile/@a:hs1/displayname".to_owned(),
            as_server: false,
        };
        assert_eq!(read, Some(expected));
        let federated = "[SSAPI] PUT hs1/_matrix/federation/v1/send/1 => 200 OK (3ms)";
        assert!(Request::read(federated).unwrap().as_server);
    }

    #[test]
    fn a_path_may_hold_spaces_and_arrows() {
        let request = Request::read(&line("GET", "hs1/a/b => c d")).unwrap();
        assert_eq!(request.path, "/a/b => c d");
    }

    #[test]
    fn other_lines_are_no_requests() {
        for line in ["", "=== RUN   TestA", "[CSAPI] GET", "[XXAPI] GET hs1/a => 200", "API] "] {
            assert_eq!(Request::read(line), None, "{line}");
        }
    }

    #[track_caller]
    fn check(method: &str, target: &str, lacks: &[&str]) {
        assert_eq!(served().lacks(&requests(&[(method, target)])), lacks);
    }

    #[test]
    fn a_path_that_a_served_pattern_fits_is_served() {
        check("GET", "hs1/_matrix/client/versions", &[]);
        check("PUT", "hs1/_matrix/client/v3/rooms/!1:hs1/send/m.room.message/7", &[]);
        check("GET", "hs1/_matrix/media/v3/download/hs1/abc", &[]);
    }

    #[test]
    fn a_path_that_none_fits_is_named_without_what_differs_from_run_to_run() {
        let search = "GET /_matrix/client/v3/search";
        check("GET", "hs1/_matrix/client/v3/search", &[search]);
        check(
            "GET",
            "hs1/_matrix/client/r0/rooms/!abc:hs1/relations/$xyz/@u:hs1/#a:hs1/DEVICE/17",
            &[
                "GET /_matrix/client/r0/rooms/{roomId}/relations/{eventId}/{userId}/{roomAlias}/{…}/{…}",
            ],
        );
    }

    #[test]
    fn a_route_that_takes_another_method_does_not_serve_this_one() {
        check("PUT", "hs1/_matrix/client/versions", &["PUT /_matrix/client/versions"]);
    }

    #[test]
    fn what_no_route_took_is_not_served() {
        check("GET", "hs1/unknown", &["GET /unknown"]);
    }

    #[test]
    fn lines_that_are_no_log_do_not_count_as_one() {
        let mut served = Served::default();
        for line in ["", "{", "{\"level\":\"INFO\"}", "PASS"] {
            served.note(line);
        }
        assert!(!served.log_was_seen);
        served.join(self::served());
        assert!(served.log_was_seen && served.routes.len() == 3);
    }

    #[test]
    fn requests_to_two_servers_need_a_second_one() {
        let versions = "/_matrix/client/versions";
        let [one, two] = ["hs1", "hs2"].map(|server| format!("{server}{versions}"));
        let both = requests(&[("GET", &one), ("GET", &two)]);
        assert_eq!(served().lacks(&both), ["a second server"]);
        let mut of_a_server = requests(&[("GET", &one)]).pop_first().unwrap();
        of_a_server.as_server = true;
        assert_eq!(served().lacks(&BTreeSet::from([of_a_server])), ["a second server"]);
    }

    #[test]
    fn a_pattern_fits_whole_paths_only() {
        let pattern = "/rooms/{room_id}/state";
        assert!(fits("/rooms/!a/state", pattern));
        for path in ["/rooms/!a", "/rooms/!a/state/", "/rooms//state", "/rooms/!a/members"] {
            assert!(!fits(path, pattern), "{path}");
        }
        assert!(!fits("/download", "/download/{*rest}"));
    }
}
