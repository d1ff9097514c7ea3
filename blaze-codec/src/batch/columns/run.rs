//! Where a column lies in a list of the batch.

/// The place of a column in a list: as many numbers as rows, or one that all rows have. To
/// tell which takes no branch, as numbers are asked for one by one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    start: usize,
    /// Keeps all bits of a row's place, or none.
    mask: usize,
}

impl Run {
    /// A number a row, from here on.
    pub(super) const fn of_all(start: usize) -> Self {
        Self { start, mask: usize::MAX }
    }

    /// One number, here.
    pub(super) const fn of_one(start: usize) -> Self {
        Self { start, mask: 0 }
    }

    /// Whether all rows have one number.
    pub(super) const fn is_one(self) -> bool {
        self.mask == 0
    }

    pub(super) const fn start(self) -> usize {
        self.start
    }

    /// The number of a row.
    #[inline]
    pub(super) fn get<T: Copy>(self, row: usize, list: &[T]) -> T {
        list[self.start + (row & self.mask)]
    }

    /// The numbers of so many rows: each, or the one.
    pub(super) fn of<T>(self, rows: usize, list: &[T]) -> &[T] {
        &list[self.start..][..if self.is_one() { 1 } else { rows }]
    }

    /// The same, to be changed.
    pub(super) fn of_mut<T>(self, rows: usize, list: &mut [T]) -> &mut [T] {
        &mut list[self.start..][..if self.is_one() { 1 } else { rows }]
    }
}
