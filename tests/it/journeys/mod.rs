//! Whole stories, as people live them.
mod first_day;
