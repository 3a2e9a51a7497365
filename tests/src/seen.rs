//! What a client has seen of each room, and whether the promise was kept.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// Frames with a `seq`.
const DURABLE: [&str; 6] = [
    "message",
    "message.updated",
    "message.deleted",
    "member.joined",
    "member.left",
    "room.updated",
];

/// A durable event as a socket got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the room's log.
    pub seq: i64,
    /// Its frame's type.
    pub kind: String,
    /// The message that it is about.
    pub message: Option<i64>,
    /// The message's nonce.
    pub nonce: Option<String>,
}

/// The events of every room that a client follows, checked as they come.
#[derive(Debug, Default)]
pub struct Seen {
    places: HashMap<i64, i64>,
    events: HashMap<i64, Vec<Event>>,
    awaited: HashMap<i64, Option<i64>>,
    ended: HashSet<i64>,
}

impl Seen {
    /// A subscription to a room was asked for, from an event on or from now on.
    pub fn awaits(&mut self, room: i64, after: Option<i64>) {
        if !self.places.contains_key(&room) {
            self.awaited.insert(room, after);
        }
    }

    /// Takes over what a new socket, which has seen nothing yet, waits for.
    pub(crate) fn adopt(&mut self, new: Self) {
        self.places.clear();
        self.awaited = new.awaited;
        self.ended.clear();
    }

    /// The last event seen of a room, or where its subscription began.
    pub fn place(&self, room: i64) -> Option<i64> {
        self.places.get(&room).copied()
    }

    /// The events of a room, in the order in which they came.
    pub fn events(&self, room: i64) -> &[Event] {
        self.events.get(&room).map_or(&[], Vec::as_slice)
    }

    /// Takes a frame in.
    ///
    /// # Panics
    /// When it is not the one that must come next in its room.
    pub fn note(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().unwrap_or_default();
        let room = frame["room"].as_i64();
        match (kind, room) {
            ("connection" | "subscribed", Some(room)) => self.begin(room, frame),
            ("resync", Some(room)) => {
                let last = frame["last_seq"].as_i64().expect("resync has last_seq");
                self.places.insert(room, last);
            }
            ("unsubscribed" | "room.deleted", Some(room)) => self.end(room),
            ("error", Some(room)) if frame["code"] == "removed" => self.end(room),
            ("error", Some(room)) => drop(self.awaited.remove(&room)),
            ("typing" | "presence" | "presence.snapshot", Some(room)) => {
                assert!(!self.ended.contains(&room), "after the end of room {room}: {frame}");
            }
            (kind, Some(room)) if DURABLE.contains(&kind) => self.durable(room, kind, frame),
            _ => {}
        }
    }

    fn begin(&mut self, room: i64, frame: &Value) {
        let last = frame["last_seq"].as_i64().expect("a subscription begins at a last_seq");
        self.ended.remove(&room);
        if let Some(after) = self.awaited.remove(&room) {
            self.places.insert(room, after.unwrap_or(last));
        } else {
            self.places.entry(room).or_insert(last);
        }
    }

    fn end(&mut self, room: i64) {
        self.places.remove(&room);
        self.ended.insert(room);
    }

    fn durable(&mut self, room: i64, kind: &str, frame: &Value) {
        let seq = frame["seq"].as_i64().unwrap_or_else(|| panic!("no seq: {frame}"));
        let Some(place) = self.places.get_mut(&room) else {
            panic!("an event of a room that is not followed: {frame}");
        };
        assert_eq!(seq, *place + 1, "room {room}: out of order, lost or doubled: {frame}");
        *place = seq;
        self.events.entry(room).or_default().push(Event {
            seq,
            kind: kind.to_owned(),
            message: frame["id"].as_i64(),
            nonce: frame["nonce"].as_str().map(str::to_owned),
        });
    }
}
