//! A database, and how it is opened.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use blaze_codec::{Name, NodeId, Seq};
use blaze_db_adapter::{
    CollectionInfo, DatabaseAdapter, Durability, Identity, Observer, RegisteredPeer,
};
use blaze_db_adapter_memory::MemoryDatabase;
use blaze_db_adapter_sqlite::SqliteOptions;

use crate::{Collection, Error, Transaction};

/// A database that one app owns. Cheap to clone; clones are one database.
#[derive(Debug, Clone)]
pub struct Database {
    adapter: Arc<dyn DatabaseAdapter>,
}

impl Database {
    /// Opens the database file at a path, or makes it. Await the result, after
    /// setting what differs from the defaults.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), blaze_sync::Error> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("notes.blaze");
    /// use blaze_sync::{Database, Durability};
    ///
    /// let db = Database::open(path).password("secret").durability(Durability::Process).await?;
    /// assert!(db.collections().await?.is_empty());
    /// # db.close().await
    /// # }
    /// ```
    pub fn open(path: impl Into<PathBuf>) -> OpenDatabase {
        OpenDatabase { options: SqliteOptions::new(path) }
    }

    /// A database in memory, gone with its last clone.
    pub fn in_memory() -> Self {
        Self::from_adapter(Arc::new(MemoryDatabase::new()))
    }

    /// A database by an adapter of your own.
    pub fn from_adapter(adapter: Arc<dyn DatabaseAdapter>) -> Self {
        Self { adapter }
    }

    /// The adapter beneath.
    pub fn adapter(&self) -> &Arc<dyn DatabaseAdapter> {
        &self.adapter
    }

    /// Who this replica is.
    pub fn identity(&self) -> Identity {
        self.adapter.identity()
    }

    /// The latest commit.
    pub fn head(&self) -> Seq {
        self.adapter.feed().head()
    }

    /// A collection by its name; it needn't exist.
    pub fn collection(&self, name: &str) -> Collection {
        Collection::new(Arc::clone(&self.adapter), name)
    }

    /// The collections that have records.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the database can't be read.
    pub async fn collections(&self) -> Result<Vec<CollectionInfo>, Error> {
        Ok(self.adapter.collections().await?)
    }

    /// The replicas that this one has exchanged with. A deleted record is kept as a
    /// tombstone until each of them has heard of it.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the database can't be read.
    pub async fn peers(&self) -> Result<Vec<RegisteredPeer>, Error> {
        Ok(self.adapter.peers().await?)
    }

    /// Waits no longer for a replica that won't be back. (If it does come back, it is
    /// told which of its records were deleted, and what it wrote itself is kept.)
    /// Returns whether it was known.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the database can't be written.
    pub async fn forget_peer(&self, node: NodeId) -> Result<bool, Error> {
        Ok(self.adapter.unregister(node).await?)
    }

    /// A transaction: writes that are committed together, here and at every replica.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(Arc::clone(&self.adapter))
    }

    /// Follows what changes in a collection from now on, whoever writes it.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if no collection can have that name.
    pub fn observe(&self, collection: &str) -> Result<Observer, Error> {
        Ok(Observer::new(Arc::clone(&self.adapter), Some(Name::new(collection)?)))
    }

    /// Follows what changes in any collection after a seq; after
    /// [`Seq::ZERO`] that is everything there is.
    pub fn observe_all(&self, after: Seq) -> Observer {
        Observer::after(Arc::clone(&self.adapter), None, after)
    }

    /// Finishes what was begun and closes the database, for all clones.
    ///
    /// # Errors
    ///
    /// [`Error::Database`] if the last writes could not be finished.
    pub async fn close(&self) -> Result<(), Error> {
        Ok(self.adapter.close().await?)
    }
}

/// A database about to be opened; await it.
#[derive(Debug)]
#[must_use = "a database is opened when this is awaited"]
pub struct OpenDatabase {
    options: SqliteOptions,
}

impl OpenDatabase {
    /// Encrypts the whole file with this password. Default: not encrypted.
    pub fn password(self, password: impl Into<String>) -> Self {
        Self { options: self.options.password(password) }
    }

    /// What commits survive. Default: [`Durability::Disk`].
    pub fn durability(self, durability: Durability) -> Self {
        Self { options: self.options.durability(durability) }
    }

    /// The database's name: only databases of one name sync. Default: `main`.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { options: self.options.database(name) }
    }

    /// Only reads, beside another process that may be writing. The file must
    /// exist. Default: false.
    pub fn read_only(self, read_only: bool) -> Self {
        Self { options: self.options.read_only(read_only) }
    }

    /// Only reads, and neither makes nor changes a file beside the database, for
    /// whoever only wants to know how it is. A log without its index is refused, and
    /// nobody may begin to write the file meanwhile. Default: false.
    pub fn without_trace(self, without_trace: bool) -> Self {
        Self { options: self.options.without_trace(without_trace) }
    }

    /// Refuses to let the file grow beyond so many bytes. Default: no limit.
    pub fn size_bytes_max(self, bytes: u64) -> Self {
        Self { options: self.options.size_bytes_max(bytes) }
    }
}

impl IntoFuture for OpenDatabase {
    type Output = Result<Database, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let database = self.options.open().await?;
            Ok(Database::from_adapter(Arc::new(database)))
        })
    }
}
