//! The page that people open: how it is served, and what people do with it in a real browser.

mod browser;
mod journeys;
mod serving;
