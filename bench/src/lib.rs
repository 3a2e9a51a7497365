//! The load generator: drives a real deployment over REST and WebSocket, and measures it.
//!
//! **Invariants:** every scenario is bounded in time and count and stops by itself; only loopback
//! addresses are driven; every event of every room that a scenario watches is counted, and a lost,
//! doubled or reordered one fails the run. The client side is lean on purpose, since it shares the
//! machine's cores with what it measures: one thread, its own small HTTP and WebSocket readers
//! ([`http`], [`frames`]) that look at nothing but what is counted.

mod acks;
mod deployment;
mod frames;
mod gauge;
mod hooks;
mod http;
mod load;
mod machine;
mod options;
mod process;
mod report;
mod scenarios;
mod scene;
mod sequence;
mod servers;
mod sockets;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

/// Runs the scenario that the arguments name, and says whether every promise was kept.
///
/// Without a scenario (as `cargo test --benches` runs it) it lists them and is done.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let Some(scenario) = options.scenario else {
        report::say(options::LIST);
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(scenarios::run(scenario, &options)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            report::say("FAILED: a delivery was lost, doubled or reordered, or a call was refused");
            ExitCode::FAILURE
        }
        Err(error) => {
            report::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
