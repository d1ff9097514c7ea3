//! What a file is, by its first bytes: nothing, plain, encrypted, something else.
//!
//! A process that closes *any* descriptor of a file loses its POSIX locks on it,
//! those of SQLite too, and another program could then take a database in use for
//! an abandoned one. So a file is only ever opened here while this process has no
//! connection to it; later openers are told what the first one saw.

use std::collections::BTreeMap;
use std::fs::{Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use blaze_db_adapter::DatabaseError;

use crate::create::{UNFOLLOWED, beside};
use crate::key::Salt;
use crate::open::{setting, unusable};
use crate::schema::{self, FORMAT_VERSION, FORMAT_VERSION_OLDEST};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
const PAGE_SIZE: Range<usize> = 16..18;
const USER_VERSION: Range<usize> = 60..64;
const APPLICATION_ID: Range<usize> = 68..72;
/// The pages of an encrypted file.
const PAGE_BYTES: u64 = 4096;

/// What a file is, as far as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// There is no file, or an empty one.
    New,
    /// A database of this program that is not encrypted.
    Plain,
    /// Nothing in it can be read: encrypted, or not a database.
    Opaque(Salt),
}

/// What was seen of a file; locked while it is looked at.
type Seen = Mutex<Option<Header>>;

/// The files to which this process has connections, by device and inode: a file
/// that takes the name of another is looked at anew.
static OPEN: Mutex<BTreeMap<FileId, Weak<Seen>>> = Mutex::new(BTreeMap::new());

type FileId = (u64, u64);

/// Keeps a file from being opened besides SQLite; dropped after the connections.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    header: Header,
    seen: Mutex<Option<Arc<Seen>>>,
}

impl Claim {
    /// Looks at the file at `path`, which is absolute and without symbolic links.
    pub(crate) fn new(path: &Path) -> Result<Self, DatabaseError> {
        let claim =
            |header, seen| Ok(Self { path: path.to_owned(), header, seen: Mutex::new(seen) });
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return claim(fresh(path, "missing")?, None);
            }
            Err(error) => return Err(unusable(path, &error)),
        };
        check_file(path, &metadata)?;
        let seen = seen(id(&metadata));
        let mut known = lock(&seen);
        let header = match *known {
            Some(header) => header,
            None => inspect(path, id(&metadata))?,
        };
        // Nobody has a connection to an empty file, which another will replace.
        *known = Some(header).filter(|header| *header != Header::New);
        drop(known);
        claim(header, Some(seen))
    }

    /// Lets the file be looked at anew; no connection is left.
    pub(crate) fn release(&self) {
        lock(&self.seen).take();
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What those who have the file open share.
fn seen(id: FileId) -> Arc<Seen> {
    let mut open = lock(&OPEN);
    open.retain(|_, seen| seen.strong_count() > 0);
    if let Some(seen) = open.get(&id).and_then(Weak::upgrade) {
        return seen;
    }
    let seen = Arc::default();
    open.insert(id, Arc::downgrade(&seen));
    seen
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Checks that it is a file, and under one name: a second one would have a lock of
/// its own, and a log of its own.
fn check_file(path: &Path, metadata: &Metadata) -> Result<(), DatabaseError> {
    let path = path.display();
    if !metadata.is_file() {
        return Err(setting("the path", format!("{path} is not a regular file; name another")));
    }
    let names = metadata.nlink();
    if names > 1 {
        let reason = format!(
            "{path} is one of {names} names (hard links) of one file, which has only one log; remove the others, or open a copy"
        );
        return Err(setting("the path", reason));
    }
    Ok(())
}

fn inspect(path: &Path, id: FileId) -> Result<Header, DatabaseError> {
    let file = OpenOptions::new().read(true).custom_flags(UNFOLLOWED).open(path);
    let file = file.map_err(|error| unusable(path, &error))?;
    let corrupt = |reason: String| DatabaseError::Corrupt { path: path.to_owned(), reason };
    let metadata = file.metadata().map_err(|error| unusable(path, &error))?;
    if self::id(&metadata) != id {
        let reason = format!("{} was replaced while it was opened; try again", path.display());
        return Err(setting("the path", reason));
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    let read = file.take(HEADER_BYTES as u64).read_to_end(&mut bytes);
    read.map_err(|error| unusable(path, &error))?;
    if bytes.is_empty() {
        return fresh(path, "empty");
    }
    let (header, page_bytes) = match bytes.first_chunk::<16>() {
        Some(MAGIC) => plain(&bytes).map_err(corrupt)?,
        Some(salt) => (Header::Opaque(*salt), PAGE_BYTES),
        None => return Err(corrupt(cut_off(&format!("it has {} bytes", bytes.len())))),
    };
    // SQLite would read the rest of the last page as zeros. After a crash while the
    // log was written back that is right, for the log has the page.
    let length = metadata.len();
    if length % page_bytes != 0 && log_bytes(path) == 0 {
        let found = format!("its {length} bytes are not whole pages of {page_bytes}");
        return Err(corrupt(cut_off(&found)));
    }
    Ok(header)
}

/// A plain SQLite database is checked before SQLite, which might change it, sees it.
fn plain(header: &[u8]) -> Result<(Header, u64), String> {
    let Some(header) = header.first_chunk::<HEADER_BYTES>() else {
        return Err(cut_off(&format!("it has {} bytes", header.len())));
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
    if number(&header[APPLICATION_ID]) != schema::APPLICATION_ID {
        return Err("it is another program's SQLite database; name another file".to_owned());
    }
    check_version(number(&header[USER_VERSION]))?;
    // 65,536 doesn't fit and is written as 1.
    let page_bytes = match number(&header[PAGE_SIZE]) {
        1 => 65_536,
        bytes => u64::from(bytes.max(512)),
    };
    Ok((Header::Plain, page_bytes))
}

fn cut_off(found: &str) -> String {
    format!("it is cut off: {found}; restore it from a peer or a backup")
}

/// Checks that a file's format is one that this program knows.
pub(crate) fn check_version(found: u32) -> Result<(), String> {
    if found > FORMAT_VERSION {
        return Err(format!(
            "its format version {found} is newer than {FORMAT_VERSION}, the newest that this program knows; update the program"
        ));
    }
    if found == 0 {
        return Err("its format version is 0, which no program wrote".to_owned());
    }
    if found < FORMAT_VERSION_OLDEST {
        return Err(format!(
            "its format version {found} is older than {FORMAT_VERSION_OLDEST}, the oldest that this program knows; make it anew from a peer, or open it with the program that wrote it"
        ));
    }
    Ok(())
}

/// A file to be made, unless the rest of an older one lies beside it: SQLite would
/// take that for the new file's log, or delete it.
fn fresh(path: &Path, state: &str) -> Result<Header, DatabaseError> {
    if log_bytes(path) == 0 {
        return Ok(Header::New);
    }
    let reason = format!(
        "it is {state}, but {} holds commits of it; restore the file, or remove both",
        beside(path, "-wal").display()
    );
    Err(DatabaseError::Corrupt { path: path.to_owned(), reason })
}

fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len())
}
