//! Marks are reached where they should be, and only there.

use super::*;
use crate::results::{BLAZE, JSON, tests::row};

/// Raw, LZ4, zstd, encode, decode, walk, ids: Blaze reaches everything by these.
const GOOD: [f64; 7] = [30.0, 30.0, 30.0, 20.0, 100.0, 25.0, 7.0];
const PEER: [f64; 7] = [60.0, 60.0, 60.0, 30.0, 200.0, 40.0, 9.0];
const SLOW: [f64; 7] = [400.0, 99.0, 99.0, 200.0, 900.0, 600.0, 500.0];

fn rows(blaze: [f64; 7]) -> Vec<Row> {
    let workloads =
        [Workload::Bug, Workload::Sensor, Workload::Update, Workload::Blob, Workload::Mixed];
    let cells = [(BLAZE, blaze), ("peer", PEER), ("reckless", [1.0; 7]), (JSON, SLOW)];
    let rows = workloads
        .into_iter()
        .flat_map(|workload| [1, 10, 1_000].map(|batch| row(workload, batch, &cells)));
    rows.collect()
}

fn missed(rows: &[Row]) -> Vec<String> {
    let missed = judge(rows).into_iter().filter(|mark| !mark.reached);
    missed.map(|mark| format!("{}: {}", mark.what, mark.found)).collect()
}

/// What is missed if Blaze has this figure in this row.
fn missed_with(workload: Workload, batch: usize, figure: Figure, value: f64) -> Vec<String> {
    let mut rows = rows(GOOD);
    let row = rows.iter_mut().find(|row| row.workload == workload && row.batch == batch);
    row.expect("such a row").cells[0].figures.insert(figure, value);
    missed(&rows)
}

#[test]
fn all_marks_are_reached_by_good_figures() {
    assert_eq!(judge(&rows(GOOD)).len(), 15);
    assert_eq!(missed(&rows(GOOD)), [""; 0]);
}

#[test]
fn all_marks_are_missed_by_bad_figures() {
    assert_eq!(missed(&rows([1_000.0; 7])).len(), 15);
}

#[test]
fn size_counts_in_batches_and_in_sessions() {
    assert_eq!(
        missed_with(Workload::Blob, 1, Figure::Raw, 61.0),
        ["smallest, single in a session: in 4 of 5 rows; blob × 1: 0.98 ×"]
    );
    assert_eq!(
        missed_with(Workload::Blob, 10, Figure::Raw, 61.0),
        ["smallest, batches: in 9 of 10 rows; blob × 10: 0.98 ×"]
    );
    let readings = missed_with(Workload::Sensor, 1_000, Figure::Raw, 35.1);
    assert_eq!(readings, ["bytes, readings by 1,000: 35.1 B"]);
}

#[test]
fn encoding_is_held_against_json_less_strictly_for_blobs() {
    let blob = |ns| missed_with(Workload::Blob, 1, Figure::Encode, ns);
    assert_eq!(blob(30.0), [""; 0]);
    assert_eq!(
        blob(34.0),
        ["encoding against serde_json, blobs: in 2 of 3 rows; blob × 1: 5.88 ×"]
    );
    assert_eq!(
        missed_with(Workload::Update, 10, Figure::Encode, 26.0),
        ["encoding against serde_json, all but blobs: in 11 of 12 rows; update × 10: 7.69 ×"]
    );
}

#[test]
fn encoding_issues_may_take_a_tenth_more_than_the_fastest() {
    let missed = |ns| {
        let mut rows = rows(GOOD);
        for row in &mut rows {
            row.cells[3].figures.insert(Figure::Encode, 1_000.0);
            row.cells[0].figures.insert(Figure::Encode, ns);
        }
        missed(&rows)
    };
    assert_eq!(missed(32.9), [""; 0]);
    assert_eq!(missed(33.1), ["encoding, issues by 1,000: 0.91 ×"]);
}

#[test]
fn a_walk_counts_in_every_row_and_what_is_unsafe_in_none() {
    assert_eq!(
        missed_with(Workload::Mixed, 1, Figure::Walk, 41.0),
        ["fastest walk: in 14 of 15 rows; mixed × 1: 0.98 ×"]
    );
    assert_eq!(
        missed_with(Workload::Bug, 1_000, Figure::Walk, 31.0),
        ["walk against serde_json, issues by 1,000: 19.35 ×", "walk, issues by 1,000: 31.0 ns"]
    );
}

#[test]
fn decoding_counts_in_batches_only() {
    assert_eq!(missed_with(Workload::Bug, 1, Figure::Decode, 201.0), [""; 0]);
    assert_eq!(missed_with(Workload::Bug, 10, Figure::Decode, 201.0).len(), 1);
    assert_eq!(missed_with(Workload::Bug, 1_000, Figure::Decode, 181.0).len(), 1);
    assert_eq!(missed_with(Workload::Bug, 1_000, Figure::Decode, 291.0).len(), 3);
}

#[test]
fn marks_without_their_rows_are_left_out() {
    let rows: Vec<_> =
        rows(GOOD).into_iter().filter(|row| row.workload == Workload::Sensor).collect();
    let marks = judge(&rows);
    assert_eq!(marks.len(), 6, "{marks:?}");
    assert_eq!(judge(&[]), []);
}
