//! The AsyncAPI 3 document of what clients and edges say to each other.
//!
//! It lies here, beside the frames, so that the api can serve it and the edge be tested
//! against it.

/// The document, as JSON text that ends with a newline.
pub const DOCUMENT: &str = include_str!("asyncapi.json");

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn follow<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
        document.pointer(reference.strip_prefix('#')?)
    }

    fn check(document: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    assert!(follow(document, reference).is_some(), "{reference} leads nowhere");
                }
                fields.values().for_each(|field| check(document, field));
            }
            Value::Array(items) => items.iter().for_each(|item| check(document, item)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_message_is_sent() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("it is JSON");
        check(&document, &document);
        let messages = document["components"]["messages"].as_object().expect("messages");
        let rooms = document["channels"]["rooms"]["messages"].as_object().expect("messages");
        assert_eq!(messages.len(), rooms.len());
    }

    #[test]
    fn every_durable_event_and_live_frame_is_described() {
        use domain::event::EventKind;
        let document: Value = serde_json::from_str(DOCUMENT).expect("it is JSON");
        let messages = document["components"]["messages"].as_object().expect("messages");
        let names: Vec<_> = messages.values().filter_map(|it| it["name"].as_str()).collect();
        let durable = [
            EventKind::Message,
            EventKind::MessageUpdated,
            EventKind::MessageDeleted,
            EventKind::MemberJoined,
            EventKind::MemberLeft,
            EventKind::RoomUpdated,
        ];
        for kind in durable.map(EventKind::as_str) {
            assert!(names.contains(&kind), "{kind}");
        }
        for kind in ["read", "room.added", "room.removed", "room.settings", "room.deleted"] {
            assert!(names.contains(&kind), "{kind}");
        }
    }
}
