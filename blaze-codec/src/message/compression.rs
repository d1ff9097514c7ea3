//! Frames that are compressed: each by itself, where that pays, as both sides can.
//!
//! A compressed body stands for another one, and all rules and limits are those of that one:
//! [`expand`] puts it back before anything looks at it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{CHANGES, FLAGS_COMPRESSION, HEADER_BYTES, ROLL};
use crate::DecodeError;
use crate::limits::{self, BODY_BYTES_MAX};

mod methods;

/// The smallest body that is compressed, in bytes. Smaller ones are a record or two, of which
/// LZ4 leaves 77 % and more (measured with notes of 150 bytes, and it is nothing for orders of
/// 60), and take one packet of a network either way.
pub const COMPRESSED_BYTES_MIN: usize = 512;
/// The most that a compressed body may have of the bytes that it stands for, in percent: what
/// saves less than a tenth isn't worth being expanded.
const KEPT_PERCENT_MAX: usize = 90;

/// Where the compressed bytes begin: behind the header and the length of the payload.
const PACKED_AT: usize = HEADER_BYTES + size_of::<u32>();
/// Where the method stands in the flags.
const METHOD_SHIFT: u32 = FLAGS_COMPRESSION.trailing_zeros();

/// How changes and rolls are compressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: for links within a device, where copying bytes costs less than looking at
    /// them.
    #[default]
    None,
    /// LZ4: records of text take half the bytes, numbers and keys three quarters, at 700 MB/s
    /// and more; what can't be compressed costs next to nothing.
    Lz4,
    /// Zstandard: a fifth to two fifths smaller than LZ4, at 400 MB/s, for slow or metered
    /// links. LZ4 where only that is known to both sides.
    Zstd,
}

impl Compression {
    /// All that compress, by their number on the wire, which begins with 1.
    const METHODS: [Self; 2] = [Self::Lz4, Self::Zstd];

    /// What to send with to a peer that can read these: this one, else the next that costs
    /// less, as far as this build has it.
    #[must_use]
    pub fn for_peer(self, reads: CompressionSet) -> Self {
        let wanted = Self::METHODS.iter().rev().skip_while(|method| **method != self);
        let both =
            |method: &&Self| reads.contains(**method) && CompressionSet::BUILT.contains(**method);
        wanted.copied().find(|method| both(&method)).unwrap_or(Self::None)
    }

    /// Its place among [`Self::METHODS`].
    fn index(self) -> Option<usize> {
        Self::METHODS.iter().position(|method| *method == self)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Compressions that somebody can read: a bit each, from the lowest on, those of later
/// versions, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct CompressionSet(pub u64);

impl CompressionSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// What this build has: LZ4 with the feature `lz4`, Zstandard with `zstd`.
    pub const BUILT: Self =
        Self(cfg!(feature = "lz4") as u64 | (cfg!(feature = "zstd") as u64) << 1);

    /// Whether this one is among them.
    pub fn contains(self, compression: Compression) -> bool {
        compression.index().is_some_and(|index| self.0 >> index & 1 == 1)
    }
}

/// A frame's body that is sent to any number of peers, and what becomes of it when it is
/// compressed: that is done when first asked for, once for all of them.
#[derive(Debug, Clone)]
pub struct Body {
    bytes: Bytes,
    /// By method; `None` within if it doesn't pay. Not there if the body is too small.
    compressed: Option<Arc<[OnceLock<Option<Bytes>>; Compression::METHODS.len()]>>,
}

impl Body {
    /// The body as it is. Credit counts its length, however it is sent.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The body to send: compressed, if that pays.
    pub fn compressed(&self, compression: Compression) -> Bytes {
        let Some((all, index)) = self.compressed.as_ref().zip(compression.index()) else {
            return self.bytes.clone();
        };
        let compressed = all[index].get_or_init(|| compress(&self.bytes, compression));
        compressed.as_ref().unwrap_or(&self.bytes).clone()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let compressed = (bytes.len() >= COMPRESSED_BYTES_MIN).then(Arc::default);
        Self { bytes, compressed }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Body {}

/// The body with its payload compressed; `None` if that doesn't pay or this build can't.
fn compress(body: &[u8], compression: Compression) -> Option<Bytes> {
    let (&[kind, flags], payload) = body.split_first_chunk::<HEADER_BYTES>()?;
    let packed_max = (body.len() / 100 * KEPT_PERCENT_MAX).checked_sub(PACKED_AT)?;
    let number = u8::try_from(compression.index()? + 1).ok()?;
    let mut compressed = vec![kind, flags | number << METHOD_SHIFT];
    compressed.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
    methods::compress(compression, payload, packed_max, &mut compressed)?;
    // It may be kept for a while.
    compressed.shrink_to_fit();
    Some(compressed.into())
}

/// Puts a body back that may be compressed by one of these methods. Any other body is left
/// as it is.
///
/// Memory is reserved for what the body says that it stands for, once that is within
/// [`BODY_BYTES_MAX`], and never for more.
///
/// # Errors
///
/// [`DecodeError`] if the method isn't one of these, or the body doesn't stand for exactly
/// what it says, or for less than its own length.
pub fn expand(body: Bytes, reads: CompressionSet) -> Result<Bytes, DecodeError> {
    let &[kind @ (CHANGES | ROLL), flags, ..] = &body[..] else { return Ok(body) };
    let Some(index) = usize::from((flags & FLAGS_COMPRESSION) >> METHOD_SHIFT).checked_sub(1)
    else {
        return Ok(body);
    };
    let method = Compression::METHODS.get(index).filter(|method| reads.contains(**method));
    let method = *method.ok_or(DecodeError::Malformed { what: "a frame's compression", at: 1 })?;
    let Some((length, packed)) = body[HEADER_BYTES..].split_first_chunk() else {
        return Err(DecodeError::Truncated { at: HEADER_BYTES, needed: PACKED_AT - body.len() });
    };
    let bytes = (u32::from_le_bytes(*length) as usize).saturating_add(HEADER_BYTES);
    limits::check("frame body bytes", bytes, BODY_BYTES_MAX)?;
    if bytes <= body.len() {
        return Err(DecodeError::Malformed {
            what: "a compressed frame's length",
            at: HEADER_BYTES,
        });
    }
    let mut expanded = vec![0; bytes];
    expanded[..HEADER_BYTES].copy_from_slice(&[kind, flags & !FLAGS_COMPRESSION]);
    let written = methods::expand(method, packed, &mut expanded[HEADER_BYTES..]);
    if written != Some(bytes - HEADER_BYTES) {
        return Err(DecodeError::Malformed { what: "a compressed frame", at: PACKED_AT });
    }
    Ok(expanded.into())
}
