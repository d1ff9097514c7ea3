//! BlazeBinary beside other formats: what `cargo xtask bench codec` runs.
//!
//! `model` has the data and `workload` makes it, `formats` has an adapter for each
//! format, `prepared` and `rounds` measure, `marks` judges, `report` and `plot` show.
//! Tested by `cargo test --manifest-path xtask/codec-bench/Cargo.toml`.

mod args;
mod borrowed;
mod formats;
mod machine;
mod marks;
mod model;
mod plot;
mod prepared;
mod report;
mod results;
mod rounds;
mod sum;
mod text;
mod workload;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::Args;
use crate::machine::Machine;
use crate::report::Report;

fn main() -> Result<()> {
    let args = Args::parse();
    let machine = Machine::look()?;
    let rows = rounds::measure(&args);
    let marks = marks::judge(&rows);
    let (passes, budget) = (args.passes(), args.budget());
    let report = Report { machine, passes, budget_ms: budget.as_millis(), rows, marks };
    println!("{}", if args.json { report.json()? } else { report.markdown(None) });
    if let Some(path) = &args.write {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("can't make {}", folder.display()))?;
        }
        let plot = path.with_extension("svg");
        let name = plot.file_name().map(|name| name.to_string_lossy());
        save(path, &report.markdown(name.as_deref()))?;
        save(&plot, &plot::svg(&report.rows))?;
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}
