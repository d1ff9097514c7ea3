//! Why bytes are not BlazeBinary.

/// Why bytes can't be decoded. Nothing was changed; the input is to be dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends within an element.
    #[error("the input ends at byte {at}, {needed} more are needed")]
    Truncated {
        /// Where the element starts.
        at: usize,
        /// Bytes missing.
        needed: usize,
    },
    /// Bytes follow the last element.
    #[error("{count} bytes follow the end")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A number, a tag or an order that the format doesn't have.
    #[error("{what} at byte {at} is malformed")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// Where it starts.
        at: usize,
    },
    /// A tag that no value has.
    #[error("no value has the tag {tag:02x}, which is at byte {at}")]
    UnknownTag {
        /// What was read.
        tag: u8,
        /// Where it is.
        at: usize,
    },
    /// A value of a kind that a later version of the format added.
    #[error("a value needs format version {needed}, but {known} is the newest known; update Blaze")]
    LaterFormat {
        /// The version that knows it.
        needed: u8,
        /// The newest that is known here.
        known: u8,
    },
    /// The checksum doesn't match: bytes were changed on the way.
    #[error("checksum mismatch: {found:08x} found, {expected:08x} computed")]
    Checksum {
        /// As the frame says.
        found: u32,
        /// As its bytes say.
        expected: u32,
    },
    /// A version of the format that this one doesn't know.
    #[error("format version {found} is not known, this is version {known}; update this program")]
    UnknownVersion {
        /// As the bytes say.
        found: u8,
        /// The newest that is known.
        known: u8,
    },
    /// A limit was broken.
    #[error("{what} of {found} exceeds the limit of {max}")]
    Limit {
        /// The name of the limit.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What is allowed.
        max: u64,
    },
}
