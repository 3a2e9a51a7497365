//! Budgets of a user over all their sockets and edges: frames that they send, with their bytes, and
//! bytes that are replayed to them. Edges exchange their counts ([`nats::counts`]), so no frame
//! waits for an answer of another process.
//!
//! **Invariant:** a frame over the budget is dropped; a replay over it waits and closes no socket.
//! At most [`REPLAYS_MAX`] pages are replayed to a user at once on an edge, so the excess is bounded
//! by their size.

use std::time::{Duration, Instant};

use domain::UserId;
use nats::counts::{COUNTED_MAX, Counts, EdgeCounts};
use runtime::meter::{Counter, Gauge, label};
use runtime::rate::{Decision, Limiter};
use runtime::turns::{Turn, Turns};

use crate::Edge;
use crate::socket::Socket;

const SECOND: Duration = Duration::from_secs(1);
/// KiB of frames that a user may send per second over a longer time: some 17 messages of the
/// maximum length in letters of three bytes.
const FRAME_KIB_PER_SECOND: u32 = 512;
/// KiB of frames that a user may send at once: 40 such messages take less.
const FRAME_KIB_BURST: u32 = 2_048;
/// Pages that are replayed to a user at once on one edge.
const REPLAYS_MAX: usize = 4;
/// Rooms that one user's subscriptions ask an api for at once, outside the questions for many.
const OPENS_MAX: usize = 2;
/// How often a waiting replay checks whether its socket closes.
const CLOSING_CHECK_EVERY: Duration = Duration::from_millis(250);
const KIB: usize = 1_024;

/// The budgets of all users, as this edge knows them.
#[derive(Debug)]
pub(crate) struct Budgets {
    frames: Option<FrameBudgets>,
    replay_kib: Option<Limiter<UserId>>,
    replays: Turns<UserId>,
    opens: Turns<UserId>,
}

#[derive(Debug)]
struct FrameBudgets {
    count: Limiter<UserId>,
    kib: Limiter<UserId>,
}

fn per_second(limit: u32) -> Limiter<UserId> {
    Limiter::new(limit, SECOND, limit).shared()
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}

impl Budgets {
    /// Budgets of so many frames, and KiB of replay, per second; 0 switches each off.
    pub(crate) fn new(frames_per_second: u32, replay_kib_per_second: u32) -> Self {
        let frames = (frames_per_second > 0).then(|| FrameBudgets {
            count: per_second(frames_per_second),
            kib: Limiter::new(FRAME_KIB_PER_SECOND, SECOND, FRAME_KIB_BURST).shared(),
        });
        let replay_kib = (replay_kib_per_second > 0).then(|| per_second(replay_kib_per_second));
        Self { frames, replay_kib, replays: Turns::new(REPLAYS_MAX), opens: Turns::new(OPENS_MAX) }
    }

    /// Counts a user's frame.
    ///
    /// # Errors
    /// When the next is allowed; this one is to be dropped.
    pub(crate) fn admit_frame(
        &self,
        user: UserId,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Duration> {
        let Some(frames) = &self.frames else { return Ok(()) };
        let wait = frames.kib.wait(&user, now);
        if !wait.is_zero() {
            return Err(refused("user_frame_bytes", wait));
        }
        match frames.count.check(&user, now) {
            Decision::Allowed { .. } => {
                frames.kib.charge(&user, kib(bytes), now);
                Ok(())
            }
            Decision::Refused { retry_after, .. } => Err(refused("user_frames", retry_after)),
        }
    }

    /// Waits for the user's turn to ask an api for one room: a thousand rooms that are refused would
    /// fill the api's places for questions.
    pub(crate) async fn open_turn(&self, user: UserId) -> Turn {
        self.opens.turn(user).await
    }

    /// Waits until a page may be replayed to a socket. `None` when the socket closes.
    pub(crate) async fn replay_turn(&self, socket: &Socket) -> Option<ReplayTurn> {
        let Some(replay_kib) = &self.replay_kib else { return Some(ReplayTurn(None)) };
        let turn = self.replays.turn(socket.user).await;
        let mut has_waited = false;
        loop {
            if socket.out.closing().is_some() {
                return None;
            }
            let wait = replay_kib.wait(&socket.user, Instant::now());
            if wait.is_zero() {
                return Some(ReplayTurn(Some(turn)));
            }
            if !std::mem::replace(&mut has_waited, true) {
                Counter::ReplaysPaused.add(1);
            }
            tokio::time::sleep(wait.min(CLOSING_CHECK_EVERY)).await;
        }
    }

    /// Counts what was replayed to a user.
    pub(crate) fn charge_replay(&self, user: UserId, bytes: usize) {
        if let Some(replay_kib) = &self.replay_kib {
            replay_kib.charge(&user, kib(bytes), Instant::now());
        }
    }

    fn limiters(&self) -> impl Iterator<Item = &Limiter<UserId>> {
        let frames = self.frames.iter().flat_map(|frames| [&frames.count, &frames.kib]);
        frames.chain(&self.replay_kib)
    }

    /// Forgets users who have all of their budgets back.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let keys: usize = self.limiters().map(|limiter| limiter.sweep(now)).sum();
        let keys = f64::from(u32::try_from(keys).unwrap_or(u32::MAX));
        Gauge::RateLimiterKeys.set_with(keys, vec![label("role", "edge")]);
    }
}

