//! A collection of records.

use std::sync::Arc;

use blaze_codec::typed::{from_record, to_record};
use blaze_codec::{Name, NameError, Record, RecordKey};
use blaze_db_adapter::{DatabaseAdapter, Write, WriteKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::transaction::commit;

/// What can be stored as a record: a [`Record`], or a reference to a type that is
/// [`Serialize`] with named fields.
pub trait ToRecord {
    /// The record.
    ///
    /// # Errors
    ///
    /// [`Error::Typed`] if the type doesn't fit a record.
    fn to_record(self) -> Result<Record, Error>;
}

impl ToRecord for Record {
    fn to_record(self) -> Result<Record, Error> {
        Ok(self)
    }
}

impl<T: Serialize + ?Sized> ToRecord for &T {
    fn to_record(self) -> Result<Record, Error> {
        Ok(to_record(self)?)
    }
}

/// A collection of records in a database.
///
/// ```
/// use blaze_sync::{Database, record};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct Note {
///     title: String,
///     stars: u8,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), blaze_sync::Error> {
/// let notes = Database::in_memory().collection("notes");
/// let id = notes.insert(&Note { title: "hello".into(), stars: 3 }).await?;
/// notes.update(&id, record! { "stars" => 4 }).await?;
///
/// let note: Option<Note> = notes.get(&id).await?;
/// assert_eq!(note, Some(Note { title: "hello".into(), stars: 4 }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Collection {
    adapter: Arc<dyn DatabaseAdapter>,
    name: Result<Name, NameError>,
}

impl Collection {
    pub(crate) fn new(adapter: Arc<dyn DatabaseAdapter>, name: &str) -> Self {
        Self { adapter, name: Name::new(name) }
    }

    /// Inserts a record under a new, time-ordered UUID, and returns that.
    ///
    /// # Errors
    ///
    /// [`Error`] if the type doesn't fit a record, or the commit fails.
    pub async fn insert(&self, record: impl ToRecord) -> Result<RecordKey, Error> {
        let key = RecordKey::unique();
        self.insert_at(&key, record).await?;
        Ok(key)
    }

    /// Inserts a record under a key of your own.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), and if the key is taken.
    pub async fn insert_at(
        &self,
        key: impl Into<RecordKey>,
        record: impl ToRecord,
    ) -> Result<(), Error> {
        self.write(key, WriteKind::Insert(record.to_record()?)).await
    }

    /// Makes the record under a key equal to this one, whether it exists or not.
    /// Only fields that differ are written, so that others' edits of the other
    /// fields stand.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn put(&self, key: impl Into<RecordKey>, record: impl ToRecord) -> Result<(), Error> {
        self.write(key, WriteKind::Put(record.to_record()?)).await
    }

    /// Sets these fields of a record and leaves the others.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), and if there is no such record.
    pub async fn update(
        &self,
        key: impl Into<RecordKey>,
        fields: impl ToRecord,
    ) -> Result<(), Error> {
        let fields = fields.to_record()?.into_iter();
        let fields = fields.map(|(name, value)| (name, Some(value))).collect();
        self.write(key, WriteKind::Update(fields)).await
    }

    /// Removes a field of a record.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub async fn remove_field(&self, key: impl Into<RecordKey>, field: &str) -> Result<(), Error> {
        let fields = [(Name::new(field)?, None)].into();
        self.write(key, WriteKind::Update(fields)).await
    }

    /// Deletes a record; does nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the commit fails.
    pub async fn delete(&self, key: impl Into<RecordKey>) -> Result<(), Error> {
        self.write(key, WriteKind::Delete).await
    }

    /// The record under a key as a type of yours, or as a [`Record`].
    ///
    /// # Errors
    ///
    /// [`Error::Typed`] if the record doesn't fit the type, [`Error::Database`] if
    /// the database can't be read.
    pub async fn get<T: DeserializeOwned>(
        &self,
        key: impl Into<RecordKey>,
    ) -> Result<Option<T>, Error> {
        let record = self.adapter.read(&self.name()?, &key.into()).await?;
        record.map(|record| Ok(from_record(&record)?)).transpose()
    }

    /// At most `count` records after a key, in the order of their keys. Fewer
    /// than `count` are given only at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the database can't be read.
    pub async fn list(
        &self,
        after: Option<&RecordKey>,
        count: usize,
    ) -> Result<Vec<(RecordKey, Record)>, Error> {
        Ok(self.adapter.scan(&self.name()?, after, count).await?)
    }

    fn name(&self) -> Result<Name, NameError> {
        self.name.clone()
    }

    async fn write(&self, key: impl Into<RecordKey>, kind: WriteKind) -> Result<(), Error> {
        let write = Write { collection: self.name()?, key: key.into(), kind };
        commit(self.adapter.as_ref(), vec![write]).await?;
        Ok(())
    }
}
