//! What waits to be attempted, and what may start now. Pure: it is told everything.
//!
//! Endpoints take turns. A *proven* one, whose last attempt succeeded, has up to [`AT_ONCE_MAX`]
//! attempts at a time; any other has one, and so does one whose answer is slow in coming. Those
//! that are not proven share a lane of their own. An attempt that takes long leaves its lane, so
//! that endpoints that hang give way to those that answer. What waits for an endpoint that breaks
//! is given back at once: to find out job by job that it is parked would cost more than attempts.

use std::collections::{HashMap, HashSet, VecDeque};

use domain::{DeliveryId, WebhookId};

/// Attempts at a time, per endpoint that answers.
const AT_ONCE_MAX: usize = 4;
/// Attempts at a time in the lane of proven endpoints, as long as they are fast.
const FAST_MAX: usize = 512;
/// Attempts at a time in the lane of all others: so many leave it per second at worst, when all hang.
const UNPROVEN_MAX: usize = 64;
/// Attempts at a time in all: each is a connection.
const TOTAL_MAX: usize = 2_048;
/// Jobs that may wait for proven endpoints, in all, and for all others: what waits for those leaves
/// the room of these alone.
const QUEUED_MAX: usize = 16_384;

/// How an endpoint fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fare {
    /// Nothing was attempted yet.
    New,
    /// The last attempt succeeded.
    Proven,
    /// The last attempt failed.
    Failing,
    /// Only probes go through to it.
    Broken,
}

impl Fare {
    /// Jobs that may wait for one endpoint; further ones are given back.
    fn queue_max(self) -> usize {
        match self {
            Self::Proven => 1_024,
            Self::New => 64,
            Self::Failing | Self::Broken => 16,
        }
    }
}

/// Where an attempt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Fast,
    Unproven,
    Slow,
}

/// What became of a job that was offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offer<J> {
    /// It waits here.
    Queued,
    /// Its delivery is here already: the job is given back.
    Known(J),
    /// Too much waits here: the job is given back, of an endpoint that fares so.
    Full(J, Fare),
}

/// A job that may start now.
#[derive(Debug)]
pub(crate) struct Start<J> {
    pub(crate) webhook: WebhookId,
    pub(crate) delivery: DeliveryId,
    pub(crate) is_probe: bool,
    pub(crate) job: J,
    pub(crate) lane: Lane,
}

#[derive(Debug)]
struct Queued<J> {
    delivery: DeliveryId,
    /// Whether it takes the room of proven endpoints.
    is_proven: bool,
    is_probe: bool,
    job: J,
}

#[derive(Debug)]
struct Endpoint<J> {
    queue: VecDeque<Queued<J>>,
    fare: Fare,
    in_flight: usize,
    slow: usize,
    /// Whether it stands in one of the lines.
    is_in_line: bool,
}

impl<J> Endpoint<J> {
    fn may_start(&self) -> bool {
        let at_once = match self.fare {
            _ if self.slow > 0 => 0,
            Fare::Proven => AT_ONCE_MAX,
            Fare::New | Fare::Failing | Fare::Broken => 1,
        };
        !self.queue.is_empty() && self.in_flight < at_once
    }

    fn lane(&self) -> Lane {
        if self.fare == Fare::Proven { Lane::Fast } else { Lane::Unproven }
    }
}

/// The queues of all endpoints.
#[derive(Debug)]
pub(crate) struct Lanes<J> {
    endpoints: HashMap<WebhookId, Endpoint<J>>,
    known: HashSet<DeliveryId>,
    queued_proven: usize,
    queued_others: usize,
    fast_line: VecDeque<WebhookId>,
    unproven_line: VecDeque<WebhookId>,
    fast: usize,
    unproven: usize,
    slow: usize,
}

impl<J> Default for Lanes<J> {
    fn default() -> Self {
        Self {
            endpoints: HashMap::new(),
            known: HashSet::new(),
            queued_proven: 0,
            queued_others: 0,
            fast_line: VecDeque::new(),
            unproven_line: VecDeque::new(),
            fast: 0,
            unproven: 0,
            slow: 0,
        }
    }
}

