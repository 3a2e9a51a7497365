//! Group commit: concurrent sends on one node go to Postgres together.
//!
//! A task takes what queued up while its last group committed (bounded in number and bytes; there
//! is no timer), posts it in one transaction, commits, publishes in commit order, and answers each
//! sender. One bad row must not fail its neighbours: a group that fails is split.
//!
//! Organizations take turns ([`runtime::fair`]), and [`LANES`] groups commit at once, each
//! organization in at most one of them: sends of one organization wait for its own group only, and
//! never for the slow commits of another, as long as a lane is free.

mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::{OrgId, Refusal, RoomId, Timestamp};
use nats::publish::{OrgOutgoing, Publisher};
use parking_lot::Mutex;
use runtime::fair::{Bounds, Group};
use runtime::meter::{Counter, Gauge, Histogram};
use runtime::{Clock, Lifecycle};
use store::actions::index_messages::Document;
use store::actions::post_messages::{Post, Posted, post_messages};
use store::log::held_rooms;
use store::{Committed, Error, Store};
use tokio::sync::{Notify, Semaphore, oneshot};

use self::queue::{Queue, Taken};
use crate::here::HereSaid;
use crate::indexer::Indexer;
use crate::problem::Problem;

/// What may wait for the next groups. One organization's line has a quarter of it.
const QUEUE: Bounds = Bounds {
    items: 8_192,
    weight: 64 * 1024 * 1024,
    tenant_items: 2_048,
    tenant_weight: 16 * 1024 * 1024,
};
/// Bytes of messages in one group.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one organization's messages in one group: a hundred usual ones, one of the costliest.
const GROUP_ORG_BYTES_MAX: usize = 64 * 1024;
/// Groups that commit at once.
const LANES: u32 = 3;
/// Connections to Postgres that an api keeps for sends: one for each group that commits.
pub const SEND_CONNECTIONS: u32 = LANES;
/// Rooms whose organization is remembered; beyond that all are forgotten.
const ORGS_KNOWN_MAX: usize = 65_536;
/// How long a sender waits. After that nothing is known of the send: the same nonce asks again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one transaction may take. The server's own deadlines are no help when its machine is
/// gone: then nothing comes, not even an error.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a node that drains waits for one more send of the requests that it has accepted.
const DRAIN_IDLE: Duration = Duration::from_secs(5);
/// How often a group that lost to another transaction is tried.
const TRIES: usize = 5;
/// Transactions at once when group commit is off, as many as a pool of usual size serves.
const UNGROUPED_MAX: usize = 16;

/// Takes sends. Clones share the queue, which closes when the last of them is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Poster(Arc<Submitters>);

/// What all clones of a [`Poster`] hold; dropping it closes the queue.
#[derive(Debug)]
struct Submitters(Arc<Shared>);

impl Drop for Submitters {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.wake.notify_waiters();
    }
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue<Job>>,
    /// Something is in the queue, or it was closed.
    wake: Notify,
    /// Nothing is submitted any more.
    is_closed: AtomicBool,
    /// The organizations of rooms, as far as sends have shown them.
    orgs: Mutex<HashMap<RoomId, OrgId>>,
}

/// Sends that are committed together. Their tenants are busy until it is dropped.
#[derive(Debug)]
struct JobGroup {
    jobs: Vec<Job>,
    taken: Taken,
    shared: Arc<Shared>,
}

impl Drop for JobGroup {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        self.shared.queue.lock().end(&self.taken);
        self.shared.wake.notify_one();
    }
}

#[derive(Debug)]
struct Job {
    post: Post,
    answer: oneshot::Sender<Result<Posted, Problem>>,
}

/// A send on its way.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Result<Posted, Problem>>);

#[derive(Clone)]
struct Worker {
    shared: Arc<Shared>,
    store: Store,
    publisher: Publisher,
    indexer: Indexer,
    here: HereSaid,
    clock: Clock,
    /// Bytes that the files of one organization may hold; 0 is no limit.
    org_quota: i64,
}

