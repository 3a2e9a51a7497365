//! The end of an edge: its sockets are told to go, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use contract::close::Close;
use rand::RngExt;
use tokio::time::Instant;

use crate::Edge;
use crate::socket::Socket;

/// Sockets are closed at a random time within this, so that their clients do not all return at
/// once.
const SPREAD: Duration = Duration::from_secs(5);
/// How long the last of them may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often we look whether they are gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for the end, then closes every socket, then everything else of the edge.
pub(crate) async fn run(edge: Edge) -> anyhow::Result<()> {
    edge.life().draining().await;
    let began = Instant::now();
    let mut sockets: Vec<(Duration, Arc<Socket>)> = Vec::new();
    edge.hub().each_socket(|socket| {
        let delay = SPREAD.mul_f64(rand::rng().random_range(0.0..1.0));
        sockets.push((delay, Arc::clone(socket)));
    });
    sockets.sort_unstable_by_key(|&(delay, _)| delay);
    for (delay, socket) in sockets {
        tokio::time::sleep_until(began + delay).await;
        socket.out.close(Close::Restarting);
    }
    // Whoever was being let in meanwhile.
    edge.hub().each_socket(|socket| socket.out.close(Close::Restarting));
    while edge.hub().socket_count() > 0 && began.elapsed() < SPREAD + PATIENCE {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    edge.stopped().cancel();
    Ok(())
}
