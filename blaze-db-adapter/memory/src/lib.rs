//! In-memory database for Blaze: the reference model.
//!
//! What another adapter does with files, locks and indexes, this one does with
//! three maps behind one mutex, so that it can be read at a glance and the others
//! be tested against it. Nothing of it survives the process; a [`Snapshot`] stands for
//! the file that another adapter would leave behind.
//!
//! ```
//! use blaze_codec::{Name, RecordKey, record};
//! use blaze_db_adapter::{DatabaseAdapter, Write, WriteKind};
//! use blaze_db_adapter_memory::MemoryDatabase;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = MemoryDatabase::new();
//! let (collection, key) = (Name::new("notes")?, RecordKey::from("first"));
//! let kind = WriteKind::Insert(record! { "title" => "hello" });
//! let write = Write { collection: collection.clone(), key: key.clone(), kind };
//! let committed = database.commit(vec![write]).await?;
//! assert_eq!(database.feed().head(), committed.seq());
//!
//! let note = database.read(&collection, &key).await?.expect("just written");
//! assert_eq!(note.get("title").and_then(|title| title.as_str()), Some("hello"));
//! # Ok(())
//! # }
//! ```

mod database;
mod options;
mod snapshot;
mod store;

pub use database::MemoryDatabase;
pub use options::MemoryOptions;
pub use snapshot::Snapshot;
