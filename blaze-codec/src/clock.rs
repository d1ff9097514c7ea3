//! The hybrid logical clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A hybrid logical timestamp: 48 bits of milliseconds since 1970, 16 of counter.
///
/// Source: Kulkarni et al., *Logical Physical Clocks*, 2014, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc(u64);

impl Hlc {
    /// Before every timestamp that a clock can make.
    pub const ZERO: Self = Self(0);

    const COUNTER_BITS: u32 = 16;

    /// The first timestamp of a millisecond. Milliseconds beyond 48 bits (the
    /// year 10889) are capped.
    pub const fn from_millis(ms: u64) -> Self {
        let max = u64::MAX >> Self::COUNTER_BITS;
        Self((if ms > max { max } else { ms }) << Self::COUNTER_BITS)
    }

    /// The timestamp with this bit pattern.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bit pattern: milliseconds above, counter below.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// The place within its millisecond.
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hlc({}.{})", self.millis(), self.counter())
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}

/// A timestamp is further ahead of this node's clock than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the peer's clock is {} ms ahead ({theirs_ms} against {ours_ms} here), at most {allowed_ms} ms are allowed; set both clocks",
    theirs_ms.saturating_sub(*ours_ms)
)]
pub struct ClockDrift {
    /// Milliseconds since 1970 in the refused timestamp.
    pub theirs_ms: u64,
    /// Milliseconds since 1970 by this node's clock.
    pub ours_ms: u64,
    /// The bound, in milliseconds.
    pub allowed_ms: u64,
}

/// Hands out timestamps that never go back, and follows those it is shown.
///
/// ```
/// use blaze_codec::{Hlc, HlcClock};
///
/// let mut clock = HlcClock::default();
/// let mine = clock.tick(1_000);
/// clock.observe(Hlc::from_millis(5_000));
/// assert_eq!(mine, Hlc::from_millis(1_000));
/// assert!(clock.tick(1_001) > Hlc::from_millis(5_000));
/// ```
#[derive(Debug, Clone, Default)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// How far a peer's timestamp may lie ahead, in milliseconds: 5 minutes.
    pub const DRIFT_MS_MAX: u64 = 5 * 60 * 1000;

    /// A clock that goes on after `last`, the latest timestamp it handed out or saw.
    pub const fn resume(last: Hlc) -> Self {
        Self { last }
    }

    /// The latest timestamp handed out or seen.
    pub const fn last(&self) -> Hlc {
        self.last
    }

    /// The next timestamp, given the wall clock in milliseconds since 1970.
    pub fn tick(&mut self, wall_ms: u64) -> Hlc {
        self.last = Hlc::from_millis(wall_ms).max(Hlc(self.last.0.saturating_add(1)));
        self.last
    }

    /// Follows a timestamp seen elsewhere, so that later ticks are above it.
    pub fn observe(&mut self, seen: Hlc) {
        self.last = self.last.max(seen);
    }

    /// Checks that a peer's timestamp is at most [`Self::DRIFT_MS_MAX`] ahead.
    ///
    /// # Errors
    ///
    /// [`ClockDrift`] with both clocks, if it is further ahead.
    pub fn check_drift(seen: Hlc, wall_ms: u64) -> Result<(), ClockDrift> {
        if seen.millis() <= wall_ms.saturating_add(Self::DRIFT_MS_MAX) {
            return Ok(());
        }
        Err(ClockDrift {
            theirs_ms: seen.millis(),
            ours_ms: wall_ms,
            allowed_ms: Self::DRIFT_MS_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_never_go_back_when_the_wall_clock_does() {
        let mut clock = HlcClock::default();
        let first = clock.tick(1_000);
        let second = clock.tick(400);
        assert!(second > first);
        assert_eq!((second.millis(), second.counter()), (1_000, 1));
    }

    #[test]
    fn the_counter_carries_into_the_milliseconds() {
        let mut clock = HlcClock::resume(Hlc::from_bits((7 << 16) | 0xffff));
        assert_eq!((clock.tick(7).millis(), clock.last().counter()), (8, 0));
    }

    #[test]
    fn a_tick_is_above_everything_observed() {
        let mut clock = HlcClock::default();
        clock.observe(Hlc::from_millis(5_000));
        assert!(clock.tick(10) > Hlc::from_millis(5_000));
    }

    #[test]
    fn drift_is_bounded_and_names_both_clocks() {
        let far = Hlc::from_millis(HlcClock::DRIFT_MS_MAX + 101);
        assert!(HlcClock::check_drift(Hlc::from_millis(HlcClock::DRIFT_MS_MAX + 100), 100).is_ok());
        let error = HlcClock::check_drift(far, 100).unwrap_err();
        assert_eq!((error.theirs_ms, error.ours_ms), (HlcClock::DRIFT_MS_MAX + 101, 100));
    }
}
