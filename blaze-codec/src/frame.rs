//! Frames on a byte stream: length, checksum, body.
//!
//! A header of 8 bytes (the body's length, then the CRC-32C of the length and
//! the body, both little-endian u32) and the body, which is opaque here but for
//! its first two bytes, that every body has; see [`message`](crate::message).

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::DecodeError;
use crate::limits::{self, BODY_BYTES_MAX};

/// The length of a frame's header, in bytes.
pub const HEADER_BYTES: usize = 8;
/// The smallest body, in bytes: its kind and its flags.
pub const BODY_BYTES_MIN: usize = 2;

/// How much to reserve ahead of what has arrived.
const RESERVE_BYTES_MAX: usize = 64 * 1024;

/// Why a frame can't be read or written. The stream is of no further use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are not a frame, or one beyond the limits.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// The header of the frame with this body, for writers that write both in one
/// vectored call instead of copying the body behind its header.
///
/// # Panics
///
/// If the body has 4 GiB or more.
pub fn header(body: &[u8]) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(body.len()).expect("a body is smaller than 4 GiB").to_le_bytes();
    let checksum = checksum(length, body).to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&length);
    header[4..].copy_from_slice(&checksum);
    header
}

/// The length counts, too: a changed one must not pass for another frame.
fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), body)
}

/// Cuts a byte stream into the bodies of frames, and wraps bodies into frames.
///
/// Bodies are slices of the read buffer, not copies of it. A length out of
/// bounds is refused as soon as the header has arrived, before any memory is
/// reserved for it.
///
/// ```
/// use blaze_codec::frame::FrameCodec;
/// use bytes::{Bytes, BytesMut};
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut codec = FrameCodec::new();
/// let mut stream = BytesMut::new();
/// codec.encode(Bytes::from_static(b"\x05\x00\x07"), &mut stream)?;
/// assert_eq!(codec.decode(&mut stream)?.as_deref(), Some(&b"\x05\x00\x07"[..]));
/// assert_eq!(codec.decode(&mut stream)?, None);
/// # Ok::<(), blaze_codec::frame::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FrameCodec {
    body_bytes_max: usize,
}

impl Default for FrameCodec {
    fn default() -> Self {
        Self { body_bytes_max: BODY_BYTES_MAX }
    }
}

impl FrameCodec {
    /// A codec with the default limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest body, in bytes, for both directions. The default is
    /// [`BODY_BYTES_MAX`].
    pub const fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// The same for a stream that is being read, from the next frame on.
    pub const fn set_body_bytes_max(&mut self, bytes: usize) {
        self.body_bytes_max = bytes;
    }

    fn check(&self, body_bytes: usize) -> Result<(), DecodeError> {
        if body_bytes < BODY_BYTES_MIN {
            return Err(DecodeError::Malformed { what: "frame length", at: 0 });
        }
        limits::check("frame body bytes", body_bytes, self.body_bytes_max)
    }
}

/// The length of the body and the checksum, if the header has arrived.
fn read_header(stream: &[u8]) -> Option<(usize, u32)> {
    let mut header: &[u8] = stream.get(..HEADER_BYTES)?;
    Some((header.get_u32_le() as usize, header.get_u32_le()))
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, stream: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some((body_bytes, found)) = read_header(stream) else {
            return Ok(None);
        };
        self.check(body_bytes)?;
        let missing = (HEADER_BYTES + body_bytes).saturating_sub(stream.len());
        if missing > 0 {
            stream.reserve(missing.min(RESERVE_BYTES_MAX));
            return Ok(None);
        }
        let frame = stream.split_to(HEADER_BYTES + body_bytes).freeze();
        let expected = checksum([frame[0], frame[1], frame[2], frame[3]], &frame[HEADER_BYTES..]);
        if found != expected {
            return Err(DecodeError::Checksum { found, expected }.into());
        }
        Ok(Some(frame.slice(HEADER_BYTES..)))
    }

    fn decode_eof(&mut self, stream: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let body = self.decode(stream)?;
        if body.is_some() || stream.is_empty() {
            return Ok(body);
        }
        let body_bytes = read_header(stream).map_or(BODY_BYTES_MIN, |(bytes, _)| bytes);
        let needed = HEADER_BYTES + body_bytes - stream.len();
        Err(DecodeError::Truncated { at: 0, needed }.into())
    }
}

impl Encoder<Bytes> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, body: Bytes, stream: &mut BytesMut) -> Result<(), FrameError> {
        self.check(body.len())?;
        stream.reserve(HEADER_BYTES + body.len());
        stream.put_slice(&header(&body));
        stream.put_slice(&body);
        Ok(())
    }
}
