//! Limits over the whole cluster: nodes tell each other what they let through.
//!
//! Some times a second each node publishes its counts on `chat.limits` and takes in those of the
//! others. **What this promises:** until nodes have heard of each other (a fifth of a second and
//! the way), a key may get its whole limit on each of them, and it pays that back; while NATS is
//! away, or a count is lost, each node holds the limit for itself. No request ever waits for this.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Subscriber};
use futures_util::StreamExt;
use nats::rpc::Counted;
use runtime::meter::Counter;

use crate::Api;

/// How often counts are told.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// Messages in one go: what there is beyond them is told the next time.
const MESSAGES_MAX: usize = 10;
/// How long subscribing may take.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Tells and listens until the node drains.
pub(crate) async fn run(api: Api) -> anyhow::Result<()> {
    let node: u64 = rand::random();
    let mut heard = subscribe(&api).await;
    let mut ticks = tokio::time::interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = api.life().draining() => return Ok(()),
            told = next(&mut heard) => match told {
                Some(payload) => take_in(&api, node, &payload),
                None => heard = None,
            },
            _ = ticks.tick() => {
                if heard.is_none() {
                    heard = subscribe(&api).await;
                }
                tell(&api, node).await;
            }
        }
    }
}

/// Tells what was counted. What cannot be told now is forgotten: it would only count late.
async fn tell(api: &Api, node: u64) {
    for _ in 0..MESSAGES_MAX {
        let counted = api.limits().take(node);
        if counted.is_empty() {
            return;
        }
        let Ok(payload) = serde_json::to_vec(&counted) else { return };
        let subject = api.bus().subjects().limits();
        api.bus().tell(subject, HeaderMap::new(), payload.into()).await;
    }
}

fn take_in(api: &Api, node: u64, payload: &[u8]) {
    match serde_json::from_slice::<Counted>(payload) {
        Ok(counted) if counted.node == node => {}
        Ok(counted) => {
            Counter::LimitCountsHeard.add(1);
            api.limits().take_in(counted, Instant::now());
        }
        Err(error) => {
            tracing::warn!(error = %error, "counts of another node cannot be read: {error}");
        }
    }
}

/// async-nats keeps a subscription over reconnections.
async fn subscribe(api: &Api) -> Option<Subscriber> {
    let subscribe = api.bus().client().subscribe(api.bus().subjects().limits());
    tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscribe).await.ok()?.ok()
}

/// What another node tells next; never, while there is no subscription.
async fn next(heard: &mut Option<Subscriber>) -> Option<bytes::Bytes> {
    match heard {
        Some(heard) => heard.next().await.map(|message| message.payload),
        None => std::future::pending().await,
    }
}
