//! What waits to be attempted, and what may start now. Pure: it is told everything.
//!
//! Organizations take turns, and within one its endpoints; none has more than [`ORG_AT_ONCE_MAX`]
//! attempts at a time that are not slow. A *proven* one, whose last attempt succeeded, has up to [`AT_ONCE_MAX`]
//! attempts at a time; any other has one, and so does one whose answer is slow in coming. Those
//! that are not proven share a lane of their own. An attempt that takes long leaves its lane, so
//! that endpoints that hang give way to those that answer. What waits for an endpoint that breaks
//! is given back at once: to find out job by job that it is parked would cost more than attempts.

use std::collections::{HashMap, HashSet, VecDeque};

use domain::{DeliveryId, OrgId, WebhookId};
use runtime::fair::{Bounds, FairQueue};

/// Attempts at a time, per endpoint that answers.
const AT_ONCE_MAX: usize = 4;
/// Attempts of one organization at a time, without slow ones, so that its use of Postgres does not
/// delay other organizations.
const ORG_AT_ONCE_MAX: usize = 64;
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

/// An endpoint that a job is for, as the database knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) webhook: WebhookId,
    pub(crate) org: OrgId,
    pub(crate) fare: Fare,
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
    org: OrgId,
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
    fast_line: FairQueue<WebhookId>,
    unproven_line: FairQueue<WebhookId>,
    /// Attempts of organizations that are not slow.
    by_org: HashMap<OrgId, usize>,
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
            fast_line: FairQueue::new(Bounds::NONE),
            unproven_line: FairQueue::new(Bounds::NONE),
            by_org: HashMap::new(),
            fast: 0,
            unproven: 0,
            slow: 0,
        }
    }
}

impl<J> Lanes<J> {
    /// Takes a job of an endpoint.
    pub(crate) fn offer(
        &mut self,
        Target { webhook, org, fare }: Target,
        (delivery, is_probe): (DeliveryId, bool),
        job: J,
    ) -> Offer<J> {
        if self.known.contains(&delivery) {
            return Offer::Known(job);
        }
        let endpoint = self.endpoints.entry(webhook).or_insert_with(|| Endpoint {
            org,
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
            let by_org = &self.by_org;
            let webhook = waiting
                .next(|org| by_org.get(&OrgId(org)).is_none_or(|&count| count < ORG_AT_ONCE_MAX))?;
            let Some(endpoint) = self.endpoints.get_mut(&webhook) else { continue };
            endpoint.is_in_line = false;
            let is_mine = endpoint.lane() == lane && endpoint.may_start();
            let queued = if is_mine { endpoint.queue.pop_front() } else { None };
            if let Some(queued) = &queued {
                endpoint.in_flight += 1;
                *self.by_org.entry(endpoint.org).or_default() += 1;
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
        self.leave(webhook, lane);
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
        self.leave(webhook, lane);
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

    fn leave(&mut self, webhook: WebhookId, lane: Lane) {
        if lane != Lane::Slow
            && let Some(endpoint) = self.endpoints.get(&webhook)
            && let Some(count) = self.by_org.get_mut(&endpoint.org)
        {
            *count -= 1;
            if *count == 0 {
                self.by_org.remove(&endpoint.org);
            }
        }
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
        let line = match endpoint.lane() {
            Lane::Unproven => &mut self.unproven_line,
            Lane::Fast | Lane::Slow => &mut self.fast_line,
        };
        line.push(endpoint.org.0, webhook, 0);
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
mod tests;