impl<J> Lanes<J> {
    /// Takes a job of an endpoint; `fare` is how it fares by the record.
    pub(crate) fn offer(
        &mut self,
        webhook: WebhookId,
        fare: Fare,
        (delivery, is_probe): (DeliveryId, bool),
        job: J,
    ) -> Offer<J> {
        if self.known.contains(&delivery) {
            return Offer::Known(job);
        }
        let endpoint = self.endpoints.entry(webhook).or_insert_with(|| Endpoint {
            queue: VecDeque::new(),
            fare,
            in_flight: 0,
            slow: 0,
            is_in_line: false,
        });
        // What its own attempts say is newer than the record.
        if endpoint.in_flight == 0 {
            endpoint.fare = fare;
        }
        let fare = endpoint.fare;
        let is_proven = fare == Fare::Proven && endpoint.slow == 0;
        let queued = if is_proven { &mut self.queued_proven } else { &mut self.queued_others };
        if endpoint.queue.len() >= fare.queue_max() || *queued >= QUEUED_MAX {
            return Offer::Full(job, fare);
        }
        endpoint.queue.push_back(Queued { delivery, is_proven, is_probe, job });
        *queued += 1;
        self.known.insert(delivery);
        self.line_up(webhook);
        Offer::Queued
    }

    /// The next job that may start, counted as started.
    pub(crate) fn start(&mut self) -> Option<Start<J>> {
        if self.fast + self.unproven + self.slow >= TOTAL_MAX {
            return None;
        }
        if self.fast < FAST_MAX
            && let Some(start) = self.start_in(Lane::Fast)
        {
            self.fast += 1;
            return Some(start);
        }
        if self.unproven < UNPROVEN_MAX
            && let Some(start) = self.start_in(Lane::Unproven)
        {
            self.unproven += 1;
            return Some(start);
        }
        None
    }

    fn start_in(&mut self, lane: Lane) -> Option<Start<J>> {
        loop {
            let waiting =
                if lane == Lane::Fast { &mut self.fast_line } else { &mut self.unproven_line };
            let webhook = waiting.pop_front()?;
            let Some(endpoint) = self.endpoints.get_mut(&webhook) else { continue };
            endpoint.is_in_line = false;
            let is_mine = endpoint.lane() == lane && endpoint.may_start();
            let queued = if is_mine { endpoint.queue.pop_front() } else { None };
            if let Some(queued) = &queued {
                endpoint.in_flight += 1;
                let room = if queued.is_proven {
                    &mut self.queued_proven
                } else {
                    &mut self.queued_others
                };
                *room -= 1;
            }
            // At the end of the line, or in the other one.
            self.line_up(webhook);
            if let Some(Queued { delivery, is_probe, job, .. }) = queued {
                return Some(Start { webhook, delivery, is_probe, job, lane });
            }
        }
    }

    /// An attempt takes long: it leaves its lane, and its endpoint starts nothing meanwhile.
    pub(crate) fn slowed(&mut self, webhook: WebhookId, lane: Lane) {
        self.leave(lane);
        self.slow += 1;
        if let Some(endpoint) = self.endpoints.get_mut(&webhook) {
            endpoint.slow += 1;
        }
    }

    /// An attempt has ended; `fare` is what it says of its endpoint. Gives back what waited for one
    /// that is broken now.
    pub(crate) fn finished(
        &mut self,
        webhook: WebhookId,
        delivery: DeliveryId,
        lane: Lane,
        fare: Option<Fare>,
    ) -> Vec<J> {
        self.leave(lane);
        self.known.remove(&delivery);
        let given_back =
            if fare == Some(Fare::Broken) { self.give_back(webhook) } else { Vec::new() };
        if let Some(endpoint) = self.endpoints.get_mut(&webhook) {
            endpoint.in_flight -= 1;
            if lane == Lane::Slow {
                endpoint.slow -= 1;
            }
            endpoint.fare = fare.unwrap_or(endpoint.fare);
            if endpoint.in_flight == 0 && endpoint.queue.is_empty() {
                self.endpoints.remove(&webhook);
                return given_back;
            }
        }
        self.line_up(webhook);
        given_back
    }

