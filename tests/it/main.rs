//! The black-box suite: what clients are promised, tested through HTTP and WebSockets.
//!
//! One binary, so that Postgres and nats-server are started once; each test has a deployment of
//! its own. Read `docs/testing.md` first, then `journeys`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must panic, and says why")]

mod access_matrix;
mod bad_days;
mod chaos;
mod deployment;
mod dev;
mod edge;
mod epochs;
mod errors;
mod exhaustion;
mod files;
mod flood;
mod hostile;
mod janitor;
mod journeys;
mod mail;
mod nats_access;
mod notifications;
mod operations;
mod postgres;
mod properties;
mod proxies;
mod readiness;
mod rest;
mod tidy;
mod web;
mod webhooks;
