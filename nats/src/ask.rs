//! Questions to api nodes, asked again of another node when the first does not answer.
//!
//! All questions are idempotent (`post` by its nonce). Which node of the queue group took one is
//! not known, so the repeat goes straight to the two nodes that answered anything last: a node that
//! hangs can be one of them, not both. Repeats under way are bounded, since with overloaded nodes
//! each would be one more load.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Message;
use bytes::Bytes;
use domain::Refusal;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use runtime::meter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bus::{AskError, Bus};
use crate::rpc::{Answer, Question};
use crate::subjects::HEADER_NODE;

/// How long the first node has before another is asked.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(1_500);
/// The pause before another node is asked when the first says that it is unavailable.
const UNAVAILABLE_PAUSE: Duration = Duration::from_millis(50);
/// Questions that may be asked again at once.
const AGAIN_MAX: usize = 256;
/// Nodes that a question which got no answer is repeated to.
const AGAIN_NODES: usize = 2;
/// A node that has answered nothing for this long is not asked directly.
const NODE_FRESH: Duration = Duration::from_secs(10);
/// Nodes that are remembered.
const NODES_MAX: usize = 64;

/// The api nodes that answered of late.
#[derive(Debug)]
pub(crate) struct Nodes {
    heard: Mutex<HashMap<String, Instant>>,
    again: Arc<Semaphore>,
}

/// What came of one attempt.
enum Outcome<T> {
    /// A reply or a refusal.
    Answered(Result<T, AskError>),
    /// A node cannot answer now; another may.
    Unavailable { error: AskError, node: Option<String> },
    /// No node listens, or the way to NATS is broken.
    Nobody(AskError),
}

type Attempt<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send + 'a>>;

impl Nodes {
    pub(crate) fn new() -> Self {
        Self { heard: Mutex::default(), again: Arc::new(Semaphore::new(AGAIN_MAX)) }
    }

    fn note(&self, node: &str, now: Instant) {
        let mut heard = self.heard.lock();
        if let Some(at) = heard.get_mut(node) {
            *at = now;
            return;
        }
        if heard.len() >= NODES_MAX {
            heard.retain(|_, at| now.duration_since(*at) < NODE_FRESH);
        }
        if heard.len() < NODES_MAX {
            heard.insert(node.to_owned(), now);
        }
    }

    /// At most `count` nodes that answered of late, the last first, without `except`.
    fn freshest(&self, count: usize, except: Option<&str>, now: Instant) -> Vec<String> {
        let heard = self.heard.lock();
        let mut fresh: Vec<(Instant, &String)> = heard
            .iter()
            .filter(|(node, at)| {
                now.duration_since(**at) < NODE_FRESH && except != Some(node.as_str())
            })
            .map(|(node, &at)| (at, node))
            .collect();
        fresh.sort_unstable_by(|a, b| b.cmp(a));
        fresh.into_iter().take(count).map(|(_, node)| node.clone()).collect()
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.again).try_acquire_owned().ok()
    }
}

impl Bus {
    /// Asks an api, and waits for at most the question's deadline. One that does not answer within
    /// 1.5 s, or says that it is unavailable, is not waited for alone: others are asked too, and
    /// the first answer counts.
    ///
    /// # Errors
    /// `Unavailable` when no answer comes, `Refused` when the api says no.
    pub async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Reply, AskError> {
        if !self.is_connected() {
            return Err(away::<Q>("not connected to NATS"));
        }
        let payload = serde_json::to_vec(question).map_err(|error| away::<Q>(error.to_string()))?;
        let asking = self.ask_again::<Q>(payload.into());
        tokio::time::timeout(Q::DEADLINE, asking)
            .await
            .unwrap_or_else(|_| Err(away::<Q>(format!("none within {:?}", Q::DEADLINE))))
    }

