//! What a proxy does to one direction of a stream.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

/// How much is taken from a stream at once.
const READ_BYTES: usize = 16 * 1024;
/// So many bytes go one by one before the pieces grow, so that large frames come to an end, too.
const SINGLE_BYTES: usize = 2 * 1024;
/// Gathered bytes go on when they are as many, or when nothing follows for this long.
const GATHERED_BYTES: usize = 100_000;
const GATHERED_WAIT: Duration = Duration::from_millis(3);
/// A pause between two pieces, and how many there are in all.
const PAUSE_US_MAX: u64 = 1_500;
const PAUSES_MAX: u32 = 40;

/// What is done to one direction.
#[derive(Clone, Debug)]
pub(super) struct Treatment {
    pieces: Pieces,
    cut: Option<Cut>,
    random: Rng,
}

/// The pieces in which bytes are passed on.
#[derive(Clone, Copy, Debug)]
enum Pieces {
    AsTheyCome,
    /// A byte at a time.
    Single,
    /// Of a few bytes or many, with pauses.
    Random,
    /// Many pieces as one.
    Gathered,
}

/// An end that nobody asked for.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    /// How many bytes are passed on before, of those that are counted.
    pub(super) at_bytes: usize,
    pub(super) how: How,
    /// From when on bytes are counted: what two ends say to meet needn't be.
    pub(super) counts: Arc<AtomicBool>,
}

impl Cut {
    /// A cut that counts from the first byte on.
    pub(super) fn new(at_bytes: usize, how: How) -> Self {
        Self { at_bytes, how, counts: Arc::new(AtomicBool::new(true)) }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// The stream ends, as if its sender had ended it; what the sender goes on to say is lost.
    /// The other direction goes on.
    Truncate,
    /// Both streams are closed, as if a device had gone.
    HangUp,
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// As its sender ended it, or by [`How::Truncate`].
    ToTheEnd,
    /// By [`How::HangUp`].
    HungUp,
}

impl Treatment {
    /// Nothing is done to the stream.
    pub(super) fn none() -> Self {
        Self { pieces: Pieces::AsTheyCome, cut: None, random: Rng::with_seed(0) }
    }

    /// Pieces of a kind that the seed decides, and no cut.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let kinds = [Pieces::Single, Pieces::Random, Pieces::Gathered];
        let pieces = kinds[random.usize(..kinds.len())];
        Self { pieces, cut: None, random }
    }

    /// This treatment, and a cut.
    pub(super) fn with_cut(self, cut: Cut) -> Self {
        Self { cut: Some(cut), ..self }
    }

    /// Passes bytes on until one side ends it.
    ///
    /// # Errors
    ///
    /// If a stream fails; then the other one is to be closed as well.
    pub(super) async fn carry(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<Carried> {
        let (mut carried, mut pauses) = (0, 0);
        loop {
            let mut bytes = self.take(&mut from).await?;
            let ends = bytes.is_empty();
            if self.cut.as_ref().is_some_and(|cut| !cut.counts.load(Ordering::SeqCst)) {
                to.write_all(&bytes).await?;
                continue;
            }
            let cut = self.cut.as_ref().filter(|cut| cut.at_bytes <= carried + bytes.len());
            let cut = cut.filter(|_| !ends).map(|cut| (cut.how, cut.at_bytes - carried));
            if let Some((_, left)) = cut {
                bytes.truncate(left);
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(self.piece_bytes(carried).min(rest.len()));
                to.write_all(piece).await?;
                (rest, carried) = (after, carried + piece.len());
                if matches!(self.pieces, Pieces::Random) && pauses < PAUSES_MAX {
                    pauses += 1;
                    sleep(Duration::from_micros(self.random.u64(..PAUSE_US_MAX))).await;
                }
            }
            match cut.map(|(how, _)| how) {
                Some(How::HangUp) => return Ok(Carried::HungUp),
                Some(How::Truncate) => {
                    to.shutdown().await?;
                    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
                    return Ok(Carried::ToTheEnd);
                }
                None if ends => {
                    to.shutdown().await?;
                    return Ok(Carried::ToTheEnd);
                }
                None => {}
            }
        }
    }

    /// Reads what is passed on together; nothing at the end.
    async fn take(&self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(READ_BYTES);
        if from.read_buf(&mut bytes).await? == 0 || !matches!(self.pieces, Pieces::Gathered) {
            return Ok(bytes);
        }
        while bytes.len() < GATHERED_BYTES {
            bytes.reserve(READ_BYTES);
            let Ok(read) = timeout(GATHERED_WAIT, from.read_buf(&mut bytes)).await else { break };
            if read? == 0 {
                // The next read meets the end again.
                break;
            }
        }
        Ok(bytes)
    }

    /// How many bytes are passed on at once, after so many.
    fn piece_bytes(&mut self, carried: usize) -> usize {
        match self.pieces {
            Pieces::AsTheyCome | Pieces::Gathered => usize::MAX,
            Pieces::Single if carried < SINGLE_BYTES => 1,
            Pieces::Single => 4 * 1024 + 1,
            Pieces::Random => {
                let bytes_max = 1 << self.random.u32(2..14);
                self.random.usize(1..=bytes_max)
            }
        }
    }
}
