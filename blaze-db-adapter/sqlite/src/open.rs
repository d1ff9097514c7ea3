//! Opening: the checks, the lock, the key, and the settings of a connection.

use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use blaze_codec::message::Hello;
use blaze_codec::{Incarnation, NodeId};
use blaze_db_adapter::{DatabaseError, Durability, Identity};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::create::{self, beside, create};
use crate::fault::Fault;
use crate::header::{Claim, Header, check_version};
use crate::key::Key;
use crate::lock::Lock;
use crate::log;
use crate::options::SqliteOptions;
use crate::schema::{self, APPLICATION_ID, Meta};

/// The log is cut to this size when it starts anew after a larger transaction.
const LOG_BYTES_KEPT: u64 = 64 * 1024 * 1024;
/// Memory for pages: the writer's, and each reader's.
const WRITER_CACHE_KIB: u32 = 16 * 1024;
const READER_CACHE_KIB: u32 = 4 * 1024;
/// How long a commit waits for another program that holds SQLite's lock. Only one
/// that isn't ours does, with a transaction of its own: all writes stall meanwhile.
pub(crate) const WRITER_WAIT: Duration = Duration::from_millis(250);
/// As SQLCipher and SQLite make them by default; the quota is counted in them.
const PAGE_BYTES: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// Reads where SQLite can make no files of its own. Only for a file without a
    /// log, which nobody writes.
    ReadSealed,
    /// Reads by the index that is there, and makes none. Only for a file with a log
    /// and its index.
    ReadBeside,
    Write,
}

/// Opens connections to one database, whose password was checked.
#[derive(Debug)]
pub(crate) struct Opener {
    key: Option<Key>,
    durability: Durability,
    pages_max: Option<u64>,
    reading: Access,
    claim: Claim,
    /// Whose this opening's commits are.
    drawn: Incarnation,
}

/// A database whose file was checked.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) opener: Opener,
    pub(crate) identity: Identity,
    /// `None` if it was opened read-only.
    pub(crate) lock: Option<Lock>,
}

/// Checks the options and the file, and makes it if there is none.
pub(crate) fn open(options: &SqliteOptions) -> Result<Opened, DatabaseError> {
    check(options)?;
    let path = resolve(&options.path)?;
    let password = options.password.as_ref();
    // First of all: nothing of a file that isn't ours to open is touched.
    let mut claim = Claim::new(&path)?;
    agree(&claim, password.is_some())?;
    let mut lock = if options.read_only { None } else { Some(Lock::take(&path)?) };
    if claim.header() == Header::New {
        if options.read_only {
            return Err(setting("the path", format!("there is no database at {}", path.display())));
        }
        // Another process may have made it until the lock was ours.
        claim = Claim::new(&path)?;
        agree(&claim, password.is_some())?;
    }
    if let (Header::New, Some(lock)) = (claim.header(), &mut lock) {
        let salt = password.map(|_| create::random()).transpose()?;
        let key = password.zip(salt).map(|(password, salt)| Key::derive(password, &salt));
        create(&path, key.transpose()?.as_ref(), &options.database, options.role, lock)?;
        claim = Claim::new(&path)?;
    }
    let key = match (claim.header(), password) {
        (Header::Opaque(salt), Some(password)) => Some(Key::derive(password, &salt)?),
        _ => None,
    };
    let pages_max = options.size_bytes_max.map(|bytes| (bytes / PAGE_BYTES).max(1));
    let reading = reading(options, &path)?;
    let drawn = Incarnation::drawn(u64::from_ne_bytes(create::random()?));
    let opener = Opener { key, durability: options.durability, pages_max, reading, claim, drawn };
    if lock.is_some() {
        opener.roll_back();
    }
    let Meta { node, former, database, role } = opener.check(&options.database)?;
    let durability = options.durability;
    let mut identity = Identity { node, former, copied: false, database, role, durability };
    if let Some(lock) = &mut lock {
        let renewed = log::renew(&opener);
        renewed.map_err(|fault| fault.into_error("open its file", opener.path()))?;
        if !lock.is_of(opener.path())? {
            identity = opener.renew(identity)?;
        }
        // After the new id is stored, so that a crash between the two draws another.
        lock.note(opener.path())?;
    }
    Ok(Opened { opener, identity, lock })
}

impl Opener {
    pub(crate) fn path(&self) -> &Path {
        self.claim.path()
    }

    /// Lets the file be opened afresh; no connection is left.
    pub(crate) fn release(&self) {
        self.claim.release();
    }

    /// Whose this opening's commits are.
    pub(crate) const fn drawn(&self) -> Incarnation {
        self.drawn
    }

    /// Undoes what a change of the journal mode left half done, by us or by another
    /// program: a connection that only reads can't. What is amiss shows when the file is
    /// checked.
    fn roll_back(&self) {
        let journal = std::fs::metadata(beside(self.path(), "-journal"));
        if journal.is_ok_and(|journal| journal.len() > 0)
            && let Ok(conn) = connect(self.path(), self.key.as_ref(), Access::Write)
        {
            let _ = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
        }
    }

