//! What REST promises, one file for each area.

mod auth;
mod auth_tokens;
mod belonging;
mod bodies;
mod bounds;
mod conventions;
mod disabling;
mod dms;
mod events;
mod invites;
mod levels;
mod limits;
mod logins;
mod mentions;
mod messages;
mod nonces;
mod odd_requests;
mod orgs;
mod pages;
mod registration;
mod room_access;
mod rooms;
mod search;
mod unread;
mod walks;
