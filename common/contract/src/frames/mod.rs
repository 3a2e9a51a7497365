//! The frames of the WebSocket.

mod client;
mod event;
mod live;
mod server;

pub use client::{ClientFrame, ClientFrameKind, SubscribeItem};
pub use event::{EventFrame, MemberFrame, MessageChangeFrame, RoomUpdatedFrame};
pub use live::LiveFrame;
pub use server::{PresenceStatus, ServerFrame, WarningCode};
