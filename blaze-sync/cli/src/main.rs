//! The `blaze` program: keeps embedded databases in sync, from a terminal.

mod args;
mod batch;
mod commands;
mod demo;
mod keys;
mod open;
mod output;
mod password;
mod progress;
mod rows;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    cli.color.choose();
    match cli.command.run().await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has enough of it, as `head` does.
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        // It was told with all else that was found.
        Err(error) if error.is::<commands::FaultFound>() => ExitCode::FAILURE,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
