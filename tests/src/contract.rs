//! Holds every answer that a test gets from the api against the OpenAPI document: an address, a
//! status, a type, a field or a value that the document does not have fails the test.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::reply::Reply;

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::of_the_api);

/// Methods that the document describes; `HEAD` and `OPTIONS` go without saying.
const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "DELETE"];
/// What it does not describe: documents of the api, and WebSockets.
const OTHER: [&str; 3] = ["/api/schema", "/api/docs", "/ws"];
/// Statuses of an unknown address or method, and of a caller over the rate limit.
const UNKNOWN: [u16; 3] = [404, 405, 429];

/// Fails the test unless an answer of the api is one that the document describes.
pub(crate) fn check(method: &str, url: &str, reply: &Reply) {
    if reply.is_of_the_api()
        && METHODS.contains(&method)
        && let Err(fault) = DOCUMENT.check(method, url, reply)
    {
        panic!(
            "{} {}: the OpenAPI document disagrees: {fault}\n{}",
            reply.request, reply.status, reply.text
        );
    }
}

struct Document {
    paths: Vec<(Vec<String>, Value)>,
    /// The shared schemas, closed with `unevaluatedProperties: false`.
    components: Value,
    /// Compiled validators by the text of their schema.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    fn of_the_api() -> Self {
        let document: Value = serde_json::from_str(&api::openapi()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths").iter();
        let mut components = document["components"].clone();
        for schema in components["schemas"].as_object_mut().expect("schemas").values_mut() {
            close_parts(schema);
        }
        Self {
            paths: paths.map(|(path, item)| (segments(path), item.clone())).collect(),
            components,
            validators: Mutex::default(),
        }
    }

    fn check(&self, method: &str, url: &str, reply: &Reply) -> Result<(), String> {
        let path = path_of(url);
        // Any conditional request may be answered with 304.
        if reply.status == 304 || OTHER.iter().any(|other| path.starts_with(other)) {
            return Ok(());
        }
        let operation = self.item(path).and_then(|item| item.get(method.to_lowercase()));
        let Some(operation) = operation else {
            let is_unknown = UNKNOWN.contains(&reply.status);
            return if is_unknown { Ok(()) } else { Err("no such operation".to_owned()) };
        };
        let response = operation["responses"].get(reply.status.to_string());
        self.check_answer(response.ok_or_else(|| "no such status".to_owned())?, reply)
    }

    fn check_answer(&self, response: &Value, reply: &Reply) -> Result<(), String> {
        let Some(content) = response["content"].as_object() else {
            return if reply.text.is_empty() { Ok(()) } else { Err("no body".to_owned()) };
        };
        let kind = reply.header("content-type").split(';').next().unwrap_or_default();
        let media = content.get(kind).ok_or_else(|| format!("no answer of type {kind:?}"))?;
        let is_compressed = !reply.header("content-encoding").is_empty();
        if !kind.ends_with("json") || is_compressed || media["schema"].is_null() {
            return Ok(());
        }
        let mut schema = media["schema"].clone();
        close(&mut schema);
        self.validate(&schema, &reply.json())
    }

    fn item(&self, path: &str) -> Option<&Value> {
        let wanted = segments(path);
        let fits = |template: &[String]| {
            template.len() == wanted.len()
                && template.iter().zip(&wanted).all(|(a, b)| a.starts_with('{') || a == b)
        };
        let places = |template: &[String]| template.iter().filter(|a| a.starts_with('{')).count();
        let found = self.paths.iter().filter(|(template, _)| fits(template));
        found.min_by_key(|(template, _)| places(template)).map(|(_, item)| item)
    }

    fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let validator = self.validator(schema);
        let faults: Vec<_> = validator
            .iter_errors(value)
            .take(5)
            .map(|fault| format!("{} at {:?}", fault, fault.instance_path().to_string()))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock();
        let made = validators.entry(schema.to_string()).or_insert_with(|| {
            let whole = json!({"allOf": [schema], "components": self.components});
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&whole).expect("a schema"))
        });
        Arc::clone(made)
    }
}

/// The path of an address, without what follows it.
fn path_of(url: &str) -> &str {
    let rest = url.split("://").last().unwrap_or(url);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or(path)
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Lets a schema admit no properties that it does not name, in its parts too.
fn close(schema: &mut Value) {
    close_parts(schema);
    let Some(schema) = schema.as_object_mut() else { return };
    if ["$ref", "properties", "allOf"].iter().any(|word| schema.contains_key(*word)) {
        schema.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
}

/// Closes the parts of a schema but not itself: it may be one of several that an object has to meet.
fn close_parts(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    for (word, part) in schema {
        match word.as_str() {
            "properties" => {
                part.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(close);
            }
            "items" | "additionalProperties" => close(part),
            "oneOf" | "anyOf" => part.as_array_mut().into_iter().flatten().for_each(close),
            "allOf" => part.as_array_mut().into_iter().flatten().for_each(close_parts),
            _ => {}
        }
    }
}
