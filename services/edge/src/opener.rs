//! "May this user follow this room, and where does its log stand?", asked for many at once.
//!
//! Whatever is asked while earlier questions are under way becomes one question, so that a storm
//! of connections costs Postgres a few statements and not one each. There is no timer: a lone
//! question goes out at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::{Epoch, RoomId, UserId};
use nats::bus::AskError;
use nats::rpc::{Head, Heads, LogEnds, OpenReply, RoomOnEdge};
use runtime::Lifecycle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::epochs::ApiClient;

/// Questions that may wait.
const WAITING_MAX: usize = 16_384;
/// Rooms and users in one question, far below NATS' payload limit.
const BATCH_MAX: usize = 1_024;
/// Questions under way.
const UNDER_WAY_MAX: usize = 2;

struct Asked {
    room: RoomId,
    user: Option<UserId>,
    answer: oneshot::Sender<Answered>,
}

/// What the api said of one room and one user.
#[derive(Clone, Copy, Debug)]
struct Answered {
    log: Option<LogEnds>,
    is_member: bool,
    epoch: Epoch,
}

/// Asks for rooms.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    api: ApiClient,
    asked: mpsc::Sender<Asked>,
}

impl Opener {
    /// Starts gathering.
    pub(crate) fn start(api: &ApiClient, life: &Lifecycle, stopped: &CancellationToken) -> Self {
        let (asked, waiting) = mpsc::channel(WAITING_MAX);
        let gathering = gather(api.clone(), life.clone(), waiting);
        let stopped = stopped.clone();
        life.spawn(async move {
            stopped.run_until_cancelled(gathering).await;
        });
        Self { api: api.clone(), asked }
    }

    /// Where a room stands, if the user is a member of it. Otherwise ask [`nats::rpc::Open`] for
    /// the exact refusal: those are rare.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn find(
        &self,
        user: UserId,
        room: RoomId,
    ) -> Result<Option<OpenReply>, AskError> {
        let answered = self.ask(room, Some(user)).await?;
        let log = answered.log.filter(|_| answered.is_member);
        Ok(log.map(|log| OpenReply { log, epoch: answered.epoch }))
    }

    /// Where a room stands; `None` when it is gone.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn head(&self, room: RoomId) -> Result<Option<OpenReply>, AskError> {
        let Answered { log, epoch, .. } = self.ask(room, None).await?;
        Ok(log.map(|log| OpenReply { log, epoch }))
    }

    async fn ask(&self, room: RoomId, user: Option<UserId>) -> Result<Answered, AskError> {
        let away =
            |reason: &str| AskError::Unavailable { verb: "heads", reason: reason.to_owned() };
        if !self.api.bus().is_connected() {
            return Err(away("not connected to NATS"));
        }
        let (answer, answered) = oneshot::channel();
        let asked = Asked { room, user, answer };
        self.asked.try_send(asked).map_err(|_| away("too many questions are waiting"))?;
        // The batch's own deadline ends the wait: then its senders are dropped.
        answered.await.map_err(|_| away("no answer"))
    }
}

async fn gather(api: ApiClient, life: Lifecycle, mut waiting: mpsc::Receiver<Asked>) {
    let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let mut batch = Vec::new();
        if waiting.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return;
        }
        let api = api.clone();
        life.spawn(async move {
            ask_batch(&api, batch).await;
            drop(slot);
        });
    }
}

async fn ask_batch(api: &ApiClient, batch: Vec<Asked>) {
    let mut rooms: HashMap<RoomId, HashSet<UserId>> = HashMap::new();
    for asked in &batch {
        rooms.entry(asked.room).or_default().extend(asked.user);
    }
    let rooms = rooms
        .into_iter()
        .map(|(room, users)| RoomOnEdge { room, users: users.into_iter().collect() })
        .collect();
    let (epoch, heads) = match api.ask(&Heads { rooms }).await {
        Ok(reply) => (reply.epoch, reply.rooms),
        Err(error) => {
            tracing::debug!(error = %error, "rooms could not be opened: {error}");
            return;
        }
    };
    let heads: HashMap<RoomId, Head> = heads.into_iter().map(|head| (head.room, head)).collect();
    for asked in batch {
        let Some(head) = heads.get(&asked.room) else { continue };
        let is_member = asked.user.is_some_and(|user| !head.not_members.contains(&user));
        let _ = asked.answer.send(Answered { log: head.log, is_member, epoch });
    }
}
