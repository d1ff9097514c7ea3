//! Automerge: documents in memory that exchange changes.

use anyhow::{Context as _, Result};
use automerge::transaction::Transactable as _;
use automerge::{AutoCommit, Change, ROOT, ReadDoc as _, ScalarValue};

use super::harness::{Read, Write};
use super::rows::{Received, Row};
use crate::floor::pipe::Pipe;

/// A document of one side, with a record an entry of its root.
#[derive(Default)]
pub(super) struct Document {
    doc: AutoCommit,
    frame: Vec<u8>,
}

impl Document {
    /// Inserts the rows as one change.
    fn insert(&mut self, rows: &[Row]) -> Result<()> {
        for row in rows {
            self.doc.put(ROOT, row.key_text(), ScalarValue::Bytes(row.value.clone()))?;
        }
        self.doc.commit().context("a transaction changes something")?;
        Ok(())
    }
}

impl Write for Document {
    fn commit(&mut self, rows: &[Row], pipe: &mut Pipe) -> Result<()> {
        self.insert(rows)?;
        let change = self.doc.get_last_local_change().context("a transaction is a change")?;
        self.frame.clear();
        self.frame.extend_from_slice(&Received::of(rows)?.head()?);
        self.frame.extend_from_slice(change.raw_bytes());
        pipe.send(&self.frame)
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        self.insert(rows)
    }

    fn serve(&mut self, pipe: &mut Pipe) -> Result<()> {
        pipe.send(&self.doc.save())
    }
}

impl Read for Document {
    fn receive(&mut self, pipe: &mut Pipe) -> Result<Received> {
        pipe.recv(&mut self.frame)?;
        let (received, change) = Received::split(&self.frame)?;
        self.doc.apply_changes([Change::from_bytes(change.to_vec())?])?;
        Ok(received)
    }

    fn sync(&mut self, _rows: usize, pipe: &mut Pipe) -> Result<()> {
        pipe.recv(&mut self.frame)?;
        self.doc = AutoCommit::load(&self.frame)?;
        Ok(())
    }

    fn len(&mut self) -> Result<usize> {
        Ok(self.doc.length(ROOT))
    }
}
