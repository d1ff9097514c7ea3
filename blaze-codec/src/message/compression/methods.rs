//! The compressions themselves, as far as this build has them.

use super::Compression;

#[cfg(not(feature = "lz4"))]
use absent as lz4;
#[cfg(not(feature = "zstd"))]
use absent as zstd;

/// Appends the compressed payload; `None` if it has more than so many bytes, or this build
/// can't make it.
pub(super) fn compress(
    compression: Compression,
    payload: &[u8],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    match compression {
        Compression::None => None,
        Compression::Lz4 => lz4::compress(payload, bytes_max, out),
        Compression::Zstd => zstd::compress(payload, bytes_max, out),
    }
}

/// Writes what was compressed from the beginning of a buffer on, never beyond it; returns
/// how many bytes that were, or `None` if it isn't whole and nothing else, or this build
/// can't read it.
pub(super) fn expand(compression: Compression, packed: &[u8], out: &mut [u8]) -> Option<usize> {
    match compression {
        Compression::None => None,
        Compression::Lz4 => lz4::expand(packed, out),
        Compression::Zstd => zstd::expand(packed, out),
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

    pub(super) fn compress(payload: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Option<()> {
        let at = out.len();
        // It wants room for the worst case.
        out.resize(at + get_maximum_output_size(payload.len()), 0);
        let bytes = compress_into(payload, &mut out[at..]).ok()?;
        out.truncate(at + bytes);
        (bytes <= bytes_max).then_some(())
    }

    pub(super) fn expand(packed: &[u8], out: &mut [u8]) -> Option<usize> {
        decompress_into(packed, out).ok()
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use zstd::bulk::{Compressor, Decompressor};
    use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

    /// Zstandard's own default. Level 1 takes a fifth less time and up to a tenth more bytes.
    const LEVEL: i32 = 3;

    pub(super) fn compress(payload: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Option<()> {
        let at = out.len();
        out.resize(at + bytes_max, 0);
        let mut compressor = Compressor::new(LEVEL).ok()?;
        let bytes = compressor.compress_to_buffer(payload, &mut out[at..]).ok()?;
        out.truncate(at + bytes);
        Some(())
    }

    pub(super) fn expand(packed: &[u8], out: &mut [u8]) -> Option<usize> {
        // One frame that says its length: others, and frames to be skipped, could follow.
        let is_one = find_frame_compressed_size(packed) == Ok(packed.len());
        let told = get_frame_content_size(packed).ok()??;
        if !is_one || told != out.len() as u64 {
            return None;
        }
        Decompressor::new().ok()?.decompress_to_buffer(packed, out).ok()
    }
}

/// What this build doesn't have.
#[cfg(not(all(feature = "lz4", feature = "zstd")))]
mod absent {
    pub(super) fn compress(_: &[u8], _: usize, _: &mut Vec<u8>) -> Option<()> {
        None
    }

    pub(super) fn expand(_: &[u8], _: &mut [u8]) -> Option<usize> {
        None
    }
}
