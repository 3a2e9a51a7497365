//! Group commit: concurrent sends on one node go to Postgres together.
//!
//! One task takes whatever queued up while the last group committed (bounded in number and bytes;
//! there is no timer), posts it in one transaction, commits, publishes in commit order, and
//! answers each sender. One bad row must not fail its neighbours: a group that fails is split.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Refusal, RoomId, Timestamp};
use nats::publish::{OrgOutgoing, Publisher};
use runtime::meter::{Counter, Gauge, Histogram};
use runtime::{Clock, Lifecycle};
use store::actions::post_messages::{Post, Posted, post_messages};
use store::log::held_rooms;
use store::{Committed, Error, Store};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::problem::Problem;

/// Sends that may wait for the next group.
const QUEUE_MAX: usize = 8_192;
/// Bytes of messages that may wait.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of messages in one group.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
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

/// Takes sends. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Poster {
    queue: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
}

#[derive(Debug)]
struct Job {
    post: Post,
    answer: oneshot::Sender<Result<Posted, Problem>>,
    /// Its share of the queue's bytes.
    held: tokio::sync::OwnedSemaphorePermit,
}

/// A send on its way.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Result<Posted, Problem>>);

#[derive(Clone)]
struct Worker {
    store: Store,
    publisher: Publisher,
    clock: Clock,
    /// Bytes that the files of one organization may hold; 0 is no limit.
    org_quota: i64,
}

impl Poster {
    /// Starts the task that commits groups of at most `group_max` sends; with 1, each send is a
    /// transaction of its own. Files of one organization may hold `org_quota` bytes together.
    pub(crate) fn start(
        (store, publisher, clock): (Store, Publisher, Clock),
        (group_max, org_quota): (usize, i64),
        life: &Lifecycle,
    ) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let worker = Worker { store, publisher, clock, org_quota };
        if group_max > 1 {
            let task = worker.commit_groups(receiver, group_max, life.clone());
            life.spawn_essential("poster", task);
        } else {
            let task = worker.commit_each(receiver, life.clone());
            life.spawn_essential("poster", task);
        }
        Self { queue, bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)) }
    }

    /// Puts a send in the queue, at once or not at all: sends of one caller that are submitted in
    /// order are committed in order.
    ///
    /// # Errors
    /// `Unavailable` when the queue is full.
    pub(crate) fn submit(&self, post: Post) -> Result<Pending, Problem> {
        let bytes = u32::try_from(post.message.bytes()).unwrap_or(u32::MAX);
        let full = || {
            Counter::PostsRefused.add(1);
            Problem::from(Refusal::Unavailable)
        };
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).map_err(|_| full())?;
        let (answer, pending) = oneshot::channel();
        self.queue.try_send(Job { post, answer, held: permit }).map_err(|_| full())?;
        Ok(Pending(pending))
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
    async fn commit_groups(
        self,
        mut queue: mpsc::Receiver<Job>,
        group_max: usize,
        life: Lifecycle,
    ) -> anyhow::Result<()> {
        let mut kept: Option<Job> = None;
        loop {
            let first = match kept.take() {
                Some(job) => job,
                None => match next(&mut queue, &life).await {
                    Some(job) => job,
                    None => return Ok(()),
                },
            };
            let mut bytes = first.post.message.bytes();
            let mut group = vec![first];
            while group.len() < group_max {
                let Ok(job) = queue.try_recv() else { break };
                bytes += job.post.message.bytes();
                if bytes > GROUP_BYTES_MAX {
                    kept = Some(job);
                    break;
                }
                group.push(job);
            }
            #[expect(clippy::cast_precision_loss, reason = "a queue of at most 8,192")]
            Gauge::PostQueue.set(queue.len() as f64);
            self.commit(group).await;
        }
    }

    /// Group commit switched off, to measure what it brings.
    async fn commit_each(
        self,
        mut queue: mpsc::Receiver<Job>,
        life: Lifecycle,
    ) -> anyhow::Result<()> {
        let slots = Arc::new(Semaphore::new(UNGROUPED_MAX));
        while let Some(job) = next(&mut queue, &life).await {
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let worker = self.clone();
            life.spawn(async move {
                worker.commit(vec![job]).await;
                drop(slot);
            });
        }
        Ok(())
    }

    /// Commits a group and answers it; splits it when a row spoils it.
    async fn commit(&self, group: Vec<Job>) {
        let mut groups = vec![group];
        while let Some(group) = groups.pop() {
            let started = Instant::now();
            let (posts, answers): (Vec<Post>, Vec<_>) =
                group.into_iter().map(|job| (job.post, (job.answer, job.held))).unzip();
            match self.post(&posts).await {
                Ok(results) => {
                    Histogram::CommitSeconds.record(started.elapsed().as_secs_f64());
                    #[expect(clippy::cast_precision_loss, reason = "a group of at most 8,192")]
                    Histogram::CommitMessages.record(posts.len() as f64);
                    Counter::MessagesPosted.add(posts.len() as u64);
                    for ((answer, _), result) in answers.into_iter().zip(results) {
                        let _ = answer.send(result.map_err(Problem::from));
                    }
                }
                Err(error @ (Error::Statement(_) | Error::Bug(_) | Error::Held(_)))
                    if posts.len() > 1 =>
                {
                    tracing::warn!(error = %error, "a group of sends failed and is split: {error}");
                    let jobs = posts
                        .into_iter()
                        .zip(answers)
                        .map(|(post, (answer, held))| Job { post, answer, held })
                        .collect();
                    let is_held = matches!(error, Error::Held(_));
                    groups.extend(self.split(jobs, is_held).await);
                }
                Err(error) => {
                    let problem = Problem::from(error);
                    for (answer, _) in answers {
                        let _ = answer.send(Err(problem.clone()));
                    }
                }
            }
        }
    }

    /// Splits a group that failed, the first part last. Sends to rooms that another transaction
    /// holds are refused: to try them one by one would let all others wait as often.
    async fn split(&self, mut jobs: Vec<Job>, is_held: bool) -> Vec<Vec<Job>> {
        if is_held {
            let rooms: Vec<RoomId> = jobs.iter().map(|job| job.post.room).collect();
            let held = tokio::time::timeout(COMMIT_TIMEOUT, self.held_rooms(&rooms)).await;
            let held = held.unwrap_or(Err(Error::TimedOut)).unwrap_or_else(|error| {
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

/// The next send; `None` when the node drains and nothing is left.
async fn next(queue: &mut mpsc::Receiver<Job>, life: &Lifecycle) -> Option<Job> {
    tokio::select! {
        job = queue.recv() => job,
        () = life.draining() => {
            // Requests in flight may still submit: wait for them a little.
            tokio::time::timeout(DRAIN_IDLE, queue.recv()).await.ok().flatten()
        }
    }
}

/// Publishes what a transaction made true, in its order.
pub(crate) fn publish(publisher: &Publisher, committed: &Committed) {
    for event in &committed.room_events {
        publisher.room_event(event);
    }
    for event in &committed.org_events {
        publisher.org_event(OrgOutgoing {
            org: event.org,
            seq: event.seq,
            at: event.at,
            kind: &event.kind,
            user: event.user,
            payload: event.payload.to_string(),
        });
    }
}
