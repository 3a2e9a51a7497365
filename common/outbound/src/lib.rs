//! The way out: requests to addresses that strangers chose.
//!
//! [`target`] reads such an address and refuses odd spellings of hosts; [`Names`] resolves them,
//! bounded per organization; [`Guard`] says whether a target may be reached, by what it resolves
//! to; [`Client`] is the one HTTP client of ChatBoard.
//! **Invariants:** a connection goes to the very address that was checked, and is checked each
//! time it is made; no redirect is followed, no proxy asked; of an answer only a little is read;
//! no other HTTP client is made outside tests (a lint holds it).

pub mod address;
mod client;
mod guard;
mod name_servers;
mod name_servers_config;
mod names;
mod target;

pub use client::{Answer, Client, Failure, Request};
pub use guard::{Forbidden, Guard};
pub use names::{Found, Lookup, Names};
pub use target::Target;
