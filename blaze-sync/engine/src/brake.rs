//! Keeps what is refused again and again from taking a node's time.

use std::time::Duration;

/// Batches with something refused that are merged at once, as after a policy has changed.
const AT_ONCE: u32 = 256;
/// From then on, how long it takes until the next batch is merged.
const INTERVAL: Duration = Duration::from_secs(1);

/// Slows a session down whose peer goes on writing what it may not: out of spite, or as its
/// policy contradicts that of a third node, so that each takes back what another gives again.
/// By whole batches, and only that session waits: nothing is lost.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    /// When all that was refused would have been at one batch an interval.
    due: Duration,
}

impl Brake {
    /// Notes that something of a batch was refused; `now` is since the session began.
    pub(crate) fn refused(&mut self, now: Duration) {
        self.due = self.due.max(now) + INTERVAL;
    }

    /// How long the next batch has to wait.
    pub(crate) fn pause(&self, now: Duration) -> Duration {
        self.due.saturating_sub(now + INTERVAL * AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_goes_on_once_a_second_after_so_many_at_once() {
        let (mut brake, mut now) = (Brake::default(), Duration::from_millis(500));
        for _ in 0..AT_ONCE {
            assert_eq!(brake.pause(now), Duration::ZERO);
            brake.refused(now);
        }
        for _ in 0..3 {
            assert_eq!(brake.pause(now), Duration::ZERO);
            brake.refused(now);
            assert_eq!(brake.pause(now), INTERVAL);
            now += brake.pause(now);
        }
        // Who has been quiet may again.
        now += INTERVAL * 10;
        for _ in 0..11 {
            assert_eq!(brake.pause(now), Duration::ZERO);
            brake.refused(now);
        }
        assert_eq!(brake.pause(now), INTERVAL);
    }
}
