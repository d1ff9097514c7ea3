//! The figures as tables.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::alternatives::{self, Absent};
use crate::claims::{self, Claim};
use crate::figures::Figures;
use crate::machine::Machine;
use crate::marks::Mark;
use crate::plot::Picture;
use crate::rounds::Measured;
use crate::scale;
use crate::spec::{RuntimeKind, Workload};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) runtime: RuntimeKind,
    pub(crate) rounds: usize,
    pub(crate) measured: Vec<Measured>,
    pub(crate) absent: Vec<Absent>,
    pub(crate) grown: Vec<scale::Row>,
    pub(crate) claims: Vec<Claim>,
    /// What is shown in which section, in Markdown.
    #[serde(skip)]
    pub(crate) pictures: Vec<Picture>,
    pub(crate) marks: Vec<Mark>,
}

/// A section: what it is called, how it is read, and which workloads belong there.
struct Section {
    title: &'static str,
    note: &'static str,
    holds: fn(Workload) -> bool,
}

const SECTIONS: [Section; 4] = [
    Section {
        title: "Latency",
        note: "One operation in flight: from before the insert until the replica's observer has \
               the change, which is committed there; the next one starts when it is acknowledged.",
        holds: |workload| matches!(workload, Workload::Latency { .. }),
    },
    Section {
        title: "Streaming",
        note: "Transactions one after the other, prepared before the clock starts: from the first \
               commit until the replica has acknowledged the last, durably.",
        holds: |workload| matches!(workload, Workload::Stream { .. }),
    },
    Section {
        title: "First sync",
        note: "From connecting an empty replica until it has every record.",
        holds: |workload| matches!(workload, Workload::Sync { .. }),
    },
    Section {
        title: "Connecting",
        note: "From connecting an open, empty replica until its observer has the only change \
               there is.",
        holds: |workload| matches!(workload, Workload::Connect { .. }),
    },
];

impl Report {
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("a String takes everything");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Machine { cpu, cores, kernel, file_system, load, rustc, commit } = &self.machine;
        let rounds = self.rounds;
        let runtime = match self.runtime {
            RuntimeKind::Multi => "multi-thread, 2 workers",
            RuntimeKind::Current => "current-thread",
        };
        writeln!(out, "# End-to-end benchmark\n")?;
        writeln!(out, "- Machine: {cpu}, {cores} cores, Linux {kernel}, {file_system}")?;
        writeln!(out, "- Load before the start: {load}")?;
        writeln!(out, "- Built by {rustc} from {commit}; tokio {runtime}")?;
        writeln!(
            out,
            "- Records of about 200 bytes; medians of {rounds} rounds, floor and Blaze in turns"
        )?;
        writeln!(
            out,
            "- The floor is the same commits over a bare blocking stream: a B-tree in memory, or \
             SQLite in WAL mode with synchronous NORMAL (process) or FULL (disk)"
        )?;
        writeln!(
            out,
            "- × is how many times longer Blaze took than the floor; RSS is the peak of source / \
             replica, or of both in one process (mem)"
        )?;
        for section in &SECTIONS {
            let held = |measured: &&Measured| (section.holds)(measured.case.workload);
            let rows: Vec<_> = self.measured.iter().filter(held).collect();
            if rows.is_empty() {
                continue;
            }
            writeln!(out, "\n## {}\n\n{}\n", section.title, section.note)?;
            self.write_pictures(out, section.title)?;
            write_table(out, &rows)?;
        }
        alternatives::write_section(out, &self.measured, &self.absent)?;
        scale::write(out, &self.grown, |out, section| self.write_pictures(out, section))?;
        claims::write(out, &self.claims)?;
        write_marks(out, &self.marks)
    }
}

impl Report {
    fn write_pictures(&self, out: &mut String, section: &str) -> std::fmt::Result {
        let held = self.pictures.iter().filter(|picture| picture.section == section);
        held.into_iter().try_for_each(|picture| writeln!(out, "{}\n", picture.markdown))
    }
}

fn write_table(out: &mut String, rows: &[&Measured]) -> std::fmt::Result {
    let timed =
        matches!(rows[0].case.workload, Workload::Latency { .. } | Workload::Connect { .. });
    if timed {
        let figures =
            "commit µs | p50 µs | p99 µs | max µs | floor commit µs | floor p50 µs | floor p99 µs";
        writeln!(out, "| transport | store | count | {figures} | × | RSS MiB |")?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    } else {
        let figures = "transaction | s | per second | floor per second";
        writeln!(out, "| transport | store | count | {figures} | × | RSS MiB |")?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|--:|")?;
    }
    for Measured { case, floor, blaze, .. } in rows {
        let (floor, blaze) = (floor.as_ref(), blaze.as_ref());
        let count = case.workload.count();
        write!(out, "| {} | {} | {count} | ", case.transport, case.store)?;
        if timed {
            write!(out, "{} | ", cell(blaze, |run| micros(run.commit_p50_ns)))?;
            write!(out, "{} | ", cell(blaze, |run| micros(run.p50_ns)))?;
            write!(out, "{} | ", cell(blaze, |run| micros(run.p99_ns)))?;
            write!(out, "{} | ", cell(blaze, |run| micros(run.max_ns)))?;
            write!(out, "{} | ", cell(floor, |run| micros(run.commit_p50_ns)))?;
            write!(out, "{} | ", cell(floor, |run| micros(run.p50_ns)))?;
            write!(out, "{} | ", cell(floor, |run| micros(run.p99_ns)))?;
        } else {
            let rate = |run: &Figures| format!("{:.0}", run.per_second(case.workload));
            let seconds = |run: &Figures| {
                format!("{:.2}", Duration::from_nanos(run.elapsed_ns).as_secs_f64())
            };
            let per_transaction = match case.workload {
                Workload::Stream { per_transaction, .. } => per_transaction.to_string(),
                _ => "–".to_owned(),
            };
            write!(out, "{per_transaction} | {} | ", cell(blaze, seconds))?;
            write!(out, "{} | {} | ", cell(blaze, rate), cell(floor, rate))?;
        }
        let ratio = blaze.zip(floor).map(|(blaze, floor)| blaze.ratio(floor, case.workload));
        let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(out, "{ratio} | {} |", cell(blaze, rss))?;
    }
    Ok(())
}

fn write_marks(out: &mut String, marks: &[Mark]) -> std::fmt::Result {
    if marks.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Marks\n\nOver the Unix socket; entry marks are to be kept, goals to be reached.\n"
    )?;
    for mark in marks {
        let Mark { what, entry, limit, found, unit, at_least } = mark;
        let verdict = match (entry, mark.reached()) {
            (true, true) => "PASS",
            (true, false) => "FAIL",
            (false, true) => "goal reached",
            (false, false) => "goal open",
        };
        let bound = if *at_least { "at least" } else { "at most" };
        let places = if *found < 100.0 { 2 } else { 0 };
        writeln!(out, "- **{verdict}**: {what}: {found:.places$}{unit}, {bound} {limit}{unit}")?;
    }
    Ok(())
}

fn cell(run: Option<&Figures>, figure: impl Fn(&Figures) -> String) -> String {
    run.map_or_else(|| "–".to_owned(), figure)
}

pub(crate) fn micros(ns: u64) -> String {
    if ns == 0 {
        return "–".to_owned();
    }
    format!("{:.1}", Duration::from_nanos(ns).as_secs_f64() * 1e6)
}

fn rss(run: &Figures) -> String {
    let each: Vec<_> = run.peak_rss_kib.iter().map(|kib| (kib / 1024).to_string()).collect();
    each.join(" / ")
}
