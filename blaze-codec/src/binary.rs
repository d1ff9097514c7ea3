//! The building blocks of BlazeBinary: varints and values.

use crate::{DecodeError, Value};

/// Appends `value` to `out`.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) {
    let _ = (value, out);
    todo!()
}

/// Decodes the value at the start of `bytes` and tells how many bytes it takes.
///
/// # Errors
///
/// [`DecodeError`] if there is no value, or one that breaks a limit.
pub fn decode_value(bytes: &[u8]) -> Result<(Value, usize), DecodeError> {
    let _ = bytes;
    todo!()
}

/// Appends an unsigned LEB128 number.
pub fn encode_varint(number: u64, out: &mut Vec<u8>) {
    let _ = (number, out);
    todo!()
}

/// Decodes the varint at the start of `bytes` and tells how many bytes it takes.
///
/// # Errors
///
/// [`DecodeError`] if it is cut off, over 64 bits, or not the shortest form.
pub fn decode_varint(bytes: &[u8]) -> Result<(u64, usize), DecodeError> {
    let _ = bytes;
    todo!()
}
