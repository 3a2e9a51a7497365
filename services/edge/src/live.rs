//! The way out for ephemeral frames and heartbeats: one bounded queue and one task per node.
//!
//! async-nats queues a little while disconnected and then blocks its caller, so nothing here is
//! ever waited for: what finds the queue full, or NATS away, is dropped.

use async_nats::HeaderMap;
use bytes::Bytes;
use contract::frames::ServerFrame;
use domain::{RoomId, UserId};
use nats::bus::Bus;
use nats::subjects::{HEADER_KIND, HEADER_USER};
use runtime::Lifecycle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Frames that may wait to be published.
const WAITING_MAX: usize = 4_096;

struct Out {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
}

/// Publishes without waiting.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    bus: Bus,
    out: mpsc::Sender<Out>,
}

impl Live {
    /// Starts the task.
    pub(crate) fn start(bus: &Bus, life: &Lifecycle, stopped: &CancellationToken) -> Self {
        let (out, mut waiting) = mpsc::channel::<Out>(WAITING_MAX);
        let task_bus = bus.clone();
        let publishing = async move {
            while let Some(out) = waiting.recv().await {
                task_bus.tell(out.subject, out.headers, out.payload).await;
            }
        };
        let stopped = stopped.clone();
        life.spawn(async move {
            stopped.run_until_cancelled(publishing).await;
        });
        Self { bus: bus.clone(), out }
    }

    /// Tells a room's other people whether someone types.
    pub(crate) fn typing(&self, room: RoomId, user: UserId, email: &str, is_typing: bool) {
        let frame = ServerFrame::Typing { room, user_id: user, user_email: email, is_typing };
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_KIND, "typing");
        headers.insert(HEADER_USER, user.to_string());
        self.publish(self.bus.subjects().room_live(room), headers, frame.text());
    }

    fn publish(&self, subject: String, headers: HeaderMap, text: String) {
        let _ = self.out.try_send(Out { subject, headers, payload: text.into() });
    }
}
