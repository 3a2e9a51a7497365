//! Read models, one file each. They take proofs of [`crate::access`] where what they show is not
//! for everyone.

pub mod deliveries;
pub mod deployment;
pub mod facts;
pub mod heads;
pub mod here_said;
pub mod logins;
pub mod mails;
pub mod messages;
pub mod notifications;
pub mod org_members;
pub mod orgs;
pub mod outbox;
pub mod planning;
pub mod retention;
pub mod room_log;
pub mod room_members;
pub mod rooms;
pub mod search;
pub mod support;
pub mod unread;
pub mod uploads;
pub mod users;
pub mod webhooks;
