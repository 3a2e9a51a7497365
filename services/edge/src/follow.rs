//! From where a subscription begins to where the room is live: the replay.
//!
//! A replaying socket buffers nothing live. It fetches one page at a time, when what it has to
//! write is low, until its position lies in what the room's task holds; there it goes live.

use std::sync::Arc;
use std::time::Duration;

use domain::Seq;
use domain::event::EventKind;
use nats::bus::AskError;
use nats::rpc::{Events, OpenReply};
use runtime::meter::{Counter, label};
use tokio::time::Instant;

use crate::Edge;
use crate::close::Close;
use crate::frame::Echo;
use crate::frame::Text;
use crate::posts::refused;
use crate::room::{self, Placed};
use crate::subscription::Subscription;

/// A replay that gets no page for this long closes its socket rather than skip.
const GIVE_UP: Duration = Duration::from_secs(30);
/// The pause before a page, or a room, that could not be had is asked for again.
const RETRY: Duration = Duration::from_millis(250);

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    position: Seq,
    is_resync: bool,
}

impl Start {
    fn of(after: Option<Seq>, log: OpenReply) -> Self {
        let kept_after = Seq(log.first_seq.0 - 1);
        match after {
            None => Self { position: log.last_seq, is_resync: false },
            Some(Seq(0)) => Self { position: kept_after.min(log.last_seq), is_resync: false },
            Some(after) if after > log.last_seq || after < kept_after => {
                Self { position: log.last_seq, is_resync: true }
            }
            Some(after) => Self { position: after, is_resync: false },
        }
    }
}

/// Opens a subscription of a multi-room socket.
pub(crate) async fn subscribe(edge: Edge, subscription: Arc<Subscription>, after: Option<Seq>) {
    let token = subscription.socket.token();
    match edge.opener().open(subscription.user(), &token, subscription.room).await {
        Ok(log) => {
            begin(&subscription, log, after, true);
            follow(edge, subscription, log.last_seq).await;
        }
        Err(error) => {
            let echo = Echo { nonce: None, room: Some(subscription.room) };
            subscription.end_with(Some(refused(&error, &echo)));
            subscription.socket.refused(&error, &token);
        }
    }
}

/// Puts a subscription where it begins.
pub(crate) fn begin(
    subscription: &Subscription,
    log: OpenReply,
    after: Option<Seq>,
    is_asked_for: bool,
) {
    let start = Start::of(after, log);
    subscription.set_position(start.position);
    subscription.set_kept_from(log.first_seq);
    subscription.set_opened(log.last_seq);
    subscription.say_subscribed(log.last_seq, is_asked_for);
    if start.is_resync {
        subscription.resync(log.first_seq, log.last_seq);
    }
}

/// Follows a room from the subscription's position; returns once the room's task does the rest.
pub(crate) async fn follow(edge: Edge, subscription: Arc<Subscription>, mut head: Seq) {
    let socket = &subscription.socket;
    let mut failing_since: Option<Instant> = None;
    while !subscription.has_ended() {
        // One replay at a time, in turns, or a thousand resumed rooms would overrun the queue.
        let is_behind = subscription.position() < head;
        let _turn = if is_behind { socket.replays.acquire().await.ok() } else { None };
        if !socket.out.low_water().await {
            return;
        }
        // The user's budget paces every replay, from this edge's ring or from the database.
        let user_turn = if is_behind {
            let Some(turn) = edge.budgets().replay_turn(socket).await else { return };
            Some(turn)
        } else {
            None
        };
        let is_done = match room::join(&edge, &subscription, head).await {
            Placed::Live => return,
            Placed::Deleted => return subscription.end_deleted(),
            Placed::Unavailable => false,
            Placed::Behind => match replay_page(&edge, &subscription).await {
                Ok(last) => {
                    head = head.max(last);
                    true
                }
                Err(error) if error.is_not_a_member() => return subscription.end_removed(),
                Err(error) if error.is_no_room() => return subscription.end_deleted(),
                Err(error) => {
                    tracing::debug!(error = %error, "a replay pauses: {error}");
                    false
                }
            },
        };
        drop(user_turn);
        if is_done {
            failing_since = None;
            continue;
        }
        let since = *failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= GIVE_UP || edge.stopped().is_cancelled() {
            return socket.out.close(Close::Restarting);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Queues the next page; answers the room's head when it was read.
///
/// The api checks the membership of the socket's user for each page; to one who has just left it
/// gives what came before. The user's own `member.left` is the last that they get.
async fn replay_page(edge: &Edge, subscription: &Subscription) -> Result<Seq, AskError> {
    let position = subscription.position();
    let page = {
        let _slot = edge.fetches().acquire().await;
        let token = subscription.socket.token();
        let question = Events { token: token.clone(), room: subscription.room, after: position };
        edge.bus()
            .ask(&question)
            .await
            .inspect_err(|error| subscription.socket.refused(error, &token))?
    };
    subscription.set_kept_from(page.first_seq);
    if page.first_seq > position.next() && page.last_seq > position {
        // The janitor was here meanwhile.
        subscription.resync(page.first_seq, page.last_seq);
        return Ok(page.last_seq);
    }
    let left = page.events.iter().position(|event| {
        event.kind == EventKind::MemberLeft.as_str()
            && event.user == subscription.user()
            && event.seq > subscription.opened_at()
    });
    let events: Vec<(Seq, Text)> = page
        .events
        .into_iter()
        .take(left.map_or(usize::MAX, |place| place + 1))
        .map(|envelope| (envelope.seq, String::from(Box::<str>::from(envelope.frame)).into()))
        .collect();
    if events.is_empty() {
        return Err(AskError::Unavailable { verb: "events", reason: "an empty page".to_owned() });
    }
    let count = u64::try_from(events.len()).unwrap_or(0);
    let bytes = events.iter().map(|(_, text)| text.len()).sum();
    edge.budgets().charge_replay(subscription.user(), bytes);
    subscription.push_events(events.iter().map(|(seq, text)| (*seq, text)));
    Counter::ReplayedFrames.add_with(count, vec![label("source", "record")]);
    if left.is_some() {
        subscription.end_removed();
    }
    Ok(page.last_seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(after: Option<i64>, first: i64, last: i64) -> (i64, bool) {
        let log = OpenReply { first_seq: Seq(first), last_seq: Seq(last) };
        let start = Start::of(after.map(Seq), log);
        (start.position.0, start.is_resync)
    }

    #[test]
    fn a_subscription_begins_where_the_contract_says() {
        assert_eq!(start(None, 1, 20), (20, false));
        assert_eq!(start(Some(0), 1, 20), (0, false));
        assert_eq!(start(Some(17), 1, 20), (17, false));
        assert_eq!(start(Some(20), 1, 20), (20, false));
        assert_eq!(start(Some(21), 1, 20), (20, true));
        assert_eq!(start(Some(0), 1, 0), (0, false));
    }

    #[test]
    fn what_is_no_longer_kept_is_a_resync_unless_everything_kept_was_asked_for() {
        assert_eq!(start(Some(0), 11, 20), (10, false));
        assert_eq!(start(Some(9), 11, 20), (20, true));
        assert_eq!(start(Some(10), 11, 20), (10, false));
        assert_eq!(start(Some(5), 21, 20), (20, true));
        assert_eq!(start(Some(0), 21, 20), (20, false));
    }
}
