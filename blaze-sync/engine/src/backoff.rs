//! How long to wait before connecting again.

use std::time::Duration;

/// Waits that grow with each failure, drawn at random so that peers which lost
/// the same hub don't return in step ("full jitter": Brooker, *Exponential
/// Backoff And Jitter*, 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait. Default: 50 ms.
    pub first: Duration,
    /// The longest of them. Default: 10 s.
    pub max: Duration,
    /// The longest wait after a refusal: somebody has to change something first, and may
    /// then call [`Link::retry`](crate::Link::retry). Default: 60 s.
    pub refused_max: Duration,
    /// How long a session must have lasted for the waits to begin anew.
    /// Default: 2 s.
    pub lasted: Duration,
}

/// The longest first wait after a refusal.
const REFUSED_FIRST: Duration = Duration::from_secs(2);

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            max: Duration::from_secs(10),
            refused_max: Duration::from_secs(60),
            lasted: Duration::from_secs(2),
        }
    }
}

impl Backoff {
    /// The wait after so many failures in a row, given a number from 0 to 1.
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The same after refusals: from 1 s to 2 s at first, and from half of the longest on in
    /// the end, as no draw is to make an attempt that will be refused again come at once.
    pub fn wait_refused(&self, failures: u32, random: f64) -> Duration {
        let whole = Self { first: REFUSED_FIRST, max: self.refused_max, ..*self };
        whole.wait(failures, 0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_scales_them() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (1..=4).map(|failures| backoff.wait(failures, 1.0)).collect();
        assert_eq!(waits, [50, 100, 200, 400].map(Duration::from_millis));
        assert_eq!(backoff.wait(1_000, 1.0), backoff.max);
        assert_eq!(backoff.wait(2, 0.5), Duration::from_millis(50));
        assert_eq!(backoff.wait(9, 0.0), Duration::ZERO);
    }

    #[test]
    fn waits_after_refusals_grow_far_and_are_never_short() {
        let backoff = Backoff::default();
        let waits = |random| [1, 2, 3, 99].map(|failures| backoff.wait_refused(failures, random));
        assert_eq!(waits(0.0), [1, 2, 4, 30].map(Duration::from_secs));
        assert_eq!(waits(1.0), [2, 4, 8, 60].map(Duration::from_secs));
    }
}
