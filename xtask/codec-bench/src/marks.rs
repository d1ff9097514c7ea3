//! What BlazeBinary is to reach beside the others, and whether it did.

use serde::Serialize;

use crate::results::{Figure, Row};
use crate::workload::Workload;

/// How many operations the batch has that most marks are about.
const LARGE: usize = 1_000;

/// A goal, and what was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mark {
    pub(crate) what: String,
    pub(crate) goal: String,
    pub(crate) found: String,
    pub(crate) reached: bool,
}

/// The marks of the rows that were measured; those without their rows are left out.
pub(crate) fn judge(rows: &[Row]) -> Vec<Mark> {
    let batches = |row: &&Row| row.batch > 1;
    let single = |row: &&Row| row.batch == 1;
    let all = |_: &&Row| true;
    let bug = |row: &&Row| row.workload == Workload::Bug && row.batch == LARGE;
    let sensor = |row: &&Row| row.workload == Workload::Sensor && row.batch == LARGE;
    let blob = |row: &&Row| row.workload == Workload::Blob;
    let ahead = |figure| move |row: &Row| row.lead(figure);
    let json = |figure| move |row: &Row| row.lead_over_json(figure);
    let figure = |figure| move |row: &Row| row.ours(figure);
    let marks = [
        least("smallest, batches", rows, batches, 1.0, ahead(Figure::Raw)),
        least("smallest, single in a session", rows, single, 1.0, ahead(Figure::Raw)),
        most("bytes, issues by 1,000", rows, bug, 110.0, "B", figure(Figure::Raw)),
        most("bytes, readings by 1,000", rows, sensor, 35.0, "B", figure(Figure::Raw)),
        least(
            "encoding against serde_json, all but blobs",
            rows,
            |row| !blob(row),
            8.0,
            json(Figure::Encode),
        ),
        least("encoding against serde_json, blobs", rows, blob, 6.0, json(Figure::Encode)),
        // Within 10 % of the fastest.
        least("encoding, issues by 1,000", rows, bug, 1.0 / 1.1, ahead(Figure::Encode)),
        most("encoding, issues by 1,000", rows, bug, 40.0, "ns", figure(Figure::Encode)),
        least("fastest walk", rows, all, 1.0, ahead(Figure::Walk)),
        least("walk against serde_json, issues by 1,000", rows, bug, 20.0, json(Figure::Walk)),
        most("walk, issues by 1,000", rows, bug, 30.0, "ns", figure(Figure::Walk)),
        least("fastest decoding, batches", rows, batches, 1.0, ahead(Figure::Decode)),
        least("decoding against serde_json, issues by 1,000", rows, bug, 5.0, json(Figure::Decode)),
        most("decoding, issues by 1,000", rows, bug, 290.0, "ns", figure(Figure::Decode)),
        most("ids and versions, issues by 1,000", rows, bug, 8.0, "ns", figure(Figure::Ids)),
    ];
    marks.into_iter().flatten().collect()
}

/// How many times better Blaze is to be, in each of the rows; the worst one counts.
fn least(
    what: &str,
    rows: &[Row],
    wanted: impl Fn(&&Row) -> bool,
    goal: f64,
    lead: impl Fn(&Row) -> Option<f64>,
) -> Option<Mark> {
    let leads: Vec<_> =
        rows.iter().filter(wanted).filter_map(|row| Some((row, lead(row)?))).collect();
    let (row, worst) = leads.iter().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let kept = leads.iter().filter(|(_, lead)| *lead >= goal).count();
    let found = match leads.len() {
        1 => format!("{worst:.2} ×"),
        all => format!("in {kept} of {all} rows; {}: {worst:.2} ×", row.name()),
    };
    let goal_text = format!("at least {goal:.2} ×");
    Some(Mark { what: what.to_owned(), goal: goal_text, found, reached: kept == leads.len() })
}

/// What Blaze is to need at most, in each of the rows; the worst one counts.
fn most(
    what: &str,
    rows: &[Row],
    wanted: impl Fn(&&Row) -> bool,
    goal: f64,
    unit: &str,
    figure: impl Fn(&Row) -> Option<f64>,
) -> Option<Mark> {
    let worst = rows.iter().filter(wanted).filter_map(figure).max_by(f64::total_cmp)?;
    let (goal_text, found) = (format!("at most {goal} {unit}"), format!("{worst:.1} {unit}"));
    Some(Mark { what: what.to_owned(), goal: goal_text, found, reached: worst <= goal })
}

#[cfg(test)]
mod tests;