    /// What waits for an endpoint waits no more.
    fn give_back(&mut self, webhook: WebhookId) -> Vec<J> {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else { return Vec::new() };
        let mut jobs = Vec::new();
        for Queued { delivery, is_proven, job, .. } in endpoint.queue.drain(..) {
            self.known.remove(&delivery);
            *if is_proven { &mut self.queued_proven } else { &mut self.queued_others } -= 1;
            jobs.push(job);
        }
        jobs
    }

    fn leave(&mut self, lane: Lane) {
        match lane {
            Lane::Fast => self.fast -= 1,
            Lane::Unproven => self.unproven -= 1,
            Lane::Slow => self.slow -= 1,
        }
    }

    fn line_up(&mut self, webhook: WebhookId) {
        let Some(endpoint) = self.endpoints.get_mut(&webhook) else { return };
        if endpoint.is_in_line || !endpoint.may_start() {
            return;
        }
        endpoint.is_in_line = true;
        match endpoint.lane() {
            Lane::Unproven => self.unproven_line.push_back(webhook),
            Lane::Fast | Lane::Slow => self.fast_line.push_back(webhook),
        }
    }

    /// Jobs that wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued_proven + self.queued_others
    }

    /// Attempts being made, by lane.
    pub(crate) fn in_flight(&self) -> [(&'static str, usize); 3] {
        [("fast", self.fast), ("unproven", self.unproven), ("slow", self.slow)]
    }
}

#[cfg(test)]
mod tests {
    use domain::{DeliveryId, WebhookId};

    use super::{AT_ONCE_MAX, FAST_MAX, Fare, Lane, Lanes, Offer, Start, UNPROVEN_MAX};

    fn offer(lanes: &mut Lanes<()>, webhook: i64, delivery: i64, fare: Fare) -> Offer<()> {
        lanes.offer(WebhookId(webhook), fare, (DeliveryId(delivery), false), ())
    }

    fn all(lanes: &mut Lanes<()>) -> Vec<Start<()>> {
        std::iter::from_fn(|| lanes.start()).collect()
    }

    #[test]
    fn an_endpoint_has_few_attempts_at_a_time() {
        for (fare, at_once) in [(Fare::Proven, AT_ONCE_MAX), (Fare::New, 1), (Fare::Failing, 1)] {
            let mut lanes = Lanes::default();
            for delivery in 1..=10 {
                assert_eq!(offer(&mut lanes, 1, delivery, fare), Offer::Queued);
            }
            let started = all(&mut lanes);
            assert_eq!(started.len(), at_once, "{fare:?}");
            let first = &started[0];
            lanes.finished(first.webhook, first.delivery, first.lane, Some(fare));
            assert_eq!(all(&mut lanes).len(), 1, "{fare:?}");
        }
    }

    #[test]
    fn any_number_of_others_leaves_room_for_one_that_answers() {
        let mut lanes = Lanes::default();
        for endpoint in 1..=2_000 {
            let fare = if endpoint % 2 == 0 { Fare::Failing } else { Fare::New };
            offer(&mut lanes, endpoint, endpoint, fare);
        }
        assert_eq!(all(&mut lanes).len(), UNPROVEN_MAX);
        offer(&mut lanes, 9_999, 9_999, Fare::Proven);
        assert_eq!(all(&mut lanes)[0].webhook, WebhookId(9_999));
    }

