//! Hostile requests, generated: each endpoint that is served × each way of being hostile that applies to it. What is
//! answered is told by a table; the server goes on answering, and no row has changed.

mod cases;
mod rows;
pub(crate) mod world;

use cases::{Body, Case, Cases, Kind, Request, Token};
use http::StatusCode;
use rows::{Others, ROWS, Row};
use world::{World, changed, encode};

use crate::{
    endpoints::{Auth, Endpoint},
    fields::Place,
    served::refusal,
    twins::TEMPLATES,
};

/// What is answered to a kind of hostility, unless an endpoint has a reason of its own.
fn usual(kind: Kind, place: Place) -> (u16, &'static str) {
    match (kind, place) {
        (Kind::NoToken, _) => (401, "M_MISSING_TOKEN"),
        (Kind::ForeignToken, _) => (401, "M_UNKNOWN_TOKEN"),
        (Kind::Others, _) => (403, "M_FORBIDDEN"),
        (Kind::Malformed, _) => (400, "M_NOT_JSON"),
        (Kind::Missing, Place::Query) => (400, "M_MISSING_PARAM"),
        (Kind::NoObject, _) | (_, Place::Body) => (400, "M_BAD_JSON"),
        (Kind::Oversize, _) => (413, "M_TOO_LARGE"),
        (Kind::WrongMethod, _) => (405, "M_UNRECOGNIZED"),
        (
            Kind::BadPercent | Kind::WrongType | Kind::WrongWord | Kind::Missing | Kind::OutOfRange,
            _,
        ) => (400, "M_INVALID_PARAM"),
    }
}

impl Row {
    fn endpoint(&self) -> &'static Endpoint {
        let named = |endpoint: &&Endpoint| endpoint.to_string() == self.name;
        crate::endpoints::ALL
            .iter()
            .find(named)
            .unwrap_or_else(|| panic!("there is no {}", self.name))
    }

    /// What a parameter of the path stands for in the good request.
    fn parameter(&self, world: &World, name: &str) -> String {
        let own = self.path.iter().find(|(own, _)| *own == name);
        own.map_or_else(|| world.name(name), |(_, value)| world.filled(value))
    }

    /// A request that would be done.
    fn good(&self, world: &World, template: &Endpoint) -> Request {
        let body = match self.body {
            rows::Sample::None => Body::None,
            rows::Sample::Json(body) => {
                Body::Json(serde_json::from_str(&world.filled(body)).expect("samples are JSON"))
            }
            rows::Sample::File => Body::Bytes("bytes".into()),
        };
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), world.filled(value));
        Request {
            method: template.method.clone(),
            path: template.filled(|name| encode(&self.parameter(world, name))),
            query: self.query.iter().map(pair).collect(),
            token: if template.auth == Auth::None { Token::Nobody } else { Token::Owner },
            body,
        }
    }

    fn cases(&self, world: &World, template: &Endpoint) -> Vec<Case> {
        let (endpoint, good) = (self.endpoint(), self.good(world, template));
        let parameters = |name: &str| self.parameter(world, name);
        let mut cases = Cases::new(endpoint, template, &parameters, good.clone()).all();
        if let Others::Refused(..) = self.others {
            let request = Request { token: Token::Other, ..good };
            let field = String::new();
            cases.push(Case { kind: Kind::Others, field, place: Place::Whole, request });
        }
        cases
    }

    fn expected(&self, case: &Case) -> (u16, &'static str) {
        let own = self
            .answers
            .iter()
            .find(|own| own.kind == case.kind && own.field.is_none_or(|field| field == case.field));
        match (own, case.kind, self.others) {
            (Some(own), ..) => (own.status, own.code),
            (None, Kind::Others, Others::Refused(status, code)) => (status, code),
            _ => usual(case.kind, case.place),
        }
    }
}

#[tokio::test]
async fn every_route_has_a_row_and_every_row_a_route() {
    let has_row = |name: &&String| ROWS.iter().any(|row| row.name == **name);
    let without: Vec<_> = TEMPLATES.keys().filter(|name| !has_row(name)).collect();
    assert!(without.is_empty(), "without a row: {without:#?}");
    let not_served = ROWS.iter().filter(|row| !TEMPLATES.contains_key(row.name));
    let not_served: Vec<_> = not_served.map(|row| row.name).collect();
    assert!(not_served.is_empty(), "not served: {not_served:#?}");
}

/// The rows of all endpoints that are served, at each of their paths.
fn rows() -> impl Iterator<Item = (&'static Row, &'static Endpoint)> {
    let paths = |row: &'static Row| TEMPLATES.get(row.name).into_iter().flatten();
    ROWS.iter().flat_map(move |row| paths(row).map(move |template| (row, template)))
}

/// What is hostile is so for one reason only.
#[tokio::test]
async fn without_its_hostility_each_request_would_be_done() {
    let mut complaints = Vec::new();
    for (row, template) in rows() {
        let world = World::new().await;
        let answer = world.call(&row.good(&world, template)).await;
        let asks_for_proof =
            answer.status == StatusCode::UNAUTHORIZED && answer.json()["flows"].is_array();
        let is_never_done = refusal(row.name)
            .is_some_and(|(status, code)| answer.outcome() == (status, Some(code.to_owned())));
        if answer.status != StatusCode::OK && !asks_for_proof && !is_never_done {
            complaints.push(format!("{template}: {} {:?}", answer.status, answer.body));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[tokio::test]
async fn hostile_requests_are_refused_and_change_nothing() {
    let world = World::new().await;
    let mut rows = world.rows();
    let (mut complaints, mut count) = (Vec::new(), 0);
    for (row, template) in self::rows() {
        for case in row.cases(&world, template) {
            count += 1;
            let answer = world.call(&case.request).await;
            let (status, code) = row.expected(&case);
            let outcome = answer.outcome();
            let expected = (status, (!code.is_empty()).then(|| code.to_owned()));
            let mut complain = |what: String| complaints.push(format!("{template} {case}: {what}"));
            if outcome != expected {
                complain(format!("{outcome:?} instead of {status} {code}"));
            }
            let now = world.rows();
            // What is not looked at does not keep the rest from being done.
            if status == 200 {
                world.settle().await;
                rows = world.rows();
            } else if now != rows {
                complain(format!("rows changed in tables {:?}", changed(&rows, &now)));
                rows = now;
            }
            if !world.answers().await {
                complain("the server answers no more".to_owned());
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n{} of {count}", complaints.join("\n"), complaints.len());
    println!("{count} hostile requests");
}
