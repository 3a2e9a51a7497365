//! From where a subscription begins to where the room is live: the replay.
//!
//! A replaying socket buffers nothing live. It fetches one page at a time, when what it has to
//! write is low, until its position lies in what the room's task holds; there it goes live.

use std::sync::Arc;
use std::time::Duration;

use contract::close::Close;
use domain::event::EventKind;
use domain::{RoomId, Seq};
use nats::bus::AskError;
use nats::rpc::{Events, Open, OpenReply, UserToken};
use runtime::meter::{Counter, label};
use tokio::time::Instant;

use crate::Edge;
use crate::frame::{Echo, Named, StartFrom, Text};
use crate::posts::refused;
use crate::room::{self, Placed};
use crate::socket::Socket;
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
    fn of(from: StartFrom, opened: OpenReply) -> Self {
        let OpenReply { log, epoch } = opened;
        let kept_after = Seq(log.first_seq.0 - 1);
        if from.epoch.is_some_and(|named| named != Named::One(epoch)) {
            return Self { position: log.last_seq, is_resync: true };
        }
        match from.after {
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
pub(crate) async fn subscribe(edge: Edge, subscription: Arc<Subscription>, from: StartFrom) {
    match open(&edge, &subscription.socket, subscription.room).await {
        Ok(opened) => {
            begin(&subscription, opened, from, true);
            follow(edge, subscription, opened.log.last_seq).await;
        }
        Err(error) => {
            let echo = Echo { nonce: None, room: Some(subscription.room) };
            subscription.end_with(Some(refused(&error, &echo)));
        }
    }
}

/// Where a room stands, for a socket whose user is a member of it.
///
/// # Errors
/// `Refused` with `not_a_member`, `not_found` or `unauthenticated`, or `Unavailable`.
pub(crate) async fn open(
    edge: &Edge,
    socket: &Socket,
    room: RoomId,
) -> Result<OpenReply, AskError> {
    if let Some(log) = edge.opener().find(socket.user, room).await? {
        return Ok(log);
    }
    let _turn = edge.budgets().open_turn(socket.user).await;
    socket.ask(edge.api(), Open { token: UserToken::default(), room }).await
}

/// Puts a subscription where it begins.
pub(crate) fn begin(
    subscription: &Subscription,
    opened: OpenReply,
    from: StartFrom,
    is_asked_for: bool,
) {
    let start = Start::of(from, opened);
    let log = opened.log;
    subscription.set_epoch(opened.epoch);
    subscription.set_position(start.position);
    subscription.set_kept_from(log.first_seq);
    subscription.set_opened(log.last_seq);
    subscription.say_subscribed(log.last_seq, is_asked_for);
    if start.is_resync {
        subscription.resync(log.first_seq, log.last_seq);
    }
}

/// What came of one step of a subscription towards its room's task.
enum Step {
    /// The room's task does the rest, or the subscription has ended.
    Settled,
    /// It has come nearer to the room's head, which is here.
    Moved(Seq),
    /// Nothing now; to be tried again.
    Failed,
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
        let step = if subscription.must_reopen(edge.epochs().present()) {
            reopen(&edge, &subscription).await
        } else {
            // The user's budget paces every replay, from this edge's ring or from the database.
            let user_turn = if is_behind {
                let Some(turn) = edge.budgets().replay_turn(socket).await else { return };
                Some(turn)
            } else {
                None
            };
            let step = advance(&edge, &subscription, head).await;
            drop(user_turn);
            step
        };
        match step {
            Step::Settled => return,
            Step::Moved(to) => {
                head = to;
                failing_since = None;
                continue;
            }
            Step::Failed => {}
        }
        let since = *failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= GIVE_UP || edge.stopped().is_cancelled() {
            return socket.out.close(Close::Restarting);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Joins the room's task, or queues one page of what is missing before that.
async fn advance(edge: &Edge, subscription: &Arc<Subscription>, head: Seq) -> Step {
    match room::join(edge, subscription, head).await {
        Placed::Live => return Step::Settled,
        Placed::Deleted => subscription.end_deleted(),
        Placed::Unavailable => return Step::Failed,
        Placed::Behind => match replay_page(edge, subscription).await {
            Ok(last) => return Step::Moved(head.max(last)),
            Err(error) if error.is_not_a_member() => subscription.end_removed(),
            Err(error) if error.is_no_room() => subscription.end_deleted(),
            Err(error) => {
                tracing::debug!(error = %error, "a replay pauses: {error}");
                return Step::Failed;
            }
        },
    }
    Step::Settled
}

/// Opens a room anew for a subscription whose numbers belong to a history that has ended: its
/// client is told `resync`.
async fn reopen(edge: &Edge, subscription: &Subscription) -> Step {
    let opened = match open(edge, &subscription.socket, subscription.room).await {
        Ok(opened) => opened,
        Err(error) if error.is_no_room() => {
            subscription.end_removed();
            return Step::Settled;
        }
        Err(error) => {
            tracing::debug!(error = %error, "a room is not opened anew yet: {error}");
            return Step::Failed;
        }
    };
    subscription.set_epoch(opened.epoch);
    subscription.set_kept_from(opened.log.first_seq);
    subscription.set_opened(opened.log.last_seq);
    subscription.resync(opened.log.first_seq, opened.log.last_seq);
    Step::Moved(opened.log.last_seq)
}

/// Queues the next page; answers the room's head when it was read.
///
/// The api checks the membership of the socket's user for each page; to one who has just left it
/// gives what came before. The user's own `member.left` is the last that they get.
async fn replay_page(edge: &Edge, subscription: &Subscription) -> Result<Seq, AskError> {
    let position = subscription.position();
    let page = {
        let _slot = edge.fetches().acquire().await;
        let (token, room) = (UserToken::default(), subscription.room);
        subscription.socket.ask(edge.api(), Events { token, room, after: position }).await?
    };
    if subscription.epoch() != Some(page.epoch) {
        let reason = "a page of another epoch".to_owned();
        return Err(AskError::Unavailable { verb: "events", reason });
    }
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
    use domain::Epoch;
    use nats::rpc::LogEnds;

    use super::*;

    fn start(after: Option<i64>, first: i64, last: i64) -> (i64, bool) {
        start_in(None, after, first, last)
    }

    fn start_in(epoch: Option<Named>, after: Option<i64>, first: i64, last: i64) -> (i64, bool) {
        let log = LogEnds { first_seq: Seq(first), last_seq: Seq(last) };
        let opened = OpenReply { log, epoch: Epoch::EXAMPLE };
        let start = Start::of(StartFrom { after: after.map(Seq), epoch }, opened);
        (start.position.0, start.is_resync)
    }

    #[test]
    fn another_epoch_is_a_resync_wherever_it_would_begin() {
        let present = Some(Named::of(&Epoch::EXAMPLE.to_string()));
        let other = Some(Named::of("0123456789abcdef"));
        let none_of_ours = Some(Named::of("yesterday"));
        for after in [None, Some(0), Some(17), Some(20)] {
            assert_eq!(start_in(present, after, 1, 20), start(after, 1, 20));
            assert_eq!(start_in(other, after, 1, 20), (20, true));
            assert_eq!(start_in(none_of_ours, after, 1, 20), (20, true));
        }
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
