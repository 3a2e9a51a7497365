//! What an edge does round after round: compare heads, ask for keys and revoked logins, count.
//!
//! The comparison of heads is the proof that nothing was lost: pushes only make it sooner.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::close::Close;
use domain::{Epoch, RoomId, Seq, UserId};
use futures_util::StreamExt;
use nats::rpc::{Fallen, Heads, HeadsReply, RevokedReply, RoomOnEdge};
use runtime::meter::{Counter, Gauge};
use runtime::revoked::RevokedLogins;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::Edge;
use crate::queue::SHED;
use crate::room::RoomHandle;

/// One round; removals and revocations must be seen within two seconds.
const ROUND: Duration = Duration::from_millis(1_500);
/// Keys are asked for this often.
const KEYS_EVERY: Duration = Duration::from_secs(60);
/// Keys are asked for this often while there are none.
const NO_KEYS_RETRY: Duration = Duration::from_secs(1);
/// Rooms and users named in one question: at 20 digits each some 200 KiB.
const NAMED_MAX: usize = 8_192;
/// Fallen heads reported in one round.
const FALLEN_MAX: usize = 8;
/// The pause before heads are compared out of turn: with nodes that are behind, that may be often.
const COMPARE_NOW_PAUSE: Duration = Duration::from_millis(50);
/// Presence is told to the rooms at once, then this often; slower with very many rooms.
const PRESENCE_EVERY: Duration = Duration::from_millis(100);
/// The clock has been moved if it differs by more than this from one round to the next.
const CLOCK_JUMP: Duration = Duration::from_secs(1);

/// Compares heads, every round and after each reconnect.
pub(crate) async fn run(edge: Edge) -> anyhow::Result<()> {
    let mut connections = edge.bus().connections();
    let mut seen = (Instant::now(), edge.auth().now());
    loop {
        tokio::select! {
            () = edge.stopped().cancelled() => return Ok(()),
            () = tokio::time::sleep(ROUND) => {}
            Ok(()) = connections.changed() => {}
            () = edge.compare_now().notified() => tokio::time::sleep(COMPARE_NOW_PAUSE).await,
        }
        if edge.bus().is_connected() {
            tokio::join!(compare(&edge), edge.auth().refresh_revoked());
        }
        let now = (Instant::now(), edge.auth().now());
        let expected = seen.1 + now.0.duration_since(seen.0);
        if now.1.since(expected) > CLOCK_JUMP || expected.since(now.1) > CLOCK_JUMP {
            edge.hub().each_socket(|socket| socket.out.nudge());
        }
        seen = now;
        count(&edge);
    }
}

async fn compare(edge: &Edge) {
    let rooms: HashMap<RoomId, RoomHandle> =
        edge.hub().rooms().into_iter().map(|handle| (handle.room(), handle)).collect();
    let mut chunk: Vec<RoomOnEdge> = Vec::new();
    let mut named = 0;
    for (&room, handle) in &rooms {
        let users = handle.users();
        let parts: Vec<&[UserId]> = match users.len() {
            0 => vec![&[]],
            _ => users.chunks(NAMED_MAX).collect(),
        };
        for part in parts {
            if named + part.len() >= NAMED_MAX {
                ask(edge, &rooms, std::mem::take(&mut chunk)).await;
                named = 0;
            }
            named += part.len() + 2;
            chunk.push(RoomOnEdge { room, users: part.to_vec() });
        }
    }
    ask(edge, &rooms, chunk).await;
}

async fn ask(edge: &Edge, rooms: &HashMap<RoomId, RoomHandle>, chunk: Vec<RoomOnEdge>) {
    if chunk.is_empty() {
        return;
    }
    // As of now: pushes that come before the answer raise no doubt about its heads.
    let seen: HashMap<RoomId, (Option<Epoch>, Seq)> = chunk
        .iter()
        .filter_map(|asked| rooms.get(&asked.room))
        .map(|handle| (handle.room(), (handle.epoch(), handle.last())))
        .collect();
    let HeadsReply { epoch, rooms: heads } = match edge.api().ask(&Heads { rooms: chunk }).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::debug!(error = %error, "heads cannot be compared: {error}");
            return;
        }
    };
    let mut fallen = Vec::new();
    for head in heads {
        let Some(handle) = rooms.get(&head.room) else { continue };
        let seen = seen.get(&head.room).filter(|(of, _)| *of == Some(epoch));
        // Of another epoch, or not followed yet: its task ends, or asks by itself.
        let Some(&(_, seen)) = seen else { continue };
        if head.log.is_some_and(|log| log.last_seq < seen) {
            fallen.push((handle, seen));
            continue;
        }
        let is_news = head.log.is_none_or(|log| log.last_seq > handle.last());
        if is_news || !head.not_members.is_empty() {
            handle.tell_head(head);
        }
    }
    report_fallen(edge, epoch, &fallen).await;
}

