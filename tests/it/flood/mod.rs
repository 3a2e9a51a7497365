//! No text and no event stops the server, or holds up what others wait for.

mod crowds;
mod parked;
mod poison;
mod texts;
mod threads;
mod turns;
