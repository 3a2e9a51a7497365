//! Which logins were revoked of late, kept true on this node.
//!
//! Revocations are pushed on `chat.revoked`; and since a push can be lost, the record is looked
//! at every second, which also serves while NATS is away. Each is held for one access lifetime
//! and a margin, after which no token of it can be alive.

use std::time::Duration;

use async_nats::Subscriber;
use domain::Timestamp;
use futures_util::StreamExt;
use nats::rpc::RevokedReply;
use store::queries::logins::revoked_since;

use crate::Api;

/// How often the record is looked at.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// How long a look may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);
/// A revocation may be committed so much later than the time it bears, and the clocks of nodes
/// may differ by so much: each look reaches back this far, and each login is held this much
/// longer.
pub(crate) const MARGIN: Duration = Duration::from_secs(30);

/// Loads what was revoked within one access lifetime, if the record is there; returns from when
/// on [`follow`] must look.
pub(crate) async fn load(api: &Api) -> Timestamp {
    poll(api, api.clock().now() - api.config().access_token_ttl - MARGIN).await
}

/// Follows revocations until the node drains.
pub(crate) async fn follow(api: Api, mut since: Timestamp) -> anyhow::Result<()> {
    let mut pushes = subscribe(&api).await;
    let mut polls = tokio::time::interval(POLL_PERIOD);
    polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = api.life().draining() => return Ok(()),
            push = next(&mut pushes) => match push {
                Some(payload) => take_in(&api, &payload),
                None => pushes = None,
            },
            _ = polls.tick() => {
                if pushes.is_none() {
                    pushes = subscribe(&api).await;
                }
                since = poll(&api, since).await;
                api.revoked().forget_expired(api.clock().now());
            }
        }
    }
}

/// async-nats keeps a subscription over reconnections.
async fn subscribe(api: &Api) -> Option<Subscriber> {
    let subscribe = api.bus().client().subscribe(api.bus().subjects().revoked());
    tokio::time::timeout(POLL_PERIOD, subscribe).await.ok()?.ok()
}

/// The next push; never, while there is no subscription.
async fn next(pushes: &mut Option<Subscriber>) -> Option<bytes::Bytes> {
    match pushes {
        Some(pushes) => pushes.next().await.map(|message| message.payload),
        None => std::future::pending().await,
    }
}

fn take_in(api: &Api, payload: &[u8]) {
    match serde_json::from_slice::<RevokedReply>(payload) {
        Ok(revoked) => {
            for one in revoked.logins {
                api.revoked().add(one.login, one.until);
            }
        }
        Err(error) => tracing::warn!(error = %error, "a revocation cannot be read: {error}"),
    }
}

/// Looks at what was revoked after `since`; returns from when on to look the next time.
async fn poll(api: &Api, since: Timestamp) -> Timestamp {
    let now = api.clock().now();
    let look = tokio::time::timeout(POLL_TIMEOUT, revoked_since(api.store(), since)).await;
    match look {
        Ok(Ok(revoked)) => {
            for (login, at) in revoked {
                let until = at + api.config().access_token_ttl + MARGIN;
                if until > now {
                    api.revoked().add(login, until);
                }
            }
            now - MARGIN
        }
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "revocations could not be read: {error}");
            since
        }
        Err(_) => since,
    }
}
