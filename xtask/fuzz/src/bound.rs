//! How much memory a call may take for the bytes that it is given.

use std::cell::Cell;
use std::fmt;

use crate::heap::{self, Use};

/// The most memory for an input: so much a byte, and so much in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// What is bounded.
    pub(crate) what: &'static str,
    /// Bytes of memory for each byte of input.
    pub(crate) per_byte: usize,
    /// Bytes of memory beside that.
    pub(crate) fixed: usize,
}

/// The call that came nearest to what was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// How many bytes it had at once.
    pub peak: usize,
    /// For an input of so many bytes.
    pub input: usize,
    /// How many bytes were allowed.
    pub allowed: usize,
}

/// Nothing.
const UNSEEN: Seen = Seen { peak: 0, input: 0, allowed: 0 };

thread_local! {
    static SEEN: Cell<Seen> = const { Cell::new(UNSEEN) };
}

impl Seen {
    /// What this thread has seen since the last call.
    pub fn take() -> Self {
        SEEN.take()
    }

    /// What this thread has seen, if that is nearer than `self`.
    pub fn nearer(self) -> Option<Self> {
        Some(SEEN.get()).filter(|now| now.share() > self.share())
    }

    /// The share of what was allowed.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn share(self) -> f64 {
        self.peak as f64 / self.allowed.max(1) as f64
    }

    /// What [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { peak: next()?, input: next()?, allowed: next()? })
    }
}

/// Its numbers, for [`Seen::parse`].
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.peak, self.input, self.allowed)
    }
}

impl Bound {
    /// Calls with an input of so many bytes.
    ///
    /// # Panics
    ///
    /// If that takes more memory than is allowed.
    pub(crate) fn hold<T>(&self, bytes: usize, call: impl FnOnce() -> T) -> T {
        let (result, Use { peak, .. }) = heap::used_by(call);
        self.check(bytes, peak);
        result
    }

    /// Judges a peak.
    ///
    /// # Panics
    ///
    /// If it is more than is allowed.
    pub(crate) fn check(&self, bytes: usize, peak: usize) {
        let Self { what, per_byte, fixed } = self;
        let allowed = per_byte * bytes + fixed;
        let now = Seen { peak, input: bytes, allowed };
        if now.share() > SEEN.get().share() {
            SEEN.set(now);
        }
        assert!(
            peak <= allowed,
            "{what}: {bytes} bytes of input took {peak} bytes of memory at once; \
             {per_byte} a byte and {fixed} beside them are allowed, {allowed} in all"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    const BOUND: Bound = Bound { what: "a test", per_byte: 10, fixed: 100 };

    fn take(bytes: usize) {
        drop(black_box(Vec::<u8>::with_capacity(bytes)));
    }

    #[test]
    fn what_came_nearest_is_remembered() {
        Seen::take();
        BOUND.hold(10, || take(150));
        BOUND.hold(90, || take(160));
        let nearest = Seen { peak: 150, input: 10, allowed: 200 };
        assert_eq!(UNSEEN.nearer(), Some(nearest));
        assert_eq!(nearest.nearer(), None);
        assert_eq!(Seen::parse(&nearest.to_string()), Some(nearest));
        assert_eq!((Seen::take(), Seen::take()), (nearest, UNSEEN));
    }

    #[test]
    #[should_panic(expected = "2 bytes of input took 121 bytes of memory at once")]
    fn what_is_beyond_fails() {
        BOUND.hold(2, || take(121));
    }
}
