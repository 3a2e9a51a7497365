//! Everything that writes, one file per action. An action takes a transaction and a proof that
//! the caller may; what a client can notice is appended to the log in that transaction.

pub mod accounts;
pub mod change_message;
pub mod change_room;
pub mod create_room;
pub mod delete_user;
pub mod deliveries;
pub mod deployment;
pub mod digests;
pub mod disable_user;
pub mod email_verification;
pub mod enter_room;
pub mod expire;
pub mod files_upkeep;
pub mod index_messages;
pub mod invites;
pub mod known_clients;
pub mod logins;
mod mail_limits;
pub mod mails;
pub mod mark_read;
pub mod membership;
pub mod notifications;
pub mod open_dm;
pub mod org_members;
pub mod orgs;
pub mod outbox;
pub mod password_resets;
pub mod plan_notifications;
pub mod plan_webhooks;
pub mod post_messages;
pub mod registration;
pub mod removals;
pub mod retention;
pub mod room_settings;
pub mod uploads;
pub mod webhooks;
