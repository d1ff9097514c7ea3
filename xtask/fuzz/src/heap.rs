//! Counts what a thread has allocated. An allocator is `unsafe` by its contract; this one
//! hands every call on to the system's as it came, and adds only numbers.
#![expect(unsafe_code, reason = "an allocator can't be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
#[derive(Debug)]
struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

// Without destructors, so that they can be used as long as a thread allocates. What one
// thread allocates and another frees makes negative numbers, which do no harm.
thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn taken(bytes: usize) {
    let live = LIVE.get().wrapping_add_unsigned(bytes);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

fn given(bytes: usize) {
    LIVE.set(LIVE.get().wrapping_sub_unsigned(bytes));
}

// SAFETY: whatever is asked for is asked of the system's allocator, and what that returns
// is returned.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    /// Counts the old and the new block as if both were there for a moment: whether one
    /// can grow where it is, is luck.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        taken(bytes);
        given(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        given(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What a call did to this thread's heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    /// The most bytes that it had at once.
    pub(crate) peak: usize,
    /// The bytes that it left, less those that it freed.
    pub(crate) left: isize,
}

/// Calls, and tells what that allocated.
pub(crate) fn used_by<T>(call: impl FnOnce() -> T) -> (T, Use) {
    let (before, outer) = (LIVE.get(), PEAK.get());
    PEAK.set(before);
    let result = call();
    let (peak, left) = (PEAK.get() - before, LIVE.get() - before);
    PEAK.set(outer.max(PEAK.get()));
    (result, Use { peak: peak.unsigned_abs(), left })
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn block(bytes: usize) -> Vec<u8> {
        black_box(Vec::with_capacity(bytes))
    }

    #[test]
    fn the_peak_is_what_is_there_at_once() {
        let ((), used) = used_by(|| {
            drop(block(1_000));
            drop((block(300), block(400)));
        });
        assert_eq!(used, Use { peak: 1_000, left: 0 });
    }

    #[test]
    fn what_is_left_and_what_is_freed_are_told() {
        let (kept, used) = used_by(|| block(500));
        assert_eq!(used, Use { peak: 500, left: 500 });
        let ((), used) = used_by(|| drop(kept));
        assert_eq!(used, Use { peak: 0, left: -500 });
    }

    #[test]
    fn a_block_that_grows_counts_twice_for_a_moment() {
        let (_, used) = used_by(|| {
            let mut grown = block(100);
            grown.reserve_exact(200);
            black_box(grown)
        });
        assert_eq!(used, Use { peak: 300, left: 200 });
    }

    #[test]
    fn calls_within_calls_count_for_both() {
        let (inner, outer) = used_by(|| used_by(|| drop(block(700))).1);
        assert_eq!((inner.peak, outer.peak), (700, 700));
    }
}
