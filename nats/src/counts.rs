//! Limits over a cluster: the nodes of a role exchange counts of what they allowed.
//!
//! Five times a second each node publishes its counts and applies those of the others.
//! **Accuracy:** until a count has arrived (200 ms and the transit), a key may use its whole limit
//! on each node; the excess is paid back. While NATS is unavailable, or when a count is lost, each
//! node applies the limit by itself. No request ever waits for the exchange.

use std::net::IpAddr;
use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use domain::{LoginId, UserId};
use futures_util::StreamExt;
use runtime::meter::Counter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bus::Bus;

/// Keys in one message: far less than NATS carries in one.
pub const COUNTED_MAX: usize = 5_000;
/// How often counts are published.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
/// Messages published at once; further counts follow the next time.
const MESSAGES_MAX: usize = 10;
/// Deadline for subscribing.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The first half of a text's SHA-256, by which limits count e-mails and tokens: of fixed size, and
/// neither e-mails nor tokens are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u64; 2]);

/// Calls that anyone may make to prove an identity; each group has limits of its own per client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthCalls {
    /// Sign-in and registration.
    SignIn,
    /// The request and the confirmation of a password reset.
    Reset,
}

/// The key by which attempts to prove an identity are counted. Each key has the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// Attempts of one client for one e-mail.
    Email(AuthCalls, IpAddr, Digest),
    /// Attempts with a valid token of the account: of a device, or of a reset link.
    Token(Digest),
    /// Attempts of a signed-in user to prove the password.
    Login(LoginId),
}

/// What an api node has allowed since its last message: the payload of `chat.limits`. Each count is
/// published once; a lost one counts on its own node alone. Clients are prefixes
/// (`runtime::address::client_prefix`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ApiCounts {
    /// Requests of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<(UserId, u32)>,
    /// Requests without a user, by client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<(IpAddr, u32)>,
    /// Attempts to prove an identity, by client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth_clients: Vec<((AuthCalls, IpAddr), u32)>,
    /// Attempts to prove an identity, by e-mail, token or login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<(Attempt, u32)>,
    /// Failed sign-ins of strangers, by e-mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(Digest, u32)>,
}

/// What an edge has counted since its last message: the payload of `chat.edge.all.counts`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EdgeCounts {
    /// Frames of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<(UserId, u32)>,
    /// KiB of those frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frame_kib: Vec<(UserId, u32)>,
    /// KiB replayed to users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay_kib: Vec<(UserId, u32)>,
}

/// The limits of a node that are shared with the other nodes of its role.
pub trait Counts {
    /// The counts that nodes exchange.
    type Message: Serialize + DeserializeOwned;

    /// Takes the counts since the last call, of at most [`COUNTED_MAX`] keys; `None` when there are
    /// none.
    fn take(&self) -> Option<Self::Message>;

    /// Adds the counts of another node.
    fn apply(&self, counts: Self::Message);
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    /// The publishing node, which ignores its own messages.
    node: u64,
    #[serde(flatten)]
    counts: T,
}

/// Publishes and applies counts on a subject, for ever: race it against the end of the node.
pub async fn exchange(bus: &Bus, subject: &str, node: u64, counts: &impl Counts) {
    let mut received = subscribe(bus, subject).await;
    let mut ticks = tokio::time::interval(PUBLISH_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            payload = next(&mut received) => match payload {
                Some(payload) => apply(counts, node, &payload),
                None => received = None,
            },
            _ = ticks.tick() => {
                if received.is_none() {
                    received = subscribe(bus, subject).await;
                }
                publish(bus, subject, node, counts).await;
            }
        }
    }
}

/// Publishes counts. Counts that cannot be published now are dropped: they would be late.
async fn publish(bus: &Bus, subject: &str, node: u64, counts: &impl Counts) {
    for _ in 0..MESSAGES_MAX {
        let Some(counts) = counts.take() else { return };
        let Ok(payload) = serde_json::to_vec(&Envelope { node, counts }) else { return };
        bus.tell(subject.to_owned(), HeaderMap::new(), payload.into()).await;
    }
}

fn apply<C: Counts>(counts: &C, node: u64, payload: &[u8]) {
    match serde_json::from_slice::<Envelope<C::Message>>(payload) {
        Ok(envelope) if envelope.node == node => {}
        Ok(envelope) => {
            Counter::LimitCountsHeard.add(1);
            counts.apply(envelope.counts);
        }
        Err(error) => {
            tracing::warn!(error = %error, "counts of another node cannot be read: {error}");
        }
    }
}

/// Subscribes; async-nats keeps a subscription over reconnections.
async fn subscribe(bus: &Bus, subject: &str) -> Option<Subscriber> {
    let subscribe = bus.client().subscribe(subject.to_owned());
    tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscribe).await.ok()?.ok()
}

/// The next message; pending for ever while there is no subscription.
async fn next(received: &mut Option<Subscriber>) -> Option<bytes::Bytes> {
    match received {
        Some(received) => received.next().await.map(|message| message.payload),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_serialization() {
        let client: IpAddr = "2001:db8:1:2::".parse().unwrap();
        let counts = ApiCounts {
            users: vec![(UserId(1), 2)],
            addresses: vec![(client, 3)],
            auth_clients: vec![((AuthCalls::Reset, client), 4)],
            attempts: vec![
                (Attempt::Email(AuthCalls::SignIn, client, Digest([u64::MAX, 7])), 5),
                (Attempt::Token(Digest([1, 2])), 6),
                (Attempt::Login(LoginId(9)), 7),
            ],
            failures: vec![(Digest([3, 4]), 8)],
        };
        let text =
            serde_json::to_string(&Envelope { node: u64::MAX, counts: counts.clone() }).unwrap();
        let back: Envelope<ApiCounts> = serde_json::from_str(&text).unwrap();
        assert_eq!(back.node, u64::MAX);
        assert_eq!(back.counts.attempts, counts.attempts);
        assert_eq!(back.counts.auth_clients, counts.auth_clients);
        assert_eq!(back.counts.failures, counts.failures);
        // A node of an older version publishes other fields besides.
        let older = r#"{"node":1,"users":[[5,1]],"sign_in_emails":[["ada@chat.test",2]]}"#;
        let back: Envelope<ApiCounts> = serde_json::from_str(older).unwrap();
        assert_eq!(back.counts.users, [(UserId(5), 1)]);
    }
}
