//! What the WebSocket promises, one file for each area.

mod budgets;
mod closing;
mod frames;
mod limits;
mod live;
mod opening;
mod presence;
mod resume;
mod slow;
mod subscribe;
