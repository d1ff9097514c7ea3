//! What the program is told.

use std::path::PathBuf;

use clap::Parser;

/// Attack a hub while two honest peers keep committing through it.
///
/// The hub is `blaze serve`, in a process of its own as its peers are. Every attack must be
/// refused as it is to be, the hub must live, stay small and leave no descriptor open, the
/// peers must keep their links, and at the end all replicas must be equal and hold what was
/// acknowledged.
#[derive(Debug, Clone, Parser)]
#[command(name = "attack", bin_name = "cargo xtask attack", max_term_width = 90)]
#[command(after_help = "Examples:
  cargo xtask attack                     everything, about 6 minutes
  cargo xtask attack --quick             a little of everything, within a minute
  cargo xtask attack --attack noise      one attack
  cargo xtask attack --list              what attacks there are")]
pub(crate) struct Args {
    /// What is random follows from this number. Default: drawn, and printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A little of everything.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this attack; may be given again.
    #[arg(long, value_name = "NAME")]
    pub(crate) attack: Vec<String>,
    /// Say what attacks there are, and run none.
    #[arg(long)]
    pub(crate) list: bool,
    /// The figures as JSON on standard output, instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// The program to attack. Default: `blaze` beside this one.
    #[arg(long, value_name = "PATH")]
    pub(crate) blaze: Option<PathBuf>,
}
