//! What is forgotten in time.

mod expiries;