/// Reports heads that are below what was handed out here. The first that is believed begins a new
/// epoch, which renews all rooms; one that is not renews itself alone.
async fn report_fallen(edge: &Edge, epoch: Epoch, fallen: &[(&RoomHandle, Seq)]) {
    for (handle, seen) in fallen.iter().take(FALLEN_MAX) {
        let room = handle.room();
        match edge.api().ask(&Fallen { room, seen: *seen, epoch }).await {
            Ok(reply) if reply.epoch == epoch => {
                tracing::warn!(room.id = %room, "room {room} ends before {seen}: it is opened anew");
                handle.tell_fallen();
            }
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(room.id = %room, error = %error, "a fallen head is not reported: {error}");
                return;
            }
        }
    }
}

/// Keeps the public keys fresh.
pub(crate) async fn refresh_keys(edge: Edge) -> anyhow::Result<()> {
    let mut connections = edge.bus().connections();
    loop {
        if edge.bus().is_connected() {
            edge.auth().refresh_keys().await;
        }
        let pause = if edge.auth().has_keys() { KEYS_EVERY } else { NO_KEYS_RETRY };
        tokio::select! {
            () = edge.stopped().cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
            Ok(()) = connections.changed() => {}
        }
    }
}

/// Hears of revoked logins, and closes their sockets.
pub(crate) async fn follow_revocations(edge: Edge) -> anyhow::Result<()> {
    let subject = edge.bus().subjects().revoked();
    let mut pushes = edge.bus().client().subscribe(subject).await?;
    let revoked: &RevokedLogins = edge.auth().revoked();
    let mut news = revoked.follow();
    loop {
        tokio::select! {
            () = edge.stopped().cancelled() => return Ok(()),
            Some(message) = pushes.next() => {
                match serde_json::from_slice::<RevokedReply>(&message.payload) {
                    Ok(reply) => edge.auth().take_revoked(&reply),
                    Err(error) => {
                        tracing::warn!(error = %error, "a revocation cannot be read: {error}");
                    }
                }
            }
            login = news.recv() => {
                let sockets = match login {
                    Ok(login) => edge.hub().sockets_of_logins(|it| it == login),
                    Err(RecvError::Lagged(_)) => {
                        edge.hub().sockets_of_logins(|it| revoked.contains(it))
                    }
                    Err(RecvError::Closed) => return Ok(()),
                };
                for socket in sockets {
                    socket.out.close(Close::Unauthenticated);
                }
            }
        }
    }
}

/// Tells the rooms who came and went, in batches.
pub(crate) async fn tell_presence(edge: Edge) -> anyhow::Result<()> {
    let told = async {
        loop {
            edge.presence().has_changed().await;
            edge.presence().tell_rooms();
            let rooms = u32::try_from(edge.hub().room_count()).unwrap_or(u32::MAX);
            tokio::time::sleep(PRESENCE_EVERY * (1 + rooms / 2_000).min(10)).await;
        }
    };
    edge.stopped().run_until_cancelled(told).await;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge shows what fits a float")]
fn count(edge: &Edge) {
    let hub = edge.hub();
    let rooms = hub.rooms();
    let mut queued = 0;
    hub.each_socket(|socket| queued += socket.out.unflushed_bytes());
    edge.budgets().sweep();
    Gauge::Sockets.set(hub.socket_count() as f64);
    Gauge::ActiveRooms.set(rooms.len() as f64);
    Gauge::Subscriptions.set(rooms.iter().map(RoomHandle::subscriber_count).sum::<u64>() as f64);
    Gauge::OnlineUsers.set(edge.presence().online_count() as f64);
    Gauge::SocketQueueBytes.set(queued as f64);
    Counter::FramesIn.add(hub.tally.frames_in.swap(0, Ordering::Relaxed));
    Counter::FramesOut.add(hub.tally.frames_out.swap(0, Ordering::Relaxed));
    Counter::FramesShed.add(SHED.swap(0, Ordering::Relaxed));
}
