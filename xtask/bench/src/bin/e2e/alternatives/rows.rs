//! Records as alternatives store them.

use anyhow::{Context as _, Result};
use blaze_sync::Uuid;

pub(super) const KEY_BYTES: usize = 16;
/// As large as what the floor stores.
pub(super) const VALUE_BYTES: usize = 200;
const STAMP_BYTES: usize = size_of::<u64>();

/// A key, and a value that begins with the time at which it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: [u8; KEY_BYTES],
    pub(super) value: Vec<u8>,
}

impl Row {
    /// A new row with a time-ordered key. The value is random, so that nobody has
    /// it easy who compresses.
    pub(super) fn random() -> Self {
        let value = std::iter::repeat_with(fastrand::alphanumeric).take(VALUE_BYTES);
        Self { key: Uuid::now_v7().into_bytes(), value: value.map(|char| char as u8).collect() }
    }

    /// The key as what can't be keyed by bytes has it.
    #[cfg(any(feature = "automerge", feature = "yrs"))]
    pub(super) fn key_text(&self) -> String {
        Uuid::from_bytes(self.key).as_simple().to_string()
    }

    pub(super) fn stamp(&mut self, now_ns: u64) {
        self.value[..STAMP_BYTES].copy_from_slice(&now_ns.to_ne_bytes());
    }

    /// Appends the row as bytes; [`stamp_in`] finds the stamp of the last one.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.value);
    }
}

/// Transactions of new rows.
pub(super) fn transactions(rows: usize, per_transaction: usize) -> Vec<Vec<Row>> {
    let starts = (0..rows).step_by(per_transaction);
    let transaction = |start| per_transaction.min(rows - start);
    let random = |count| std::iter::repeat_with(Row::random).take(count).collect();
    starts.map(transaction).map(random).collect()
}

/// How many rows became readable, and the stamp of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) rows: usize,
    pub(super) stamp: u64,
}

impl Received {
    const BYTES: usize = size_of::<u32>() + STAMP_BYTES;

    /// Of rows that are sent.
    pub(super) fn of(rows: &[Row]) -> Result<Self> {
        let last = rows.last().context("a transaction has rows")?;
        Ok(Self { rows: rows.len(), stamp: stamp_of(&last.value)? })
    }

    /// Of rows that [`Row::append_to`] put one after the other.
    pub(super) fn in_bytes(bytes: &[u8]) -> Result<Self> {
        let rows = bytes.chunks_exact(KEY_BYTES + VALUE_BYTES);
        let (count, last) = (rows.len(), rows.last().context("a message has rows")?);
        Ok(Self { rows: count, stamp: stamp_of(&last[KEY_BYTES..])? })
    }

    /// As what goes before something else in a message.
    pub(super) fn head(self) -> Result<[u8; Self::BYTES]> {
        let mut head = [0; Self::BYTES];
        head[..4].copy_from_slice(&u32::try_from(self.rows)?.to_ne_bytes());
        head[4..].copy_from_slice(&self.stamp.to_ne_bytes());
        Ok(head)
    }

    /// Takes it from the start of a message.
    pub(super) fn split(message: &[u8]) -> Result<(Self, &[u8])> {
        let (head, rest) =
            message.split_at_checked(Self::BYTES).context("a message without its head")?;
        let rows = u32::from_ne_bytes(head[..4].try_into()?) as usize;
        Ok((Self { rows, stamp: u64::from_ne_bytes(head[4..].try_into()?) }, rest))
    }
}

/// The stamp that a value begins with.
pub(super) fn stamp_of(value: &[u8]) -> Result<u64> {
    let stamp = value.get(..STAMP_BYTES).context("a value without its stamp")?;
    Ok(u64::from_ne_bytes(stamp.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::{KEY_BYTES, Received, Row, VALUE_BYTES, transactions};

    #[test]
    fn a_head_and_rows_tell_the_last_stamp() {
        let mut rows = transactions(3, 3).remove(0);
        rows[2].stamp(7);
        let received = Received::of(&rows).unwrap();
        assert_eq!(received, Received { rows: 3, stamp: 7 });

        let mut message = received.head().unwrap().to_vec();
        message.extend_from_slice(b"rest");
        assert_eq!(Received::split(&message).unwrap(), (received, &b"rest"[..]));
        assert!(Received::split(&message[..3]).is_err());

        let mut bytes = Vec::new();
        for row in &rows {
            row.append_to(&mut bytes);
        }
        assert_eq!(bytes.len(), 3 * (KEY_BYTES + VALUE_BYTES));
        assert_eq!(Received::in_bytes(&bytes).unwrap(), received);
        assert!(Received::in_bytes(&[]).is_err());
    }

    #[test]
    fn keys_ascend_as_a_reader_that_asks_for_greater_ones_needs() {
        let rows: Vec<Row> = transactions(2_500, 1_000).into_iter().flatten().collect();
        assert_eq!(rows.len(), 2_500);
        assert!(rows.is_sorted_by(|one, next| one.key < next.key));
    }
}
