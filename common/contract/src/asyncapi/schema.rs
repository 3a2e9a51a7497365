//! From utoipa's schemas (OpenAPI 3.1) to those of the AsyncAPI document.

use std::collections::BTreeMap;

use domain::AccessLevel;
use domain::notification::NotificationType;
use domain::room::Notify;
use serde::Serialize;
use serde_json::{Map, Value, json};

const COMPONENTS: &str = "#/components/schemas/";

/// The shared schemas of the document's types, by name.
pub(super) struct Components(BTreeMap<String, Value>);

impl Components {
    /// Takes utoipa's.
    pub(super) fn new(schemas: impl IntoIterator<Item = (String, impl Serialize)>) -> Self {
        Self(schemas.into_iter().map(|(name, schema)| (name, to_value(&schema))).collect())
    }

    /// The schemas that are objects, as the document shows them. What is written in place of the
    /// others, ids and times, is their content.
    pub(super) fn shown(
        &self,
        bare: &BTreeMap<&'static str, Map<String, Value>>,
    ) -> Map<String, Value> {
        let objects = self.0.iter().filter(|(_, schema)| !is_scalar(schema));
        let shown = objects.map(|(name, schema)| {
            let mut schema = schema.clone();
            settle(&mut schema, bare.get(name.as_str()));
            (name.clone(), self.translate(&schema))
        });
        let mut shown: Map<String, Value> = shown.collect();
        for (name, field, words) in closed_sets() {
            if let Some(field) = shown.get_mut(name).and_then(|it| it["properties"].get_mut(field))
            {
                field["enum"] = json!(words);
            }
        }
        shown
    }

    /// A schema in the words of AsyncAPI, whose base is JSON Schema draft 07: no `example`, and
    /// nothing beside a `$ref`.
    pub(super) fn translate(&self, schema: &Value) -> Value {
        let Some(fields) = schema.as_object() else { return schema.clone() };
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            return self.translate_reference(reference, fields.get("description"));
        }
        if let Some(nullable) = self.translate_nullable(fields) {
            return nullable;
        }
        let mut out = Map::new();
        for (word, value) in fields {
            match word.as_str() {
                "properties" => {
                    let fields = value.as_object().into_iter().flatten();
                    let fields = fields.map(|(name, field)| (name.clone(), self.translate(field)));
                    out.insert(word.clone(), Value::Object(fields.collect()));
                }
                "items" | "additionalProperties" | "propertyNames" => {
                    out.insert(word.clone(), self.translate(value));
                }
                "allOf" | "oneOf" | "anyOf" => {
                    let parts = value.as_array().into_iter().flatten();
                    let parts = parts.map(|part| self.translate_part(part)).collect();
                    out.insert(word.clone(), Value::Array(parts));
                }
                "example" => {
                    out.insert("examples".to_owned(), json!([value]));
                }
                "enum" if value.as_array().is_some_and(|words| words.len() == 1) => {
                    out.insert("const".to_owned(), value[0].clone());
                }
                "description" => {
                    out.insert(word.clone(), unwrapped(value));
                }
                _ => {
                    out.insert(word.clone(), value.clone());
                }
            }
        }
        Value::Object(out)
    }

    /// One of several schemas: what describes it describes the whole already.
    fn translate_part(&self, part: &Value) -> Value {
        match part.get("$ref") {
            Some(reference) => self.translate(&json!({"$ref": reference})),
            None => self.translate(part),
        }
    }

    fn translate_reference(&self, reference: &str, description: Option<&Value>) -> Value {
        let name = reference.strip_prefix(COMPONENTS).unwrap_or(reference);
        let scalar = self.0.get(name).filter(|schema| is_scalar(schema));
        let mut out = match (scalar, description) {
            (Some(scalar), _) => self.translate(scalar),
            (None, None) => return json!({"$ref": reference}),
            (None, Some(_)) => json!({"allOf": [{"$ref": reference}]}),
        };
        if let Some(description) = description {
            out["description"] = unwrapped(description);
        }
        out
    }

    /// `oneOf` of a schema and null; the description belongs to the field. A scalar says null
    /// in its `type`.
    fn translate_nullable(&self, fields: &Map<String, Value>) -> Option<Value> {
        let parts = fields.get("oneOf")?.as_array()?;
        let [part, nothing] = parts.as_slice() else { return None };
        if *nothing != json!({"type": "null"}) {
            return None;
        }
        let mut part = self.translate(part);
        if let Some(kind) = part.get("type").and_then(Value::as_str) {
            part["type"] = json!([kind, "null"]);
            return Some(part);
        }
        let description = part.as_object_mut().and_then(|part| part.remove("description"));
        let inner = match part["allOf"].as_array().map(Vec::as_slice) {
            Some([inner]) => inner.clone(),
            _ => part,
        };
        let mut out = json!({"oneOf": [inner, nothing]});
        if let Some(description) = description {
            out["description"] = description;
        }
        Some(out)
    }
}

/// Makes each optional field of an object what its bare value shows: `required` where `null` is
/// written, and never null where nothing is.
pub(super) fn settle(schema: &mut Value, bare: Option<&Map<String, Value>>) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        settle(part, bare);
    }
    let (Some(bare), true) = (bare, schema["properties"].is_object()) else { return };
    let mut required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in schema["properties"].as_object_mut().into_iter().flatten() {
        if required.iter().any(|known| known == name) {
            continue;
        }
        if bare.contains_key(name) {
            required.push(json!(name));
        } else {
            never_null(field);
        }
    }
    if !required.is_empty() {
        schema["required"] = Value::Array(required);
    }
}

fn never_null(field: &mut Value) {
    if let Some(parts) = field.get_mut("oneOf").and_then(Value::as_array_mut) {
        parts.retain(|part| *part != json!({"type": "null"}));
        if let [part] = parts.as_slice() {
            *field = part.clone();
            return;
        }
    }
    if let Some(kinds) = field.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            field["type"] = kind.clone();
        }
    }
}

/// Fields of views that are one of a closed set of words.
fn closed_sets() -> [(&'static str, &'static str, Vec<&'static str>); 4] {
    let levels = AccessLevel::ALL.map(AccessLevel::as_str).to_vec();
    let types = NotificationType::ALL.map(NotificationType::as_str).to_vec();
    [
        ("Room", "access_level", levels.clone()),
        ("RoomChanges", "access_level", levels),
        ("RoomSettings", "notify", Notify::ALL.map(Notify::as_str).to_vec()),
        ("Notification", "notification_type", types),
    ]
}

fn is_scalar(schema: &Value) -> bool {
    schema["type"].as_str().is_some_and(|kind| kind != "object")
}

/// A doc comment on one line.
fn unwrapped(description: &Value) -> Value {
    match description.as_str() {
        Some(text) => Value::from(text.replace('\n', " ")),
        None => description.clone(),
    }
}

pub(super) fn to_value(schema: &impl Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}
