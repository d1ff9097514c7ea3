//! What happened, as a rolling hash, and as lines if somebody wants the story.

use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::rng::mix;

/// Lines that are kept.
const LINES_MAX: usize = 100_000;

/// Bytes that are hashed at each end of many.
const BYTES_MAX: usize = 1_024;

/// A rolling hash of all that happened: two runs of a seed must end with the same.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
    /// Whether the story has ended.
    ended: bool,
}

impl Trace {
    pub(crate) fn new(with_lines: bool) -> Self {
        Self { hash: 0, lines: with_lines.then(VecDeque::new), ended: false }
    }

    /// Notes an event with its numbers.
    pub(crate) fn note(
        &mut self,
        now_ms: u64,
        label: &'static str,
        numbers: &[(&'static str, u64)],
    ) {
        self.add(now_ms);
        self.bytes(label.as_bytes());
        for (_, number) in numbers {
            self.add(*number);
        }
        let Some(lines) = self.lines.as_mut().filter(|_| !self.ended) else { return };
        let mut line = format!("{now_ms:>7} ms  {label}");
        for (name, number) in numbers {
            // Writing to a string doesn't fail.
            let _ = write!(line, " {name}={number}");
        }
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Adds a text to the last line; it isn't hashed.
    pub(crate) fn detail(&mut self, text: impl FnOnce() -> String) {
        if self.ended {
            return;
        }
        if let Some(line) = self.lines.as_mut().and_then(VecDeque::back_mut) {
            line.push(' ');
            line.push_str(&text());
        }
    }

    /// Ends the story: what follows is only the end of what was being done.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Hashes bytes, such as a frame's; of many, the first and the last.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() > 2 * BYTES_MAX {
            self.add(bytes.len() as u64);
            self.bytes(&bytes[..BYTES_MAX]);
            return self.bytes(&bytes[bytes.len() - BYTES_MAX..]);
        }
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
        self.add(bytes.len() as u64);
    }

    fn add(&mut self, number: u64) {
        self.hash = mix(self.hash.rotate_left(5) ^ number);
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default().into()
    }
}
