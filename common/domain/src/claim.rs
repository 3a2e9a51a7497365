//! Which rows of a schedule one statement takes.

/// A part of the rows that are due, in the order of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How many rows to take at most.
    pub limit: i64,
    /// How many rows to pass over first: they could not be worked on.
    pub passed_over: i64,
}
