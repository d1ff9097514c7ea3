//! Replicas in sync over real transports, each in a process of its own, measured
//! against the floor: the same commits over a bare blocking socket.

mod alternatives;
mod args;
mod blaze;
mod claims;
mod figures;
mod floor;
mod machine;
mod marks;
mod plan;
mod plot;
mod process;
mod report;
mod rounds;
mod scale;
mod spec;
mod worker;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::Args;
use crate::machine::Machine;
use crate::marks::Mark;
use crate::report::Report;

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(spec) = &args.worker {
        worker::run(spec)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(spec) = &args.scale_worker {
        worker::run_scale(spec)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(program) = &args.program {
        alternatives::become_program(program)?;
    }
    let machine = Machine::look(&args.directory())?;
    let (present, mut absent) = alternatives::find(&args);
    let measured = if args.scale.is_none() {
        rounds::measure(&args, &present, &mut absent)?
    } else {
        Vec::new()
    };
    let grown = scale::measure(&args, &args.parts())?;
    let mut marks = Mark::judge(&measured);
    marks.extend(alternatives::marks(&measured));
    marks.extend(scale::judge(&grown));
    let failed = marks.iter().any(Mark::fails);
    let (runtime, rounds) = (args.runtime, args.rounds());
    let claims = claims::hold(&measured);
    let shown = args.write.as_deref().filter(|_| !args.json);
    let pictures = shown.map(|path| plot::save(path, &measured, &grown)).transpose()?;
    let pictures = pictures.unwrap_or_default();
    let report =
        Report { machine, runtime, rounds, measured, absent, grown, claims, pictures, marks };
    let text = if args.json { report.json()? } else { report.markdown() };
    println!("{text}");
    if let Some(path) = &args.write {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(if args.check && failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
