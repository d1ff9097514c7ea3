//! The figures as tables.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::formats;
use crate::machine::{Machine, version_of};
use crate::marks::Mark;
use crate::results::{BLAZE, BLAZE_SESSION, Cell, Figure, Row};
use crate::workload::{SEED, Workload};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) passes: usize,
    pub(crate) budget_ms: u128,
    pub(crate) rows: Vec<Row>,
    pub(crate) marks: Vec<Mark>,
}

/// A table of one figure: what it is called, and how it is read.
struct Section {
    figure: Figure,
    title: &'static str,
    note: &'static str,
}

const SECTIONS: [Section; 7] = [
    Section { figure: Figure::Raw, title: "Bytes an operation", note: "As encoded." },
    Section {
        figure: Figure::Lz4,
        title: "Bytes an operation, compressed by LZ4",
        note: "Each batch as one block.",
    },
    Section {
        figure: Figure::Zstd,
        title: "Bytes an operation, compressed by zstd",
        note: "Each batch as one frame, level 3.",
    },
    Section {
        figure: Figure::Encode,
        title: "Encoding, ns an operation",
        note: "From the format's own types into a buffer that is used again and large enough.",
    },
    Section {
        figure: Figure::Decode,
        title: "Decoding, ns an operation",
        note: "Into the format's own types, all of it in memory of its own, which is given back \
               before the clock stops.",
    },
    Section {
        figure: Figure::Walk,
        title: "Walking, ns an operation",
        note: "Every field of every operation, validated, in place: texts and bytes are not \
               copied. A format with \\* can't do that and walks what it decodes.",
    },
    Section {
        figure: Figure::Ids,
        title: "Ids and versions only, ns an operation",
        note: "Each operation's key and version, for formats that needn't read the rest.",
    },
];

const MARKED: &str = "\\*";
const UNSAFE: &str = "†";

impl Report {
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// All tables, with the name of the plot beside them.
    pub(crate) fn markdown(&self, plot: Option<&str>) -> String {
        let mut out = String::new();
        self.write(&mut out, plot).expect("a String takes everything");
        out
    }

    fn write(&self, out: &mut String, plot: Option<&str>) -> std::fmt::Result {
        writeln!(out, "# BlazeBinary beside other formats\n")?;
        if let Some(plot) = plot {
            writeln!(out, "![Issues in a batch of 1,000]({plot})\n")?;
        }
        self.write_method(out)?;
        write_marks(out, &self.marks)?;
        let large = |row: &&Row| row.workload == Workload::Bug && row.batch == 1_000;
        if let Some(row) = self.rows.iter().find(large) {
            write_overview(out, row)?;
        }
        for section in &SECTIONS {
            write_section(out, section, &self.rows)?;
        }
        Ok(())
    }

    fn write_method(&self, out: &mut String) -> std::fmt::Result {
        let Machine { cpu, cores, kernel, load, rustc, commit, date } = &self.machine;
        let Self { passes, budget_ms, .. } = self;
        let mut versions: Vec<_> = formats::ALL
            .iter()
            .filter(|entry| entry.safe)
            .map(|entry| format!("{} {}", entry.package, version_of(entry.package)))
            .collect();
        versions.dedup();
        writeln!(
            out,
            "- Measured on {date}: {cpu}, {cores} cores, Linux {kernel}, load {load} before"
        )?;
        writeln!(
            out,
            "- Built by {rustc} from {commit}, for the target's default CPU, with one codegen unit \
             and the system's allocator"
        )?;
        writeln!(out, "- {}", versions.join(", "))?;
        writeln!(
            out,
            "- 1,000 operations a workload, from the seed {SEED:#x}, in batches of 1, 10 and \
             1,000: a collection, a key, a version (epoch, clock, node), what it is based on, \
             and named fields of dynamic values"
        )?;
        writeln!(
            out,
            "- `bug` is a new issue of six fields, `sensor` a row of eight numbers, `update` one \
             changed field, `blob` a record with a map, an array and 1 KiB of random bytes, \
             `mixed` the four in turns"
        )?;
        writeln!(
            out,
            "- Every format has the types that are natural to it, gave everything back as it \
             was and agreed on a checksum before it was timed. JSON has UUIDs as text and bytes \
             in Base64; no text needs an escape. bitcode has no types that contain themselves: \
             here a value nests three deep"
        )?;
        writeln!(
            out,
            "- `{BLAZE_SESSION}` has names and nodes in the dictionary of a session, of which \
             its reader was told before, as in Blaze's protocol: what counts for single operations"
        )?;
        writeln!(
            out,
            "- Medians of {passes} passes of {budget_ms} ms for each figure, one format after \
             the other. Compare within a table only: another run's figures may lie 40 % off"
        )?;
        writeln!(
            out,
            "- **Bold** is the best of the formats that are safe with bytes from elsewhere; \
             {UNSAFE} trusts them"
        )
    }
}

