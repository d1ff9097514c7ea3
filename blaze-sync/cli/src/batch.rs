//! Committing rows in transactions that are bounded in rows and in bytes.

use blaze_sync::{Database, Error, RecordKey};

use crate::rows::{Reader, RowError};

/// Rows of one transaction.
const ROWS: usize = 1000;
/// Bytes of input after which a transaction is committed in any case.
const BYTES: u64 = 8 * 1024 * 1024;

/// Why not all rows were committed. Those before are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// A row can't be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A transaction can't be committed.
    #[error(transparent)]
    Commit(#[from] Error),
}

/// Puts rows into a collection. After each commit, it tells how many rows are
/// committed and how many bytes are read.
///
/// # Errors
///
/// [`BatchError`] at the first row that can't be read or committed.
pub(crate) async fn put_rows(
    db: &Database,
    collection: &str,
    rows: &mut Reader,
    mut committed: impl FnMut(u64, u64),
) -> Result<(), BatchError> {
    let mut total = 0;
    loop {
        let begin = rows.bytes_read();
        let mut transaction = db.transaction();
        let mut end = None;
        while transaction.len() < ROWS && rows.bytes_read() - begin < BYTES {
            match rows.next() {
                Some(Ok((key, record))) => {
                    let key = key.unwrap_or_else(RecordKey::unique);
                    transaction = transaction.put(collection, key, record)?;
                }
                None => {
                    end = Some(Ok(()));
                    break;
                }
                Some(Err(error)) => {
                    end = Some(Err(error.into()));
                    break;
                }
            }
        }
        let count = transaction.len() as u64;
        if count > 0 {
            transaction.commit().await?;
            total += count;
            committed(total, rows.bytes_read());
        }
        if let Some(end) = end {
            return end;
        }
    }
}
