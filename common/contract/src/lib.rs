//! Everything that a client sees: the views of REST and the frames of the WebSocket.
//!
//! One definition serves both doors. A frame's text is made once, by the api that commits the
//! event (or replays it); an edge passes it on unchanged.
//!
//! **Invariant:** no I/O, no HTTP, no NATS. Domain types are not serializable: each view is
//! converted from its domain twin. A view that holds a secret or a signed address is not `Debug`.

use serde::Serialize;

pub mod accounts;
pub mod asyncapi;
pub mod close;
pub mod frames;
pub mod messages;
pub mod notifications;
pub mod organizations;
pub mod page;
pub mod problem;
pub mod rooms;
pub mod uploads;
pub mod webhooks;

/// The JSON text of a frame or view.
pub fn text(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).unwrap_or_else(|error| {
        tracing::error!(error = %error, "a frame could not be serialized: {error}");
        String::new()
    })
}
