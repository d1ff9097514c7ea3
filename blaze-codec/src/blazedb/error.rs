//! Why bytes are not records of BlazeDB.

use crate::{Name, NameError};

/// Why bytes are not records of BlazeDB, or ones that can't be kept as they are.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("byte {at}: {kind}")]
pub struct BlazeDbError {
    at: u64,
    kind: BlazeDbErrorKind,
}

impl BlazeDbError {
    /// Where in the input it is, from 0.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// What is wrong.
    pub const fn kind(&self) -> &BlazeDbErrorKind {
        &self.kind
    }

    /// The error of a record that begins at this place of its input.
    pub(super) fn in_record(mut self, at: u64) -> Self {
        self.at += at;
        self
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BlazeDbErrorKind {
    /// Neither a record nor a counted sequence begins here.
    #[error(
        "neither a record of BlazeDB, which begins with BLAZE, nor a counted sequence of them; \
         is this another format, or encrypted?"
    )]
    Unknown,
    /// A record should begin here.
    #[error("a record of BlazeDB begins with BLAZE; is this another format, or damaged?")]
    Magic,
    /// A version of the layout that this one doesn't know.
    #[error("layout version {found} is not known, only 1 and 2 are; export the records as JSON")]
    UnknownVersion {
        /// As the record says.
        found: u8,
    },
    /// The checksum doesn't match.
    #[error(
        "checksum mismatch: {found:08x} found, {computed:08x} computed; the record is damaged, \
         write it again"
    )]
    Checksum {
        /// As the record says.
        found: u32,
        /// As its bytes say.
        computed: u32,
    },
    /// The input, or a record by its length, ends here.
    #[error("it ends here, at least {needed} more bytes are needed; was it cut off?")]
    Truncated {
        /// Bytes missing.
        needed: u64,
    },
    /// Bytes follow the last field or record.
    #[error("bytes follow the last that was counted; is the count wrong, or are these two files?")]
    Trailing,
    /// A key of one byte that the layout's table doesn't have.
    #[error("field key {found:02x} is not in BlazeDB's table; export the records as JSON")]
    UnknownKey {
        /// As the field says.
        found: u8,
    },
    /// A tag that the layout doesn't have.
    #[error("value tag {found:02x} is not known; export the records as JSON")]
    UnknownTag {
        /// As the value says.
        found: u8,
    },
    /// A truth value that is neither.
    #[error("a bool is 00 or 01, not {found:02x}; the record is damaged, write it again")]
    Bool {
        /// As the value says.
        found: u8,
    },
    /// Bytes of a text that are none.
    #[error("the text is not UTF-8 from here on; the record is damaged, write it again")]
    Utf8,
    /// A field or key of a dictionary that no field here can be called.
    #[error("{0}; rename the field before it is written")]
    Name(#[from] NameError),
    /// Two fields or keys of one name, of which one would be lost.
    #[error("{name:?} is given twice; rename one of the two")]
    Twice {
        /// The name.
        name: Name,
    },
    /// A date that is no moment in milliseconds.
    #[error("a date {seconds} seconds after 2001 is beyond what a timestamp holds; correct it")]
    Date {
        /// As the value says.
        seconds: f64,
    },
    /// A limit was broken.
    #[error("{what} of {found} exceeds the limit of {max}; split the record")]
    Limit {
        /// The name of the limit.
        what: &'static str,
        /// What was found; counting ends with the first that is too much.
        found: u64,
        /// What is allowed.
        max: u64,
    },
}

impl BlazeDbErrorKind {
    /// The error at a place within a record.
    pub(super) const fn at(self, at: usize) -> BlazeDbError {
        BlazeDbError { at: at as u64, kind: self }
    }

    /// Refuses what exceeds a limit.
    pub(super) fn limit(what: &'static str, found: usize, max: usize) -> Result<(), Self> {
        if found > max {
            return Err(Self::Limit { what, found: found as u64, max: max as u64 });
        }
        Ok(())
    }
}
