//! A WebSocket client that checks the promise on every frame.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::contract::check_frame;
use crate::seen::{Event, Seen};
use crate::wait::{DEADLINE, within};

/// A connection that is about to be opened.
#[derive(Clone, Debug)]
pub struct Opening {
    url: String,
    headers: Vec<(String, String)>,
    kept_from: Option<i64>,
}

/// How a socket was closed by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1006 when the connection ended without one.
    pub code: u16,
    /// The short word.
    pub reason: String,
}

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The socket's name in the AsyncAPI document.
    channel: &'static str,
    backlog: VecDeque<Value>,
    seen: Seen,
    closed: Option<Closed>,
    nonces: u64,
    /// The headers of the answer to the upgrade.
    pub protocol: Option<String>,
    /// The `connection` frame, once there was one.
    pub hello: Value,
}

impl Opening {
    /// A connection to a whole address.
    pub fn new(url: String) -> Self {
        Self { url, headers: Vec::new(), kept_from: None }
    }

    /// Sends a header; the last of a name counts.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(held, _)| !held.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a token as `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends no `Authorization`.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "authorization");
        self
    }

    /// The room's past is kept from this event on: `after=0` begins there.
    #[must_use]
    pub fn kept_from(self, first_seq: i64) -> Self {
        Self { kept_from: Some(first_seq), ..self }
    }

    /// Connects.
    ///
    /// # Errors
    /// When the upgrade is refused, or nobody answers.
    pub async fn try_connect(&self) -> Result<Socket, Error> {
        let mut request = self.url.as_str().into_client_request()?;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        let mut seen = Seen::default();
        if let Some((room, after)) = self.room() {
            seen.awaits(room, self.kept_from.map(|first| first - 1).or(after));
        }
        let connecting = tokio_tungstenite::connect_async_with_config(request, None, true);
        let timed_out = || Error::Io(std::io::ErrorKind::TimedOut.into());
        let (stream, response) =
            tokio::time::timeout(DEADLINE, connecting).await.map_err(|_| timed_out())??;
        let protocol = response.headers().get("sec-websocket-protocol");
        Ok(Socket {
            stream,
            channel: if self.url.contains("/ws/rooms/") { "room" } else { "rooms" },
            backlog: VecDeque::new(),
            seen,
            closed: None,
            nonces: 0,
            protocol: protocol.map(|name| name.to_str().unwrap_or_default().to_owned()),
            hello: Value::Null,
        })
    }

    /// Connects.
    pub async fn connect(&self) -> Socket {
        self.try_connect().await.unwrap_or_else(|error| panic!("{}: {error}", self.url))
    }

    /// Connects, and waits for `connection`, which is always first.
    pub async fn served(&self) -> Socket {
        let mut socket = self.connect().await;
        socket.greeted().await;
        socket
    }

    /// Connects, and waits until the server has closed the socket.
    pub async fn is_closed(&self) -> Closed {
        self.connect().await.closes().await
    }

    /// The status with which the upgrade is refused.
    pub async fn is_refused(&self) -> u16 {
        match self.try_connect().await {
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{}: {error}", self.url),
            Ok(_) => panic!("{}: was let in", self.url),
        }
    }

    /// The room of a room socket's address, and its `after`.
    fn room(&self) -> Option<(i64, Option<i64>)> {
        let (_, rest) = self.url.split_once("/ws/rooms/")?;
        let (room, query) = rest.split_once('?').unwrap_or((rest, ""));
        let after = query.split('&').find_map(|part| part.strip_prefix("after="));
        Some((room.trim_end_matches('/').parse().ok()?, after.and_then(|text| text.parse().ok())))
    }
}

impl Socket {
    async fn greeted(&mut self) {
        let hello = self.next().await;
        assert_eq!(hello["type"], "connection", "connection is first: {hello}");
        self.hello = hello;
    }

    /// Waits for `connection`; whether it came.
    pub(crate) async fn is_greeted(&mut self) -> bool {
        match self.try_next().await {
            Some(hello) => {
                assert_eq!(hello["type"], "connection", "connection is first: {hello}");
                self.hello = hello;
                true
            }
            None => false,
        }
    }

