//! Making the file of a new database: complete, or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use blaze_codec::{NodeId, Role};
use blaze_db_adapter::DatabaseError;
use rusqlite::Connection;
use rustix::fs::OFlags;

use crate::fault::Fault;
use crate::key::Key;
use crate::lock::Lock;
use crate::open::{Access, connect, keep_log, unusable};
use crate::schema::{self, Meta};

/// Makes the database under another name, and moves it to `path` when it is whole
/// and on the disk: a crash leaves no half of a database at `path`. The caller
/// holds the lock and has seen that there is nothing to lose.
pub(crate) fn create(
    path: &Path,
    key: Option<&Key>,
    database: &str,
    role: Role,
    lock: &mut Lock,
) -> Result<(), DatabaseError> {
    let draft = beside(path, ".new");
    for leftover in ["", "-journal", "-wal", "-shm"] {
        remove(&beside(&draft, leftover)).map_err(|error| unusable(&draft, &error))?;
    }
    let mut options = OpenOptions::new();
    let options = private(options.write(true).create_new(true));
    options.open(&draft).map_err(|error| unusable(&draft, &error))?;
    // Noted before it has its name, or a crash in between would make a copy of it.
    let made = fill(&draft, key, database, role).and_then(|()| lock.note(&draft));
    let moved = made.and_then(|()| {
        let moved = std::fs::rename(&draft, path).and_then(|()| sync_folder(path));
        moved.map_err(|error| unusable(path, &error))
    });
    if moved.is_err() {
        // What failed is the error to hand out, not that it left something behind.
        let _ = remove(&draft);
    }
    moved
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], DatabaseError> {
    let mut bytes = [0; N];
    let failed = |error: getrandom::Error| DatabaseError::Failed {
        action: "draw random bytes",
        source: error.to_string().into(),
    };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The path with something appended to its last part.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Opens what the name stands for itself, and doesn't wait for who writes to a pipe.
pub(crate) const UNFOLLOWED: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// A new file is its owner's alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600).custom_flags(UNFOLLOWED)
}

fn fill(draft: &Path, key: Option<&Key>, database: &str, role: Role) -> Result<(), DatabaseError> {
    let meta = Meta {
        node: NodeId::from_bytes(random()?),
        former: Vec::new(),
        database: database.to_owned(),
        role,
    };
    let fill = |conn: &Connection| {
        schema::create(conn, &meta)?;
        // Last, so that all of it is in the file and nothing in a log beside it.
        keep_log(conn)
    };
    let failed = |error| Fault::Sqlite(error).into_error("make its file", draft);
    let conn = connect(draft, key, Access::Write).map_err(failed)?;
    fill(&conn).map_err(failed)?;
    conn.close().map_err(|(_, error)| failed(error))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder)?.sync_all()
}