fn refused(limit: &'static str, retry_after: Duration) -> Duration {
    Counter::RateLimited.add_with(1, vec![label("limit", limit)]);
    retry_after
}

/// The right to replay a page, until it is dropped.
#[derive(Debug)]
pub(crate) struct ReplayTurn(#[expect(dead_code, reason = "held, not read")] Option<Turn>);

fn advance(limiter: Option<&Limiter<UserId>>, counts: Vec<(UserId, u32)>, now: Instant) {
    let Some(limiter) = limiter else { return };
    for (user, count) in counts {
        limiter.advance(&user, count, now);
    }
}

impl Counts for Budgets {
    type Message = EdgeCounts;

    fn take(&self) -> Option<EdgeCounts> {
        let mut counts = EdgeCounts::default();
        let mut room = COUNTED_MAX;
        if let Some(frames) = &self.frames {
            counts.frames = frames.count.take(room);
            room -= counts.frames.len();
            counts.frame_kib = frames.kib.take(room);
            room -= counts.frame_kib.len();
        }
        if let Some(replay_kib) = &self.replay_kib {
            counts.replay_kib = replay_kib.take(room);
            room -= counts.replay_kib.len();
        }
        (room < COUNTED_MAX).then_some(counts)
    }

    fn apply(&self, counts: EdgeCounts) {
        let (now, frames) = (Instant::now(), self.frames.as_ref());
        advance(frames.map(|frames| &frames.count), counts.frames, now);
        advance(frames.map(|frames| &frames.kib), counts.frame_kib, now);
        advance(self.replay_kib.as_ref(), counts.replay_kib, now);
    }
}

/// Exchanges counts with the other edges until this one stops.
pub(crate) async fn share(edge: Edge) -> anyhow::Result<()> {
    let subject = edge.bus().subjects().edge_counts();
    let exchange = nats::counts::exchange(edge.bus(), &subject, rand::random(), edge.budgets());
    edge.stopped().run_until_cancelled(exchange).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId(1);

    fn is_admitted(budgets: &Budgets, bytes: usize, now: Instant) -> bool {
        budgets.admit_frame(ADA, bytes, now).is_ok()
    }

    #[test]
    fn frames_of_a_user_over_three_edges_stay_within_a_fifth_of_the_limit() {
        const SECONDS: u32 = 30;
        let edges = [Budgets::new(40, 0), Budgets::new(40, 0), Budgets::new(40, 0)];
        let start = Instant::now();
        let mut admitted = 0;
        // Each edge is sent 1,000 frames a second; counts arrive every 200 ms.
        for millisecond in 0..SECONDS * 1_000 {
            let now = start + Duration::from_millis(millisecond.into());
            admitted +=
                edges.iter().map(|edge| u32::from(is_admitted(edge, 100, now))).sum::<u32>();
            if millisecond % 200 == 199 {
                let all: Vec<_> = edges.iter().map(Budgets::take).collect();
                for (to, edge) in edges.iter().enumerate() {
                    let others = all.iter().enumerate().filter(|(from, _)| *from != to);
                    for counts in others.filter_map(|(_, counts)| counts.clone()) {
                        let frames = &edge.frames.as_ref().unwrap().count;
                        advance(Some(frames), counts.frames, now);
                    }
                }
            }
        }
        // A burst on each edge before the first exchange, then the limit.
        let (least, most) = (40 * SECONDS * 4 / 5, 3 * 40 + 40 * SECONDS * 6 / 5);
        assert!((least..=most).contains(&admitted), "{admitted} of {least}..={most}");
    }

    #[test]
    fn counts_of_another_edge_use_up_the_budget() {
        let (here, there) = (Budgets::new(40, 2_048), Budgets::new(40, 2_048));
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| is_admitted(&here, 100, now)).count(), 40);
        here.charge_replay(ADA, 4 * 1024 * KIB);
        there.apply(here.take().unwrap());
        assert!(here.take().is_none());
        assert!(!is_admitted(&there, 100, now));
        let wait = there.replay_kib.as_ref().unwrap().wait(&ADA, now);
        assert!(wait > SECOND / 2, "{wait:?}");
        assert!(there.take().is_none(), "counts of another edge are not published again");
    }

    #[test]
    fn large_frames_use_up_the_budget_before_their_number_does() {
        let budgets = Budgets::new(40, 0);
        let now = Instant::now();
        let admitted = (0..40).filter(|_| is_admitted(&budgets, 256 * KIB, now)).count();
        assert_eq!(admitted, 8, "2 MiB at once");
        let refused = budgets.admit_frame(ADA, 10, now).unwrap_err();
        assert!(budgets.admit_frame(ADA, 10, now + refused).is_ok());
        let later = now + Duration::from_secs(10);
        let admitted = (0..400u32)
            .filter(|nth| is_admitted(&budgets, 30 * KIB, later + Duration::from_millis(25) * *nth))
            .count();
        // Forty messages of 30 KiB a second for ten seconds: the burst, then 17 a second.
        assert!((230..=250).contains(&admitted), "{admitted}");
    }

    #[test]
    fn zero_switches_a_budget_off() {
        let budgets = Budgets::new(0, 0);
        let now = Instant::now();
        assert!((0..10_000).all(|_| is_admitted(&budgets, 1_000_000, now)));
        budgets.charge_replay(ADA, usize::MAX);
        assert!(budgets.take().is_none());
    }
}
