//! `SQLite`'s session extension: what a transaction changed, as bytes to apply elsewhere.

use std::io;

use anyhow::Result;
use rusqlite::Connection;
use rusqlite::session::{ConflictAction, Session};

use super::harness::{Read, Write};
use super::rows::{Received, Row};
use super::sqlite;
use crate::floor::pipe::Pipe;
use crate::spec::{Side, Spec};

const TABLE: Option<&str> = Some("rows");
/// The same table without rows, to tell what a replica lacks that has none.
const EMPTY: &str = "ATTACH ':memory:' AS empty;
    CREATE TABLE empty.rows(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID";
/// What a diff is sent in: one that is large isn't to be held as a whole.
const PIECE_BYTES: usize = 64 * 1024;

/// A file of one side.
pub(super) struct Peer {
    conn: Connection,
    frame: Vec<u8>,
}

impl Peer {
    pub(super) fn open(spec: &Spec) -> Result<Self> {
        let name = if spec.side == Side::Source { "source.sqlite" } else { "replica.sqlite" };
        Ok(Self { conn: sqlite::open(spec, name)?, frame: Vec::new() })
    }

    fn apply(&self, mut changeset: &[u8]) -> Result<()> {
        Ok(self.conn.apply_strm(&mut changeset, NO_FILTER, |_, _| REFUSED)?)
    }
}

impl Write for Peer {
    fn commit(&mut self, rows: &[Row], pipe: &mut Pipe) -> Result<()> {
        let mut session = Session::new(&self.conn)?;
        session.attach(TABLE)?;
        sqlite::insert(&self.conn, rows)?;
        self.frame.clear();
        self.frame.extend_from_slice(&Received::of(rows)?.head()?);
        session.changeset_strm(&mut self.frame)?;
        pipe.send(&self.frame)
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        sqlite::insert(&self.conn, rows)
    }

    fn serve(&mut self, pipe: &mut Pipe) -> Result<()> {
        self.conn.execute_batch(EMPTY)?;
        let mut session = Session::new(&self.conn)?;
        session.attach(TABLE)?;
        session.diff::<&str, _>("empty", "rows")?;
        let mut pieces = io::BufWriter::with_capacity(PIECE_BYTES, Pieces { pipe });
        session.changeset_strm(&mut pieces)?;
        io::Write::flush(&mut pieces)?;
        drop(pieces);
        pipe.send(END)
    }
}

impl Read for Peer {
    fn receive(&mut self, pipe: &mut Pipe) -> Result<Received> {
        pipe.recv(&mut self.frame)?;
        let (received, changeset) = Received::split(&self.frame)?;
        self.apply(changeset)?;
        Ok(received)
    }

    fn sync(&mut self, _rows: usize, pipe: &mut Pipe) -> Result<()> {
        let mut pieces = Incoming { pipe, piece: Vec::new(), read: 0 };
        Ok(self.conn.apply_strm(&mut pieces, NO_FILTER, |_, _| REFUSED)?)
    }

    fn len(&mut self) -> Result<usize> {
        sqlite::count(&self.conn)
    }
}

/// Sends each write as a frame.
struct Pieces<'pipe> {
    pipe: &'pipe mut Pipe,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.send(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads frames until an empty one.
struct Incoming<'pipe> {
    pipe: &'pipe mut Pipe,
    piece: Vec<u8>,
    read: usize,
}

impl io::Read for Incoming<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            self.pipe.recv(&mut self.piece).map_err(io::Error::other)?;
            self.read = 0;
        }
        let count = io::Read::read(&mut &self.piece[self.read..], bytes)?;
        self.read += count;
        Ok(count)
    }
}

const END: &[u8] = &[];
const NO_FILTER: Option<fn(&str) -> bool> = None;
/// Nobody else writes, so there is nothing to decide.
const REFUSED: ConflictAction = ConflictAction::SQLITE_CHANGESET_ABORT;
