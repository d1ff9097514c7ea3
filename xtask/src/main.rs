//! Development tasks of the Blaze workspace: `cargo xtask --help` lists them.

mod cargo;
mod commands;
mod layers;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cargo::Workspace;
use crate::commands::Task;

/// Exits with 0 if the task passed, 1 if it failed, and 2 if there is no such task.
fn main() -> ExitCode {
    let task = Task::parse();
    match Workspace::locate().and_then(|workspace| task.run(&workspace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
