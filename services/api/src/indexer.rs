//! Search words of long messages: indexed after the message is posted, in transactions of their own.
//!
//! Each word is an entry of the search index, and a long text has a thousand of them. In the
//! transaction that posts a group of messages, everyone in the group would wait for them.
//! Organizations take turns, a few documents at a time, and half of the time the index is others'.
//! What there is no room for, or is lost with the process, is indexed by the janitor within a minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::OrgId;
use parking_lot::Mutex;
use runtime::Lifecycle;
use runtime::fair::{Bounds, FairQueue, Group};
use runtime::meter::{Counter, Gauge, label};
use store::Store;
use store::actions::index_messages::{Document, index_documents};
use tokio::sync::Notify;

/// What may wait, in bytes of documents. One organization's line has a quarter of it.
const QUEUE: Bounds = Bounds {
    items: 4_096,
    weight: 32 * 1024 * 1024,
    tenant_items: 1_024,
    tenant_weight: 8 * 1024 * 1024,
};
/// What one transaction indexes: a few of the longest documents.
const GROUP: Group = Group { items: 16, weight: 64 * 1024, tenant_weight: 16 * 1024 };
/// How long one transaction may take.
const STATEMENT_BUDGET: Duration = Duration::from_secs(4);
/// The longest rest after a transaction; else it is as long as that took.
const REST_MAX: Duration = Duration::from_secs(1);

/// Takes documents. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Indexer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<FairQueue<Document>>,
    wake: Notify,
}

impl Indexer {
    /// Starts the task that indexes.
    pub(crate) fn start(store: Store, life: &Lifecycle) -> Self {
        let shared =
            Arc::new(Shared { queue: Mutex::new(FairQueue::new(QUEUE)), wake: Notify::new() });
        life.spawn_essential("indexer", index_all(Arc::clone(&shared), store, life.clone()));
        Self(shared)
    }

    /// Puts a document in the queue, or leaves it to the janitor.
    pub(crate) fn submit(&self, org: OrgId, document: Document) {
        let weight = document.text.len();
        if self.0.queue.lock().push(org.0, document, weight).is_some() {
            left_to_the_janitor(1);
        }
        self.0.wake.notify_one();
    }
}

fn left_to_the_janitor(documents: usize) {
    Counter::WorkFailed.add_with(documents as u64, vec![label("work", "indexer")]);
}

async fn index_all(shared: Arc<Shared>, store: Store, life: Lifecycle) -> anyhow::Result<()> {
    while !life.is_draining() {
        let (group, waiting) = {
            let mut queue = shared.queue.lock();
            (queue.take(GROUP), queue.len())
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 4,096")]
        Gauge::IndexQueue.set(waiting as f64);
        let rest = if group.is_empty() {
            Duration::MAX
        } else {
            let started = Instant::now();
            index(&store, &group).await;
            started.elapsed().min(REST_MAX)
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = shared.wake.notified(), if group.is_empty() => {}
            () = life.draining() => {}
        }
    }
    Ok(())
}

/// Indexes documents together, and one by one where that fails. What fails alone is the janitor's.
async fn index(store: &Store, group: &[Document]) {
    let Err(error) = index_some(store, group).await else { return };
    tracing::warn!(error = %error, "{} long messages are not indexed yet: {error}", group.len());
    if group.len() < 2 || !store.blames_work(&error).await {
        return left_to_the_janitor(group.len());
    }
    for document in group {
        if let Err(error) = index_some(store, std::slice::from_ref(document)).await {
            let message = document.message;
            tracing::warn!(message.id = %message, error = %error,
                "message {message} is not indexed yet: {error}");
            left_to_the_janitor(1);
        }
    }
}

async fn index_some(store: &Store, documents: &[Document]) -> store::Result<()> {
    let mut tx = store.begin_bounded(STATEMENT_BUDGET).await?;
    index_documents(&mut tx, documents).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}
