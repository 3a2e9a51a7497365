//! How the edge reads what clients send, and what it answers to what it refuses.
//!
//! A room's events are not among them: those come as ready text and are handed on as they are.
//! What a client sends is looked at as leniently as possible: each field is kept as raw JSON
//! until it is needed, so that one bad field hides neither the frame's `nonce` nor its `room`.

use contract::frames::{ClientFrameKind, ServerFrame};
use domain::limits::SUBSCRIBE_ROOMS_MAX;
use domain::{Epoch, FieldErrors, MessageId, Refusal, RoomId, Seq};
use nats::rpc::Refused;
use runtime::meter::{Counter, label};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A frame's text, shared by every socket that gets it.
pub(crate) type Text = Utf8Bytes;

/// A client's frame, its fields unread.
#[derive(Debug, Deserialize)]
pub(crate) struct RawFrame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    room: Option<&'a RawValue>,
    #[serde(borrow)]
    nonce: Option<&'a RawValue>,
    #[serde(borrow)]
    rooms: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    epoch: Option<&'a RawValue>,
    #[serde(borrow)]
    is_typing: Option<&'a RawValue>,
    #[serde(borrow)]
    msg_id: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

/// What of a client's frame is repeated in the answer to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    /// The client's own id for the send.
    pub nonce: Option<String>,
    /// The room that the frame names.
    pub room: Option<RoomId>,
}

/// An epoch as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// This one.
    One(Epoch),
    /// A text that is no epoch of ours: another than the present one, whichever that is.
    Unknown,
}

impl Named {
    /// Reads it.
    pub(crate) fn of(text: &str) -> Self {
        Epoch::parse(text).map_or(Self::Unknown, Self::One)
    }
}

/// Where a subscription wants to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StartFrom {
    /// The last event that the client has; `None` to begin with what comes next.
    pub after: Option<Seq>,
    /// The epoch that `after` belongs to; `None` when the client does not say.
    pub epoch: Option<Named>,
}

/// One subscription of a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchItem {
    /// The room, if it can be read.
    pub room: Option<RoomId>,
    /// Where to begin, or why not.
    pub from: Result<StartFrom, Refusal>,
}

impl<'a> RawFrame<'a> {
    /// Reads a frame; `Err` when it is no JSON object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        // serde also reads a struct from an array, which the contract does not.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Refusal::malformed("expected a JSON object"));
        }
        serde_json::from_str(text)
            .map_err(|_| Refusal::malformed("the frame is not valid JSON, or names a field twice"))
    }

    /// The frame's type.
    pub(crate) fn kind(&self) -> Result<ClientFrameKind, Refusal> {
        let kind = self.kind.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        match kind.as_deref() {
            Some(text) => ClientFrameKind::parse(text).ok_or(Refusal::UnknownType),
            None => Err(Refusal::malformed("the frame has no type")),
        }
    }

    /// What can be read of `nonce` and `room`.
    pub(crate) fn echo(&self) -> Echo {
        Echo {
            nonce: self.nonce.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            room: self.room.and_then(|raw| room(raw).ok()),
        }
    }

    /// The room that the frame names, if any.
    pub(crate) fn room(&self) -> Result<Option<RoomId>, Refusal> {
        self.room.filter(|raw| raw.get() != "null").map(room).transpose()
    }

    /// Whether there is a `nonce`, as a send needs; the api checks its length.
    pub(crate) fn require_nonce(&self) -> Result<(), Refusal> {
        match self.nonce.map(RawValue::get) {
            None | Some("null") => Err(Refusal::invalid("nonce", "is required")),
            Some(raw) if !raw.starts_with('"') => {
                Err(Refusal::invalid("nonce", "must be a string"))
            }
            Some(raw) => serde_json::from_str::<String>(raw)
                .map(drop)
                .map_err(|_| Refusal::malformed("the nonce holds a lone surrogate")),
        }
    }

    /// Where a subscription wants to begin.
    pub(crate) fn from(&self) -> Result<StartFrom, Refusal> {
        Ok(StartFrom { after: after(self.after)?, epoch: self.epoch()? })
    }

    /// The epoch that the client's numbers belong to.
    fn epoch(&self) -> Result<Option<Named>, Refusal> {
        match self.epoch.map(RawValue::get) {
            None | Some("null") => Ok(None),
            Some(raw) => serde_json::from_str::<String>(raw)
                .map(|text| Some(Named::of(&text)))
                .map_err(|_| Refusal::invalid("epoch", "must be a string")),
        }
    }

    /// The subscriptions of a frame that names several rooms; `None` for one that does not. Each
    /// stands for itself: a bad one is refused with what can be read of its room.
    pub(crate) fn batch(&self) -> Result<Option<Vec<BatchItem>>, Refusal> {
        let Some(raw) = self.rooms.filter(|raw| raw.get() != "null") else { return Ok(None) };
        let items: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|_| Refusal::invalid("rooms", "must be a list"))?;
        if items.is_empty() || items.len() > SUBSCRIBE_ROOMS_MAX {
            let fault = format!("must hold 1 to {SUBSCRIBE_ROOMS_MAX} rooms");
            return Err(Refusal::invalid("rooms", fault));
        }
        let epoch = self.epoch()?;
        Ok(Some(items.into_iter().map(|item| batch_item(item, epoch)).collect()))
    }

    /// Whether the user types.
    pub(crate) fn is_typing(&self) -> Result<bool, Refusal> {
        match self.is_typing.map(RawValue::get) {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            None => Err(Refusal::invalid("is_typing", "is required")),
            Some(_) => Err(Refusal::invalid("is_typing", "must be true or false")),
        }
    }

    /// The message that was read.
    pub(crate) fn message(&self) -> Result<MessageId, Refusal> {
        let Some(raw) = self.msg_id else {
            return Err(Refusal::invalid("msg_id", "is required"));
        };
        raw.get()
            .parse()
            .map_err(|error: domain::NotAnId| Refusal::invalid("msg_id", error.to_string()))
    }

    /// The new access token.
    pub(crate) fn token(&self) -> Result<String, Refusal> {
        let Some(raw) = self.token else {
            return Err(Refusal::invalid("token", "is required"));
        };
        serde_json::from_str(raw.get()).map_err(|_| Refusal::invalid("token", "must be a string"))
    }
}

