//! Pages for clients that do not know a way to log in, or a stage of a proof ("Fallback", "Login
//! Fallback").

use std::{borrow::Cow, sync::Arc};

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
use tertulia::{CodeRequest, Credential, EmailProof, Error, Homeserver, Secret, Terms, TermsText};

use crate::{
    Action, Answer, ApiError, Endpoints as _, Matrix, Reply, Routes, Whole, body,
    endpoint::path_arguments, language::language, observe::Site,
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

async fn ask(server: Homeserver, call: Matrix<stage_page::Request>) -> Result<Whole, ApiError> {
    let asked = known(&server, call.request.auth_type.as_ref())?;
    Ok(Whole(page(form(&asked, &call.request.session))))
}

const DUMMY: &str = "m.login.dummy";
const PASSWORD: &str = "m.login.password";
const TOKEN: &str = "m.login.registration_token";
const TERMS: &str = "m.login.terms";
const EMAIL: &str = "m.login.email.identity";

/// A stage as people see it: what is asked for, and the fields of its form.
struct Asked {
    stage: &'static str,
    words: &'static str,
    fields: Cow<'static, str>,
}

fn known(server: &Homeserver, stage: &str) -> Result<Asked, ApiError> {
    let terms = &server.settings().terms;
    match stage {
        TERMS if !terms.is_empty() => Ok(Asked {
            stage: TERMS,
            words: "To go on means that you accept:",
            fields: documents(terms).into(),
        }),
        EMAIL if !server.sends_mail() => unknown(),
        _ => simple(stage),
    }
}

fn unknown() -> Result<Asked, ApiError> {
    Err(ApiError::not_found("this server asks for no such proof"))
}

/// A stage that looks the same on every server.
fn simple(stage: &str) -> Result<Asked, ApiError> {
    let asked = |stage, words, fields| Ok(Asked { stage, words, fields: Cow::Borrowed(fields) });
    match stage {
        DUMMY => asked(DUMMY, "Go on?", ""),
        PASSWORD => asked(
            PASSWORD,
            "Enter your user name and your password.",
            r#"<input name="user" placeholder="User name" required autocomplete="username">
               <input name="password" type="password" placeholder="Password" required
                      autocomplete="current-password">"#,
        ),
        TOKEN => asked(
            TOKEN,
            "Enter the word that lets you make an account here.",
            r#"<input name="token" placeholder="Registration token" required autocomplete="off">"#,
        ),
        // The fields of the second step come when the mail is on its way.
        EMAIL => asked(
            EMAIL,
            "Enter your e-mail address. You will get a mail with a code.",
            r#"<input name="email" type="email" placeholder="E-mail address" required autocomplete="email">
               <input name="sid" type="hidden" disabled>
               <input name="token" placeholder="Code" hidden disabled inputmode="numeric"
                      autocomplete="one-time-code">"#,
        ),
        _ => unknown(),
    }
}

/// What is to be accepted, each in all the languages that it is there in.
fn documents(terms: &[Terms]) -> String {
    let link = |(language, text): (&String, &TermsText)| {
        let [language, name, url] = [language, &text.name, &text.url].map(|text| escaped(text));
        format!(
            r#"<a href="{url}" hreflang="{language}" lang="{language}" target="_blank" rel="noopener">{name}</a>"#
        )
    };
    let document = |terms: &Terms| {
        let links: Vec<_> = terms.translations.iter().map(link).collect();
        format!("<p>{}</p>", links.join(" · "))
    };
    terms.iter().map(document).collect()
}

/// What a form says.
#[derive(Default, Deserialize)]
struct Filled {
    session: String,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    email: Option<String>,
    sid: Option<String>,
    send_attempt: Option<u64>,
}

impl Filled {
    /// The session in which an address is proven. Whoever knows the session of the client may use it.
    fn email(&self) -> Option<EmailProof> {
        let client_secret = Secret::new(self.session.as_str());
        self.sid.clone().map(|session| EmailProof { session, client_secret })
    }

    /// What a mail said; nothing if its link was opened instead.
    fn code(&self) -> Option<&Secret> {
        self.token.as_ref().filter(|code| !code.reveal().is_empty())
    }

    fn credential(self, stage: &str) -> Credential {
        let email = self.email();
        match (stage, self.user, self.password, self.token) {
            (DUMMY, ..) => Credential::Dummy,
            (TERMS, ..) => Credential::Terms,
            (EMAIL, ..) => email.map_or(Credential::Unknown, Credential::Email),
            (PASSWORD, Some(user), Some(password), _) => Credential::Password { user, password },
            (TOKEN, _, _, Some(token)) => Credential::RegistrationToken(token),
            _ => Credential::Unknown,
        }
    }
}

async fn answer(State(server): State<Homeserver>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let arguments = path_arguments(&mut parts, &server).await?;
    let stage = known(&server, arguments.iter().next().map_or("", |(_, stage)| stage))?.stage;
    let head = http::Request::from_parts(parts, ());
    // One may guess at passwords here as well as where one logs in.
    count(Action::Login, &head)?;
    let body = body::read_object(&Method::POST, body, LARGEST_FORM).await?;
    let filled: Filled = serde_json::from_slice(&body).map_err(ApiError::bad_json)?;
    if let (EMAIL, Some(email)) = (stage, &filled.email) {
        count(Action::Mail, &head)?;
        let (client_secret, attempt) = (&*filled.session, filled.send_attempt.unwrap_or(1));
        let wish = CodeRequest { email, client_secret, attempt, language: language(&head) };
        return send_mail(&server, &filled.session, wish).await;
    }
    if let (EMAIL, Some(proof), Some(code)) = (stage, filled.email(), filled.code()) {
        server.submit_code(&proof, code).await?;
    }
    let session = filled.session.clone();
    match server.prove_aside(&session, filled.credential(stage)).await? {
        Ok(()) => <Answer<Passed> as Reply<()>>::reply(Answer(Passed {})),
        Err(failure) => Err(Error::Forbidden(failure.to_owned()).into()),
    }
}

fn count(action: Action, head: &http::Request<()>) -> Result<(), ApiError> {
    match head.extensions().get::<Arc<Site>>() {
        Some(site) => site.check(action, None, head),
        None => Ok(()),
    }
}

async fn send_mail(
    server: &Homeserver,
    session: &str,
    wish: CodeRequest<'_>,
) -> Result<Response, ApiError> {
    match server.request_code_aside(session, wish).await? {
        Ok(sid) => <Answer<Mailed> as Reply<()>>::reply(Answer(Mailed { sid })),
        Err(failure) => Err(Error::Forbidden(failure.to_owned()).into()),
    }
}

/// The stage was passed.
#[derive(Serialize)]
struct Passed {}

/// A mail is on its way, and the form goes on in this session.
#[derive(Serialize)]
struct Mailed {
    sid: String,
}

fn form(asked: &Asked, session: &str) -> String {
    STAGE
        .replace("{words}", asked.words)
        .replace("{fields}", &asked.fields)
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

    fn asked(stage: &str) -> Asked {
        simple(stage).unwrap_or_else(|_| panic!("{stage} is a stage"))
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
        let shown = form(&asked(DUMMY), r#"x"><script>alert('&')</script>"#);
        assert!(shown.contains("x&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"));
        let evil = |text: &str| format!("{text}\"><script>");
        let text = TermsText { name: evil("Terms"), url: evil("https://example.org/a?b&c") };
        let translations = [(evil("en"), text)].into();
        let terms = Terms { id: evil("id"), version: evil("1"), translations };
        let shown = documents(&[terms]);
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(shown.contains(r#"href="https://example.org/a?b&amp;c&quot;&gt;"#), "{shown}");
    }

    #[test]
    fn pages_ask_for_what_their_stage_needs() {
        for (stage, field) in [
            (PASSWORD, r#"name="password""#),
            (TOKEN, r#"name="token""#),
            (EMAIL, r#"name="email""#),
            (DUMMY, r#"name="session""#),
        ] {
            assert!(form(&asked(stage), "s").contains(field), "{stage}");
        }
        assert!(simple("m.login.recaptcha").is_err());
    }

    #[test]
    fn a_stage_without_what_it_needs_is_none() {
        for stage in [PASSWORD, TOKEN, EMAIL, "m.login.recaptcha"] {
            let credential = Filled::default().credential(stage);
            assert!(matches!(credential, Credential::Unknown), "{stage}");
        }
    }
}
