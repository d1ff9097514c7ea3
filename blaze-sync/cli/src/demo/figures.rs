//! What the demo measures, and how a person reads it.

use std::time::Duration;

use serde::Serialize;

use super::place::Place;
use super::wire::ConflictLine;

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) durability: String,
    pub(super) rows_imported: u64,
    pub(super) import_seconds: f64,
    pub(super) operations_while_importing: u64,
    pub(super) operations_per_second: u64,
    pub(super) latency_p50_us: f64,
    pub(super) latency_p99_us: f64,
    pub(super) latency_samples: usize,
    pub(super) crash_seen_before: u64,
    pub(super) crash_written: u64,
    pub(super) crash_recovery_ms: f64,
    pub(super) conflicts: Vec<ConflictLine>,
    pub(super) records_compared: u64,
    pub(super) differences: Vec<String>,
    /// The databases, if they were to be kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) kept: Vec<Place>,
}

/// The smallest duration that so many of a thousand are not above.
pub(super) fn quantile(sorted: &[Duration], permille: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * permille / 1_000).copied().unwrap_or_default()
}

pub(super) fn per_second(count: u64, took: Duration) -> u64 {
    let nanoseconds = took.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

pub(super) fn human(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(human(Duration::from_micros(85)), "85 µs");
        assert_eq!(human(Duration::from_micros(85_250)), "85.2 ms");
        assert_eq!(human(Duration::from_millis(1_500)), "1.50 s");
        assert_eq!(per_second(500, Duration::from_millis(250)), 2_000);
    }

    #[test]
    fn quantiles_are_of_the_sorted_samples() {
        let samples: Vec<_> = (0..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&samples, 500), Duration::from_millis(50));
        assert_eq!(quantile(&samples, 990), Duration::from_millis(99));
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }
}