impl Poster {
    /// Starts the task that commits groups of at most `group_max` sends; with 1, each send is a
    /// transaction of its own. Files of one organization may hold `org_quota` bytes together.
    pub(crate) fn start(
        (store, publisher, clock): (Store, Publisher, Clock),
        here: HereSaid,
        (group_max, org_quota): (usize, i64),
        life: &Lifecycle,
    ) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(QUEUE)),
            wake: Notify::new(),
            is_closed: AtomicBool::new(false),
            orgs: Mutex::default(),
        });
        let indexer = Indexer::start(store.clone(), life);
        // Without group commit more transactions than those are under way.
        let store = if group_max > 1 { store.for_sends() } else { store };
        let worker = Worker {
            shared: Arc::clone(&shared),
            store,
            publisher,
            indexer,
            here,
            clock,
            org_quota,
        };
        if group_max > 1 {
            for _ in 0..LANES {
                let task = worker.clone().commit_groups(group_max, life.clone());
                life.spawn_essential("poster", task);
            }
        } else {
            let task = worker.commit_each(life.clone());
            life.spawn_essential("poster", task);
        }
        Self(Arc::new(Submitters(shared)))
    }

    /// Puts a send in the queue, at once or not at all: sends of one caller to one room that are
    /// submitted in order are committed in order.
    ///
    /// # Errors
    /// `Unavailable` when the queue, or the organization's line in it, is full.
    pub(crate) fn submit(&self, post: Post) -> Result<Pending, Problem> {
        let bytes = post.message.bytes();
        // Until it is known whose a room is, it has a line of its own. Ids are positive.
        let shared = &self.0.0;
        let known = shared.orgs.lock().get(&post.room).copied();
        let tenant = known.map_or(-post.room.0, |org| org.0);
        let (answer, pending) = oneshot::channel();
        let room = post.room;
        let has_place = shared.queue.lock().push(room, tenant, Job { post, answer }, bytes);
        if !has_place {
            Counter::PostsRefused.add(1);
            return Err(Refusal::Unavailable.into());
        }
        shared.wake.notify_one();
        Ok(Pending(pending))
    }
}

impl Shared {
    /// Takes the next group of at most `items` sends, of organizations that have none in another
    /// group; empty when nothing is left for this lane and the queue was closed or the node drains.
    async fn next(self: &Arc<Self>, items: usize, life: &Lifecycle) -> JobGroup {
        loop {
            let woken = self.wake.notified();
            tokio::pin!(woken);
            // Also what happens from here on wakes it.
            woken.as_mut().enable();
            let is_closed = self.is_closed.load(Ordering::Acquire);
            let group = self.take(items);
            if !group.jobs.is_empty() || is_closed {
                return group;
            }
            tokio::select! {
                () = &mut woken => {}
                () = life.draining() => {
                    // Requests in flight may still submit: wait for them a little.
                    if tokio::time::timeout(DRAIN_IDLE, woken).await.is_err() {
                        return self.take(items);
                    }
                }
            }
        }
    }

    fn take(self: &Arc<Self>, items: usize) -> JobGroup {
        let group = Group { items, weight: GROUP_BYTES_MAX, tenant_weight: GROUP_ORG_BYTES_MAX };
        let (jobs, taken, waiting) = {
            let mut queue = self.queue.lock();
            let (jobs, taken) = queue.take(group);
            (jobs, taken, queue.len())
        };
        #[expect(clippy::cast_precision_loss, reason = "a queue of at most 8,192")]
        Gauge::PostQueue.set(waiting as f64);
        if waiting > 0 && !jobs.is_empty() {
            // A full group may leave sends of organizations that are not busy.
            self.wake.notify_one();
        }
        JobGroup { jobs, taken, shared: Arc::clone(self) }
    }

    /// Remembers whose the rooms of sends are.
    fn learn(&self, results: &[Result<Posted, Refusal>]) {
        let mut orgs = self.orgs.lock();
        if orgs.len() > ORGS_KNOWN_MAX {
            orgs.clear();
        }
        let posted = results.iter().flatten().map(|posted| &posted.message);
        orgs.extend(posted.map(|message| (message.room, message.org)));
    }
}

impl Pending {
    /// The answer, once the message is on disk.
    ///
    /// # Errors
    /// What [`post_messages`] refuses with; `Unavailable` when nothing is known in time.
    pub(crate) async fn answer(self) -> Result<Posted, Problem> {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.0).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable.into()),
        }
    }
}

impl Worker {
    async fn commit_groups(self, group_max: usize, life: Lifecycle) -> anyhow::Result<()> {
        loop {
            let mut group = self.shared.next(group_max, &life).await;
            if group.jobs.is_empty() {
                return Ok(());
            }
            self.commit(std::mem::take(&mut group.jobs)).await;
        }
    }