fn write_marks(out: &mut String, marks: &[Mark]) -> std::fmt::Result {
    if marks.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Marks\n\n× is how many times better Blaze is: than the best of the other safe \
         formats, if not than `serde_json`.\n"
    )?;
    writeln!(out, "| mark | goal | found | reached |\n|---|---|---|---|")?;
    for Mark { what, goal, found, reached } in marks {
        let verdict = if *reached { "yes" } else { "**no**" };
        writeln!(out, "| {what} | {goal} | {found} | {verdict} |")?;
    }
    Ok(())
}

/// All figures of one row, a line for each format.
fn write_overview(out: &mut String, row: &Row) -> std::fmt::Result {
    writeln!(out, "\n## Issues in a batch of 1,000\n\nBytes and nanoseconds an operation.\n")?;
    writeln!(out, "| | raw | LZ4 | zstd | encode | decode | walk | ids and versions |")?;
    writeln!(out, "|---|{}", "--:|".repeat(SECTIONS.len()))?;
    for cell in &row.cells {
        write!(out, "| {} |", marked(cell, !cell.in_place))?;
        for Section { figure, .. } in &SECTIONS {
            write!(out, " {} |", shown(row, cell, *figure))?;
        }
        writeln!(out)?;
    }
    write!(out, "| Blaze, times the best other |")?;
    for Section { figure, .. } in &SECTIONS {
        write!(out, " {} |", lead(row, *figure))?;
    }
    writeln!(out)
}

/// One figure of all rows, a line for each format.
fn write_section(out: &mut String, section: &Section, rows: &[Row]) -> std::fmt::Result {
    let Section { figure, title, note } = section;
    let Some(first) = rows.first() else { return Ok(()) };
    writeln!(out, "\n## {title}\n\n{note}\n")?;
    write!(out, "| |")?;
    for row in rows {
        write!(out, " {} |", row.name())?;
    }
    writeln!(out, "\n|---|{}", "--:|".repeat(rows.len()))?;
    for (number, cell) in first.cells.iter().enumerate() {
        if !cell.figures.contains_key(figure) {
            continue;
        }
        write!(out, "| {} |", marked(cell, *figure == Figure::Walk && !cell.in_place))?;
        for row in rows {
            write!(out, " {} |", shown(row, &row.cells[number], *figure))?;
        }
        writeln!(out)?;
    }
    write!(out, "| best other |")?;
    for row in rows {
        write!(out, " {} |", row.best_peer(*figure).map_or("–", |(format, _)| format))?;
    }
    write!(out, "\n| Blaze, times that |")?;
    for row in rows {
        write!(out, " {} |", lead(row, *figure))?;
    }
    writeln!(out)
}

/// The format's name, and what is to be known of it.
fn marked(cell: &Cell, copies: bool) -> String {
    let mut name = cell.format.to_owned();
    if name == BLAZE {
        name = format!("**{name}**");
    }
    if copies {
        name += MARKED;
    }
    if !cell.safe {
        name += UNSAFE;
    }
    name
}

/// A format's figure, in bold if no safe one is better.
fn shown(row: &Row, cell: &Cell, figure: Figure) -> String {
    let Some(&value) = cell.figures.get(&figure) else { return "–".to_owned() };
    let text = number(value);
    if cell.safe && row.best(figure) == Some(value) { format!("**{text}**") } else { text }
}

fn lead(row: &Row, figure: Figure) -> String {
    row.lead(figure).map_or_else(|| "–".to_owned(), |lead| format!("{lead:.2}"))
}

/// Three digits or more.
pub(crate) fn number(value: f64) -> String {
    let places = usize::from(value < 100.0);
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests;
