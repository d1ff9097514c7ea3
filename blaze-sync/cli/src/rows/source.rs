//! Counting what is read, and ending a row that doesn't end itself.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ROW_BYTES_MAX;

/// Bytes read in all, and up to the end of the latest row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter {
    total: Arc<AtomicU64>,
    row: Arc<AtomicU64>,
}

impl Counter {
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn row_ended(&self) {
        self.row.store(self.total(), Ordering::Relaxed);
    }
}

/// A source that counts, and fails where one row takes more than [`ROW_BYTES_MAX`]:
/// memory stays bounded even if a quote is never closed.
pub(crate) struct Counted {
    inner: Box<dyn Read + Send>,
    counter: Counter,
}

impl Counted {
    pub(crate) fn new(inner: Box<dyn Read + Send>, counter: Counter) -> Self {
        Self { inner, counter }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let row = self.counter.total() - self.counter.row.load(Ordering::Relaxed);
        if row > ROW_BYTES_MAX {
            let problem = format!(
                "a row of more than {ROW_BYTES_MAX} bytes; is a line break or a closing quote missing?"
            );
            return Err(io::Error::other(problem));
        }
        let count = self.inner.read(buffer)?;
        self.counter.total.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
