//! Every limit of the format, in one place.
//!
//! Whoever writes checks with [`Operation::check`](crate::Operation::check) and
//! its kin; whoever reads gets a [`DecodeError::Limit`] that names the limit.

use crate::DecodeError;

/// The longest name of a collection or field, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;
/// The longest text or byte key of a record, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// How many arrays and maps may lie within one another.
pub const DEPTH_MAX: usize = 64;
/// How many fields a record, an update or a map may have.
pub const FIELDS_MAX: usize = 64 * 1024;
/// How many values one record may have, those within arrays and maps included.
///
/// A null takes 1 byte encoded and 32 decoded: this bounds what a record of
/// [`RECORD_BYTES_MAX`] can take in memory.
pub const VALUES_MAX: usize = 1024 * 1024;
/// How many operations a batch may have.
///
/// A transaction of [`TRANSACTION_BYTES_MAX`] has fewer: none takes less than 100 bytes
/// there. By columns, a delete takes 1 byte encoded and 160 decoded.
pub const BATCH_OPERATIONS_MAX: usize = 2 * 1024 * 1024;
/// How many values the operations of a batch may have together: their fields, removed ones
/// too, and what lies within arrays and maps.
///
/// A transaction of [`TRANSACTION_BYTES_MAX`] has fewer: none takes less than 11 bytes there.
/// By columns, four nulls take 1 byte encoded, and 160 decoded or more.
pub const BATCH_VALUES_MAX: usize = 8 * 1024 * 1024;
/// The largest record or update, in bytes of its encoded values: 16 MiB.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest body of a control message, in bytes: 4 KiB.
pub const CONTROL_BYTES_MAX: usize = 4 * 1024;
/// The largest body of a frame, in bytes: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest encoded transaction, over all of its frames, in bytes: 64 MiB.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many places changes may name where they were written first.
pub const ROOTS_MAX: usize = 16;

/// How many shapes a dictionary may have, and how many nodes.
pub const DEFINITIONS_MAX: usize = 4 * 1024;
/// How many bytes the definitions of a dictionary may take together: 256 KiB.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;

/// What errors call the limits.
pub(crate) mod what {
    pub(crate) const DEPTH: &str = "nesting depth";
    pub(crate) const FIELDS: &str = "number of fields";
    pub(crate) const VALUES: &str = "number of values in a record";
    pub(crate) const BATCH_OPERATIONS: &str = "number of operations in a batch";
    pub(crate) const BATCH_VALUES: &str = "number of values in a batch";
    pub(crate) const RECORD_BYTES: &str = "encoded record bytes";
    pub(crate) const KEY_BYTES: &str = "key bytes";
    pub(crate) const CONTROL_BYTES: &str = "control message bytes";
    pub(crate) const ROOTS: &str = "number of roots";
    pub(crate) const DEFINITIONS: &str = "number of definitions";
    pub(crate) const DEFINITION_BYTES: &str = "bytes of definitions";
    pub(crate) const SCOPE_BYTES: &str = "bytes of a scope";
}

/// Refuses what exceeds a limit.
pub(crate) fn check(what: &'static str, found: usize, max: usize) -> Result<(), DecodeError> {
    if found > max {
        return Err(DecodeError::Limit { what, found: found as u64, max: max as u64 });
    }
    Ok(())
}
