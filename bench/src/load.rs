//! Senders: a closed loop of so many in flight, or so many a second.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::acks::Acks;
use crate::frames;
use crate::gauge::{Durations, count, float};
use crate::http::{Rest, SocketSender};
use crate::scene::Scene;
use crate::sockets::Audience;

/// How often a sender that is ahead of the audience looks again.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// A paced send that is up to this late is counted from when it began: the timer wakes that late.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// Which road sends take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// `POST /messages/rooms/{room}/`.
    Rest,
    /// `message` frames.
    Socket,
}

/// Who sends what to whom.
#[derive(Clone, Debug)]
pub(crate) struct Senders {
    /// The scene.
    pub(crate) scene: Arc<Scene>,
    /// The road.
    pub(crate) over: Over,
    /// Where it begins: apis or edges.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How many send at once.
    pub(crate) in_flight: usize,
    /// Into so many of the scene's rooms, from the first on.
    pub(crate) rooms: usize,
    /// Characters of a body.
    pub(crate) body: usize,
    /// What bodies count their time from.
    pub(crate) epoch: Instant,
}

/// What came of sending.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Acknowledged.
    pub(crate) sends: u64,
    /// From the first send to the last answer.
    pub(crate) elapsed: Duration,
    /// Of each send, until its answer.
    pub(crate) answers: Durations,
}

