//! The AsyncAPI 3.0 document of what clients and edges say to each other.
//!
//! The schemas are those of the types that are serialized, [`table`] gives each frame its name,
//! direction and sockets. Rules of a frame that no type holds are in [`payload`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::close::Close;
use crate::frames::{ClientFrame, EventFrame, LiveFrame, ServerFrame};

mod samples;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use schema::{Components, settle, to_value};
use table::{FRAMES, Frame, Sockets, Source};

const PROMISE: &str = "On every subscription a room's events with a `seq` arrive in order, each exactly once, none missing, as long as the socket lives; a client that comes back with `after` = the last `seq` it saw misses nothing, on whichever edge it lands. Frames without `seq` are best effort.";
const RECEIVES: &str = "Frames from clients: one JSON object each, at most 256 KiB and 20 a second; pings and pongs of the protocol count too.";
const TOKEN: &str = "An access token, unless it comes as `Authorization: Bearer` or as the subprotocol pair `chatboard.v1, <token>`.";
const AFTER: &str = "Replay every durable event with a greater `seq` first; 0 is everything kept.";
const EPOCH: &str = "The epoch that `after` belongs to, as `connection`, `subscribed` or `resync` named it. Another than the present one is answered with `resync`.";

/// One socket of the document.
struct Channel {
    name: &'static str,
    address: &'static str,
    description: &'static str,
    sockets: Sockets,
}

const CHANNELS: [Channel; 2] = [
    Channel {
        name: "room",
        address: "/ws/rooms/{room}/",
        description: "One room. Other frames than the room's own are those for all of the user's sockets.",
        sockets: Sockets::Both,
    },
    Channel {
        name: "rooms",
        address: "/ws/",
        description: "Up to 1,000 rooms on one socket.",
        sockets: Sockets::Rooms,
    },
];

/// The document, as JSON text that ends with a newline.
pub fn text() -> String {
    let mut document = document();
    // The same text whichever map serde_json was built with.
    document.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn document() -> Value {
    let components = components();
    let mut channels = Map::new();
    let mut operations = Map::new();
    for channel in &CHANNELS {
        channels.insert(channel.name.to_owned(), described(channel));
        operations.extend(operated(channel));
    }
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:chatboard:ws",
        "info": {
            "title": "ChatBoard live",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": env!("CARGO_PKG_LICENSE")},
            "description": format!("{PROMISE}\n\n{}", closes()),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages(&components),
            "schemas": components.shown(&samples::views()),
        },
    })
}

/// The close codes, one line each.
fn closes() -> String {
    let lines = Close::ALL.iter().map(|close| {
        let (code, reason, sentence) = (close.code(), close.reason(), close.sentence());
        format!("- `{code}` `{reason}`: {sentence} The client should {}.", close.advice().as_str())
    });
    let lines: Vec<String> = lines.collect();
    format!("Close codes:\n\n{}", lines.join("\n"))
}

fn components() -> Components {
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    ClientFrame::schemas(&mut schemas);
    ServerFrame::schemas(&mut schemas);
    EventFrame::schemas(&mut schemas);
    LiveFrame::schemas(&mut schemas);
    Components::new(schemas)
}

/// The frames of a type, by their `type`.
fn variants(source: Source) -> BTreeMap<String, Value> {
    let schema = match source {
        Source::Client => to_value(&ClientFrame::schema()),
        Source::Server => to_value(&ServerFrame::schema()),
        Source::Event => to_value(&EventFrame::schema()),
        Source::Live => to_value(&LiveFrame::schema()),
    };
    let variants = schema["oneOf"].as_array().cloned().unwrap_or_default();
    variants.into_iter().filter_map(|variant| Some((kind(&variant)?, variant))).collect()
}

/// The `type` of a frame, wherever its schema says it.
fn kind(variant: &Value) -> Option<String> {
    let own = variant.pointer("/properties/type/enum/0").and_then(Value::as_str);
    let mut parts = variant["allOf"].as_array().into_iter().flatten();
    own.map(str::to_owned).or_else(|| parts.find_map(kind))
}

fn messages(components: &Components) -> Map<String, Value> {
    let sources = [Source::Client, Source::Server, Source::Event, Source::Live];
    let variants = BTreeMap::from(sources.map(|source| (source, variants(source))));
    let bare = samples::frames();
    let messages = FRAMES.iter().map(|frame| {
        let variant = variants.get(&frame.source).and_then(|them| them.get(frame.kind));
        let mut schema = variant.cloned().unwrap_or_default();
        settle(&mut schema, bare.get(&(frame.source, frame.kind)));
        let message = json!({
            "name": frame.kind,
            "summary": frame.summary,
            "payload": payload(frame, components.translate(&schema)),
        });
        (frame.key.to_owned(), message)
    });
    messages.collect()
}

/// What no type says of a frame.
fn payload(frame: &Frame, mut schema: Value) -> Value {
    if frame.key == "client.subscribe" {
        schema["oneOf"] = json!([{"required": ["room"]}, {"required": ["rooms"]}]);
    }
    schema
}

fn travel(channel: &Channel) -> impl Iterator<Item = &'static Frame> {
    let sockets = channel.sockets;
    FRAMES.iter().filter(move |it| it.sockets == Sockets::Both || sockets == Sockets::Rooms)
}

fn described(channel: &Channel) -> Value {
    let messages = travel(channel).map(|frame| {
        let reference = format!("#/components/messages/{}", frame.key);
        (frame.key.to_owned(), json!({"$ref": reference}))
    });
    let messages: Map<String, Value> = messages.collect();
    let mut query = json!({"token": {"type": "string", "description": TOKEN}});
    let mut described = json!({
        "address": channel.address,
        "description": channel.description,
        "messages": messages,
    });
    if channel.sockets == Sockets::Both {
        described["parameters"] = json!({"room": {"description": "The room's id."}});
        query["after"] = json!({
            "type": "integer", "format": "int64", "minimum": 0, "description": AFTER,
        });
        query["epoch"] = json!({"type": "string", "description": EPOCH});
    }
    described["bindings"] = json!({"ws": {
        "method": "GET",
        "query": {"type": "object", "properties": query},
        "bindingVersion": "0.1.0",
    }});
    described
}

/// What an edge receives and sends on a socket.
fn operated(channel: &Channel) -> [(String, Value); 2] {
    let name = channel.name;
    let operation = |action: &str, summary: &str, is_client: bool| {
        let frames = travel(channel).filter(|it| (it.source == Source::Client) == is_client);
        let messages = frames
            .map(|frame| json!({"$ref": format!("#/channels/{name}/messages/{}", frame.key)}));
        json!({
            "action": action,
            "summary": summary,
            "channel": {"$ref": format!("#/channels/{name}")},
            "messages": messages.collect::<Vec<_>>(),
        })
    };
    [
        (format!("{name}Receive"), operation("receive", RECEIVES, true)),
        (format!("{name}Send"), operation("send", "Frames to clients.", false)),
    ]
}
