//! What a cell of a CSV file means.

use blaze_sync::Value;

use super::integer;

/// The value that a cell means: what is JSON (a number, `true`, `null`, a text in
/// quotes, an array, an object) is that value, everything else is a text as it is.
///
/// Numbers that would not be written the same way again (`007`, `+49`, `1.10`, `12e5`,
/// or beyond what 64 bits hold) stay texts: they are article numbers, telephone numbers,
/// versions and the like.
pub(crate) fn infer(cell: &str) -> Value {
    let text = || Value::from(cell);
    let Some(first) = cell.bytes().next() else { return text() };
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let int = cell.parse::<i64>().ok().filter(|int| int.to_string() == cell);
        return int.map_or_else(text, Value::Int);
    }
    let may_be_json = matches!(first, b'-' | b'0'..=b'9' | b'"' | b'[' | b'{' | b't' | b'f' | b'n');
    if !may_be_json || cell.ends_with(|last: char| last.is_whitespace()) {
        return text();
    }
    if integer::beyond_64_bits(cell.as_bytes()).is_some() {
        return text();
    }
    let number = matches!(first, b'-' | b'0'..=b'9');
    match serde_json::from_str(cell) {
        Ok(value) if !number || as_json(&value) == cell => value,
        _ => text(),
    }
}

/// The cell by which [`infer`] finds a value again.
pub(super) fn to_cell(value: &Value) -> String {
    match value {
        Value::Text(text) if !text.is_empty() && infer(text) == *value => text.to_string(),
        value => as_json(value),
    }
}

fn as_json(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}
