//! The fields of requests, as the specification has them.

use serde_json::Value;

use crate::{
    endpoints::Endpoint,
    schemas::{definition, operation},
};

/// Where something stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Whole,
    Path,
    Query,
    Header,
    Body,
}

/// A field of a request, as the specification has it.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) place: Place,
    /// The keys that lead to it; a number is an item of a list.
    pub(crate) keys: Vec<String>,
    pub(crate) required: bool,
    pub(crate) schema: Value,
}

impl Field {
    pub(crate) fn name(&self) -> String {
        self.keys.join("/")
    }

    /// Puts another value there; what holds it is made where it is not there.
    pub(crate) fn put(&self, body: &mut Value, value: Value) {
        *self.keys.iter().fold(body, |holder, key| inside(holder, key)) = value;
    }

    /// Takes the value away. False if the place that holds it is not there.
    pub(crate) fn take(&self, body: &mut Value) -> bool {
        let (last, holders) = self.keys.split_last().expect("a field has a name");
        let holder = holders.iter().try_fold(body, |holder, key| match holder {
            Value::Array(items) => items.first_mut(),
            holder => holder.get_mut(key),
        });
        let fields = holder.and_then(Value::as_object_mut);
        fields.map(|fields| fields.remove(last)).is_some()
    }
}

/// The value of a key in an object, or the first item of a list.
fn inside<'a>(holder: &'a mut Value, key: &str) -> &'a mut Value {
    if key != FIRST {
        return &mut holder[key];
    }
    if !holder.is_array() {
        *holder = Value::Array(Vec::new());
    }
    let items = holder.as_array_mut().expect("it was made one");
    if items.is_empty() {
        items.push(Value::Null);
    }
    &mut items[0]
}

/// All fields of an endpoint's requests that have a name.
pub(crate) fn fields(endpoint: &Endpoint) -> Vec<Field> {
    let Some(operation) = operation(endpoint) else { return Vec::new() };
    let mut fields = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let place = match parameter["in"].as_str() {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            _ => Place::Header,
        };
        let keys = vec![parameter["name"].as_str().expect("a name").to_owned()];
        let required = parameter["required"] == true;
        fields.push(Field { place, keys, required, schema: whole(&parameter["schema"]) });
    }
    inner(&whole(&operation["body"]), &[], &mut fields);
    fields
}

/// The key of an item of a list.
const FIRST: &str = "0";

/// How deep in a body fields are looked for.
const DEPTH: usize = 4;

fn inner(schema: &Value, keys: &[String], fields: &mut Vec<Field>) {
    if keys.len() >= DEPTH {
        return;
    }
    let beneath = |key: &str| [keys, &[key.to_owned()]].concat();
    let is_required = |key: &String| {
        let required = schema["required"].as_array();
        required.is_some_and(|required| required.iter().any(|name| name == key))
    };
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let (keys, schema) = (beneath(key), whole(schema));
        inner(&schema, &keys, fields);
        fields.push(Field { place: Place::Body, keys, required: is_required(key), schema });
    }
    if schema["items"].is_object() {
        let (keys, schema) = (beneath(FIRST), whole(&schema["items"]));
        inner(&schema, &keys, fields);
        fields.push(Field { place: Place::Body, keys, required: false, schema });
    }
}

/// A schema with what it refers to and consists of laid into it.
fn whole(schema: &Value) -> Value {
    let mut whole = match schema["$ref"].as_str() {
        Some(reference) => {
            let name = reference.rsplit('/').next().unwrap_or_default();
            self::whole(definition(name))
        }
        None => serde_json::json!({}),
    };
    let parts = schema["allOf"].as_array().into_iter().flatten().map(self::whole);
    for part in parts.chain([schema.clone()]) {
        for (key, value) in part.as_object().into_iter().flatten() {
            match (whole.get_mut(key), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.clone()),
                _ => drop(
                    whole.as_object_mut().map(|whole| whole.insert(key.clone(), value.clone())),
                ),
            }
        }
    }
    whole
}
