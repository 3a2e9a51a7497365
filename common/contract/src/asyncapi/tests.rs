//! The document against the types that it is made from.

use domain::event::EventKind;
use domain::limits;

use super::*;
use crate::frames::ClientFrameKind;

fn walk(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|field| walk(field, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Null => panic!("the document holds a null"),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut seen = 0;
    walk(&document, &mut |fields| {
        let Some(reference) = fields.get("$ref").and_then(Value::as_str) else { return };
        let pointer = reference.strip_prefix('#').expect("it is in the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        assert_eq!(fields.len(), 1, "nothing stands beside {reference}");
        seen += 1;
    });
    assert!(seen > 100, "{seen} references");
}

#[test]
fn every_frame_of_every_type_is_in_the_table_once() {
    let mut told: Vec<_> = FRAMES.iter().map(|it| (it.source, it.kind.to_owned())).collect();
    let sources = [Source::Client, Source::Server, Source::Event, Source::Live];
    let mut known: Vec<_> = sources
        .into_iter()
        .flat_map(|source| variants(source).into_keys().map(move |kind| (source, kind)))
        .collect();
    told.sort();
    known.sort();
    assert_eq!(told, known);
}

#[test]
fn an_optional_field_that_is_written_is_never_null() {
    let document = document();
    let check = |place: &str, schema: &Value| {
        walk(schema, &mut |schema| {
            let required = schema.get("required").and_then(Value::as_array);
            let is_required =
                |name: &String| required.is_some_and(|all| all.contains(&json!(name)));
            let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            for (name, field) in fields.filter(|(name, _)| !is_required(name)) {
                let text = field.to_string();
                assert!(!text.contains("\"null\""), "{place}: {name}: has no sample: {text}");
            }
        });
    };
    for (key, message) in document["components"]["messages"].as_object().expect("messages") {
        if key.starts_with("server.") {
            check(key, &message["payload"]);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        if name != "SubscribeItem" {
            check(name, schema);
        }
    }
}

#[test]
fn the_words_of_types_and_of_the_document_are_the_same() {
    let kinds: Vec<_> = variants(Source::Client).into_keys().collect();
    let mut words = ClientFrameKind::ALL.map(ClientFrameKind::as_str);
    words.sort_unstable();
    assert_eq!(kinds, words);
    let durable = [
        EventKind::MemberJoined,
        EventKind::MemberLeft,
        EventKind::Message,
        EventKind::MessageDeleted,
        EventKind::MessageUpdated,
        EventKind::RoomUpdated,
    ];
    let events: Vec<_> = variants(Source::Event).into_keys().collect();
    assert_eq!(events, durable.map(EventKind::as_str));
}

#[test]
fn bounds_are_those_of_the_domain() {
    let document = document();
    let bound = |frame: &str, field: &str, word: &str| {
        let place =
            format!("/components/messages/client.{frame}/payload/properties/{field}/{word}");
        document.pointer(&place).and_then(Value::as_u64)
    };
    let limit = |limit: usize| u64::try_from(limit).ok();
    assert_eq!(bound("message", "body", "maxLength"), limit(limits::MESSAGE_CHARS_MAX));
    assert_eq!(bound("message", "file_url", "maxLength"), limit(limits::FILE_URL_CHARS_MAX));
    assert_eq!(bound("message", "nonce", "maxLength"), limit(limits::NONCE_CHARS_MAX));
    assert_eq!(bound("subscribe", "rooms", "maxItems"), limit(limits::SUBSCRIBE_ROOMS_MAX));
}