    /// Gives a copy an id of its own.
    fn renew(&self, identity: Identity) -> Result<Identity, DatabaseError> {
        let identity = identity.renewed(NodeId::from_bytes(create::random()?));
        let identity = Identity { copied: true, ..identity };
        let stored = self.writer().and_then(|conn| {
            conn.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
            schema::store_node(&conn, &identity)?;
            conn.execute_batch("COMMIT")
        });
        stored.map_err(|error| {
            Fault::from(error).into_error("give a copy its own id", self.path())
        })?;
        Ok(identity)
    }

    /// A connection that sees what is committed.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let conn = connect(self.path(), self.key.as_ref(), self.reading_now())?;
        conn.execute_batch(&format!("PRAGMA cache_size = -{READER_CACHE_KIB}"))?;
        Ok(conn)
    }

    /// How to read, also if the one who had the database open has closed it since it was looked
    /// at, and so has taken the log and its index away. A connection that reads keeps them.
    fn reading_now(&self) -> Access {
        match self.reading {
            Access::ReadBeside => without_trace(self.path()).unwrap_or(Access::ReadBeside),
            reading => reading,
        }
    }

    /// The connection that commits.
    pub(crate) fn writer(&self) -> rusqlite::Result<Connection> {
        let conn = connect(self.path(), self.key.as_ref(), Access::Write)?;
        conn.busy_timeout(WRITER_WAIT)?;
        // Unless it is closed on purpose, the log stays for whoever opens next: after
        // an error it must not be written back, and dropping must be quick.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // The mode is kept in the file; whoever changed it there is overruled.
        keep_log(&conn)?;
        let synchronous = match self.durability {
            Durability::Disk => "FULL",
            _ => "NORMAL",
        };
        conn.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -{WRITER_CACHE_KIB};
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {LOG_BYTES_KEPT}"
        ))?;
        if let Some(pages) = self.pages_max {
            conn.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
        }
        Ok(conn)
    }

    /// Checks the password, that the file is ours, and that it holds `database`.
    /// The connection only reads, so the file's bytes stay whatever is wrong.
    fn check(&self, database: &str) -> Result<Meta, DatabaseError> {
        let path = || self.path().to_owned();
        let corrupt = |reason: String| DatabaseError::Corrupt { path: path(), reason };
        let failed = |error: rusqlite::Error| match (error.sqlite_error_code(), &self.key) {
            // The first page's checksum, which the key is part of.
            (Some(ErrorCode::NotADatabase), Some(_)) => {
                DatabaseError::WrongPassword { path: path() }
            }
            (Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly), _) => setting(
                "the path",
                format!(
                    "this user may not make or open the files that SQLite needs beside {}; close the database where it is written, or allow it to write the folder",
                    self.path().display()
                ),
            ),
            _ => Fault::from(error).into_error("open its file", self.path()),
        };
        let conn = self.reader().map_err(failed)?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
        let number = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        if number("application_id").map_err(failed)?.cast_unsigned() != APPLICATION_ID {
            let reason = "it is another program's SQLCipher database; name another file";
            return Err(corrupt(reason.to_owned()));
        }
        let version = number("user_version").map_err(failed)?.cast_unsigned();
        check_version(version).map_err(corrupt)?;
        schema::check(&conn, version).map_err(failed)?.map_err(corrupt)?;
        let meta = schema::meta(&conn).map_err(failed)?.map_err(corrupt)?;
        if meta.database != database {
            return Err(DatabaseError::OtherDatabase {
                path: path(),
                found: meta.database,
                asked: database.to_owned(),
            });
        }
        Ok(meta)
    }
}

/// Has a connection write to a log. SQLite leaves the file as it was, and says only how
/// that is, where it can't sync the change.
pub(crate) fn keep_log(conn: &Connection) -> rusqlite::Result<()> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    let reason = format!("the journal mode stays {mode}, it can't be set to WAL");
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(reason)))
}

/// Opens a connection and unlocks it; the file must be there.
pub(crate) fn connect(
    path: &Path,
    key: Option<&Key>,
    access: Access,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let readable = flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = match access {
        Access::Read => Connection::open_with_flags(path, readable)?,
        Access::ReadSealed => {
            let uri = uri(path, "immutable=1");
            Connection::open_with_flags(uri, readable | OpenFlags::SQLITE_OPEN_URI)?
        }
        Access::ReadBeside => {
            let uri = uri(path, "readonly_shm=1");
            Connection::open_with_flags(uri, readable | OpenFlags::SQLITE_OPEN_URI)?
        }
        Access::Write => {
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?
        }
    };
    // SQLCipher would write to standard error what is returned as an error anyway.
    conn.execute_batch("PRAGMA cipher_log_level = NONE")?;
    if let Some(key) = key {
        conn.execute_batch(key.pragma())?;
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY",
    )?;
    Ok(conn)
}