    async fn ask_again<Q: Question>(&self, payload: Bytes) -> Result<Q::Reply, AskError> {
        let mut attempts = FuturesUnordered::<Attempt<'_, Q::Reply>>::new();
        attempts.push(Box::pin(self.attempt::<Q>(None, payload.clone())));
        let later = tokio::time::sleep(ASK_AGAIN_AFTER);
        tokio::pin!(later);
        let mut permit: Option<OwnedSemaphorePermit> = None;
        let mut may_ask_again = true;
        let mut failure = away::<Q>("nobody was asked");
        while !attempts.is_empty() {
            tokio::select! {
                Some(outcome) = attempts.next() => match outcome {
                    Outcome::Answered(answer) => return answer,
                    Outcome::Nobody(error) => failure = error,
                    Outcome::Unavailable { error, node } => {
                        failure = error;
                        if may_ask_again {
                            permit = self.nodes().permit();
                        }
                        if permit.is_some() && may_ask_again {
                            Counter::RpcAskedAgain.add(1);
                            let other = self.nodes().freshest(1, node.as_deref(), Instant::now());
                            let again = self.attempt::<Q>(other.into_iter().next(), payload.clone());
                            attempts.push(Box::pin(async move {
                                tokio::time::sleep(UNAVAILABLE_PAUSE).await;
                                again.await
                            }));
                        }
                        may_ask_again = false;
                    }
                },
                () = later.as_mut(), if may_ask_again => {
                    may_ask_again = false;
                    permit = self.nodes().permit();
                    if permit.is_some() {
                        Counter::RpcAskedAgain.add(1);
                        for node in self.nodes().freshest(AGAIN_NODES, None, Instant::now()) {
                            let again = self.attempt::<Q>(Some(node), payload.clone());
                            attempts.push(Box::pin(again));
                        }
                    }
                }
            }
        }
        drop(permit);
        Err(failure)
    }

    /// Asks one node, or whichever of the queue group takes the question.
    async fn attempt<Q: Question>(
        &self,
        node: Option<String>,
        payload: Bytes,
    ) -> Outcome<Q::Reply> {
        let subject = match &node {
            Some(node) => self.subjects().rpc_of_node(node, Q::VERB),
            None => self.subjects().rpc(Q::VERB),
        };
        let message = match self.client().request(subject, payload).await {
            Ok(message) => message,
            Err(error) => return Outcome::Nobody(away::<Q>(error.to_string())),
        };
        let node = node_of(&message);
        if let Some(node) = &node {
            self.nodes().note(node, Instant::now());
        }
        match serde_json::from_slice::<Answer<Q::Reply>>(&message.payload) {
            Ok(Answer::Ok(reply)) => Outcome::Answered(Ok(reply)),
            // Its Postgres is away: the same to an edge as no api.
            Ok(Answer::Refused(refused)) if refused.code == Refusal::Unavailable.code() => {
                Outcome::Unavailable { error: away::<Q>(refused.detail), node }
            }
            Ok(Answer::Refused(refused)) => Outcome::Answered(Err(AskError::Refused(refused))),
            Err(error) => {
                let error = away::<Q>(format!("an answer that cannot be read: {error}"));
                Outcome::Unavailable { error, node }
            }
        }
    }
}

fn away<Q: Question>(reason: impl Into<String>) -> AskError {
    AskError::Unavailable { verb: Q::VERB, reason: reason.into() }
}

fn node_of(message: &Message) -> Option<String> {
    let node = message.headers.as_ref()?.get(HEADER_NODE)?.as_str();
    let is_plain = !node.is_empty() && node.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| node.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_answered_last_are_asked_first_and_silent_ones_not_at_all() {
        let (nodes, start) = (Nodes::new(), Instant::now());
        nodes.note("old", start);
        nodes.note("a", start + NODE_FRESH);
        nodes.note("b", start + NODE_FRESH * 3 / 2);
        let now = start + NODE_FRESH * 3 / 2;
        assert_eq!(nodes.freshest(2, None, now), ["b", "a"]);
        assert_eq!(nodes.freshest(1, Some("b"), now), ["a"]);
        assert_eq!(nodes.freshest(2, None, now + NODE_FRESH * 2), [""; 0]);
    }
}
