//! Numbers: histograms of durations, medians, and the conversions that printing needs.

use std::time::Duration;

/// The longest duration that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(60);

/// Durations, in nanoseconds to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Durations(hdrhistogram::Histogram<u64>);

impl Durations {
    /// None yet.
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        #[expect(clippy::expect_used, reason = "constant bounds that the crate accepts")]
        Self(hdrhistogram::Histogram::new_with_bounds(1, longest, 3).expect("valid bounds"))
    }

    /// Counts one.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos.max(1));
    }

    /// Counts those of another.
    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds, so that nothing can be out of them.
        let _ = self.0.add(&other.0);
    }

    /// The duration that this share (0..1) does not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        float(self.0.value_at_quantile(share)) / 1e6
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }
}

/// The median; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2⁵²")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A count of things in memory.
pub(crate) fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }
}
