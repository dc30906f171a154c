//! User-interactive authentication: requests that carry a proof beside what they ask for.
//!
//! [`Interactive`] takes the proof out of any request before ruma reads the rest, so that each
//! proof is bound to everything else the request says.

use http::{Method, Request};
use ruma::{
    UserId,
    api::{
        IncomingRequest, Metadata,
        client::uiaa::{AuthFlow, AuthType, UiaaInfo},
        error::DeserializationError,
        path_builder::PathBuilder,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tertulia::{
    Attempt, Challenge, Credential, EmailProof, Flow, Homeserver, Operation, Proof, Proven, Secret,
    Stage, Terms,
};

use super::lenient::Identifier;
use crate::ApiError;

/// The request `R` with the proof that it may be done.
pub(crate) struct Interactive<R> {
    /// What is asked for.
    pub(crate) request: R,
    /// The proof, if one was offered.
    attempt: Option<Attempt>,
    /// Everything that the request says beside the proof.
    content: Vec<u8>,
}

impl<R: Metadata> Interactive<R> {
    /// What is asked for, and what was proven beside, once any of `flows` was passed. Where `subject` is given, only that user's password passes, in that user's sessions.
    pub(crate) async fn prove(
        self,
        server: &Homeserver,
        flows: &'static [Flow],
        subject: Option<&UserId>,
    ) -> Result<(R, Proven), ApiError> {
        let operation = self.operation(flows).of(subject);
        match server.prove(operation, self.attempt).await? {
            Proof::Given(proven) => Ok((self.request, proven)),
            Proof::Missing(challenge) => {
                let information = information(&challenge, &server.settings().terms);
                Err(ApiError::unproved(information, challenge.failure))
            }
        }
    }

    fn operation(&self, flows: &'static [Flow]) -> Operation<'static> {
        let path = R::PATH_BUILDER.all_paths().next().expect("every endpoint has a path");
        Operation::new(path, flows, &self.content)
    }
}

impl<R: Metadata> Metadata for Interactive<R> {
    const METHOD: Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = R::Authentication;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: R::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest> IncomingRequest for Interactive<R> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let (head, body) = request.into_parts();
        let mut body: Map<String, Value> = serde_json::from_slice(body)?;
        let attempt = match body.remove("auth") {
            None | Some(Value::Null) => None,
            Some(auth) => Some(serde_json::from_value::<Auth>(auth)?.into()),
        };
        body.sort_keys();
        let rest = serde_json::to_vec(&body)?;
        let content = serde_json::to_vec(&(path_args, &body))?;
        let request = Request::from_parts(head, rest.as_slice());
        let request = R::try_from_http_request_inner(request, path_args)?;
        Ok(Self { request, attempt, content })
    }
}

/// The `auth` of a request. Ruma's own type knows no `user` outside of `identifier`, as version
/// r0.3 had it.
#[derive(Deserialize)]
struct Auth {
    r#type: Option<String>,
    session: Option<String>,
    identifier: Option<Identifier>,
    user: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    /// Versions before r0.6 wrote it in the other way.
    #[serde(alias = "threepidCreds")]
    threepid_creds: Option<Credentials>,
}

/// The session in which an address was proven. An identity server that is named beside is not asked: this
/// server proves addresses itself.
#[derive(Deserialize)]
struct Credentials {
    sid: String,
    client_secret: Secret,
}

impl From<Credentials> for EmailProof {
    fn from(shown: Credentials) -> Self {
        Self { session: shown.sid, client_secret: shown.client_secret }
    }
}

impl From<Auth> for Attempt {
    fn from(auth: Auth) -> Self {
        let credential = match (auth.r#type.as_deref(), auth.password, auth.token) {
            (None, ..) => None,
            (Some("m.login.password"), Some(password), _) => {
                Some(match Identifier::user(auth.identifier, auth.user) {
                    Some(user) => Credential::Password { user, password },
                    None => Credential::Stranger,
                })
            }
            (Some("m.login.dummy"), ..) => Some(Credential::Dummy),
            (Some("m.login.terms"), ..) => Some(Credential::Terms),
            (Some("m.login.email.identity"), ..) => Some(match auth.threepid_creds {
                Some(shown) => Credential::Email(shown.into()),
                None => Credential::Unknown,
            }),
            (Some("m.login.registration_token"), _, Some(token)) => {
                Some(Credential::RegistrationToken(token))
            }
            _ => Some(Credential::Unknown),
        };
        Self { session: auth.session, credential }
    }
}

/// A challenge as clients get it.
fn information(challenge: &Challenge, terms: &[Terms]) -> UiaaInfo {
    let stages = |flow: &Flow| AuthFlow::new(flow.iter().copied().map(kind).collect());
    let mut information = UiaaInfo::new(challenge.flows.iter().map(stages).collect());
    information.completed = challenge.passed.iter().copied().map(kind).collect();
    information.session = Some(challenge.session.clone());
    // Clients of older versions read `params` without asking whether it is there.
    let asks_for_terms = challenge.flows.iter().any(|flow| flow.contains(&Stage::Terms));
    let params = if asks_for_terms { policies(terms) } else { Map::new() };
    information.params = Some(serde_json::value::to_raw_value(&params).expect("it is JSON"));
    information
}

/// What has to be accepted, as the stage `m.login.terms` tells it.
fn policies(terms: &[Terms]) -> Map<String, Value> {
    let policy = |terms: &Terms| {
        let mut policy = Map::from_iter([("version".to_owned(), json!(terms.version))]);
        policy.extend(terms.translations.iter().map(|(language, text)| {
            (language.clone(), json!({ "name": text.name, "url": text.url }))
        }));
        (terms.id.clone(), Value::Object(policy))
    };
    let policies: Map<_, _> = terms.iter().map(policy).collect();
    Map::from_iter([("m.login.terms".to_owned(), json!({ "policies": policies }))])
}

fn kind(stage: Stage) -> AuthType {
    match stage {
        Stage::Password => AuthType::Password,
        Stage::Dummy => AuthType::Dummy,
        Stage::RegistrationToken => AuthType::RegistrationToken,
        Stage::Terms => AuthType::Terms,
        Stage::Email(_) => AuthType::EmailIdentity,
    }
}

#[cfg(test)]
mod tests {
    use ruma::api::{
        IncomingRequestExt as _,
        client::{account::change_password, device::delete_device},
    };

    use super::*;

    fn read<R: IncomingRequest>(path_args: &[&str], body: &Value) -> Interactive<R> {
        let body = serde_json::to_vec(body).unwrap();
        let request = Request::builder().method(R::METHOD).body(body.as_slice()).unwrap();
        Interactive::try_from_http_request(request, path_args).unwrap()
    }

    fn attempt(auth: &Value) -> String {
        let call = read::<change_password::v3::Request>(
            &[],
            &json!({ "new_password": "new", "auth": auth }),
        );
        assert_eq!(call.request.new_password, "new");
        assert!(call.request.auth.is_none(), "ruma does not see the proof");
        call.attempt.map_or("none".to_owned(), |attempt| {
            let session = attempt.session.unwrap_or("-".to_owned());
            let credential = match attempt.credential {
                None => "nothing".to_owned(),
                Some(Credential::Password { user, password }) => {
                    format!("password {} of {user}", password.reveal())
                }
                Some(Credential::RegistrationToken(token)) => format!("token {}", token.reveal()),
                Some(Credential::Email(proof)) => {
                    format!("address of {} with {}", proof.session, proof.client_secret.reveal())
                }
                Some(other) => format!("{other:?}"),
            };
            format!("{session}: {credential}")
        })
    }

    fn check(auth: Value, expected: &str) {
        assert_eq!(attempt(&auth), expected, "{auth}");
    }

    #[test]
    fn a_proof_is_read_in_all_its_forms() {
        check(Value::Null, "none");
        check(json!({ "session": "s" }), "s: nothing");
        check(json!({ "type": "m.login.dummy" }), "-: Dummy");
        check(json!({ "type": "m.login.dummy", "session": "s" }), "s: Dummy");
        check(json!({ "type": "m.login.registration_token", "token": "t" }), "-: token t");
        check(json!({ "type": "m.login.recaptcha", "response": "r" }), "-: Unknown");
        check(json!({ "type": "m.login.terms", "session": "s" }), "s: Terms");
        let shown = json!({ "sid": "i", "client_secret": "c", "id_server": "x.org" });
        for key in ["threepid_creds", "threepidCreds"] {
            let auth = json!({ "type": "m.login.email.identity", "session": "s", key: shown });
            check(auth, "s: address of i with c");
        }
        let mut password = json!({ "type": "m.login.password", "password": "p" });
        check(password.clone(), "-: Stranger");
        password["user"] = json!("alice");
        check(password.clone(), "-: password p of alice");
        password["identifier"] = json!({ "type": "m.id.user", "user": "bob" });
        check(password.clone(), "-: password p of bob");
        password["identifier"] =
            json!({ "type": "m.id.thirdparty", "medium": "email", "address": "a@b.org" });
        check(password.clone(), "-: password p of a@b.org");
        password["identifier"] = json!({ "type": "m.id.thirdparty", "medium": "email" });
        check(password, "-: Stranger");
    }

    #[test]
    fn a_stage_without_what_it_needs_is_none() {
        check(json!({ "type": "m.login.password", "user": "alice" }), "-: Unknown");
        check(json!({ "type": "m.login.registration_token" }), "-: Unknown");
        check(json!({ "type": "m.login.email.identity" }), "-: Unknown");
    }

    fn content(device: &str, body: Value) -> Operation<'static> {
        read::<delete_device::v3::Request>(&[device], &body).operation(&[])
    }

    #[test]
    fn a_proof_is_bound_to_the_rest_of_the_request() {
        let plain = content("A", json!({ "x": 1, "y": 2 }));
        assert_eq!(plain, content("A", json!({ "y": 2, "x": 1 })));
        assert_eq!(plain, content("A", json!({ "x": 1, "y": 2, "auth": { "session": "s" } })));
        assert_ne!(plain, content("B", json!({ "x": 1, "y": 2 })));
        assert_ne!(plain, content("A", json!({ "x": 1 })));
        assert_ne!(plain, content("A", json!({ "x": 2, "y": 2 })));
    }

    #[test]
    fn a_challenge_is_written_as_clients_know_it() {
        let challenge = Challenge {
            flows: &[&[Stage::RegistrationToken, Stage::Dummy], &[Stage::Password]],
            passed: vec![Stage::RegistrationToken],
            session: "s".to_owned(),
            failure: None,
        };
        let expected = json!({
            "flows": [
                { "stages": ["m.login.registration_token", "m.login.dummy"] },
                { "stages": ["m.login.password"] },
            ],
            "completed": ["m.login.registration_token"],
            "params": {},
            "session": "s",
        });
        assert_eq!(serde_json::to_value(information(&challenge, &[])).unwrap(), expected);
    }

    #[test]
    fn what_has_to_be_accepted_is_told_in_all_its_languages() {
        let text = |name: &str| tertulia::TermsText {
            name: name.to_owned(),
            url: "https://x.org".to_owned(),
        };
        let translations = [("en".to_owned(), text("Terms")), ("zh".to_owned(), text("条款"))];
        let terms = Terms {
            id: "terms_of_service".to_owned(),
            version: "1.2".to_owned(),
            translations: translations.into(),
        };
        let challenge =
            |flows| Challenge { flows, passed: Vec::new(), session: "s".to_owned(), failure: None };
        let told = |flows| {
            let told = information(&challenge(flows), std::slice::from_ref(&terms));
            serde_json::to_value(told).unwrap()["params"].clone()
        };
        let policy = json!({
            "version": "1.2",
            "en": { "name": "Terms", "url": "https://x.org" },
            "zh": { "name": "条款", "url": "https://x.org" },
        });
        let expected = json!({ "m.login.terms": { "policies": { "terms_of_service": policy } } });
        assert_eq!(told(&[&[Stage::Terms, Stage::Dummy]]), expected);
        assert_eq!(told(&[&[Stage::Password]]), json!({}));
    }
}
