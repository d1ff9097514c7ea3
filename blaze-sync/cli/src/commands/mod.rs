//! The commands, one a file.

mod delete;
mod doctor;
mod export;
mod forget;
mod get;
mod import;
#[cfg(feature = "tls")]
mod join;
mod known;
mod list;
#[cfg(feature = "tls")]
mod pair;
#[cfg(feature = "tls")]
mod peers;
mod put;
mod replicate;
mod report;
#[cfg(feature = "tls")]
mod secure;
mod serve;
mod signals;
mod status;
mod topology;
mod unix;
mod watch;

use clap::{Parser, Subcommand};

pub(crate) use self::doctor::FaultFound;
use crate::args::Color;

/// Keeps embedded databases in sync: inside one app, between apps, between devices
#[derive(Debug, Parser)]
#[command(
    name = "blaze",
    version,
    max_term_width = 100,
    long_about = "\
Keeps embedded databases in sync: inside one app, between apps, between devices.

Every app has its own database, one file, with records in named collections. Two programs that \
share data don't open one file: each opens its own, and `serve` in one and `connect` in the other \
keep the two equal.

A database is written by one process at a time. Commands that only read (get, list, export, watch, status, \
doctor) work beside it.",
    after_long_help = "\
Examples:
  blaze put notes.blaze notes hello title='Hello, world' stars=3
  blaze list notes.blaze notes
  blaze serve notes.blaze                      # in one terminal
  blaze connect copy.blaze                     # in another: copy.blaze fills, and follows
  blaze pair notes.blaze tls://192.168.0.7:7117    # shows a ticket for another device
  blaze join copy.blaze                        # there: takes it; then serve and connect
  blaze import shop.blaze articles articles.csv --key sku
  blaze doctor                                 # what is wrong, and what to do
  blaze demo                                   # two apps, two encrypted databases, one crash

Passwords:
  A database that is made while a password is given is encrypted. The password comes from
  --password-file FILE, from the environment variable BLAZE_PASSWORD, or is asked for at the
  terminal; never from an argument, which others on this device could see."
)]
pub(crate) struct Cli {
    /// When to use colors: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t = Color::Auto,
        hide_possible_values = true
    )]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Put(put::Args),
    Get(get::Args),
    List(list::Args),
    Delete(delete::Args),
    Watch(watch::Args),
    Import(import::Args),
    Export(export::Args),
    Serve(serve::Args),
    Connect(serve::ConnectArgs),
    #[cfg(feature = "tls")]
    Pair(pair::Args),
    #[cfg(feature = "tls")]
    Join(join::Args),
    #[cfg(feature = "tls")]
    Peers(peers::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Forget(forget::Args),
    Topology(topology::Args),
    /// Shows it all: two apps, two encrypted databases, one socket, one crash
    Demo(crate::demo::Args),
    /// One app of the demo
    #[command(hide = true)]
    DemoApp,
}

impl Command {
    /// Runs the command.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Put(args) => args.run().await,
            Self::Get(args) => args.run().await,
            Self::List(args) => args.run().await,
            Self::Delete(args) => args.run().await,
            Self::Watch(args) => args.run().await,
            Self::Import(args) => args.run().await,
            Self::Export(args) => args.run().await,
            Self::Serve(args) => args.run().await,
            Self::Connect(args) => args.run().await,
            #[cfg(feature = "tls")]
            Self::Pair(args) => args.run().await,
            #[cfg(feature = "tls")]
            Self::Join(args) => args.run().await,
            #[cfg(feature = "tls")]
            Self::Peers(args) => args.run(),
            Self::Status(args) => args.run().await,
            Self::Doctor(args) => args.run().await,
            Self::Forget(args) => args.run().await,
            Self::Topology(args) => args.run(),
            Self::Demo(args) => crate::demo::run(args).await,
            Self::DemoApp => crate::demo::app().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
