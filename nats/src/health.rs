//! Health of a worker's consumer: its pulls, its stream, and its publishes.
//!
//! JetStream can fail (no quorum, no space, no stream) while the connection is fine. The consume
//! loop and the publisher record their failures here, and [`watch`] asks JetStream about stream and
//! consumer every 5 s, with a deadline. Readiness reads the result and asks nothing.

use std::time::{Duration, Instant};

use async_nats::jetstream::{consumer, stream};
use parking_lot::Mutex;
use runtime::Lifecycle;
use runtime::meter::{Gauge, Label, label};

use crate::bus::Bus;
use crate::streams::{self, Durable};

/// The pause between two questions to JetStream.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long JetStream may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pull may take beyond the time that a batch is given.
const PULL_MARGIN: Duration = Duration::from_secs(30);
/// How long a failed publish counts as a fault when no other publish follows it.
const FAULT_LASTS: Duration = Duration::from_secs(120);

/// The health of one worker's consumer.
#[derive(Debug, Default)]
pub(crate) struct ConsumerHealth(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The consumer's name, once the consume loop runs.
    durable: Option<&'static str>,
    /// When JetStream last answered a pull.
    pulled_at: Option<Instant>,
    /// The longest time between two answered pulls of a healthy consumer.
    pull_within: Duration,
    /// Why the last pull failed.
    pull_fault: Option<String>,
    /// Why the last question about stream and consumer failed.
    info_fault: Option<String>,
    /// When and why the last publish was not stored.
    publish_fault: Option<(Instant, String)>,
}

impl ConsumerHealth {
    pub(crate) fn starts(&self, durable: &Durable) {
        let mut state = self.0.lock();
        state.durable = Some(durable.name);
        state.pull_within = durable.ack_wait + PULL_MARGIN;
    }

    /// JetStream answered a pull.
    pub(crate) fn pulled(&self) {
        let mut state = self.0.lock();
        state.pulled_at = Some(Instant::now());
        state.pull_fault = None;
    }

    pub(crate) fn pull_failed(&self, reason: &str) {
        self.0.lock().pull_fault = Some(reason.to_owned());
    }

    fn asked(&self, fault: Option<String>) {
        self.0.lock().info_fault = fault;
    }

    /// Records whether JetStream stored what was published; `None` when it did.
    pub(crate) fn published(&self, fault: Option<String>) {
        self.0.lock().publish_fault = fault.map(|fault| (Instant::now(), fault));
    }

    /// The fault in words for an operator; `None` while the consumer works, and for connections
    /// that consume nothing.
    pub(crate) fn fault(&self) -> Option<String> {
        let state = self.0.lock();
        let name = state.durable?;
        let silent = match state.pulled_at {
            None => Some("has not started".to_owned()),
            Some(at) if at.elapsed() > state.pull_within => {
                Some(format!("last answered {} s ago", at.elapsed().as_secs()))
            }
            Some(_) => None,
        };
        // A failed publish is repeated within seconds, unless it is no longer needed.
        let refused = state.publish_fault.clone().filter(|(at, _)| at.elapsed() < FAULT_LASTS);
        let refused = refused.map(|(_, fault)| fault);
        let faults = [&state.pull_fault, &state.info_fault, &refused, &silent];
        let fault = faults.into_iter().flatten().next()?;
        Some(format!("consumer {name}: {fault}"))
    }
}

/// Asks JetStream about a worker's stream and consumer until the process drains, and exports the
/// answers as metrics.
pub(crate) async fn watch(bus: &Bus, durable: &Durable, life: &Lifecycle) {
    loop {
        let asked = tokio::time::timeout(ASK_TIMEOUT, ask(bus, durable)).await;
        match asked {
            Ok(Ok((stream, consumer))) => {
                bus.health().asked(None);
                export(durable, &stream, &consumer);
            }
            Ok(Err(error)) => {
                bus.health().asked(Some(format!("{error:#}")));
                forget(durable);
            }
            Err(_) => {
                bus.health().asked(Some("JetStream does not answer".to_owned()));
                forget(durable);
            }
        }
        let is_up = bus.health().fault().is_none();
        Gauge::ConsumerUp.set_with(f64::from(u8::from(is_up)), of_consumer(durable));
        if !life.pause(ASK_EVERY).await {
            return;
        }
    }
}

