//! Pages for clients that do not know a way to log in, or a stage of a proof ("Fallback", "Login
//! Fallback").

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use ruma::api::client::{session::login_fallback, uiaa::get_uiaa_fallback_page::v3 as stage_page};
use serde::{Deserialize, Serialize};
use tertulia::{Credential, Error, Homeserver, Secret};

use crate::{
    Action, Answer, ApiError, Endpoints as _, Matrix, Reply, Routes, Whole, body,
    endpoint::path_arguments, observe::Site,
};

const LOGIN: &str = include_str!("pages/login.html");
const STAGE: &str = include_str!("pages/stage.html");

/// Scripts and styles stand in the pages themselves; nothing else is loaded.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'";

/// What a form may say, in bytes.
const LARGEST_FORM: usize = 1 << 14;

pub(crate) fn routes() -> Routes {
    let answers = ["v3", "r0"].into_iter().fold(Routes::new(), |router, version| {
        let path = format!("/_matrix/client/{version}/auth/{{auth_type}}/fallback/web");
        router.at(Method::POST, &path, answer)
    });
    Routes::new().endpoint(login).endpoint(ask).merge(answers)
}

async fn login(_: Homeserver, _: Matrix<login_fallback::Request>) -> Result<Whole, ApiError> {
    Ok(Whole(page(LOGIN.to_owned())))
}

async fn ask(_: Homeserver, call: Matrix<stage_page::Request>) -> Result<Whole, ApiError> {
    let stage = known(call.request.auth_type.as_ref())?;
    Ok(Whole(page(form(stage, &call.request.session))))
}

/// A stage as people see it: what is asked for, and the fields of its form.
#[derive(Clone, Copy)]
struct Asked {
    stage: &'static str,
    words: &'static str,
    fields: &'static str,
}

fn known(stage: &str) -> Result<Asked, ApiError> {
    let asked = |stage, words, fields| Asked { stage, words, fields };
    match stage {
        "m.login.dummy" => Ok(asked("m.login.dummy", "Go on?", "")),
        "m.login.password" => Ok(asked(
            "m.login.password",
            "Enter your user name and your password.",
            r#"<input name="user" placeholder="User name" required autocomplete="username">
               <input name="password" type="password" placeholder="Password" required
                      autocomplete="current-password">"#,
        )),
        "m.login.registration_token" => Ok(asked(
            "m.login.registration_token",
            "Enter the word that lets you make an account here.",
            r#"<input name="token" placeholder="Registration token" required autocomplete="off">"#,
        )),
        _ => Err(ApiError::not_found("this server asks for no such proof")),
    }
}

/// What a form says.
#[derive(Deserialize)]
struct Filled {
    session: String,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
}

impl Filled {
    fn credential(self, stage: Asked) -> Credential {
        match (stage.stage, self.user, self.password, self.token) {
            ("m.login.dummy", ..) => Credential::Dummy,
            ("m.login.password", Some(user), Some(password), _) => {
                Credential::Password { user, password }
            }
            ("m.login.registration_token", _, _, Some(token)) => {
                Credential::RegistrationToken(token)
            }
            _ => Credential::Unknown,
        }
    }
}

async fn answer(State(server): State<Homeserver>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let arguments = path_arguments(&mut parts, &server).await?;
    let stage = known(arguments.iter().next().map_or("", |(_, stage)| stage))?;
    let head = http::Request::from_parts(parts, ());
    if let Some(site) = head.extensions().get::<Arc<Site>>() {
        // One may guess at passwords here as well as where one logs in.
        site.check(Action::Login, None, &head)?;
    }
    let body = body::read_object(&Method::POST, body, LARGEST_FORM).await?;
    let filled: Filled = serde_json::from_slice(&body).map_err(ApiError::bad_json)?;
    let session = filled.session.clone();
    match server.prove_aside(&session, filled.credential(stage)).await? {
        Ok(()) => <Answer<Passed> as Reply<()>>::reply(Answer(Passed {})),
        Err(failure) => Err(Error::Forbidden(failure.to_owned()).into()),
    }
}

/// The stage was passed.
#[derive(Serialize)]
struct Passed {}

fn form(asked: Asked, session: &str) -> String {
    STAGE
        .replace("{words}", asked.words)
        .replace("{fields}", asked.fields)
        .replace("{session}", &escaped(session))
}

/// `text` as it may stand in a page or in an attribute.
fn escaped(text: &str) -> String {
    let escape = |char: char| match char {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

pub(crate) fn page(text: String) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        let asked = known("m.login.dummy").unwrap_or_else(|_| panic!("a stage"));
        let shown = form(asked, r#"x"><script>alert('&')</script>"#);
        assert!(shown.contains("x&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"));
    }

    #[test]
    fn pages_ask_for_what_their_stage_needs() {
        for (stage, field) in [
            ("m.login.password", r#"name="password""#),
            ("m.login.registration_token", r#"name="token""#),
            ("m.login.dummy", r#"name="session""#),
        ] {
            let asked = known(stage).unwrap_or_else(|_| panic!("a stage"));
            assert!(form(asked, "s").contains(field), "{stage}");
        }
        assert!(known("m.login.recaptcha").is_err());
    }

    #[test]
    fn a_stage_without_what_it_needs_is_none() {
        let empty = || Filled { session: String::new(), user: None, password: None, token: None };
        for stage in ["m.login.password", "m.login.registration_token"] {
            let asked = known(stage).unwrap_or_else(|_| panic!("a stage"));
            assert!(matches!(empty().credential(asked), Credential::Unknown), "{stage}");
        }
    }
}
