//! Tertulia's own API, as `docs/openapi.yaml` describes it. It is held to that as Matrix' endpoints are to
//! their specification: each is served, each answer fits, and each refuses what is hostile.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value, json};
use tertulia_http::Options;

use crate::endpoints::{Auth, Endpoint};

const DOCUMENT: &str = include_str!("../../docs/openapi.yaml");
const ROOT: &str = "/_tertulia/client/v1";

/// The document as the specification's schemas are kept.
pub(crate) struct Own {
    pub(crate) endpoints: Vec<Endpoint>,
    /// Endpoint → its parameters, body and responses.
    pub(crate) operations: Map<String, Value>,
    pub(crate) definitions: Map<String, Value>,
}

pub(crate) static OWN: LazyLock<Own> = LazyLock::new(|| {
    let document: Value = serde_saphyr::from_str(DOCUMENT).expect("the document is YAML");
    let mut own = Own {
        endpoints: Vec::new(),
        operations: Map::new(),
        definitions: moved(&document["components"]["schemas"])
            .as_object()
            .expect("schemas")
            .clone(),
    };
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let mut endpoint = Endpoint::named(&format!("{} {ROOT}{path}", method.to_uppercase()));
            // An operation says so where it asks for no token.
            let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
            endpoint.auth = if is_open { Auth::None } else { Auth::Required };
            own.operations.insert(endpoint.to_string(), simple(&document, operation));
            own.endpoints.push(endpoint);
        }
    }
    own
});

/// What is said of an endpoint, without what OpenAPI puts around it.
fn simple(document: &Value, operation: &Value) -> Value {
    let parameter = |part: &Value| match part["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.trim_start_matches('#');
            document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).clone()
        }
        None => part.clone(),
    };
    let body = |of: &Value| moved(&parameter(of)["content"]["application/json"]["schema"]);
    let parameters: Vec<_> =
        operation["parameters"].as_array().into_iter().flatten().map(parameter).collect();
    let responses = operation["responses"].as_object().expect("responses").iter();
    let responses: Map<_, _> =
        responses.map(|(status, response)| (status.clone(), body(response))).collect();
    json!({ "parameters": parameters, "body": body(&operation["requestBody"]), "responses": responses })
}

/// A schema whose references point to where definitions are in the tests.
fn moved(schema: &Value) -> Value {
    let text = schema.to_string().replace("#/components/schemas/", "#/$defs/");
    serde_json::from_str(&text).expect("it was JSON before")
}

#[test]
fn what_is_served_and_what_is_described_is_the_same() {
    let served = tertulia_http::routes(&Options::default());
    let served = served.served().iter().filter(|served| served.path.starts_with(ROOT));
    let served: BTreeSet<_> =
        served.map(|served| format!("{} {}", served.method, served.path)).collect();
    let described: BTreeSet<_> = OWN.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(served, described);
}