impl Sent {
    /// Acknowledged sends per second.
    pub(crate) fn per_second(&self) -> f64 {
        float(self.sends) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// One sender's way in.
#[derive(Debug)]
enum Way {
    Rest(Box<Rest>),
    /// Sockets are somebody's: the way of the room's member that the sender is.
    Socket(Box<SocketSender>),
}

struct Job {
    senders: Senders,
    acks: Arc<Acks>,
    next: AtomicU64,
    begun: Instant,
    until: Instant,
    answers: Mutex<Durations>,
}

impl Senders {
    /// Sends for `duration`, each sender as soon as its last send was answered.
    ///
    /// # Errors
    /// When a send is refused or fails.
    pub(crate) async fn saturate(
        &self,
        acks: &Arc<Acks>,
        duration: Duration,
    ) -> anyhow::Result<Sent> {
        self.run(acks, duration, |job, worker| Box::pin(job.saturate(worker, None))).await
    }

    /// The same, but no room gets more than `ahead` events ahead of what its audience heard: a
    /// closed loop to the very delivery.
    ///
    /// # Errors
    /// When a send is refused or fails.
    pub(crate) async fn saturate_heard(
        &self,
        acks: &Arc<Acks>,
        (audience, ahead): (&Arc<Audience>, u64),
        duration: Duration,
    ) -> anyhow::Result<Sent> {
        let each = count(audience.sockets()) / count(audience.rooms());
        let heard = |room| AtomicU64::new(audience.heard_in(room) / each);
        let sent = (0..self.rooms).map(heard).collect();
        let gate = Arc::new(Gate { audience: Arc::clone(audience), ahead, each, sent });
        self.run(acks, duration, |job, worker| {
            Box::pin(job.saturate(worker, Some(Arc::clone(&gate))))
        })
        .await
    }

    /// Sends so many a second for `duration`, in turns into every room. Senders that are late
    /// count their delay from when the send was due.
    ///
    /// # Errors
    /// When a send is refused or fails.
    pub(crate) async fn pace(
        &self,
        acks: &Arc<Acks>,
        per_second: u32,
        duration: Duration,
    ) -> anyhow::Result<Sent> {
        self.run(acks, duration, |job, worker| Box::pin(job.pace(worker, per_second))).await
    }

    async fn run<F>(&self, acks: &Arc<Acks>, duration: Duration, work: F) -> anyhow::Result<Sent>
    where
        F: Fn(
            Arc<Job>,
            Worker,
        ) -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<u64>> + Send>>,
    {
        ensure!(duration <= Duration::from_secs(120), "a run of more than two minutes");
        let mut workers = Vec::with_capacity(self.in_flight);
        for number in 0..self.in_flight {
            workers.push(self.worker(number).await?);
        }
        let begun = Instant::now();
        let job = Arc::new(Job {
            senders: self.clone(),
            acks: Arc::clone(acks),
            next: AtomicU64::new(0),
            begun,
            until: begun + duration,
            answers: Mutex::new(Durations::new()),
        });
        let mut tasks = JoinSet::new();
        for worker in workers {
            tasks.spawn(work(Arc::clone(&job), worker));
        }
        let mut sends = 0;
        while let Some(ended) = tasks.join_next().await {
            sends += ended??;
        }
        let answers = job.answers.lock().clone();
        Ok(Sent { sends, elapsed: begun.elapsed(), answers })
    }

    async fn worker(&self, number: usize) -> anyhow::Result<Worker> {
        let address = self.addresses[number % self.addresses.len()];
        let way = match self.over {
            Over::Rest => Way::Rest(Box::new(Rest::open(address).await?)),
            Over::Socket => {
                let room = &self.scene.rooms[number % self.rooms];
                let token = self.scene.token(room, number / self.rooms);
                Way::Socket(Box::new(SocketSender::open(address, token).await?))
            }
        };
        Ok(Worker { number, way })
    }
}

struct Worker {
    number: usize,
    way: Way,
}

/// Keeps senders from running ahead of the audience.
struct Gate {
    audience: Arc<Audience>,
    ahead: u64,
    each: u64,
    sent: Vec<AtomicU64>,
}

impl Gate {
    async fn pass(&self, room: usize) {
        let sent = self.sent[room].fetch_add(1, Relaxed);
        while sent > self.audience.heard_in(room) / self.each + self.ahead {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Job {
    async fn saturate(
        self: Arc<Self>,
        mut worker: Worker,
        gate: Option<Arc<Gate>>,
    ) -> anyhow::Result<u64> {
        let mut answers = Durations::new();
        let mut turn = worker.number;
        while Instant::now() < self.until {
            let room = turn % self.senders.rooms;
            if let Some(gate) = &gate {
                gate.pass(room).await;
            }
            let begun = Instant::now();
            self.send(&mut worker, room, begun).await?;
            answers.record(begun.elapsed());
            turn = match self.senders.over {
                // A room of its own turn, so that many rooms are in each group.
                Over::Rest => turn + self.senders.in_flight,
                // A socket sends into its member's room.
                Over::Socket => turn,
            };
        }
        self.answers.lock().add(&answers);
        Ok(answers.count())
    }

    async fn pace(self: Arc<Self>, mut worker: Worker, per_second: u32) -> anyhow::Result<u64> {
        let mut answers = Durations::new();
        loop {
            let turn = self.next.fetch_add(1, Relaxed);
            let due = self.begun + Duration::from_secs(turn) / per_second;
            if due >= self.until {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let woken = Instant::now();
            let begun = if woken - due <= TIMER_SLACK { woken } else { due };
            let room = usize::try_from(turn)? % self.senders.rooms;
            self.send(&mut worker, room, begun).await?;
            answers.record(begun.elapsed());
        }
        self.answers.lock().add(&answers);
        Ok(answers.count())
    }

    async fn send(&self, worker: &mut Worker, room: usize, begun: Instant) -> anyhow::Result<()> {
        let senders = &self.senders;
        let at = begun.saturating_duration_since(senders.epoch).as_micros();
        let body = format!("at {at:012} {:x<1$}", "", senders.body.saturating_sub(16));
        let place = &senders.scene.rooms[room];
        let nonce = format!("{}-{at}", worker.number);
        let seq = match &mut worker.way {
            Way::Rest(rest) => {
                let token = senders.scene.token(place, worker.number);
                let line = format!("POST /api/v1/messages/rooms/{}/", place.id);
                let body = format!(r#"{{"body":"{body}","nonce":"{nonce}"}}"#);
                let answer = rest.call(&line, token, Some(&body)).await?;
                let seq = frames::number(answer.body, br#""seq":"#);
                let status = answer.status;
                seq.filter(|_| status == 201).with_context(|| {
                    let body = String::from_utf8_lossy(answer.body);
                    format!("a send was answered {status}: {body}")
                })?
            }
            Way::Socket(socket) => {
                let id = place.id;
                let frame = format!(
                    r#"{{"type":"message","room":{id},"body":"{body}","nonce":"{nonce}"}}"#
                );
                socket.send(&frame).await?
            }
        };
        self.acks.add(room, seq);
        Ok(())
    }
}