/// An error of the file system, as something that the user can act on.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> DatabaseError {
    let path = path.display();
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => return DatabaseError::Full,
        ErrorKind::PermissionDenied => {
            format!("this user may not open or make {path}; change its mode or its folder's")
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("{path} lies on a read-only file system; open it read-only")
        }
        _ => format!("{path}: {error}"),
    };
    setting("the path", reason)
}

pub(crate) fn setting(setting: &'static str, reason: impl Into<String>) -> DatabaseError {
    DatabaseError::Setting { setting, reason: reason.into() }
}

fn check(options: &SqliteOptions) -> Result<(), DatabaseError> {
    if options.durability == Durability::Memory {
        let reason = "a file outlives its process; use the in-memory database, or `Process`";
        return Err(setting("durability `Memory`", reason));
    }
    if options.password.as_ref().is_some_and(|password| password.is_empty()) {
        return Err(setting("the password", "it is empty; leave it out for a plain file"));
    }
    let (bytes, max) = (options.database.len(), Hello::NAME_BYTES_MAX);
    if !(1..=max).contains(&bytes) {
        let reason = format!("it has {bytes} bytes, 1 to {max} are allowed");
        return Err(setting("the database's name", reason));
    }
    Ok(())
}

/// The file's one name: SQLite puts its files beside what a symbolic link points
/// to, and the lock must lie there too.
fn resolve(path: &Path) -> Result<PathBuf, DatabaseError> {
    let resolved = match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => match path.read_link() {
            // A file that took the link's place would not be where the link says.
            Ok(target) => {
                let (path, target) = (path.display(), target.display());
                let reason = format!(
                    "{path} is a symbolic link to {target}, which doesn't exist; name that, or remove the link"
                );
                return Err(setting("the path", reason));
            }
            Err(_) => in_folder(path)?,
        },
        other => other.map_err(|error| unusable(path, &error))?,
    };
    if resolved.is_dir() {
        let reason = format!("{} is a folder; name a file in it", resolved.display());
        return Err(setting("the path", reason));
    }
    Ok(resolved)
}

fn in_folder(path: &Path) -> Result<PathBuf, DatabaseError> {
    let Some(name) = path.file_name() else {
        return Err(setting("the path", format!("{} names no file", path.display())));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let resolved = folder.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let reason = format!("the folder {} doesn't exist; make it first", folder.display());
            setting("the path", reason)
        }
        _ => unusable(folder, &error),
    })?;
    Ok(resolved.join(name))
}

/// How to read the file at `path`.
fn reading(options: &SqliteOptions, path: &Path) -> Result<Access, DatabaseError> {
    if options.without_trace {
        return without_trace(path);
    }
    if !options.read_only || !is_sealed(path) {
        return Ok(Access::Read);
    }
    check_finished(path)?;
    Ok(Access::ReadSealed)
}

/// How to read so that SQLite makes no files: beside who has the database open, or was
/// killed with it open, or as a file that nobody writes.
fn without_trace(path: &Path) -> Result<Access, DatabaseError> {
    check_finished(path)?;
    let (log, index) = (beside(path, "-wal"), beside(path, "-shm"));
    let log_bytes = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    if log.exists() && index.exists() {
        return Ok(Access::ReadBeside);
    }
    if log_bytes == 0 {
        return Ok(Access::ReadSealed);
    }
    let reason = format!(
        "{} has {log_bytes} bytes that can't be read without making {}; open it without promising to leave no trace",
        log.display(),
        index.display()
    );
    Err(setting("the log", reason))
}

/// Refuses a file in which a change of the journal mode, or another program, left half of a
/// transaction: who can't undo it would read that, and take the file for a damaged one.
fn check_finished(path: &Path) -> Result<(), DatabaseError> {
    let journal = beside(path, "-journal");
    let bytes = std::fs::metadata(&journal).map_or(0, |metadata| metadata.len());
    if bytes == 0 {
        return Ok(());
    }
    let reason = format!(
        "{} has {bytes} bytes that undo half of a transaction, which can't be done by reading; open the database once to write it",
        journal.display()
    );
    Err(setting("the journal", reason))
}

/// Whether SQLite could make no files beside the database, and needs none, as
/// there is no log to be read.
fn is_sealed(path: &Path) -> bool {
    let locked = path
        .parent()
        .is_some_and(|folder| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err());
    locked && !create::beside(path, "-wal").exists()
}

/// The name that tells SQLite how to open the file: `immutable=1` that nobody writes
/// it, `readonly_shm=1` that its log's index is neither made nor changed.
fn uri(path: &Path, how: &str) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => write!(uri, "%{byte:02x}").expect("strings don't fail"),
        }
    }
    uri + "?" + how
}

/// Whether a password is given if, and only if, the file needs one.
fn agree(claim: &Claim, password: bool) -> Result<(), DatabaseError> {
    let path = claim.path().to_owned();
    match (claim.header(), password) {
        (Header::Opaque(_), false) => Err(DatabaseError::PasswordRequired { path }),
        (Header::Plain, true) => Err(DatabaseError::NotEncrypted { path }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