    #[test]
    fn endpoints_that_begin_to_hang_give_way() {
        let mut lanes = Lanes::default();
        for endpoint in 1..=600 {
            for delivery in 0..10 {
                offer(&mut lanes, endpoint, endpoint * 10 + delivery, Fare::Proven);
            }
        }
        let started = all(&mut lanes);
        assert_eq!(started.len(), FAST_MAX);
        offer(&mut lanes, 9_999, 9_999, Fare::Proven);
        assert!(lanes.start().is_none());
        for attempt in started {
            lanes.slowed(attempt.webhook, attempt.lane);
        }
        let started = all(&mut lanes);
        assert!(started.iter().any(|attempt| attempt.webhook == WebhookId(9_999)));
        // What hangs gets nothing more to hang.
        assert!(started.iter().all(|attempt| attempt.webhook.0 > 512), "{started:?}");
    }

    #[test]
    fn what_is_known_or_too_much_is_given_back() {
        let mut lanes = Lanes::default();
        for delivery in 1..=16 {
            assert_eq!(offer(&mut lanes, 1, delivery, Fare::Failing), Offer::Queued);
        }
        assert_eq!(offer(&mut lanes, 1, 1, Fare::Failing), Offer::Known(()));
        assert_eq!(offer(&mut lanes, 1, 9_999, Fare::Failing), Offer::Full((), Fare::Failing));
        assert_eq!(offer(&mut lanes, 2, 9_999, Fare::Failing), Offer::Queued);
    }

    #[test]
    fn what_waits_for_an_endpoint_that_breaks_is_given_back() {
        let mut lanes = Lanes::default();
        for delivery in 1..=10 {
            offer(&mut lanes, 1, delivery, Fare::Proven);
            offer(&mut lanes, 2, 100 + delivery, Fare::New);
        }
        let started = all(&mut lanes);
        let mut given_back = 0;
        for start in started.iter().filter(|start| start.webhook == WebhookId(1)) {
            let Start { webhook, delivery, lane, .. } = *start;
            given_back += lanes.finished(webhook, delivery, lane, Some(Fare::Broken)).len();
        }
        assert_eq!(given_back, 10 - AT_ONCE_MAX);
        assert_eq!(lanes.queued(), 9);
        // What was given back may come again, and the other goes on.
        assert_eq!(offer(&mut lanes, 1, 10, Fare::Broken), Offer::Queued);
        assert_eq!(all(&mut lanes).len(), 1);
    }

    #[test]
    fn what_waits_for_endpoints_that_fail_takes_no_room_of_others() {
        let mut lanes = Lanes::default();
        let mut delivery = 0;
        let mut refused = 0;
        for endpoint in 1..=2_000 {
            for _ in 0..16 {
                delivery += 1;
                let offered = offer(&mut lanes, endpoint, delivery, Fare::Failing);
                refused += usize::from(offered != Offer::Queued);
            }
        }
        assert!(refused > 0);
        assert_eq!(offer(&mut lanes, 9_999, delivery + 1, Fare::Proven), Offer::Queued);
    }

    #[test]
    fn everything_that_was_queued_starts_once() {
        let mut lanes = Lanes::default();
        let mut offered = 0;
        for endpoint in 1..=50 {
            for delivery in 0..20 {
                let fare = match endpoint % 3 {
                    0 => Fare::New,
                    1 => Fare::Proven,
                    _ => Fare::Failing,
                };
                // Of a failing endpoint not all are taken.
                let answer = offer(&mut lanes, endpoint, endpoint * 100 + delivery, fare);
                offered += usize::from(answer == Offer::Queued);
            }
        }
        let mut seen = std::collections::HashSet::new();
        while let Some(start) = lanes.start() {
            assert!(seen.insert(start.delivery));
            let is_odd = start.delivery.0 % 2 == 1;
            let lane = if is_odd { Lane::Slow } else { start.lane };
            if is_odd {
                lanes.slowed(start.webhook, start.lane);
            }
            let fare = if start.delivery.0 % 5 == 0 { Fare::Failing } else { Fare::Proven };
            lanes.finished(start.webhook, start.delivery, lane, Some(fare));
        }
        assert_eq!(seen.len(), offered);
        assert_eq!(lanes.queued(), 0);
        assert!(lanes.endpoints.is_empty() && lanes.known.is_empty());
        assert_eq!(lanes.in_flight().map(|(_, count)| count), [0, 0, 0]);
    }
}
