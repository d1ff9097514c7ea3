//! The log as a file: what an earlier opening left of it is made durable before anything
//! is built on that, and room is made ahead of commits that wait for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use blaze_db_adapter::DatabaseError;
use rusqlite::Connection;

use crate::create::{UNFOLLOWED, beside};
use crate::fault::Fault;
use crate::open::Opener;

const PIECE_BYTES: usize = 1024 * 1024;
/// What a page takes in the log beside itself, and what stands before all of them.
const FRAME_BYTES: u64 = 24;
const HEADER_BYTES: u64 = 32;
/// Pages in the log from which on room is made: not for whoever commits once or twice.
const RESERVE_PAGES_MIN: u32 = 64;
/// Pages a commit on average up to which room is made: the sync of a larger one is no large
/// part of it, and zeros would be as many bytes again.
const RESERVE_COMMIT_PAGES_MAX: u32 = 8;
/// Room that is made at once, and how much of it is left when more is made.
const RESERVE_PIECES: u64 = 4;
const RESERVE_LEFT_BYTES: u64 = 256 * 1024;
/// Room on the disk without which none is taken ahead.
const RESERVE_SPARE_BYTES: u64 = 256 * 1024 * 1024;

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

/// Room at the end of the log, written and synced before it is needed.
///
/// A sync of what makes a file longer has to write down where the bytes are, too, and takes
/// half as long again as one of bytes that replace others (measured: 147 to 239 µs for a
/// commit of two pages, against 98 µs). What stands there, zeros, is no page of the log: its
/// checksum is wrong, and so it ends where it did.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    page_bytes: u64,
    /// Up to where there is room, as far as it is known.
    bytes: u64,
    /// Pages in the log when commits began to be counted, and after the last of them.
    counted: (u32, u32),
    commits: u32,
    /// Pages of a log that is to be written back.
    pages_max: u32,
    /// Whether there was no room.
    given_up: bool,
}

/// Why room couldn't be synced.
#[derive(Debug)]
pub(crate) struct Unsynced;

impl Reserve {
    pub(crate) fn new(
        opener: &Opener,
        conn: &Connection,
        pages_max: u32,
    ) -> rusqlite::Result<Self> {
        // SQLCipher gives a text.
        let select = "SELECT CAST(page_size AS INTEGER) FROM pragma_page_size";
        let page_bytes: u32 = conn.query_row(select, [], |row| row.get(0))?;
        let path = beside(opener.path(), "-wal");
        let (page_bytes, counted) = (u64::from(page_bytes), (0, 0));
        Ok(Self { path, page_bytes, bytes: 0, counted, commits: 0, pages_max, given_up: false })
    }

    /// Counts a commit, and tells whether a log of so many pages is soon to grow.
    pub(crate) fn is_short(&mut self, pages: u32) -> bool {
        match self.counted.1 {
            // What an earlier opening left isn't counted.
            0 => self.counted.0 = pages,
            // It began anew.
            last if pages < last => (self.counted.0, self.commits) = (0, 0),
            _ => {}
        }
        (self.counted.1, self.commits) = (pages, self.commits.saturating_add(1));
        let grown = pages - self.counted.0;
        let small = grown <= self.commits.saturating_mul(RESERVE_COMMIT_PAGES_MAX);
        let worth_it = (RESERVE_PAGES_MIN..self.pages_max).contains(&pages) && small;
        worth_it && !self.given_up && self.used() + RESERVE_LEFT_BYTES > self.bytes
    }

    /// How much of the log has pages.
    fn used(&self) -> u64 {
        HEADER_BYTES + u64::from(self.counted.1) * (FRAME_BYTES + self.page_bytes)
    }

    /// Makes room, while `conn` has nothing begun. If there is none, the log grows as it
    /// is written.
    ///
    /// # Errors
    ///
    /// If the disk failed: every descriptor of the log is told of that at its next sync, and
    /// SQLite's would take it for a failure of a commit. Or if `conn` may still be in a
    /// transaction.
    pub(crate) fn extend(&mut self, conn: &Connection) -> Result<(), Unsynced> {
        // Nobody else must write meanwhile; who does is not waited for.
        let begun = conn.busy_timeout(Duration::ZERO);
        if begun.and_then(|()| conn.execute_batch("BEGIN IMMEDIATE")).is_err() {
            return Ok(());
        }
        let extended = self.append();
        (self.counted.0, self.commits) = (self.counted.1, 0);
        match extended {
            Ok(Some(bytes)) => self.bytes = bytes,
            Ok(None) => self.given_up = true,
            Err(_) => return Err(Unsynced),
        }
        conn.execute_batch("ROLLBACK").map_err(|_| Unsynced)
    }

    /// Appends zeros, if they aren't there; gives up if the disk has little room.
    fn append(&self) -> io::Result<Option<u64>> {
        let mut options = OpenOptions::new();
        let log = options.write(true).custom_flags(UNFOLLOWED).open(&self.path)?;
        let end = log.metadata()?.len();
        if end > self.used() + RESERVE_LEFT_BYTES {
            return Ok(Some(end));
        }
        let disk = rustix::fs::fstatvfs(&log)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < RESERVE_SPARE_BYTES {
            return Ok(None);
        }
        let zeros = vec![0; PIECE_BYTES];
        let mut pieces = (0..RESERVE_PIECES).map(|piece| end + piece * PIECE_BYTES as u64);
        let written = pieces.try_for_each(|at| log.write_all_at(&zeros, at));
        if written.is_err() {
            // Others may need it more.
            log.set_len(end)?;
            return Ok(None);
        }
        log.sync_data()?;
        Ok(Some(end + RESERVE_PIECES * PIECE_BYTES as u64))
    }
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
