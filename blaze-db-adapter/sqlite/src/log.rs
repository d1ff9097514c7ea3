//! The log that an earlier opening left: made durable before anything is built on it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use blaze_db_adapter::DatabaseError;

use crate::create::{UNFOLLOWED, beside};
use crate::fault::Fault;
use crate::open::Opener;

const PIECE_BYTES: usize = 1024 * 1024;

/// Writes the log once more over itself, and syncs it. After a clean close there is
/// none.
///
/// A system drops what a failed sync was to write, shows it to readers all the same,
/// and lets the next sync succeed. So the log of who met with an error may read well
/// and have a hole on the disk, and whatever is committed behind it would be gone after
/// a power cut. Written back into the file, it could even damage that.
pub(crate) fn renew(opener: &Opener) -> Result<(), Fault> {
    let failed = |source: io::Error| DatabaseError::Failed {
        action: "sync the log that was left",
        source: source.into(),
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(UNFOLLOWED);
    let log = match options.open(beside(opener.path(), "-wal")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    if log.metadata().map_err(failed)?.len() == 0 {
        return Ok(());
    }
    // Another program, which knows nothing of our lock, must not write meanwhile.
    let conn = opener.writer()?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let renewed = rewrite(&log).and_then(|()| log.sync_data());
    conn.execute_batch("ROLLBACK")?;
    Ok(renewed.map_err(failed)?)
}

fn rewrite(log: &File) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let found = match log.read_at(&mut piece, at) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            found => found?,
        };
        match log.write_all_at(&piece[..found], at) {
            // Where rewriting takes room there may be none. Who only reads needs none.
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            written => written?,
        }
        at += found as u64;
    }
}
