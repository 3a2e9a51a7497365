//! Read models, one file each. They take proofs of [`crate::access`] where what they show is not
//! for everyone.

pub mod heads;
pub mod messages;
pub mod outbox;
pub mod room_log;
pub mod room_members;
pub mod rooms;
pub mod unread;
