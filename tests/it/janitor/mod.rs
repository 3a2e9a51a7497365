//! What is forgotten in time.

mod canary;
mod expiries;
mod names;
mod removals;
mod retention;

use std::time::Duration;

use testkit::{Board, DEADLINE, Person, eventually};

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

/// Waits until a count of rows is 0.
async fn none_left(board: &Board, sql: &'static str) {
    eventually(sql, DEADLINE, async || (board.count(sql).await == 0).then_some(())).await;
}

/// The same person with a token that outlives every test.
fn for_long(person: &Person) -> Person {
    person.with_token(&person.mint(1_000 * DAY))
}
