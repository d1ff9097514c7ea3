//! `blaze demo`: two apps, two encrypted databases, one socket, one crash.

mod app;
mod child;
mod compare;
mod figures;
mod narrator;
mod place;
mod story;
mod wire;

use std::path::PathBuf;

use anyhow::Result;

use crate::rows::{Format, ReadOptions, Reader};

/// Options of `blaze demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows to import instead of the 418 time zones that ship with the program
    #[arg(long, value_name = "FILE", help = "Import this file (.jsonl or .csv, any size)")]
    input: Option<PathBuf>,
    /// Keep the two databases, and say where they are and how to look at them
    #[arg(long)]
    keep: bool,
    /// What a commit survives: `process` (kill -9) or `disk` (a power cut)
    #[arg(long, value_name = "LEVEL", default_value = "process",
        value_parser = ["process", "disk"])]
    durability: String,
    /// Print the figures as one JSON object instead of the story
    #[arg(long)]
    json: bool,
}

/// Runs the demo.
pub(crate) async fn run(args: Args) -> Result<()> {
    story::run(args).await
}

/// Runs one app of the demo; it is told what to do on standard input.
pub(crate) async fn app() -> Result<()> {
    app::run().await
}

/// The rows that ship with the program.
fn sample_rows() -> Reader {
    let lines: &[u8] = include_bytes!("../../data/timezones.jsonl");
    Reader::new(Box::new(lines), Format::Jsonl, ReadOptions::default())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sample_row_is_a_record() {
        let rows: Vec<_> = super::sample_rows().collect();
        assert_eq!(rows.len(), 418);
        assert!(rows.iter().all(Result::is_ok), "{rows:?}");
    }
}
