//! Caps on how much of something there may be.

use domain::Refusal;

/// Refuses with `ValidationFailed` (`field`) another one of what `count` exist and `max` may. The
/// caller holds a lock that keeps the count.
pub(crate) fn within_cap(field: &str, what: &str, count: i64, max: i64) -> Result<(), Refusal> {
    if count < max {
        return Ok(());
    }
    Err(Refusal::invalid(field, format!("has {count} {what} already, at most {max} are allowed")))
}
