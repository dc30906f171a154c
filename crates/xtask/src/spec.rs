//! `cargo xtask spec`: takes over what the tests need of the specification, in compact form.
//!
//! The specification's OpenAPI files are written for people: mostly descriptions and examples. Tests get one file of JSON
//! with an endpoint a line: its parameters, the schema of its body, and the schemas of its responses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::progress;

/// What may follow `spec`.
#[derive(Args)]
pub(crate) struct Spec {
    /// The folder with endpoints.tsv and the sources of the specification
    #[arg(long, default_value = "../shared/spec")]
    from: PathBuf,
    /// Where tests look for what is taken over
    #[arg(long, default_value = "tests/spec/data")]
    to: PathBuf,
}

/// Lists of endpoints, which are copied as they are.
const LISTS: [&str; 2] = ["endpoints.tsv", "endpoints-in-use.tsv"];
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];
/// What a schema says to people only.
const FOR_PEOPLE: [&str; 7] =
    ["description", "title", "example", "examples", "default", "deprecated", "externalDocs"];

impl Spec {
    /// Writes the lists and the schemas.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        fs::create_dir_all(&self.to)?;
        for list in LISTS {
            fs::write(self.to.join(list), fs::read(self.from.join(list)).context(list)?)?;
        }
        let mut sources = Sources::new(self.from.join("matrix-v1.19/data"));
        let endpoints = endpoints(&mut sources)?;
        let schemas = sources.definitions()?;
        fs::write(self.to.join("schemas.json"), one_a_line(&endpoints, &schemas))?;
        progress::say(&format!("{} endpoints, {} definitions", endpoints.len(), schemas.len()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Two objects with an entry a line, so that a difference can be read.
fn one_a_line(endpoints: &Map<String, Value>, definitions: &Map<String, Value>) -> String {
    let mut text = String::from("{\"endpoints\":{\n");
    let lines = |entries: &Map<String, Value>| {
        let lines = entries.iter().map(|(key, value)| format!("{}:{value}", json!(key)));
        lines.collect::<Vec<_>>().join(",\n")
    };
    let _ = write!(text, "{}\n}},\"$defs\":{{\n{}\n}}}}\n", lines(endpoints), lines(definitions));
    text
}

/// Every endpoint of the client-server API, as `METHOD path`.
fn endpoints(sources: &mut Sources) -> anyhow::Result<Map<String, Value>> {
    let folder = sources.root.join("api/client-server");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut endpoints = Map::new();
    for file in files {
        let document = sources.read(&file)?;
        let base = &document["servers"][0]["variables"]["basePath"]["default"];
        let base = base.as_str().unwrap_or_default();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let Some(operation) = methods.get(method) else { continue };
                // Variants have white space behind their path, to be told apart; they come later.
                let name = format!("{} {base}{}", method.to_uppercase(), path.trim_end());
                if !endpoints.contains_key(&name) {
                    endpoints.insert(name, sources.operation(&file, operation)?);
                }
            }
        }
    }
    Ok(endpoints)
}

/// Reads YAML, in which `n` is a letter and no answer.
fn parse(text: &str) -> anyhow::Result<Value> {
    let options = serde_saphyr::options! { strict_booleans: true };
    Ok(serde_saphyr::from_str_with_options(text, options)?)
}

/// The files of the specification, and which of their schemas were referred to.
struct Sources {
    root: PathBuf,
    read: BTreeMap<PathBuf, Value>,
    /// Name → file and the place in it.
    wanted: BTreeMap<String, (PathBuf, String)>,
}

impl Sources {
    fn new(root: PathBuf) -> Self {
        Self { root, read: BTreeMap::new(), wanted: BTreeMap::new() }
    }

    fn read(&mut self, file: &Path) -> anyhow::Result<Value> {
        if let Some(read) = self.read.get(file) {
            return Ok(read.clone());
        }
        let name = || file.display().to_string();
        let text = fs::read_to_string(file).with_context(name)?;
        let read = parse(&text).with_context(name)?;
        self.read.insert(file.to_owned(), read.clone());
        Ok(read)
    }

    /// Where a reference in `file` leads.
    fn target(file: &Path, reference: &str) -> anyhow::Result<(PathBuf, String)> {
        let (path, fragment) = reference.trim().split_once('#').unwrap_or((reference.trim(), ""));
        if path.is_empty() {
            return Ok((file.to_owned(), fragment.to_owned()));
        }
        let mut target = file.parent().context("files are in folders")?.to_owned();
        for part in path.split('/') {
            match part {
                ".." => drop(target.pop()),
                "." => {}
                part => target.push(part),
            }
        }
        Ok((target, fragment.to_owned()))
    }

    /// What is there, and in which file, once no reference stands in its place.
    fn follow(&mut self, file: &Path, value: &Value) -> anyhow::Result<(PathBuf, Value)> {
        let Some(reference) = value["$ref"].as_str() else {
            return Ok((file.to_owned(), value.clone()));
        };
        let (file, fragment) = Self::target(file, reference)?;
        let document = self.read(&file)?;
        let there = document.pointer(&fragment).with_context(|| reference.to_owned())?.clone();
        self.follow(&file, &there)
    }

