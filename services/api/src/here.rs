//! `@here` means who is online when it is said. Mostly the relay looks a moment later; while it is
//! late, the api that took the message looks instead, and records the answer for it.

use std::sync::Arc;
use std::time::Duration;

use domain::{MessageId, RoomId, Seq};
use nats::presence::Directory;
use runtime::Lifecycle;
use runtime::meter::{Counter, label};
use store::Store;
use store::actions::here_said::note_here;
use store::queries::here_said::waiting_for_here;
use tokio::sync::Semaphore;

/// How long the relay has to plan a message before it is late.
const LATE_AFTER: Duration = Duration::from_secs(1);
/// Messages that are looked at, at most; the relay looks at the others when it plans them.
const AT_ONCE: usize = 64;
/// How long finding one message's people, and recording who is online, may take.
const BUDGET: Duration = Duration::from_secs(20);

/// Looks after messages that say `@here`. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct HereSaid(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    presence: Directory,
    life: Lifecycle,
    slots: Arc<Semaphore>,
}

impl HereSaid {
    /// Looks after nothing yet.
    pub(crate) fn new(store: Store, presence: Directory, life: Lifecycle) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new(Inner { store, presence, life, slots }))
    }

    /// Looks after a message of a room, from the event at `seq` on, which said `@here` first.
    pub(crate) fn said(&self, room: RoomId, message: MessageId, seq: Seq) {
        let Ok(slot) = Arc::clone(&self.0.slots).try_acquire_owned() else {
            Counter::WorkFailed.add_with(1, vec![label("work", "here_said")]);
            return;
        };
        let this = self.clone();
        self.0.life.spawn(async move {
            if this.0.life.pause(LATE_AFTER).await {
                let recorded = Box::pin(this.record(room, message, seq));
                if let Err(error) = store::within(BUDGET, recorded).await {
                    Counter::WorkFailed.add_with(1, vec![label("work", "here_said")]);
                    tracing::warn!(message.id = %message, error = %error,
                        "who was online at message {message} is not recorded: {error}");
                }
            }
            drop(slot);
        });
    }

    async fn record(&self, room: RoomId, message: MessageId, seq: Seq) -> store::Result<()> {
        let members = waiting_for_here(&mut *self.0.store.read().await?, room, seq).await?;
        let Some(members) = members else { return Ok(()) };
        let users = self.0.presence.online_of(members).await;
        let mut tx = self.0.store.begin().await?;
        note_here(&mut tx, message, seq, &users).await?;
        let _nothing_to_publish = tx.commit().await?;
        Ok(())
    }
}