    /// Reads the next frame from the wire; `None` once the socket is closed. No deadline.
    ///
    /// Cancel-safe.
    pub async fn try_next(&mut self) -> Option<Value> {
        while self.closed.is_none() {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(text.as_str())
                        .unwrap_or_else(|error| panic!("no JSON: {text}: {error}"));
                    check_frame(self.channel, &frame);
                    self.seen.note(&frame);
                    return Some(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    self.closed = Some(Closed {
                        code: close.as_ref().map_or(1005, |close| close.code.into()),
                        reason: close.map(|close| close.reason.to_string()).unwrap_or_default(),
                    });
                    // The answer to the close goes out with the next read.
                    let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.next()).await;
                }
                Some(Ok(Message::Binary(_))) => panic!("the server sent a binary frame"),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.closed = Some(Closed { code: 1006, reason: String::new() });
                }
            }
        }
        None
    }

    /// The next frame, in the order of arrival.
    pub async fn next(&mut self) -> Value {
        self.until("any frame", |_| true).await
    }

    /// Takes the first frame for which `is_it` holds; the others stay for later.
    pub async fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.backlog.iter().position(&is_it) {
            return self.backlog.remove(place).expect("it is there");
        }
        let waiting = async {
            while let Some(frame) = self.try_next().await {
                if is_it(&frame) {
                    return Some(frame);
                }
                self.backlog.push_back(frame);
            }
            None
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        let Ok(came) = waited else {
            panic!("{what}: not within {DEADLINE:?}; came: {:?}", self.backlog);
        };
        came.unwrap_or_else(|| {
            panic!("{what}: closed with {:?} before; came: {:?}", self.closed, self.backlog)
        })
    }

    /// Takes the next frame of a type.
    pub async fn next_of_type(&mut self, kind: &str) -> Value {
        self.until(kind, |frame| frame["type"] == kind).await
    }

    /// Waits for a message with this text.
    pub async fn sees(&mut self, body: &str) -> Value {
        let is_it = |frame: &Value| frame["type"] == "message" && frame["body"] == body;
        self.until(&format!("the message {body:?}"), is_it).await
    }

    /// Waits for an `error` of this code.
    pub async fn is_refused(&mut self, code: &str) -> Value {
        self.until(&format!("the error {code}"), |frame| {
            frame["type"] == "error" && frame["code"] == code
        })
        .await
    }

    /// Waits until someone is shown as this in a room.
    pub async fn sees_presence(&mut self, user: i64, status: &str) -> Value {
        self.until(&format!("{user} is {status}"), |frame| {
            frame["type"] == "presence" && frame["user_id"] == user && frame["status"] == status
        })
        .await
    }

    /// Sends a frame.
    pub async fn sends(&mut self, frame: Value) {
        if frame["type"] == "subscribe"
            && let Some(room) = frame["room"].as_i64()
        {
            self.seen.awaits(room, frame["after"].as_i64());
        }
        for item in frame["rooms"].as_array().into_iter().flatten() {
            if let Some(room) = item["room"].as_i64() {
                self.seen.awaits(room, item["after"].as_i64());
            }
        }
        self.sends_text(&frame.to_string()).await;
    }

    /// Sends text, JSON or not.
    pub async fn sends_text(&mut self, text: &str) {
        self.sends_raw(Message::text(text)).await;
    }

    /// Sends any WebSocket message. That the other side has closed shows when reading.
    pub async fn sends_raw(&mut self, message: Message) {
        let _ = within("the frame is sent", self.stream.send(message)).await;
    }

    /// Sends a message; returns its `ack`.
    pub async fn posts(&mut self, room: i64, body: &str) -> Value {
        self.nonces += 1;
        let nonce = format!("testkit-{}-{}", rand::random::<u64>(), self.nonces);
        self.sends(json!({"type": "message", "room": room, "body": body, "nonce": nonce})).await;
        self.until("an ack", |frame| frame["type"] == "ack" && frame["nonce"] == nonce).await
    }

    /// Subscribes; returns `subscribed`.
    pub async fn subscribes(&mut self, room: i64, after: Option<i64>) -> Value {
        let mut frame = json!({"type": "subscribe", "room": room});
        if let Some(after) = after {
            frame["after"] = json!(after);
        }
        self.sends(frame).await;
        self.until("subscribed", |frame| frame["type"] == "subscribed" && frame["room"] == room)
            .await
    }

    /// Waits until the server has read all that was sent so far, and everything that it had to
    /// say about it has come.
    pub async fn catches_up(&mut self) {
        self.sends(json!({"type": "ping"})).await;
        self.next_of_type("pong").await;
    }

    /// The frames that came and were not taken.
    pub fn backlog(&self) -> Vec<Value> {
        self.backlog.iter().cloned().collect()
    }

    /// Whether a frame of this type came and was not taken.
    pub fn has(&self, kind: &str) -> bool {
        self.backlog.iter().any(|frame| frame["type"] == kind)
    }

    /// Waits until the server has closed the socket.
    pub async fn closes(&mut self) -> Closed {
        let reading = async {
            while let Some(frame) = self.try_next().await {
                self.backlog.push_back(frame);
            }
        };
        within("the close", reading).await;
        self.closed.clone().expect("it is closed")
    }

    /// How the socket was closed, if it was.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The last event seen of a room.
    pub fn place(&self, room: i64) -> Option<i64> {
        self.seen.place(room)
    }

    /// The events seen of a room.
    pub fn events(&self, room: i64) -> &[Event] {
        self.seen.events(room)
    }

    /// Reads until the room's event of this `seq` has come.
    pub async fn reaches(&mut self, room: i64, seq: i64) {
        let reading = async {
            while self.seen.place(room).is_none_or(|place| place < seq) {
                match self.try_next().await {
                    Some(frame) => self.backlog.push_back(frame),
                    None => panic!("closed with {:?} before seq {seq}", self.closed),
                }
            }
        };
        within(&format!("seq {seq} of room {room}"), reading).await;
    }

    /// Closes it as a browser does.
    pub async fn leaves(mut self) {
        let _ = within("the close is sent", self.stream.close(None)).await;
    }

    /// Goes on counting where another socket stopped, whose last event was this one's `after`.
    pub(crate) fn carries_on(&mut self, mut seen: Seen) {
        seen.adopt(std::mem::take(&mut self.seen));
        self.seen = seen;
    }

    pub(crate) fn into_seen(self) -> Seen {
        self.seen
    }
}
