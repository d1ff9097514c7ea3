//! What hostile bytes are given to.

mod batch;
pub(crate) mod dictionary;
mod frame;
mod hello;
mod known;
mod operation;
mod record;
mod session;

use std::fmt;

pub(crate) use self::session::{Script, Step};

/// One of the things that are fuzzed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Bytes as a batch: decoded and read in place.
    Batch,
    /// Decisions for valid operations, whose bytes are then changed.
    Operation,
    /// Definitions, and bytes as a batch by them.
    Dictionary,
    /// Bytes as a value, and as JSON.
    Record,
    /// Bytes as a stream of frames, some compressed, that arrives in pieces.
    Frame,
    /// Bytes as the body of a message.
    Hello,
    /// A script of what a peer sends, and when.
    Session,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Batch,
        Self::Operation,
        Self::Dictionary,
        Self::Record,
        Self::Frame,
        Self::Hello,
        Self::Session,
    ];

    /// Its name, which is also that of its folders.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Operation => "operation",
            Self::Dictionary => "dictionary",
            Self::Record => "record",
            Self::Frame => "frame",
            Self::Hello => "hello",
            Self::Session => "session",
        }
    }

    /// The target of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Gives it an input.
    ///
    /// # Panics
    ///
    /// If it breaks a promise, its bound of memory included. That is a find.
    pub fn run(self, input: &[u8]) {
        match self {
            Self::Batch => batch::run(input),
            Self::Operation => operation::run(input),
            Self::Dictionary => dictionary::run(input),
            Self::Record => record::run(input),
            Self::Frame => frame::run(input),
            Self::Hello => hello::run(input),
            Self::Session => session::run(input),
        }
    }

    /// The longest inputs that are worth trying, in bytes.
    pub const fn input_bytes_max(self) -> usize {
        match self {
            Self::Hello => 5 * 1024,
            Self::Operation | Self::Session => 8 * 1024,
            Self::Batch | Self::Dictionary | Self::Record | Self::Frame => 16 * 1024,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
