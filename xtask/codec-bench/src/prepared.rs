//! A format with its batches, ready to be measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::formats::Format;
use crate::model::Operation;
use crate::sum::{self, Sum};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measure {
    /// Into a buffer that is used again.
    Encode,
    /// Into memory of its own, and the end of what was decoded: memory that is taken
    /// is given back by somebody.
    Decode,
    /// Every field of every operation, in place where the format can, validated.
    Walk,
    /// Keys and versions alone.
    Ids,
}

/// Bytes of all batches together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Sizes {
    pub(crate) raw: usize,
    pub(crate) lz4: usize,
    pub(crate) zstd: usize,
}

const ZSTD_LEVEL: i32 = 3;

/// A format of the list, before it's known what it has to encode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) safe: bool,
    pub(crate) in_place: bool,
    pub(crate) prepare: fn(&[Vec<Operation>]) -> Box<dyn Prepared>,
}

/// A format with its batches.
pub(crate) trait Prepared {
    /// Checks that each batch is read as it was written, and each walk comes to
    /// all of it.
    ///
    /// # Panics
    ///
    /// If the format's adapter is wrong.
    fn check(&mut self, batches: &[Vec<Operation>]);

    /// `None` if another format of the list writes the same bytes.
    fn sizes(&self) -> Option<Sizes>;

    /// How long one round over all batches takes: the median of as many as fit
    /// into the time, at least three. `None` if the format has no such thing.
    fn time(&mut self, measure: Measure, budget: Duration) -> Option<Duration>;
}

impl Entry {
    pub(crate) const fn of<F: Format>() -> Self {
        Self {
            name: F::NAME,
            package: F::PACKAGE,
            safe: F::SAFE,
            in_place: F::IN_PLACE,
            prepare: |batches| Box::new(Data::<F>::new(batches)),
        }
    }
}

struct Data<F: Format> {
    batches: Vec<F::Batch>,
    bytes: Vec<F::Bytes>,
    buffer: F::Buffer,
}

impl<F: Format> Data<F> {
    fn new(batches: &[Vec<Operation>]) -> Self {
        let batches: Vec<_> = batches.iter().map(|operations| F::batch(operations)).collect();
        let mut buffer = F::Buffer::default();
        let bytes = batches.iter().map(|batch| F::keep(F::encode(batch, &mut buffer))).collect();
        Self { batches, bytes, buffer }
    }
}

impl<F: Format> Prepared for Data<F> {
    fn check(&mut self, batches: &[Vec<Operation>]) {
        for (operations, bytes) in batches.iter().zip(&self.bytes) {
            let decoded = F::operations(F::decode(bytes, &mut self.buffer));
            assert!(decoded == *operations, "{} doesn't decode what it encoded", F::NAME);
            let walked = F::walk(bytes, &mut self.buffer);
            assert_eq!(walked, Sum::of(operations), "{} walks past something", F::NAME);
            if let Some(ids) = F::IDS {
                let ids = ids(bytes, &self.buffer);
                assert_eq!(ids, sum::ids(operations), "{} misses an id", F::NAME);
            }
        }
    }

    fn sizes(&self) -> Option<Sizes> {
        if !F::WRITES {
            return None;
        }
        let mut sizes = Sizes::default();
        for bytes in &self.bytes {
            let bytes = bytes.as_ref();
            sizes.raw += bytes.len();
            sizes.lz4 += lz4_flex::block::compress(bytes).len();
            sizes.zstd +=
                zstd::bulk::compress(bytes, ZSTD_LEVEL).expect("memory for compressing").len();
        }
        Some(sizes)
    }

    fn time(&mut self, measure: Measure, budget: Duration) -> Option<Duration> {
        let Self { batches, bytes, buffer } = self;
        match measure {
            Measure::Encode if !F::WRITES => None,
            Measure::Encode => Some(median(budget, || {
                timed(|| {
                    for batch in &*batches {
                        black_box(F::encode(black_box(batch), buffer));
                    }
                })
            })),
            Measure::Decode => Some(median(budget, || {
                timed(|| {
                    for bytes in &*bytes {
                        black_box(F::decode(black_box(bytes), buffer));
                    }
                })
            })),
            Measure::Walk => Some(median(budget, || {
                timed(|| {
                    for bytes in &*bytes {
                        black_box(F::walk(black_box(bytes), buffer));
                    }
                })
            })),
            Measure::Ids => {
                let ids = F::IDS?;
                Some(median(budget, || {
                    timed(|| {
                        for bytes in &*bytes {
                            black_box(ids(black_box(bytes), buffer));
                        }
                    })
                }))
            }
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The median of the rounds that the budget has time for, after one that only
/// warms up.
fn median(budget: Duration, mut round: impl FnMut() -> Duration) -> Duration {
    round();
    let mut spent = Duration::ZERO;
    let mut rounds = Vec::new();
    while spent < budget || rounds.len() < 3 {
        let took = round();
        spent += took;
        rounds.push(took);
    }
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
