//! How a database is opened.

use std::fmt;
use std::path::PathBuf;

use blaze_codec::Role;
use blaze_db_adapter::{DatabaseError, Durability, WallClock};
use zeroize::Zeroizing;

use crate::SqliteDatabase;

/// Opens a [`SqliteDatabase`], and makes its file if there is none.
#[derive(Clone)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) durability: Durability,
    pub(crate) database: String,
    pub(crate) role: Role,
    pub(crate) clock: WallClock,
    pub(crate) read_only: bool,
    pub(crate) without_trace: bool,
    pub(crate) size_bytes_max: Option<u64>,
}

impl SqliteOptions {
    /// Options for the file at `path`, whose folder must exist. The file is made
    /// with mode 0600.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            password: None,
            durability: Durability::default(),
            database: "main".to_owned(),
            role: Role::default(),
            clock: WallClock::system(),
            read_only: false,
            without_trace: false,
            size_bytes_max: None,
        }
    }

    /// Encrypts a new file with this password, or opens an encrypted one.
    /// Default: none, the file is not encrypted.
    ///
    /// A password that is lost can't be recovered, and neither can the data.
    pub fn password(self, password: impl Into<String>) -> Self {
        Self { password: Some(Zeroizing::new(password.into())), ..self }
    }

    /// What a commit survives. Default: [`Durability::Disk`].
    ///
    /// [`Durability::Memory`] is refused: a file can't offer less than
    /// [`Durability::Process`], and nothing is gained by calling it so.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The name of the database that the file is a replica of; only replicas of
    /// one database sync. Default: `main`.
    pub fn database(self, name: impl Into<String>) -> Self {
        Self { database: name.into(), ..self }
    }

    /// The role of a new database; one that is there keeps its own.
    /// Default: [`Role::Client`].
    pub fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The wall clock. Default: the system's.
    pub fn clock(self, clock: WallClock) -> Self {
        Self { clock, ..self }
    }

    /// Only reads, beside the process that writes, and sees each of its commits.
    /// Default: `false`.
    ///
    /// The file is neither made nor changed. The live feed stands still: it tells
    /// only of commits made through the same [`SqliteDatabase`]. It takes part in no
    /// link: what peers are told of a feed has to be noted in the file.
    ///
    /// SQLite reads the log `PATH-wal` by an index in `PATH-shm`, and makes both if
    /// they aren't there. Where this user may not write the folder (a read-only mount,
    /// say), a database without a log is read without them, and nobody may write it
    /// meanwhile; one that was not closed is refused with
    /// [`DatabaseError::Setting`] if its index can't be used.
    pub fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    /// Only reads, as with [`read_only`](Self::read_only), and neither makes nor changes
    /// a file beside the database either, for whoever only wants to know how it is.
    /// Default: `false`.
    ///
    /// A log without its index, as a copy of a database that was open may have it, and a
    /// file with half of a transaction and the journal that undoes it, are refused with
    /// [`DatabaseError::Setting`]. While the database is open nobody may
    /// begin to write it: what is read afterwards could be half of a change.
    pub fn without_trace(self, without_trace: bool) -> Self {
        Self { without_trace, read_only: self.read_only || without_trace, ..self }
    }

    /// Refuses commits that would make the file larger than this, with
    /// [`DatabaseError::Full`]. Counted in pages of 4 KiB; the log beside the file
    /// is not counted. Default: no limit but the disk's.
    pub fn size_bytes_max(self, bytes: u64) -> Self {
        Self { size_bytes_max: Some(bytes), ..self }
    }

    /// Opens the database.
    ///
    /// Must be called within a tokio runtime, as must the database's methods.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`]; a file that was there is untouched, whatever is wrong:
    ///
    /// - `Setting`: the path (a folder, a pipe, a link to nothing, one of several
    ///   names of a file), its lock file, the durability, the password or the name
    ///   can't work;
    /// - `PasswordRequired`, `NotEncrypted`, `WrongPassword`: the file and the
    ///   password don't go together. A wrong password and damage to the first
    ///   page of an encrypted file look the same;
    /// - `Corrupt`: it is another program's, damaged, of a newer format, or has a
    ///   table, an index, a trigger or a view that Blaze didn't make;
    /// - `Stored`: a value in it is none that Blaze stores;
    /// - `OtherDatabase`: it is a replica of another database;
    /// - `InUse`: another process, or this one, writes to it.
    pub async fn open(self) -> Result<SqliteDatabase, DatabaseError> {
        SqliteDatabase::open(self).await
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("path", &self.path)
            .field("encrypted", &self.password.is_some())
            .field("durability", &self.durability)
            .field("database", &self.database)
            .field("read_only", &self.read_only)
            .field("without_trace", &self.without_trace)
            .field("size_bytes_max", &self.size_bytes_max)
            .finish_non_exhaustive()
    }
}
