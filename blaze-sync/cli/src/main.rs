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
#[cfg(feature = "tls")]
mod trust;

use std::process::ExitCode;

use clap::Parser;

/// The exit code for a command line that can't be understood, as `clap` has it.
const USAGE: i32 = 2;

/// Ends the program for what was asked of it, or for asking for help.
fn refuse(error: &clap::Error) -> ! {
    let has_ticket = |argument: std::ffi::OsString| {
        argument.to_string_lossy().to_ascii_lowercase().contains("blaze-ticket-")
    };
    if cfg!(feature = "tls") && std::env::args_os().skip(1).any(has_ticket) {
        output::error(&anyhow::anyhow!(
            "a ticket doesn't belong on the command line, where other users of this device see it; \
             issue another one, and give it to `blaze join DB` on standard input or at its prompt"
        ));
        std::process::exit(USAGE);
    }
    error.exit()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => refuse(&error),
    };
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
