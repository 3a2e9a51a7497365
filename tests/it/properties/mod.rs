//! What must hold for whatever people do.

mod state;
