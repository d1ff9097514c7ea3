//! Yrs: documents in memory that exchange updates.

use anyhow::{Result, anyhow};
use yrs::updates::decoder::Decode as _;
use yrs::updates::encoder::Encode as _;
use yrs::{Any, Doc, Map as _, MapRef, ReadTxn as _, StateVector, Transact as _, Update};

use super::harness::{Read, Write};
use super::rows::{Received, Row};
use crate::floor::pipe::Pipe;

/// A document of one side, with a record an entry of its only map.
pub(super) struct Document {
    doc: Doc,
    map: MapRef,
    frame: Vec<u8>,
}

impl Default for Document {
    fn default() -> Self {
        let doc = Doc::new();
        let map = doc.get_or_insert_map("bench");
        Self { doc, map, frame: Vec::new() }
    }
}

impl Document {
    /// Inserts the rows in one transaction, and returns what it changed.
    fn insert(&mut self, rows: &[Row]) -> Vec<u8> {
        let mut transaction = self.doc.transact_mut();
        for row in rows {
            let value = Any::Buffer(row.value.as_slice().into());
            self.map.insert(&mut transaction, row.key_text(), value);
        }
        transaction.encode_update_v1()
    }

    fn apply(&mut self, update: &[u8]) -> Result<()> {
        let update = Update::decode_v1(update).map_err(|error| anyhow!("{error}"))?;
        self.doc.transact_mut().apply_update(update).map_err(|error| anyhow!("{error}"))
    }
}

impl Write for Document {
    fn commit(&mut self, rows: &[Row], pipe: &mut Pipe) -> Result<()> {
        let update = self.insert(rows);
        self.frame.clear();
        self.frame.extend_from_slice(&Received::of(rows)?.head()?);
        self.frame.extend_from_slice(&update);
        pipe.send(&self.frame)
    }

    fn load(&mut self, rows: &[Row]) -> Result<()> {
        self.insert(rows);
        Ok(())
    }

    fn serve(&mut self, pipe: &mut Pipe) -> Result<()> {
        pipe.recv(&mut self.frame)?;
        let state = StateVector::decode_v1(&self.frame).map_err(|error| anyhow!("{error}"))?;
        let update = self.doc.transact().encode_state_as_update_v1(&state);
        pipe.send(&update)
    }
}

impl Read for Document {
    fn receive(&mut self, pipe: &mut Pipe) -> Result<Received> {
        let mut frame = std::mem::take(&mut self.frame);
        pipe.recv(&mut frame)?;
        let (received, update) = Received::split(&frame)?;
        self.apply(update)?;
        self.frame = frame;
        Ok(received)
    }

    fn sync(&mut self, _rows: usize, pipe: &mut Pipe) -> Result<()> {
        let state = self.doc.transact().state_vector().encode_v1();
        pipe.send(&state)?;
        let mut update = Vec::new();
        pipe.recv(&mut update)?;
        self.apply(&update)
    }

    fn len(&mut self) -> Result<usize> {
        Ok(self.map.len(&self.doc.transact()).try_into()?)
    }
}