fn batch_item(item: &RawValue, epoch: Option<Named>) -> BatchItem {
    let Ok(frame) = RawFrame::parse(item.get()) else {
        let refusal = Refusal::invalid("rooms", "must hold objects");
        return BatchItem { room: None, from: Err(refusal) };
    };
    let named = match frame.room() {
        Ok(Some(room)) => Ok(room),
        Ok(None) => Err(Refusal::invalid("room", "is required")),
        Err(refusal) => Err(refusal),
    };
    let from = after(frame.after).map(|after| StartFrom { after, epoch });
    match named {
        Ok(room) => BatchItem { room: Some(room), from },
        Err(refusal) => BatchItem { room: None, from: Err(refusal) },
    }
}

fn after(raw: Option<&RawValue>) -> Result<Option<Seq>, Refusal> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(raw) => match raw.parse::<i64>() {
            Ok(after) if after >= 0 => Ok(Some(Seq(after))),
            _ => Err(Refusal::invalid("after", "must be an integer from 0")),
        },
    }
}

fn room(raw: &RawValue) -> Result<RoomId, Refusal> {
    raw.get().parse().map_err(|error: domain::NotAnId| Refusal::invalid("room", error.to_string()))
}

/// The `error` frame of a refusal: the one place where a refusal becomes a frame.
pub(crate) fn refusal(refusal: &Refusal, echo: &Echo) -> Text {
    count(refusal.code());
    let errors = refusal.field_errors().map(FieldErrors::to_map);
    ServerFrame::Error {
        code: refusal.code(),
        detail: &refusal.to_string(),
        nonce: echo.nonce.as_deref(),
        room: echo.room,
        errors: errors.as_ref(),
        retry_after_ms: match refusal {
            Refusal::RateLimited { retry_after } => u64::try_from(retry_after.as_millis()).ok(),
            _ => None,
        },
    }
    .text()
    .into()
}

/// The `error` frame of a refusal by the api.
pub(crate) fn refused(refused: &Refused, echo: &Echo) -> Text {
    count(&refused.code);
    ServerFrame::Error {
        code: &refused.code,
        detail: &refused.detail,
        nonce: echo.nonce.as_deref(),
        room: echo.room,
        errors: refused.errors.as_ref(),
        retry_after_ms: refused.retry_after_ms,
    }
    .text()
    .into()
}

fn count(code: &str) {
    Counter::FramesRefused.add_with(1, vec![label("code", code.to_owned())]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<ClientFrameKind, Refusal> {
        RawFrame::parse(text).and_then(|frame| frame.kind())
    }

    #[test]
    fn what_is_no_object_or_has_no_type_is_malformed() {
        for text in ["", "1", "null", "[\"ping\"]", "{", "{}", r#"{"type":null}"#, r#"{"type":5}"#]
        {
            let refusal = kind(text).expect_err(text);
            assert_eq!(refusal.code(), "malformed_request", "{text}");
        }
        assert_eq!(kind(r#"{"type":"dance"}"#).expect_err("").code(), "unknown_type");
        assert_eq!(kind(r#" {"type":"ping","x":{"y":[]}}"#), Ok(ClientFrameKind::Ping));
    }

    #[test]
    fn deep_json_is_read_without_recursion() {
        let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(kind(&deep), Ok(ClientFrameKind::Ping));
    }

    #[test]
    fn a_bad_field_hides_neither_nonce_nor_room() {
        let text = r#"{"type":"read","room":7,"nonce":"n","msg_id":"x"}"#;
        let frame = RawFrame::parse(text).expect("an object");
        assert_eq!(frame.echo().nonce.as_deref(), Some("n"));
        assert_eq!(frame.echo().room, Some(RoomId(7)));
        assert_eq!(frame.message().expect_err("no number").code(), "validation_failed");
    }

    #[test]
    fn ids_are_plain_numbers_in_range() {
        for room in ["-1", "0", "9223372036854775808", "1.0", "1e2", "\"1\"", "true", "[]"] {
            let text = format!(r#"{{"type":"typing","room":{room}}}"#);
            let frame = RawFrame::parse(&text).expect("an object");
            assert_eq!(frame.room().expect_err(room).code(), "validation_failed");
        }
    }

    #[test]
    fn a_nonce_is_a_string_without_lone_surrogates() {
        let nonce = |raw: &str| {
            let text = format!(r#"{{"nonce":{raw}}}"#);
            let frame = RawFrame::parse(&text).expect("an object");
            frame.require_nonce().map_err(|refusal| refusal.code())
        };
        assert_eq!(nonce("\"a\""), Ok(()));
        assert_eq!(nonce("5"), Err("validation_failed"));
        assert_eq!(nonce("null"), Err("validation_failed"));
        assert_eq!(nonce(r#""\ud800""#), Err("malformed_request"));
    }
}
