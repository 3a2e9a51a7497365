//! No text and no event stops the server, or holds up what others wait for.

mod poison;
mod texts;
mod threads;
