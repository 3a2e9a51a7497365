//! What is forgotten in time.
