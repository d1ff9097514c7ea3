//! Attacks on a real hub while honest peers go on with their work: `cargo xtask attack --help`
//! tells what it takes.

mod args;
mod attacks;
mod honest;
mod hub;
mod process;
mod report;
mod run;
mod stranger;
mod wire;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;

use crate::args::Args;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Exits with 0 if every attack was refused and nobody suffered, 1 if not, and 2 for wrong
/// arguments.
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match (arguments.next().as_deref(), arguments.next()) {
        (Some("honest-peer"), Some(task)) => honest::work(&task),
        (Some("stranger"), Some(task)) => stranger::work(&task),
        _ => attack(&Args::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn attack(args: &Args) -> Result<()> {
    if args.list {
        for attack in attacks::all() {
            println!("{:<20} {}", attack.name, attack.about);
        }
        return Ok(());
    }
    let chosen = run::chosen(&args.attack)?;
    ensure!(cfg!(target_os = "linux"), "what is measured, /proc tells only on Linux");
    let blaze = args.blaze.clone().map_or_else(beside, Ok)?;
    ensure!(blaze.exists(), "there is no {}; build it, or name it by --blaze", blaze.display());
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..) >> 32);
    eprintln!("==> seed {seed}");
    // Kept if something goes wrong; else nothing stays.
    let folder = tempfile::Builder::new().prefix("blaze-attack-").tempdir()?;
    // Other users may come as far as the socket.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let at = folder.path().canonicalize()?;
    let report = run::run(args, &chosen, seed, &blaze, &at);
    let violations = report.as_ref().map_or(1, report::Report::violations);
    if let Ok(report) = &report {
        if args.json {
            println!("{}", serde_json::to_string_pretty(report)?);
        } else {
            report.print();
        }
    }
    if violations > 0 {
        let kept = folder.keep();
        report.with_context(|| format!("seed {seed}; files are kept in {}", kept.display()))?;
        bail!("{violations} violations (seed {seed}); files are kept in {}", kept.display());
    }
    eprintln!("==> every attack was refused, and nobody suffered");
    Ok(())
}

/// The program that stands beside this one.
fn beside() -> Result<PathBuf> {
    let this = std::env::current_exe().context("can't find this program")?;
    Ok(this.with_file_name("blaze"))
}
