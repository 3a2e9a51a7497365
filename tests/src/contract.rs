//! Holds every answer that a test gets from the api against the OpenAPI document, and every frame
//! that a socket receives against the AsyncAPI document: an address, a status, a type, a field or
//! a value that the document does not have fails the test.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::reply::Reply;

static FRAMES: LazyLock<Frames> = LazyLock::new(Frames::of_the_edge);
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

/// Fails the test unless a frame that came on a socket is one that the document describes there.
pub(crate) fn check_frame(channel: &str, frame: &Value) {
    if let Err(fault) = FRAMES.check(channel, frame) {
        panic!("the AsyncAPI document disagrees with a frame on {channel:?}: {fault}\n{frame}");
    }
}

/// The AsyncAPI document.
struct Frames {
    /// What an edge sends, by the channel's name and the frame's `type`.
    sent: HashMap<String, HashMap<String, Validator>>,
}

impl Frames {
    fn of_the_edge() -> Self {
        let document: Value = serde_json::from_str(&::contract::asyncapi::text()).expect("JSON");
        let components = closed_components(&document);
        let operations = document["operations"].as_object().expect("operations").values();
        let sent = operations.filter(|it| it["action"] == "send").map(|operation| {
            let (name, channel) = follow(&document, &operation["channel"]);
            let messages = operation["messages"].as_array().expect("messages").iter();
            let validators = messages.map(|message| {
                let (key, _) = follow(&document, message);
                let (_, message) = follow(&document, &channel["messages"][key]);
                let mut payload = message["payload"].clone();
                close(&mut payload);
                let kind = message["name"].as_str().expect("a name").to_owned();
                (kind, compile(&payload, &components))
            });
            (name.to_owned(), validators.collect())
        });
        Self { sent: sent.collect() }
    }

    fn check(&self, channel: &str, frame: &Value) -> Result<(), String> {
        let sent = self.sent.get(channel).ok_or("no such channel")?;
        let kind = frame["type"].as_str().ok_or("it has no type")?;
        validate(sent.get(kind).ok_or("no such frame is sent here")?, frame)
    }
}

/// The last part of a reference, and what it leads to.
fn follow<'a>(document: &'a Value, reference: &'a Value) -> (&'a str, &'a Value) {
    let reference = reference["$ref"].as_str().expect("a reference");
    let pointer = reference.strip_prefix('#').expect("a reference into the document");
    let name = pointer.rsplit('/').next().unwrap_or(pointer);
    (name, document.pointer(pointer).expect("it leads somewhere"))
}

struct Document {
    paths: Vec<(Vec<String>, Value)>,
    /// The shared schemas, closed.
    components: Value,
    /// Compiled validators by the text of their schema.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    fn of_the_api() -> Self {
        let document: Value = serde_json::from_str(&api::openapi()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths").iter();
        let components = closed_components(&document);
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
        validate(&self.validator(schema), value)
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock();
        let made = validators
            .entry(schema.to_string())
            .or_insert_with(|| Arc::new(compile(schema, &self.components)));
        Arc::clone(made)
    }
}

/// A document's shared parts, its schemas closed with `unevaluatedProperties: false`.
fn closed_components(document: &Value) -> Value {
    let mut components = document["components"].clone();
    for schema in components["schemas"].as_object_mut().expect("schemas").values_mut() {
        close_parts(schema);
    }
    components
}

fn compile(schema: &Value, components: &Value) -> Validator {
    let whole = json!({"allOf": [schema], "components": components});
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(&whole).expect("a schema")
}

fn validate(validator: &Validator, value: &Value) -> Result<(), String> {
    let faults: Vec<_> = validator
        .iter_errors(value)
        .take(5)
        .map(|fault| format!("{} at {:?}", fault, fault.instance_path().to_string()))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as the edge sends it.
    fn read() -> Value {
        json!({"type": "read", "room": 1, "user_id": 2, "last_read_msg_id": 3})
    }

    #[test]
    fn a_frame_is_described_to_the_last_field() {
        let check = |frame: &Value| FRAMES.check("room", frame);
        assert_eq!(check(&read()), Ok(()));
        let mut more = read();
        more["unread_count"] = json!(0);
        assert_eq!(check(&more), Ok(()));
        for (field, value) in [
            ("unread_count", Value::Null),
            ("user_id", json!(0)),
            ("room", json!("1")),
            ("mood", json!("good")),
            ("type", json!("reads")),
        ] {
            let mut frame = read();
            frame[field] = value;
            assert!(check(&frame).is_err(), "{frame}");
        }
        for field in ["type", "room", "user_id", "last_read_msg_id"] {
            let mut frame = read();
            frame.as_object_mut().expect("an object").remove(field);
            assert!(check(&frame).is_err(), "{frame}");
        }
    }

    #[test]
    fn what_frames_hold_is_described_too() {
        let person = json!({"id": 1, "email": "a@b.c", "first_name": "A", "last_name": "B"});
        let mut room = json!({
            "id": 1, "org": 1, "name": "", "topic": "", "is_dm": true, "dm_users": [person],
            "access_level": "PRIVATE", "auto_join": false, "created_by": 1,
            "created_at": "2026-01-31T10:00:00.123456Z", "members_count": 1, "first_seq": 1,
            "last_seq": 0, "last_message_at": null,
        });
        let added = |room: &Value| json!({"type": "room.added", "room_id": 1, "room": room});
        assert_eq!(FRAMES.check("rooms", &added(&room)), Ok(()));
        room["dm_users"][0]["mood"] = json!("good");
        assert!(FRAMES.check("rooms", &added(&room)).is_err());
    }

    #[test]
    fn a_frame_belongs_to_its_sockets() {
        let frame = json!({"type": "unsubscribed", "room": 1});
        assert_eq!(FRAMES.check("rooms", &frame), Ok(()));
        assert!(FRAMES.check("room", &frame).is_err());
    }
}
