//! The `blaze` program: keeps embedded databases in sync, from a terminal.

mod args;
mod batch;
mod commands;
mod demo;
mod keys;
mod open;
mod output;
mod password;
mod policies;
mod progress;
mod rows;
#[cfg(feature = "tls")]
mod shell;
#[cfg(feature = "tls")]
mod trust;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// The exit code for a command line that can't be understood, as `clap` has it.
const USAGE: i32 = 2;

/// Ends the program if a ticket is among its arguments, whatever they would mean: as a path or a
/// name, its secret would come to be that of a file, or be printed.
fn refuse_tickets() {
    let is_one = |argument: OsString| has_ticket(&argument.to_string_lossy());
    if cfg!(feature = "tls") && std::env::args_os().skip(1).any(is_one) {
        output::error(&anyhow::anyhow!(
            "a ticket doesn't belong on the command line, where other users of this device see it; \
             issue another one, and give it to `blaze join DB` on standard input or at its prompt"
        ));
        std::process::exit(USAGE);
    }
}

/// Whether a text has a ticket of any version in it, in any case.
fn has_ticket(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.split("blaze-ticket-").skip(1).any(|rest| {
        let version = rest.bytes().take_while(u8::is_ascii_digit).count();
        version > 0 && rest[version..].starts_with(':')
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    refuse_tickets();
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
