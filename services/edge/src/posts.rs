//! Sends of one socket, one after the other.
//!
//! The next is asked for when the one before it is answered: with several api nodes nothing else
//! keeps a person's messages in the order in which they were written. Many sockets together still
//! fill a group commit. What was taken in is sent even if the socket closes meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use contract::frames::ServerFrame;
use domain::{MessageId, Refusal, RoomId};
use nats::bus::AskError;
use nats::rpc::{Post, Read, UserToken};
use serde_json::value::RawValue;

use crate::Edge;
use crate::frame::{self, Echo, Text};
use crate::socket::Socket;

/// Sends that may wait on one socket.
const POSTS_MAX: usize = 64;
/// Bytes of sends that may wait on one socket.
const POSTS_BYTES_MAX: usize = 1024 * 1024;
/// `read` frames of one socket that may be under way.
const READS_MAX: u32 = 16;

/// A send that waits.
#[derive(Debug)]
struct Waiting {
    room: RoomId,
    frame: Box<RawValue>,
    echo: Echo,
}

/// The sends of one socket.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    is_running: bool,
}

impl Posts {
    /// Whether the socket should read no more for now.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= POSTS_MAX || self.bytes >= POSTS_BYTES_MAX
    }
}

/// Takes in a send; it is answered on the socket. While too many wait, nothing is read from it.
pub(crate) fn submit(edge: &Edge, socket: &Arc<Socket>, room: RoomId, text: &str, echo: Echo) {
    let Ok(frame) = RawValue::from_string(text.to_owned()) else {
        return socket.say(frame::refusal(&Refusal::malformed("the frame is not JSON"), &echo));
    };
    let mut posts = socket.posts.lock();
    posts.bytes += text.len();
    posts.waiting.push_back(Waiting { room, frame, echo });
    if !posts.is_running {
        posts.is_running = true;
        drop(posts);
        edge.life().spawn(run(edge.clone(), Arc::clone(socket)));
    }
}

async fn run(edge: Edge, socket: Arc<Socket>) {
    while let Some(waiting) = next(&socket) {
        // Nobody is left to hear an answer; who has none sends again, with the same nonce.
        if edge.stopped().is_cancelled() {
            return;
        }
        let Waiting { room, frame, echo } = waiting;
        let question = Post { token: UserToken::default(), room, frame };
        let answer = match socket.ask(edge.api(), question).await {
            Ok(reply) => ServerFrame::Ack {
                nonce: echo.nonce.as_deref().unwrap_or_default(),
                id: reply.id,
                seq: reply.seq,
                replayed: reply.replayed,
            }
            .text()
            .into(),
            Err(error) => refused(&error, &echo),
        };
        socket.say(answer);
    }
}

fn next(socket: &Socket) -> Option<Waiting> {
    let mut posts = socket.posts.lock();
    let was_full = posts.is_full();
    let Some(waiting) = posts.waiting.pop_front() else {
        *posts = Posts::default();
        return None;
    };
    posts.bytes -= waiting.frame.get().len();
    if was_full && !posts.is_full() {
        drop(posts);
        socket.out.nudge();
    }
    Some(waiting)
}

/// Marks a room as read; only a refusal is answered, success comes as a `read` frame.
pub(crate) fn read(
    edge: &Edge,
    socket: &Arc<Socket>,
    (room, message): (RoomId, MessageId),
    echo: Echo,
) {
    if socket.reads.fetch_add(1, Ordering::AcqRel) >= READS_MAX {
        socket.reads.fetch_sub(1, Ordering::AcqRel);
        return socket.say(frame::refusal(&Refusal::Unavailable, &echo));
    }
    let (edge, socket) = (edge.clone(), Arc::clone(socket));
    edge.life().clone().spawn(async move {
        let question = Read { token: UserToken::default(), room, message };
        if let Err(error) = socket.ask(edge.api(), question).await {
            socket.say(refused(&error, &echo));
        }
        socket.reads.fetch_sub(1, Ordering::AcqRel);
    });
}

/// The `error` frame of a question that failed.
pub(crate) fn refused(error: &AskError, echo: &Echo) -> Text {
    match error {
        AskError::Refused(refused) => frame::refused(refused, echo),
        AskError::Unavailable { .. } => {
            tracing::debug!(error = %error, "a client's frame was not answered: {error}");
            frame::refusal(&Refusal::Unavailable, echo)
        }
    }
}
