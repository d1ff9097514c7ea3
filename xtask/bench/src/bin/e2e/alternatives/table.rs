//! The alternatives as a section of the report.

use std::fmt::{Result, Write};
use std::time::Duration;

use super::judge::{times, verdict};
use super::{Absent, Alternative, Beside};
use crate::report::micros;
use crate::rounds::Measured;
use crate::spec::Workload;

const NOTE: &str = "What a user could pick instead, each as its documentation recommends, in the \
    same run and in turns with the rows above, beside the row of Blaze over the Unix socket at \
    equal durability. × is how many times longer it took than Blaze, so that it is faster than \
    Blaze below 1; within 1.4 either way is called even, as runs differ by that. Blaze's reader \
    has a replica of its own, which can be written to and merges what both sides write; the \
    tables say what an alternative's has.";

/// A table: what it is called, what its rows say, and which workloads belong there.
struct Table {
    title: &'static str,
    head: &'static str,
    holds: fn(Workload) -> bool,
}

const TABLES: [Table; 3] = [
    Table {
        title: "Latency, one operation in flight",
        head: "| durability | alternative | the reader has | p50 µs | p99 µs | Blaze p50 µs | Blaze p99 µs | × | |\n\
               |---|---|---|--:|--:|--:|--:|--:|---|",
        holds: |workload| matches!(workload, Workload::Latency { .. }),
    },
    Table {
        title: "Streaming",
        head: "| durability | transaction | alternative | the reader has | count | per second | Blaze per second | × | |\n\
               |---|--:|---|---|--:|--:|--:|--:|---|",
        holds: |workload| matches!(workload, Workload::Stream { .. }),
    },
    Table {
        title: "First sync",
        head: "| durability | alternative | the reader has | count | s | per second | Blaze per second | × | |\n\
               |---|---|---|--:|--:|--:|--:|--:|---|",
        holds: |workload| matches!(workload, Workload::Sync { .. }),
    },
];

/// Writes what was measured, what each promises, and what wasn't measured.
pub(crate) fn write_section(
    out: &mut impl Write,
    measured: &[Measured],
    absent: &[Absent],
) -> Result {
    let found: Vec<_> = measured.iter().filter(|measured| !measured.beside.is_empty()).collect();
    if found.is_empty() && absent.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Alternatives\n\n{NOTE}")?;
    for Table { title, head, holds } in &TABLES {
        let mut rows = found.iter().filter(|measured| holds(measured.case.workload)).peekable();
        if rows.peek().is_some() {
            writeln!(out, "\n### {title}\n\n{head}")?;
        }
        for measured in rows {
            measured.beside.iter().try_for_each(|beside| write_row(out, measured, beside))?;
        }
    }
    write_promises(out, &found)?;
    for Absent { alternative, why } in absent {
        writeln!(out, "- {} wasn't measured: {why}", alternative.name())?;
    }
    Ok(())
}

fn write_row(out: &mut impl Write, measured: &Measured, beside: &Beside) -> Result {
    let Measured { case, blaze: Some(blaze), .. } = measured else { return Ok(()) };
    let (Some(figures), Some(times)) = (&beside.figures, times(beside, measured)) else {
        return Ok(());
    };
    let (store, count) = (case.store, beside.workload.count());
    let name = format!("{} | {}", beside.alternative.name(), beside.alternative.has().name());
    let rate = figures.per_second(beside.workload);
    let blaze_rate = blaze.per_second(case.workload);
    match beside.workload {
        Workload::Latency { .. } | Workload::Connect { .. } => {
            let [p50, p99] = [micros(figures.p50_ns), micros(figures.p99_ns)];
            let [blaze_p50, blaze_p99] = [micros(blaze.p50_ns), micros(blaze.p99_ns)];
            write!(out, "| {store} | {name} | {p50} | {p99} | {blaze_p50} | {blaze_p99} ")?;
        }
        Workload::Stream { per_transaction, .. } => {
            write!(out, "| {store} | {per_transaction} | {name} | {count} ")?;
            write!(out, "| {rate:.0} | {blaze_rate:.0} ")?;
        }
        Workload::Sync { .. } => {
            let seconds = Duration::from_nanos(figures.elapsed_ns).as_secs_f64();
            write!(out, "| {store} | {name} | {count} | {seconds:.2} ")?;
            write!(out, "| {rate:.0} | {blaze_rate:.0} ")?;
        }
    }
    writeln!(out, "| {times:.2} | {} |", verdict(times))
}

/// What the alternatives of the tables are, each once and in their order.
fn write_promises(out: &mut impl Write, found: &[&Measured]) -> Result {
    writeln!(out)?;
    for &alternative in <Alternative as clap::ValueEnum>::value_variants() {
        let mut beside = found.iter().flat_map(|measured| &measured.beside);
        if beside.any(|beside| beside.alternative == alternative) {
            writeln!(out, "- **{}**: {}", alternative.name(), alternative.promise())?;
        }
    }
    Ok(())
}
