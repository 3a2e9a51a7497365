//! The REST api, and the answers to what edges ask.
//!
//! A handler reads who asks ([`caller`]), parses the body ([`body`]), gets a proof from
//! `store::access`, calls one action or query of the store, commits, and publishes what became
//! true ([`Api::commit`]). **Invariants:** handlers write no SQL and spell no subject; nothing is
//! published before it is committed; an answer waits for the commit alone.

mod auth;
pub mod body;
pub mod caller;
mod commands;
mod documents;
mod epoch;
mod here;
pub mod http;
mod indexer;
pub mod json;
mod last_seen;
pub mod limits;
mod messages;
mod notifications;
mod operations;
mod orgs;
pub mod page;
mod password_queue;
mod passwords;
pub mod path;
mod poster;
pub mod problem;
mod ready;
mod revocation;
mod rooms;
mod routes;
mod start;
mod transact;
mod unsubscribe;
mod uploads;
mod webhooks;

pub use poster::SEND_CONNECTIONS;
pub use routes::{openapi, router};
pub use start::{Api, Config, Parts, start};
