//! Runs all formats on all rows, in turns.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use crate::args::Args;
use crate::formats;
use crate::prepared::{Measure, Prepared, Sizes};
use crate::results::{Cell, Figure, Row, median};
use crate::workload::{OPERATIONS, Workload};

const MEASURES: [(Measure, Figure); 4] = [
    (Measure::Encode, Figure::Encode),
    (Measure::Decode, Figure::Decode),
    (Measure::Walk, Figure::Walk),
    (Measure::Ids, Figure::Ids),
];

/// A figure's values, one a pass.
type Samples = BTreeMap<Figure, Vec<f64>>;

/// Measures what the arguments ask for.
///
/// # Panics
///
/// If a format doesn't give back what it was given: nothing is timed then.
pub(crate) fn measure(args: &Args) -> Vec<Row> {
    let rows = args.rows();
    let mut samples = vec![vec![Samples::new(); formats::ALL.len()]; rows.len()];
    for pass in 0..args.passes() {
        for (number, (&(workload, batch), samples)) in rows.iter().zip(&mut samples).enumerate() {
            let (pass_number, row) = (pass + 1, number + 1);
            progress(&format!(
                "pass {pass_number} of {}, row {row} of {}: {} × {batch}",
                args.passes(),
                rows.len(),
                workload.name(),
            ));
            measure_row(workload, batch, pass, args.budget(), samples);
        }
    }
    progress("");
    let row = |((workload, batch), samples): ((_, _), Vec<Samples>)| {
        let cells = formats::ALL.iter().zip(samples).map(|(entry, samples)| {
            let figures = samples
                .into_iter()
                .filter_map(|(figure, mut values)| Some((figure, median(&mut values)?)));
            Cell::new(entry, figures.collect())
        });
        Row { workload, batch, cells: cells.collect() }
    };
    rows.into_iter().zip(samples).map(row).collect()
}

fn measure_row(
    workload: Workload,
    batch: usize,
    pass: usize,
    budget: Duration,
    samples: &mut [Samples],
) {
    let batches = workload.batches(batch);
    let mut formats: Vec<Box<dyn Prepared>> =
        formats::ALL.iter().map(|entry| (entry.prepare)(&batches)).collect();
    if pass == 0 {
        for (format, samples) in formats.iter_mut().zip(&mut *samples) {
            format.check(&batches);
            let Some(Sizes { raw, lz4, zstd }) = format.sizes() else { continue };
            for (figure, bytes) in [(Figure::Raw, raw), (Figure::Lz4, lz4), (Figure::Zstd, zstd)] {
                samples.insert(figure, vec![float(bytes) / float(OPERATIONS)]);
            }
        }
    }
    for (measure, figure) in MEASURES {
        for place in 0..formats.len() {
            // Another format comes first in each pass.
            let number = (place + pass) % formats.len();
            if let Some(round) = formats[number].time(measure, budget) {
                let ns = round.as_secs_f64() * 1e9 / float(OPERATIONS);
                samples[number].entry(figure).or_default().push(ns);
            }
        }
    }
}

/// As a float: what is counted here stays far below where one is left out.
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Shows what is being done, if somebody looks.
fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
    }
}
