//! Who may do what over NATS: nobody without signing in, an edge only for its users, each role its
//! own work.

mod admission;
mod cluster;
mod permissions;
mod proof;
mod renewal;
mod shipped;
mod tls;

use nats::bus::Bus;
use nats::subjects::Subjects;
use testkit::within;

/// A connection to NATS as a role has it.
async fn connected(url: &str, prefix: &str) -> Bus {
    let bus = Bus::connect(url, Subjects::new(prefix), "test").await.unwrap();
    let mut connections = bus.connections();
    within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    bus
}
