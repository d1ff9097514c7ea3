//! What was found: a figure for each format, row and measure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::prepared::Entry;
use crate::workload::Workload;

/// The format that this is about.
pub(crate) const BLAZE: &str = "Blaze";
/// The same with the dictionary of a session.
pub(crate) const BLAZE_SESSION: &str = "Blaze, session";
/// The one that everybody knows.
pub(crate) const JSON: &str = "serde_json";

/// What a figure tells: bytes an operation, or nanoseconds an operation. Less is
/// better in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Figure {
    Raw,
    Lz4,
    Zstd,
    Encode,
    Decode,
    Walk,
    Ids,
}

/// A workload in batches of one size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: Workload,
    pub(crate) batch: usize,
    pub(crate) cells: Vec<Cell>,
}

/// A format's figures in a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) format: &'static str,
    pub(crate) safe: bool,
    pub(crate) in_place: bool,
    pub(crate) figures: BTreeMap<Figure, f64>,
}

impl Cell {
    pub(crate) const fn new(entry: &Entry, figures: BTreeMap<Figure, f64>) -> Self {
        let Entry { name, safe, in_place, .. } = *entry;
        Self { format: name, safe, in_place, figures }
    }
}

impl Row {
    /// As it is called in tables.
    pub(crate) fn name(&self) -> String {
        format!("{} × {}", self.workload.name(), self.batch)
    }

    /// A format's figure.
    pub(crate) fn of(&self, format: &str, figure: Figure) -> Option<f64> {
        let cell = self.cells.iter().find(|cell| cell.format == format)?;
        cell.figures.get(&figure).copied()
    }

    /// The least figure of a safe format, Blaze or not.
    pub(crate) fn best(&self, figure: Figure) -> Option<f64> {
        self.safe(figure).map(|(_, value)| value).min_by(f64::total_cmp)
    }

    /// Blaze's figure. Single operations travel in sessions.
    pub(crate) fn ours(&self, figure: Figure) -> Option<f64> {
        let in_session = self.of(BLAZE_SESSION, figure).filter(|_| self.batch == 1);
        in_session.or_else(|| self.of(BLAZE, figure))
    }

    /// The safe format that is best but for Blaze.
    pub(crate) fn best_peer(&self, figure: Figure) -> Option<(&'static str, f64)> {
        let is_peer = |format: &str| ![BLAZE, BLAZE_SESSION].contains(&format);
        let peers = self.safe(figure).filter(|(format, _)| is_peer(format));
        peers.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// How many times better Blaze is than the best of the others.
    pub(crate) fn lead(&self, figure: Figure) -> Option<f64> {
        Some(self.best_peer(figure)?.1 / self.ours(figure)?)
    }

    /// How many times better Blaze is than JSON.
    pub(crate) fn lead_over_json(&self, figure: Figure) -> Option<f64> {
        Some(self.of(JSON, figure)? / self.ours(figure)?)
    }

    fn safe(&self, figure: Figure) -> impl Iterator<Item = (&'static str, f64)> {
        let safe = self.cells.iter().filter(|cell| cell.safe);
        safe.filter_map(move |cell| Some((cell.format, *cell.figures.get(&figure)?)))
    }
}

/// The middle one of the values, or between the two middle ones.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row in which formats have these figures, in the order of [`Figure`].
    pub(crate) fn row(workload: Workload, batch: usize, cells: &[(&'static str, [f64; 7])]) -> Row {
        let order = [
            Figure::Raw,
            Figure::Lz4,
            Figure::Zstd,
            Figure::Encode,
            Figure::Decode,
            Figure::Walk,
            Figure::Ids,
        ];
        let cell = |(format, values): &(&'static str, [f64; 7])| Cell {
            format,
            safe: *format != "reckless",
            in_place: true,
            figures: order.into_iter().zip(*values).collect(),
        };
        Row { workload, batch, cells: cells.iter().map(cell).collect() }
    }

    #[test]
    fn single_operations_are_those_of_sessions() {
        let cells = [(BLAZE, [3.0; 7]), (BLAZE_SESSION, [2.0; 7]), ("peer", [6.0; 7])];
        let row = |batch| row(Workload::Bug, batch, &cells);
        assert_eq!(row(1).lead(Figure::Raw), Some(3.0));
        assert_eq!(row(10).lead(Figure::Raw), Some(2.0));
        assert_eq!(row(1).best_peer(Figure::Raw), Some(("peer", 6.0)));
    }

    #[test]
    fn leads_are_over_the_best_of_the_safe_others() {
        let row = row(
            Workload::Bug,
            10,
            &[(BLAZE, [10.0; 7]), ("reckless", [1.0; 7]), ("b", [25.0; 7]), (JSON, [80.0; 7])],
        );
        assert_eq!(row.best(Figure::Walk), Some(10.0));
        assert_eq!(row.best_peer(Figure::Walk), Some(("b", 25.0)));
        assert_eq!(row.lead(Figure::Walk), Some(2.5));
        assert_eq!(row.lead_over_json(Figure::Raw), Some(8.0));
        assert_eq!(row.of("nobody", Figure::Raw), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(median(&mut [9.0, 1.0, 4.0, 5.0]), Some(4.5));
        assert_eq!(median(&mut []), None);
    }
}