    /// Group commit switched off, to measure what it brings.
    async fn commit_each(self, life: Lifecycle) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(UNGROUPED_MAX));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let mut group = self.shared.next(1, &life).await;
            if group.jobs.is_empty() {
                return Ok(());
            }
            let jobs = std::mem::take(&mut group.jobs);
            // Sends of one organization are committed beside each other here.
            drop(group);
            let worker = self.clone();
            life.spawn(async move {
                worker.commit(jobs).await;
                drop(slot);
            });
        }
    }

    /// Commits a group and answers it; splits it when a row spoils it.
    async fn commit(&self, group: Vec<Job>) {
        let mut groups = vec![group];
        while let Some(group) = groups.pop() {
            let started = Instant::now();
            let (posts, answers): (Vec<Post>, Vec<_>) =
                group.into_iter().map(|job| (job.post, job.answer)).unzip();
            match self.post(&posts).await {
                Ok(results) => {
                    Histogram::CommitSeconds.record(started.elapsed().as_secs_f64());
                    #[expect(clippy::cast_precision_loss, reason = "a group of at most 8,192")]
                    Histogram::CommitMessages.record(posts.len() as f64);
                    Counter::MessagesPosted.add(posts.len() as u64);
                    self.shared.learn(&results);
                    self.index_later(&posts, &results);
                    self.note_here(&posts, &results);
                    for (answer, result) in answers.into_iter().zip(results) {
                        let _ = answer.send(result.map_err(Problem::from));
                    }
                }
                Err(
                    error @ (Error::Statement(_)
                    | Error::Bug(_)
                    | Error::Held(_)
                    | Error::Refused(_)),
                ) if posts.len() > 1 => {
                    tracing::warn!(error = %error, "a group of sends failed and is split: {error}");
                    let jobs = posts
                        .into_iter()
                        .zip(answers)
                        .map(|(post, answer)| Job { post, answer })
                        .collect();
                    let is_held = matches!(error, Error::Held(_));
                    groups.extend(self.split(jobs, is_held).await);
                }
                Err(error) => {
                    let problem = Problem::from(error);
                    for answer in answers {
                        let _ = answer.send(Err(problem.clone()));
                    }
                }
            }
        }
    }

    /// Has it looked after who is meant by `@here`.
    fn note_here(&self, posts: &[Post], results: &[Result<Posted, Refusal>]) {
        for (post, result) in posts.iter().zip(results) {
            if let Ok(Posted { message, is_replay: false }) = result
                && post.message.mentions().here
            {
                self.here.said(message.room, message.id, message.seq);
            }
        }
    }

    /// Hands the words of long messages to the indexer.
    fn index_later(&self, posts: &[Post], results: &[Result<Posted, Refusal>]) {
        for (post, result) in posts.iter().zip(results) {
            let words = post.message.text().words();
            if let Ok(Posted { message, is_replay: false }) = result
                && words.are_indexed_later()
            {
                let text = words.document(message.room, message.sender);
                self.indexer.submit(message.org, Document { message: message.id, text });
            }
        }
    }

    /// Splits a group that failed, the first part last. Sends to rooms that another transaction
    /// holds are refused: to try them one by one would let all others wait as often.
    async fn split(&self, mut jobs: Vec<Job>, is_held: bool) -> Vec<Vec<Job>> {
        if is_held {
            let rooms: Vec<RoomId> = jobs.iter().map(|job| job.post.room).collect();
            let held = store::within(COMMIT_TIMEOUT, self.held_rooms(&rooms)).await;
            let held = held.unwrap_or_else(|error| {
                tracing::warn!(error = %error, "held rooms cannot be asked for: {error}");
                rooms
            });
            let (stuck, free): (Vec<Job>, Vec<Job>) =
                jobs.into_iter().partition(|job| held.contains(&job.post.room));
            if !stuck.is_empty() {
                for job in stuck {
                    let _ = job.answer.send(Err(Refusal::Unavailable.into()));
                }
                return if free.is_empty() { Vec::new() } else { vec![free] };
            }
            jobs = free;
        }
        let second = jobs.split_off(jobs.len() / 2);
        vec![second, jobs]
    }

    async fn held_rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomId>, Error> {
        let mut tx = self.store.begin().await?;
        held_rooms(&mut tx, rooms).await
    }

    async fn post(&self, posts: &[Post]) -> Result<Vec<Result<Posted, Refusal>>, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let posting = self.try_post(posts, self.clock.now());
            let Ok(posted) = tokio::time::timeout(COMMIT_TIMEOUT, posting).await else {
                return Err(Error::TimedOut);
            };
            match posted {
                Err(Error::Contended(_)) if tries < TRIES => {}
                other => return other,
            }
        }
    }

    async fn try_post(
        &self,
        posts: &[Post],
        now: Timestamp,
    ) -> Result<Vec<Result<Posted, Refusal>>, Error> {
        let mut tx = self.store.begin().await?;
        let results = post_messages(&mut tx, posts, self.org_quota, now).await?;
        let committed = tx.commit().await?;
        publish(&self.publisher, &committed);
        Ok(results)
    }
}

/// Publishes what a transaction made true, in its order.
pub(crate) fn publish(publisher: &Publisher, committed: &Committed) {
    for event in &committed.room_events {
        publisher.room_event(event, committed.epoch);
    }
    for event in &committed.org_events {
        publisher.org_event(OrgOutgoing {
            org: event.org,
            seq: event.seq,
            epoch: committed.epoch,
            at: event.at,
            kind: &event.kind,
            user: event.user,
            payload: event.payload.to_string(),
        });
    }
}