    fn operation(&mut self, file: &Path, operation: &Value) -> anyhow::Result<Value> {
        let mut parameters = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (file, parameter) = self.follow(file, parameter)?;
            let schema = self.schema(&file, &parameter["schema"])?;
            parameters.push(json!({
                "in": parameter["in"],
                "name": parameter["name"],
                "required": parameter["required"].as_bool().unwrap_or(false),
                "schema": schema,
            }));
        }
        let (place, body) = self.follow(file, &operation["requestBody"])?;
        let body = self.content(&place, &body)?;
        let mut responses = Map::new();
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let (file, response) = self.follow(file, response)?;
            responses.insert(status.clone(), self.content(&file, &response)?);
        }
        Ok(json!({ "parameters": parameters, "body": body, "responses": responses }))
    }

    /// The schema of a body: `null` where there is none, or where it is no JSON.
    fn content(&mut self, file: &Path, holder: &Value) -> anyhow::Result<Value> {
        match holder["content"].get("application/json") {
            Some(content) => self.schema(file, &content["schema"]),
            None => Ok(Value::Null),
        }
    }

    /// A schema without what is for people; what it refers to is wanted.
    fn schema(&mut self, file: &Path, schema: &Value) -> anyhow::Result<Value> {
        let Value::Object(schema) = schema else { return Ok(schema.clone()) };
        let mut compact = Map::new();
        for (key, value) in schema {
            let value = match key.as_str() {
                key if FOR_PEOPLE.contains(&key) || key.starts_with("x-") => continue,
                "$ref" => self.want(file, value.as_str().context("a reference is a text")?)?,
                "properties" | "patternProperties" => self.each(file, value)?,
                "items" | "additionalProperties" | "not" => self.schema(file, value)?,
                "allOf" | "oneOf" | "anyOf" => {
                    let all = value.as_array().into_iter().flatten();
                    all.map(|part| self.schema(file, part)).collect::<anyhow::Result<_>>()?
                }
                _ => value.clone(),
            };
            compact.insert(key.clone(), value);
        }
        Ok(Value::Object(compact))
    }

    fn each(&mut self, file: &Path, properties: &Value) -> anyhow::Result<Value> {
        let properties = properties.as_object().context("properties have names")?;
        let compact = properties
            .iter()
            .map(|(name, schema)| anyhow::Ok((name.clone(), self.schema(file, schema)?)));
        Ok(Value::Object(compact.collect::<Result<_, _>>()?))
    }

    /// The name under which what is referred to will be defined.
    fn want(&mut self, file: &Path, reference: &str) -> anyhow::Result<Value> {
        let (file, fragment) = Self::target(file, reference)?;
        let path = file.strip_prefix(&self.root).context("references stay inside")?;
        let path = path.with_extension("");
        let words = path.iter().map(|word| word.to_string_lossy().into_owned());
        let words =
            words.chain(fragment.split('/').filter(|word| !word.is_empty()).map(String::from));
        let name = words.collect::<Vec<_>>().join(".");
        self.wanted.insert(name.clone(), (file, fragment));
        Ok(format!("#/$defs/{name}").into())
    }

    /// All schemas that are wanted, and those that they want.
    fn definitions(&mut self) -> anyhow::Result<Map<String, Value>> {
        let mut definitions = Map::new();
        loop {
            let known: BTreeSet<_> = definitions.keys().cloned().collect();
            let missing = self.wanted.iter().find(|(name, _)| !known.contains(*name));
            let Some((name, (file, fragment))) = missing else { return Ok(definitions) };
            let (name, file, fragment) = (name.clone(), file.clone(), fragment.clone());
            let document = self.read(&file)?;
            let Some(schema) = document.pointer(&fragment) else { bail!("{name} is not there") };
            let schema = self.schema(&file, schema)?;
            definitions.insert(name, schema);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes over a specification of one endpoint, which stands in these files.
    fn take(files: &[(&str, &str)]) -> (Map<String, Value>, Map<String, Value>) {
        let mut sources = Sources::new("/data".into());
        for (file, text) in files {
            let read = parse(text).unwrap();
            sources.read.insert(Path::new("/data").join(file), read);
        }
        let file = Path::new("/data").join(files[0].0);
        let operation = sources.read(&file).unwrap();
        let operation = sources.operation(&file, &operation).unwrap();
        let definitions = sources.definitions().unwrap();
        (operation.as_object().unwrap().clone(), definitions)
    }

    #[test]
    fn only_what_a_machine_needs_is_taken_over() {
        let (operation, definitions) = take(&[(
            "api/a.yaml",
            "
            responses:
              '200':
                description: words
                content:
                  application/json:
                    schema:
                      type: object
                      x-added: '1.2'
                      required: [description]
                      properties:
                        description: { type: string, description: words, example: more }
              '404': { description: nothing }
            ",
        )]);
        let schema = json!({
            "type": "object",
            "required": ["description"],
            "properties": { "description": { "type": "string" } },
        });
        let responses = json!({ "200": schema, "404": null });
        let expected = json!({ "parameters": [], "body": null, "responses": responses });
        assert_eq!(Value::Object(operation), expected);
        assert_eq!(definitions, Map::new());
    }

    #[test]
    fn references_are_followed_or_defined_once() {
        let (operation, definitions) = take(&[
            (
                "api/a.yaml",
                "
                parameters: [{ $ref: '#/shared' }]
                requestBody: { content: { application/json: { schema: { $ref: b/tree.yaml } } } }
                shared: { in: query, name: n, required: true, schema: { $ref: '../c.yaml#/n' } }
                ",
            ),
            ("api/b/tree.yaml", "{ type: object, properties: { leaf: { $ref: tree.yaml } } }"),
            ("c.yaml", "{ n: { type: integer } }"),
        ]);
        assert_eq!(
            operation["parameters"],
            json!([{ "in": "query", "name": "n", "required": true, "schema": { "$ref": "#/$defs/c.n" } }]),
        );
        assert_eq!(operation["body"], json!({ "$ref": "#/$defs/api.b.tree" }));
        let tree =
            json!({ "type": "object", "properties": { "leaf": { "$ref": "#/$defs/api.b.tree" } } });
        let expected = json!({ "api.b.tree": tree, "c.n": { "type": "integer" } });
        assert_eq!(Value::Object(definitions), expected);
    }
}
