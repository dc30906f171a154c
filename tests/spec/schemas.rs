//! What the specification's schemas say of requests and responses.

use std::{collections::BTreeMap, sync::LazyLock};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use http::StatusCode;
use serde_json::Value;

use crate::{
    endpoints::{BESIDE, Endpoint},
    own::OWN,
};

/// The schemas of all endpoints, and the definitions that they share.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value =
        serde_json::from_str(include_str!("data/schemas.json")).expect("xtask writes JSON");
    for (pointer, schema, _) in DEVIATIONS {
        let there = document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        *there = serde_json::from_str(schema).expect("deviations are JSON");
    }
    for (section, own) in [("endpoints", &OWN.operations), ("$defs", &OWN.definitions)] {
        let known = document[section].as_object_mut().expect("sections are objects");
        known.extend(own.clone());
    }
    for (name, _, operation) in BESIDE {
        document["endpoints"][name] = serde_json::from_str(operation).expect("operations are JSON");
    }
    document
});

/// Where this server or the schemas are not as the specification means it: what is taken instead, and why.
const DEVIATIONS: [(&str, &str, &str); 4] = [
    (
        "/endpoints/GET ~1_matrix~1client~1v3~1rooms~1{roomId}~1joined_members/responses/200/properties/joined\
         /patternProperties/^@/properties/avatar_url",
        r#"{ "type": ["string", "null"] }"#,
        "other servers have null in them where there is nothing, and clients know both fields so",
    ),
    (
        "/endpoints/GET ~1_matrix~1client~1v3~1rooms~1{roomId}~1joined_members/responses/200/properties/joined\
         /patternProperties/^@/properties/display_name",
        r#"{ "type": ["string", "null"] }"#,
        "other servers have null in them where there is nothing, and clients know both fields so",
    ),
    (
        "/endpoints/GET ~1_matrix~1client~1v3~1rooms~1{roomId}~1state~1{eventType}~1{stateKey}/responses/200",
        r#"{ "type": "object" }"#,
        "the schema wants one of any object and an event, and an event is an object, too",
    ),
    (
        "/endpoints/GET ~1_matrix~1client~1v3~1events/responses/200/properties/chunk/items",
        r##"{ "anyOf": [
            { "$ref": "#/$defs/api.client-server.definitions.client_event" },
            { "type": "object", "required": ["type", "content"],
              "properties": { "type": { "enum": ["m.typing", "m.receipt", "m.presence"] }, "content": { "type": "object" } } }
        ] }"##,
        "older clients wait here for what is fleeting, too, which has neither ID nor time",
    ),
];

static RESPONSES: LazyLock<Responses> = LazyLock::new(Responses::compile);

/// The schema of every refusal of which the specification says nothing else.
const ERROR: &str = "api.client-server.definitions.errors.error";
const NAME: &str = "spec:///schemas.json";

/// The schemas of responses, ready to be held against some.
struct Responses {
    schemas: Schemas,
    /// Endpoint and status → schema; none where the body is no JSON.
    of: BTreeMap<(String, String), Option<SchemaIndex>>,
    error: SchemaIndex,
}

impl Responses {
    fn compile() -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler
            .add_resource(NAME, DOCUMENT.clone())
            .expect("the document is no schema that could be wrong");
        let mut index = |pointer: &str| {
            let location = format!("{NAME}#{}", fragment(pointer));
            compiler
                .compile(&location, &mut schemas)
                .unwrap_or_else(|error| panic!("{pointer}: {error}"))
        };
        let error = index(&format!("/$defs/{ERROR}"));
        let mut of = BTreeMap::new();
        for (endpoint, operation) in DOCUMENT["endpoints"].as_object().expect("endpoints") {
            for (status, schema) in operation["responses"].as_object().expect("responses") {
                let pointer = format!("/endpoints/{}/responses/{status}", escaped(endpoint));
                let schema = (!schema.is_null()).then(|| index(&pointer));
                of.insert((endpoint.clone(), status.clone()), schema);
            }
        }
        Self { schemas, of, error }
    }
}

/// A key as a JSON pointer has it.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A JSON pointer as a URL has it.
fn fragment(pointer: &str) -> String {
    let mut fragment = String::new();
    for byte in pointer.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' | b'$' => {
                fragment.push(char::from(byte));
            }
            _ => fragment.push_str(&format!("%{byte:02X}")),
        }
    }
    fragment
}

/// What the specification has against this body of a response, if anything.
pub(crate) fn complaint(endpoint: &Endpoint, status: StatusCode, body: &[u8]) -> Option<String> {
    let responses = &*RESPONSES;
    let key = (endpoint.to_string(), status.as_str().to_owned());
    let schema = match responses.of.get(&key) {
        Some(schema) => (*schema)?,
        None if status.is_client_error() || status.is_server_error() => responses.error,
        // Found partly or unchanged, which HTTP defines.
        None => return None,
    };
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Some("the body is no JSON".to_owned());
    };
    let error = responses.schemas.validate(&body, schema).err()?;
    Some(format!("{error:#}\nin {body}"))
}

/// What the specification says of an endpoint, if it has a schema of it.
pub(crate) fn operation(endpoint: &Endpoint) -> Option<&'static Value> {
    DOCUMENT["endpoints"].get(endpoint.to_string())
}

/// The schema that is called so.
pub(crate) fn definition(name: &str) -> &'static Value {
    &DOCUMENT["$defs"][name]
}

#[test]
fn a_body_that_is_not_as_specified_is_complained_of() {
    let check = |endpoint: &str, status: u16, body: &str, expected: Option<&str>| {
        let status = StatusCode::from_u16(status).unwrap();
        let complaint = complaint(&Endpoint::named(endpoint), status, body.as_bytes());
        match expected {
            None => assert_eq!(complaint, None, "{endpoint} {status} {body}"),
            Some(words) => {
                assert!(complaint.unwrap().contains(words), "{endpoint} {status} {body}")
            }
        }
    };
    let whoami = "GET /_matrix/client/v3/account/whoami";
    check(whoami, 200, r#"{"user_id":"@a:x"}"#, None);
    check(whoami, 200, r#"{"user_id":"a"}"#, Some("user_id"));
    check(whoami, 200, "{}", Some("user_id"));
    check(whoami, 200, "", Some("no JSON"));
    check(whoami, 404, r#"{"errcode":"M_NOT_FOUND"}"#, None);
    check(whoami, 404, r#"{"error":"words"}"#, Some("errcode"));
    check(
        whoami,
        429,
        r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":"1"}"#,
        Some("retry_after_ms"),
    );
    let event = "GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}";
    let told = r#"{"type":"t","event_id":"$a","sender":"@a:x","origin_server_ts":1,"content":{},"room_id":"!a"}"#;
    check(event, 200, told, None);
    check(event, 200, &told.replace(":1,", ":1.5,"), Some("origin_server_ts"));
    check("GET /_matrix/media/v3/download/{serverName}/{mediaId}", 200, "bytes", None);
}
