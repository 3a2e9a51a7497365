//! Everything that writes, one file per action. An action takes a transaction and a proof that
//! the caller may; what a client can notice is appended to the log in that transaction.

pub mod change_message;
pub mod membership;
pub mod outbox;
pub mod post_messages;
