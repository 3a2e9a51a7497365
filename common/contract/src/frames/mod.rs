//! The frames of the WebSocket.

mod event;
mod live;

pub use event::{EventFrame, MemberFrame, MessageChangeFrame, RoomUpdatedFrame};
pub use live::LiveFrame;
