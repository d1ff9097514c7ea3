//! Writes that are committed together.

use std::sync::Arc;

use blaze_codec::{Name, RecordKey, Seq};
use blaze_db_adapter::{DatabaseAdapter, Write, WriteKind};

use crate::{Error, ToRecord};

/// Writes that are committed together, here and at every replica: a reader sees
/// all of them or none.
///
/// ```
/// use blaze_sync::{Database, record};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), blaze_sync::Error> {
/// let db = Database::in_memory();
/// let seq = db
///     .transaction()
///     .put("accounts", "alice", record! { "balance" => 70 })?
///     .put("accounts", "bob", record! { "balance" => 30 })?
///     .commit()
///     .await?;
/// assert_eq!(seq, db.head());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is written before `commit`"]
pub struct Transaction {
    adapter: Arc<dyn DatabaseAdapter>,
    writes: Vec<Write>,
}

impl Transaction {
    pub(crate) fn new(adapter: Arc<dyn DatabaseAdapter>) -> Self {
        Self { adapter, writes: Vec::new() }
    }

    /// Inserts a record; the commit fails if the key is taken.
    ///
    /// # Errors
    ///
    /// [`Error`] if the name can't be one, or the type doesn't fit a record.
    pub fn insert(
        self,
        collection: &str,
        key: impl Into<RecordKey>,
        record: impl ToRecord,
    ) -> Result<Self, Error> {
        let kind = WriteKind::Insert(record.to_record()?);
        self.write(collection, key, kind)
    }

    /// Makes a record equal to this one, whether it exists or not.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn put(
        self,
        collection: &str,
        key: impl Into<RecordKey>,
        record: impl ToRecord,
    ) -> Result<Self, Error> {
        let kind = WriteKind::Put(record.to_record()?);
        self.write(collection, key, kind)
    }

    /// Sets these fields of a record; the commit fails if there is none.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn update(
        self,
        collection: &str,
        key: impl Into<RecordKey>,
        fields: impl ToRecord,
    ) -> Result<Self, Error> {
        let fields = fields.to_record()?.into_iter();
        let fields = fields.map(|(name, value)| (name, Some(value))).collect();
        self.write(collection, key, WriteKind::Update(fields))
    }

    /// Deletes a record, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if no collection can have that name.
    pub fn delete(self, collection: &str, key: impl Into<RecordKey>) -> Result<Self, Error> {
        self.write(collection, key, WriteKind::Delete)
    }

    /// Adds a write of any kind.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if no collection can have that name.
    pub fn write(
        mut self,
        collection: &str,
        key: impl Into<RecordKey>,
        kind: WriteKind,
    ) -> Result<Self, Error> {
        self.writes.push(Write { collection: Name::new(collection)?, key: key.into(), kind });
        Ok(self)
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is no write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Commits all writes and returns the commit's seq, durable at the database's
    /// level.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if a write can't be done or the database fails;
    /// nothing was written.
    pub async fn commit(self) -> Result<Seq, Error> {
        commit(self.adapter.as_ref(), self.writes).await
    }
}

/// Records that are written for one unit of tokio's budget, of which a task has 128 until
/// it is to let others run: about as much work as tokio's own operations are.
const WRITES_A_UNIT: usize = 32;

/// Commits. A task that does nothing else leaves its thread to the sessions now and then,
/// or they fall behind and have to read back what they could have sent at once.
pub(crate) async fn commit(
    adapter: &dyn DatabaseAdapter,
    writes: Vec<Write>,
) -> Result<Seq, Error> {
    for _ in 0..=writes.len() / WRITES_A_UNIT {
        tokio::task::coop::consume_budget().await;
    }
    Ok(adapter.commit(writes).await?.seq())
}
