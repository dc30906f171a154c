//! The ways in which a request can be hostile, made from what the specification says of its endpoint.

use std::fmt;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::world::{LARGEST_FILE, encode};
use crate::{
    endpoints::{Auth, Endpoint},
    fields::{Field, Place, fields},
};

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Nothing, but it is from nobody.
    NoToken,
    /// Nothing, but its token is none of this server's.
    ForeignToken,
    /// Nothing, but it is about what another user has.
    Others,
    /// The body is no JSON.
    Malformed,
    /// The body is JSON, but no object.
    NoObject,
    /// A field has the wrong type.
    WrongType,
    /// A field is none of the words that it may be, or no identifier.
    WrongWord,
    /// A required field is not there.
    Missing,
    /// A number is out of range.
    OutOfRange,
    /// The body is too large.
    Oversize,
    /// A part of the path is no UTF-8 once it is decoded.
    BadPercent,
    /// The endpoint does not have the method.
    WrongMethod,
}

/// Whose token a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Nobody,
    Owner,
    Other,
    Foreign,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Json(Value),
    Bytes(Bytes),
}

/// A request to be.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) token: Token,
    pub(crate) body: Body,
}

/// A request that is hostile in one way.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    /// Where, if that is a place of its own.
    pub(crate) field: String,
    pub(crate) place: Place,
    pub(crate) request: Request,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {}", self.kind, self.place, self.field)
    }
}

/// Parts of paths that are identifiers, also where the specification does not say of what form.
const IDENTIFIERS: [&str; 6] =
    ["roomId", "userId", "eventId", "roomAlias", "roomIdOrAlias", "serverName"];

/// What is percent-encoded, but not well.
const BAD_ESCAPES: [&str; 3] = ["%ff%C0%80", "%zz", "%"];

/// Parameters of queries that a server told in an answer before.
const TOKENS: [&str; 5] = ["from", "to", "since", "at", "filter"];

/// Whether a schema has it that not every text will do.
fn has_words(schema: &Value) -> bool {
    let is_identifier = |format: &str| format.starts_with("mx-");
    schema["enum"].is_array()
        || schema["pattern"].is_string()
        || schema["format"].as_str().is_some_and(is_identifier)
}

/// One who makes the cases of one endpoint from a request that is good.
pub(crate) struct Cases<'a> {
    endpoint: &'a Endpoint,
    /// The endpoint at one of its paths.
    template: &'a Endpoint,
    /// What each part in `{}` of the path stands for.
    parameters: &'a dyn Fn(&str) -> String,
    good: Request,
    made: Vec<Case>,
}

impl<'a> Cases<'a> {
    pub(crate) fn new(
        endpoint: &'a Endpoint,
        template: &'a Endpoint,
        parameters: &'a dyn Fn(&str) -> String,
        good: Request,
    ) -> Self {
        Self { endpoint, template, parameters, good, made: Vec::new() }
    }

    /// All cases but those of what others have.
    pub(crate) fn all(mut self) -> Vec<Case> {
        self.tokens();
        self.bodies();
        self.paths();
        for field in fields(self.endpoint) {
            match field.place {
                Place::Query => self.query(&field),
                Place::Body => self.body(&field),
                _ => {}
            }
        }
        self.with(Kind::WrongMethod, |request| request.method = Method::PATCH);
        self.made
    }

    fn add(&mut self, kind: Kind, place: Place, field: &str, change: impl FnOnce(&mut Request)) {
        let mut request = self.good.clone();
        change(&mut request);
        self.made.push(Case { kind, field: field.to_owned(), place, request });
    }

    fn with(&mut self, kind: Kind, change: impl FnOnce(&mut Request)) {
        self.add(kind, Place::Whole, "", change);
    }

    fn tokens(&mut self) {
        if self.endpoint.auth == Auth::Required {
            self.with(Kind::NoToken, |request| request.token = Token::Nobody);
        }
        if self.endpoint.auth != Auth::None {
            self.with(Kind::ForeignToken, |request| request.token = Token::Foreign);
        }
    }

    fn bodies(&mut self) {
        if self.good.method == Method::GET {
            return;
        }
        if matches!(self.good.body, Body::Bytes(_)) {
            let large = Bytes::from(vec![0; LARGEST_FILE + 1]);
            return self.with(Kind::Oversize, |request| request.body = Body::Bytes(large));
        }
        let nothing = (self.good.method == Method::PUT).then_some("");
        for text in ["{\"a\":", "{\"a\" 1}", "nonsense"].into_iter().chain(nothing) {
            let body = Bytes::from_static(text.as_bytes());
            self.add(Kind::Malformed, Place::Whole, text, |request| {
                request.body = Body::Bytes(body)
            });
        }
        for body in [json!([]), json!("text"), json!(null)] {
            let name = body.to_string();
            self.add(Kind::NoObject, Place::Whole, &name, |request| {
                request.body = Body::Json(body)
            });
        }
        let large = json!({ "a": "x".repeat(1 << 20) });
        self.with(Kind::Oversize, |request| request.body = Body::Json(large));
    }

