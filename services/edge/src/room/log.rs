//! The log of one room on this edge: the cursor that puts events in order, and the ring of what
//! came out last.

use async_nats::HeaderMap;
use domain::cursor::{Offer, StreamCursor};
use domain::event::EventKind;
use domain::{Seq, Timestamp, UserId};
use nats::rpc::EventEnvelope;
use nats::subjects::{HEADER_KIND, HEADER_MESSAGE_SEQ, HEADER_SEQ, HEADER_TIME, HEADER_USER};

use crate::frame::Text;
use crate::ring::{Ring, RingFrame};

/// Events that may wait for missing ones.
const WAITING_MAX: usize = 1_024;

/// An event as the edge knows it: its text is for the clients alone.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Its place.
    pub seq: Seq,
    /// Its kind; `None` for one that this edge is too old to know.
    pub kind: Option<EventKind>,
    /// The author, or who joined or left.
    pub user: UserId,
    /// The `seq` of the message that it is about.
    pub message_seq: Option<Seq>,
    /// When it was committed.
    pub time: Option<Timestamp>,
    /// The frame's text.
    pub text: Text,
}

impl Event {
    /// Reads an event that was published; `None` when it is none.
    pub(crate) fn from_message(headers: &HeaderMap, payload: &[u8]) -> Option<Self> {
        let header = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
        // Copied, since the payload is a slice of the connection's read buffer: a frame that is
        // held would hold all 64 KiB of it.
        let text = std::str::from_utf8(payload).ok()?.to_owned();
        Some(Self {
            seq: header(HEADER_SEQ)?.parse().ok()?,
            kind: header(HEADER_KIND).and_then(EventKind::parse),
            user: header(HEADER_USER)?.parse().ok()?,
            message_seq: header(HEADER_MESSAGE_SEQ).and_then(|seq| seq.parse().ok()),
            time: header(HEADER_TIME).and_then(|time| {
                serde_json::from_value(serde_json::Value::String(time.to_owned())).ok()
            }),
            text: text.into(),
        })
    }

    /// Whether someone left.
    pub(crate) fn is_left(&self) -> bool {
        self.kind == Some(EventKind::MemberLeft)
    }
}

impl From<EventEnvelope> for Event {
    fn from(envelope: EventEnvelope) -> Self {
        Self {
            seq: envelope.seq,
            kind: EventKind::parse(&envelope.kind),
            user: envelope.user,
            message_seq: envelope.message_seq,
            time: None,
            text: String::from(Box::<str>::from(envelope.frame)).into(),
        }
    }
}

/// The log.
#[derive(Debug)]
pub(crate) struct RoomLog {
    cursor: StreamCursor<Event>,
    ring: Ring,
}

impl RoomLog {
    /// A log that has come out up to `last`.
    pub(crate) fn new(last: Seq) -> Self {
        Self { cursor: StreamCursor::new(last, WAITING_MAX), ring: Ring::new(last) }
    }

    /// The cursor.
    pub(crate) fn cursor(&self) -> &StreamCursor<Event> {
        &self.cursor
    }

    /// Learns that the log reaches `head`.
    pub(crate) fn note_head(&mut self, head: Seq) {
        self.cursor.note_head(head);
    }

    /// Takes an event; those that are in order now are added to `out`.
    pub(crate) fn offer(&mut self, event: Event, out: &mut Vec<Event>) -> Offer {
        let ring = &mut self.ring;
        self.cursor.offer(event.seq, event, |_, event| {
            ring.push(event.seq, ring_frame(&event));
            out.push(event);
        })
    }

    /// Gives up on what is no longer kept.
    pub(crate) fn skip_to(&mut self, last: Seq, out: &mut Vec<Event>) {
        self.ring.clear(last);
        let ring = &mut self.ring;
        self.cursor.skip_to(last, |_, event| {
            ring.push(event.seq, ring_frame(&event));
            out.push(event);
        });
    }

    /// The events after `position`, if all of them are held, nothing up to `head` is missing (what
    /// is held could have been deleted by an event that has not come yet) and none tells of a
    /// message before `first`.
    pub(crate) fn after(
        &self,
        position: Seq,
        (first, head): (Seq, Seq),
    ) -> Option<impl Iterator<Item = (Seq, &Text)>> {
        if self.cursor.last() < head {
            return None;
        }
        self.ring.after(position, first)
    }

    /// Whether what is held after `position` tells that the user left.
    pub(crate) fn has_left(&self, user: UserId, position: Seq) -> bool {
        self.ring.has_left(user, position)
    }
}

fn ring_frame(event: &Event) -> RingFrame {
    RingFrame {
        text: event.text.clone(),
        message_seq: event.message_seq,
        is_delete: event.kind == Some(EventKind::MessageDeleted),
        left: event.is_left().then_some(event.user),
    }
}
