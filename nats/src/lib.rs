//! Everything that travels between ChatBoard's roles: subjects, streams and payloads.
//!
//! **Invariant:** no other crate spells a subject, a stream or a header, or knows how a payload
//! is laid out. Start with [`subjects`], then [`rpc`] (what an edge asks an api). What
//! clients see is made in `contract` and carried here as text.

pub mod admission;
mod ask;
pub mod bus;
pub mod consume;
pub mod counts;
pub mod diagnostics;
mod health;
pub mod presence;
pub mod publish;
pub mod rpc;
pub mod stored;
pub mod streams;
pub mod subjects;
pub mod work;
