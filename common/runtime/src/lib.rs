//! What every role needs to run: configuration, logs, metrics, tokens, time, start and stop.
//!
//! **Invariant:** nothing here knows a table, a subject or a route.

pub mod address;
pub mod asset;
pub mod clock;
pub mod config;
pub mod fair;
pub mod lifecycle;
pub mod meter;
pub mod open_files;
pub mod operations;
pub mod origin;
pub mod parked;
pub mod parts;
pub mod problem;
pub mod rate;
pub mod revoked;
pub mod serve;
pub mod slots;
pub mod telemetry;
pub mod tokens;
pub mod turns;
pub mod window;
pub mod workers;

pub use clock::Clock;
pub use lifecycle::Lifecycle;