async fn ask(bus: &Bus, durable: &Durable) -> anyhow::Result<(stream::Info, consumer::Info)> {
    anyhow::ensure!(bus.is_connected(), "not connected to NATS");
    let name = bus.subjects().scoped(durable.stream.name());
    let stream = streams::context(bus).get_stream(name).await?;
    let consumer = stream.consumer_info(bus.subjects().scoped(durable.name)).await?;
    let has_leader = |cluster: &Option<stream::ClusterInfo>| {
        cluster.as_ref().is_none_or(|cluster| cluster.leader.is_some())
    };
    let info = stream.cached_info().clone();
    anyhow::ensure!(
        has_leader(&info.cluster),
        "the stream has no leader: too few nats-servers are running"
    );
    anyhow::ensure!(
        has_leader(&consumer.cluster),
        "it has no leader: too few nats-servers are running"
    );
    Ok((info, consumer))
}

fn of_stream(durable: &Durable) -> Vec<Label> {
    vec![label("stream", durable.stream.name())]
}

fn of_consumer(durable: &Durable) -> Vec<Label> {
    vec![label("consumer", durable.name)]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn export(durable: &Durable, stream: &stream::Info, consumer: &consumer::Info) {
    // NATS has -1 for no bound.
    let bound = |max: i64| if max > 0 { max as f64 } else { f64::INFINITY };
    let stream_gauges = [
        (Gauge::StreamMessages, stream.state.messages as f64),
        (Gauge::StreamMessagesMax, bound(stream.config.max_messages)),
        (Gauge::StreamBytes, stream.state.bytes as f64),
        (Gauge::StreamBytesMax, bound(stream.config.max_bytes)),
    ];
    for (gauge, value) in stream_gauges {
        gauge.set_with(value, of_stream(durable));
    }
    let consumer_gauges = [
        (Gauge::ConsumerPending, consumer.num_pending as f64),
        (Gauge::ConsumerAckPending, consumer.num_ack_pending as f64),
        (Gauge::ConsumerRedelivered, consumer.num_redelivered as f64),
    ];
    for (gauge, value) in consumer_gauges {
        gauge.set_with(value, of_consumer(durable));
    }
}

/// Stops exporting gauges while JetStream does not answer.
fn forget(durable: &Durable) {
    let of_streams = [
        Gauge::StreamMessages,
        Gauge::StreamMessagesMax,
        Gauge::StreamBytes,
        Gauge::StreamBytesMax,
    ];
    for gauge in of_streams {
        gauge.forget_with(of_stream(durable));
    }
    let of_consumers =
        [Gauge::ConsumerPending, Gauge::ConsumerAckPending, Gauge::ConsumerRedelivered];
    for gauge in of_consumers {
        gauge.forget_with(of_consumer(durable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_healthy_once_it_was_pulled_and_nothing_fails() {
        let health = ConsumerHealth::default();
        assert_eq!(health.fault(), None, "nothing is consumed");
        health.starts(&Durable::RELAY);
        assert_eq!(health.fault().as_deref(), Some("consumer relay: has not started"));
        health.pulled();
        assert_eq!(health.fault(), None);
        health.published(Some("insufficient storage".to_owned()));
        assert_eq!(health.fault().as_deref(), Some("consumer relay: insufficient storage"));
        health.pulled();
        assert!(health.fault().is_some(), "a pull does not show that publishing works");
        health.published(None);
        health.pull_failed("no responders");
        assert_eq!(health.fault().as_deref(), Some("consumer relay: no responders"));
    }
}