    /// A path whose part `parameter` is this text, which is not encoded any more.
    fn path(&self, parameter: &str, text: &str) -> String {
        self.template.filled(|name| {
            if name == parameter { text.to_owned() } else { encode(&(self.parameters)(name)) }
        })
    }

    fn paths(&mut self) {
        for parameter in self.template.parameters() {
            for text in BAD_ESCAPES {
                let path = self.path(parameter, text);
                let shown = format!("{parameter} = {text}");
                self.add(Kind::BadPercent, Place::Path, &shown, |request| request.path = path);
            }
            let of_schema = |field: &Field| field.name() == parameter && has_words(&field.schema);
            let fields = fields(self.endpoint).into_iter();
            let mut fields = fields.filter(|field| field.place == Place::Path);
            if IDENTIFIERS.contains(&parameter) || fields.any(|field| of_schema(&field)) {
                let path = self.path(parameter, "no%20such%20word");
                self.add(Kind::WrongWord, Place::Path, parameter, |request| request.path = path);
            }
        }
    }

    fn query(&mut self, field: &Field) {
        let name = field.name();
        for text in BAD_ESCAPES {
            let path = format!("{}?{name}={text}", self.good.path);
            let shown = format!("{name} = {text}");
            self.add(Kind::BadPercent, Place::Query, &shown, |request| {
                request.query.retain(|(key, _)| *key != name);
                request.path = path;
            });
        }
        let mut set = |kind, value: &str| {
            let shown = shown(kind, &name, value);
            self.add(kind, Place::Query, &shown, |request| {
                request.query.retain(|(key, _)| *key != name);
                request.query.push((name.clone(), value.to_owned()));
            });
        };
        match field.schema["type"].as_str() {
            Some("integer") => {
                set(Kind::WrongType, "many");
                for number in ["-1", "9007199254740992", "1.5", "99999999999999999999999"] {
                    set(Kind::OutOfRange, number);
                }
            }
            Some("boolean") => set(Kind::WrongType, "maybe"),
            // A token that leads on, or a word.
            _ if TOKENS.contains(&&*name) || has_words(&field.schema) => {
                set(Kind::WrongWord, "no such word");
            }
            _ if has_words(&field.schema["items"]) => set(Kind::WrongWord, "no such word"),
            _ => {}
        }
        if field.required {
            self.add(Kind::Missing, Place::Query, &name, |request| {
                request.query.retain(|(key, _)| *key != name);
            });
        }
    }

    fn body(&mut self, field: &Field) {
        let Body::Json(good) = self.good.body.clone() else { return };
        let name = field.name();
        let mut set = |kind, value: Value| {
            let mut body = good.clone();
            let shown = shown(kind, &name, &value.to_string());
            field.put(&mut body, value);
            self.add(kind, Place::Body, &shown, |request| request.body = Body::Json(body));
        };
        match field.schema["type"].as_str() {
            Some("string") => set(Kind::WrongType, json!(17)),
            Some("integer") => {
                set(Kind::WrongType, json!("many"));
                for number in [json!(-1), json!(9_007_199_254_740_992_u64), json!(1.5)] {
                    set(Kind::OutOfRange, number);
                }
            }
            Some("number") => set(Kind::WrongType, json!("many")),
            Some("boolean") => set(Kind::WrongType, json!("maybe")),
            Some("array") => set(Kind::WrongType, json!({ "0": 1 })),
            Some("object") => set(Kind::WrongType, json!([1])),
            // Several types, of which a list is none.
            None if field.schema["type"].is_array() => set(Kind::WrongType, json!([17])),
            _ => {}
        }
        if has_words(&field.schema) {
            set(Kind::WrongWord, json!("no such word"));
        }
        if field.required {
            set(Kind::WrongType, Value::Null);
            let mut body = good;
            if field.take(&mut body) {
                self.add(Kind::Missing, Place::Body, &name, |request| {
                    request.body = Body::Json(body)
                });
            }
        }
    }
}

/// A field, with its value where there are several.
fn shown(kind: Kind, name: &str, value: &str) -> String {
    if kind == Kind::OutOfRange { format!("{name} = {value}") } else { name.to_owned() }
}
