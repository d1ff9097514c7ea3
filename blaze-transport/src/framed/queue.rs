//! Encoded frames that wait to be written.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};

/// From this size on, copying a frame costs more than a segment of its own in a vectored write.
const COPIED_BYTES_MAX: usize = 8 * 1024;

/// Bytes to be written in order: small pieces gathered, large ones as they came.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    /// Closed segments; none is empty.
    segments: VecDeque<Bytes>,
    /// Gathers small pieces, behind all segments.
    tail: BytesMut,
    /// All bytes in `segments` and `tail`.
    remaining: usize,
}

impl SendQueue {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.remaining += bytes.len();
        if bytes.len() <= COPIED_BYTES_MAX {
            self.tail.extend_from_slice(&bytes);
            return;
        }
        self.close_tail();
        self.segments.push_back(bytes);
    }

    pub(super) fn push_small(&mut self, bytes: &[u8]) {
        self.remaining += bytes.len();
        self.tail.extend_from_slice(bytes);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push_back(self.tail.split().freeze());
        }
    }
}

impl Buf for SendQueue {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.segments.front().map_or(&self.tail[..], |segment| &segment[..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = Some(&self.tail[..]).filter(|tail| !tail.is_empty());
        let chunks = self.segments.iter().map(|segment| &segment[..]).chain(tail);
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "advanced beyond the queue");
        self.remaining -= count;
        while let Some(front) = self.segments.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.segments.pop_front();
        }
        self.tail.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(fill: u8) -> Bytes {
        Bytes::from(vec![fill; COPIED_BYTES_MAX + 1])
    }

    #[test]
    fn gathers_small_pieces_and_keeps_large_ones() {
        let mut queue = SendQueue::default();
        let body = large(7);
        queue.push_small(b"ab");
        queue.push(Bytes::from_static(b"cd"));
        queue.push(body.clone());
        queue.push_small(b"ef");

        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(queue.chunks_vectored(&mut slices), 3);
        assert_eq!(&slices[0][..], b"abcd");
        assert_eq!(slices[1].as_ptr(), body.as_ptr(), "a large piece is not copied");
        assert_eq!(&slices[2][..], b"ef");
    }

    #[test]
    fn advances_across_pieces_in_any_step() {
        for step in [1, 2, 3, 4096, COPIED_BYTES_MAX + 2] {
            let mut queue = SendQueue::default();
            let mut expected = Vec::new();
            for piece in [Bytes::from_static(b"abc"), large(1), large(2), Bytes::from_static(b"d")]
            {
                expected.extend_from_slice(&piece);
                queue.push(piece);
            }
            let mut written = Vec::new();
            while queue.has_remaining() {
                let count = step.min(queue.chunk().len());
                written.extend_from_slice(&queue.chunk()[..count]);
                queue.advance(count);
            }
            assert_eq!(written, expected);
            assert_eq!(queue.chunks_vectored(&mut [IoSlice::new(&[])]), 0);
        }
    }
}
