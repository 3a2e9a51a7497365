//! Small pools of threads for work that blocks or computes for long, one pool for each kind.
//!
//! tokio's blocking threads are shared by everything in the process that asks for one, so whatever
//! fills them stops the rest. **Invariant:** one kind of work (hashing passwords, decoding images)
//! never waits for the threads of another.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Bytes of a worker's stack.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// A pool of threads with a bounded queue. Clones share it; its threads end with the last clone.
#[derive(Clone, Debug)]
pub struct Workers(SyncSender<Job>);

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// The queue is full.
    #[error("too much work is waiting")]
    Full,
    /// The work panicked. The thread survives.
    #[error("the work panicked")]
    Panicked,
}

impl Workers {
    /// Starts `threads` threads called `name`. `waiting` jobs may wait for one of them.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(name: &str, threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(waiting);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
            thread.spawn(move || work(&queue))?;
        }
        Ok(Self(jobs))
    }

    /// Runs work on one of the threads. Work that nobody waits for any more is not begun; what has
    /// begun runs to its end.
    ///
    /// # Errors
    /// `Full`, `Panicked`.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let (done, outcome) = oneshot::channel();
        let job = move || {
            if !done.is_closed() {
                let _ = done.send(work());
            }
        };
        self.0.try_send(Box::new(job)).map_err(|_| WorkError::Full)?;
        outcome.await.map_err(|_| WorkError::Panicked)
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let Ok(job) = queue.lock().recv() else { return };
        // The caller learns of a panic from its closed channel.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::{WorkError, Workers};

    #[tokio::test]
    async fn work_is_bounded_and_a_thread_outlives_a_panic() {
        let workers = Workers::start("test", 1, 1).unwrap();
        assert_eq!(workers.run(|| 7).await, Ok(7));
        let panics = workers.run(|| std::panic::resume_unwind(Box::new("expected")));
        assert_eq!(panics.await, Err::<(), _>(WorkError::Panicked));
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (start, begun) = tokio::sync::oneshot::channel();
        let blocked = workers.run(move || {
            let _ = start.send(());
            gate.recv().is_ok()
        });
        let crowd = async {
            begun.await.unwrap();
            // One waits for the thread, which is the bound.
            let (waits, refused) = tokio::join!(biased; workers.run(|| 8), async {
                let refused = workers.run(|| 9).await;
                go.send(()).unwrap();
                refused
            });
            assert_eq!(refused, Err(WorkError::Full));
            waits
        };
        assert_eq!(tokio::join!(blocked, crowd), (Ok(true), Ok(8)));
    }
}
