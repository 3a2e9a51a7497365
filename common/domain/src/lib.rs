//! The rules of ChatBoard, and nothing else: what an id is, who may do what, what a valid
//! message is, and the order in which a room's events reach a reader.
//!
//! **Invariant:** nothing here does I/O, awaits, knows HTTP or writes SQL, so every rule can be
//! read and tested without a server. Only [`ids`] and [`timestamp`] carry derives of other
//! layers (serde, sqlx, utoipa): they are the vocabulary that all layers share.
//!
//! Start with [`refusal`] (everything we say no with), then [`message`] and [`cursor`].

pub mod access;
pub mod caller;
pub mod claim;
pub mod cursor;
pub mod email;
pub mod emoji;
pub mod event;
pub mod ids;
pub mod limits;
pub mod mail;
pub mod media_type;
pub mod mentions;
pub mod message;
pub mod notification;
pub mod org;
pub mod password;
pub mod refusal;
pub mod registration;
pub mod retention;
pub mod room;
pub mod search;
mod steps;
pub mod text;
pub mod timestamp;
pub mod upload;
pub mod user;
pub mod webhook;

pub use access::{AccessLevel, Role};
pub use caller::Caller;
pub use claim::Claim;
pub use email::Email;
pub use event::{LogEvent, Person, What};
pub use ids::*;
pub use message::{Message, NewMessage, Reaction};
pub use notification::EventId;
pub use refusal::{FieldErrors, Refusal};
pub use timestamp::Timestamp;
pub use upload::{Upload, UploadId};
