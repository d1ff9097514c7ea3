//! Batches of operations in BlazeBinary.

use crate::{DecodeError, Operation};

/// Appends the batch of `operations` to `out`.
pub fn encode(operations: &[Operation], out: &mut Vec<u8>) {
    let _ = (operations, out);
    todo!()
}

/// Decodes a batch that fills `bytes`.
///
/// # Errors
///
/// [`DecodeError`] if `bytes` are not a batch or break a limit.
pub fn decode(bytes: &[u8]) -> Result<Vec<Operation>, DecodeError> {
    let _ = bytes;
    todo!()
}
