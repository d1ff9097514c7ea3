//! SQLite and SQLCipher databases for Blaze: one file a replica.
//!
//! [`SqliteOptions`] opens a [`SqliteDatabase`]. There is one writing connection. A
//! dedicated thread commits whatever is queued for it as one transaction of SQLite
//! (group commit). At durability `Process`, where no commit waits for the disk, a
//! small one that finds nothing queued is made on the caller's thread instead: it
//! takes tens of microseconds (more if it changes large records, which are written
//! whole), less than waking another thread and being woken by it. A few reading connections beside it each see one consistent snapshot. A
//! password encrypts the whole file.
//!
//! ```
//! use blaze_codec::{Name, RecordKey, record};
//! use blaze_db_adapter::{DatabaseAdapter, Write, WriteKind};
//! use blaze_db_adapter_sqlite::SqliteOptions;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes.blaze");
//! let notes = SqliteOptions::new(&path).password("correct horse").open().await?;
//! let (collection, key) = (Name::new("notes")?, RecordKey::unique());
//! let kind = WriteKind::Insert(record! { "title" => "hello" });
//! notes.commit(vec![Write { collection: collection.clone(), key: key.clone(), kind }]).await?;
//! assert!(notes.read(&collection, &key).await?.is_some());
//! notes.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Storage
//!
//! The file is a SQLite database in WAL mode with pages of 4 KiB. Its
//! `application_id` is `0x426c_617a` ("Blaz"), its `user_version` the format
//! version, 2. `PATH.lock` beside it decides which process may write. It is never
//! deleted, and holds the pid of the latest one that did, and the file's inode and
//! time of birth: a file that is another one than it says is a copy, and gets a
//! node id of its own.
//!
//! | table | |
//! |---|---|
//! | `meta(name, value)` | `node`, `former` (16 bytes each), `database`, `role`, `floor`, `purged`, `forgotten` |
//! | `names(id, value)` | names of collections and fields, numbered from 0 in the order of first use |
//! | `nodes(id, value)` | node ids, likewise |
//! | `records(position, collection, live, ending, key, state)` | the records in the order of the feed |
//! | `spans(first, incarnation, told)` | which opening committed from which seq on, and whether a peer may have been told |
//! | `checkpoints(number, peer, incarnation, seq)` | how far each incarnation of each peer's feed is merged, at least; the latest of a peer has its greatest number |
//! | `peers(node, name, settled, seen_ms)` | the peers that tombstones wait for: up to which seq each has them for good, and when it was last heard of |
//!
//! `position` is the rowid: the seq of the record's last change times 2^20, plus
//! its number within that commit. A change moves the row to the end, so that the
//! feed is one range scan of the table. The index on `(collection, key, live)`
//! finds a record, and lists and counts those that exist without touching others. An index of the
//! tombstones alone finds those that may go, some thousands a transaction; `purged` is
//! the seq up to which they are gone.
//!
//! The last row of each commit holds in `ending` the hybrid clock after it (8 bytes,
//! little-endian), and how far feeds of peers are merged, where `checkpoints` doesn't
//! tell yet: two *numbers* each, that in `checkpoints` and the seq. So the last row of
//! the table tells the head of the feed, the clock and where the latest merges reached,
//! and a commit writes no page for them. A row carries at most four places; they are
//! stored in `checkpoints` when more come, when eight commits reached none, or when no
//! row can tell. What else no row can tell (a merge whose operations all
//! lost moved the clock on, or the last row was a tombstone that went) is written to `floor`: seq and clock, 8 bytes each,
//! big-endian; the greater of the two counts.
//!
//! After a failed commit, or another error of the disk, nothing is written until the
//! database is opened again: SQLite would go on, but after a failed sync nobody
//! knows what the disk holds. Opening it writes the log that was left over itself and
//! syncs it, so that no hole is behind what reads well.
//!
//! `state` is everything known of the record. A *number* is an unsigned LEB128
//! varint, a *value* is `BlazeBinary`'s:
//!
//! ```text
//! state   = flags version(life) version(its base) [count stamp*] count field*
//! flags   = byte: 1 if the record exists, plus 2 if stamps follow
//! stamp   = version version(its base)          a write later than the life's
//! version = number(node id * 4 + kind) [hlc, 8 bytes LE] [epoch, 8 bytes LE]
//! kind      0 epoch is zero, 1 epoch is hlc, 2 epoch follows; 3 the zero version, alone
//! field   = number(name id * 4 + flags) [number(stamp)] [value]
//! flags     1 if a stamp is named, else the life's version and base; 2 if removed, without a value
//! ```
//!
//! Of a record that was withdrawn the life is that of `Operation::WITHDRAWN`, and doesn't exist.
//!
//! # Encryption
//!
//! SQLCipher 4: AES-256-CBC, an HMAC-SHA512 a page, the write-ahead log included.
//! The key is Argon2id (19 MiB, 2 passes, 1 lane) of the password, salted by the
//! first 16 bytes of the file, which are SQLCipher's salt and random. It is
//! derived once an opening and handed to SQLCipher as a raw key.
//!
//! `PATH.lock`, the file's size and the times of its writes are not hidden.

mod commit;
mod committer;
mod create;
mod database;
mod dictionary;
mod fault;
mod header;
mod key;
mod lock;
mod log;
mod open;
mod options;
mod peers;
mod places;
mod reader;
mod schema;
mod shares;
mod state;
mod writer;

pub use database::SqliteDatabase;
pub use options::SqliteOptions;
