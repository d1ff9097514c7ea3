//! Options that several commands have.

use std::path::PathBuf;

use blaze_sync::{Compression, Durability, Mode, Role};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

/// What the options of [`AccessArgs`] and its kin stand below in the help.
const HEADING: &str = "Database options";

/// A database that is only read.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The database file
    #[arg(value_name = "DB")]
    pub(crate) path: PathBuf,

    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// A database that is written.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// The database file
    #[arg(value_name = "DB")]
    pub(crate) path: PathBuf,

    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// What a commit survives: process (kill -9) or disk (a power cut)
    #[arg(long, value_name = "LEVEL", default_value = "disk", value_parser = durabilities(),
        help_heading = HEADING)]
    pub(crate) durability: Durability,

    /// Refuse to let the file grow beyond so many bytes, this time
    #[arg(long, value_name = "BYTES", help_heading = HEADING)]
    pub(crate) size_max: Option<u64>,
}

/// A database that is written, and made if there is none.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) write: WriteArgs,

    /// Encrypt the file if it is made now, and ask for a password if none is given
    #[arg(
        long,
        help_heading = HEADING,
        long_help = "\
Encrypt the file if it is made now, and ask for a password if none is given.

Not needed where --password-file or BLAZE_PASSWORD gives one. It never turns a plain file into an \
encrypted one: to do that, export it and import it into a new one."
    )]
    pub(crate) encrypt: bool,
}

/// How to get into a database.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// Take the password from this file
    #[arg(
        long,
        value_name = "FILE",
        help_heading = HEADING,
        long_help = "\
Take the password from this file, which has nothing but it.

Without this, the password is that of the environment variable BLAZE_PASSWORD, if that is set. If \
neither is there and the file is encrypted, it is asked for at the terminal; where there is none, \
it is an error. A new file is encrypted if a password is given."
    )]
    pub(crate) password_file: Option<PathBuf>,

    /// The name of the database; only files with one name sync
    ///
    /// A new file is named `main` if this isn't given. With a file that is there, a name other
    /// than its own is an error.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub(crate) database: Option<String>,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Makes the choice for all output.
    pub(crate) fn choose(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// The durability of this name.
///
/// # Errors
///
/// A sentence with the names that there are.
pub(crate) fn parse_durability(name: &str) -> Result<Durability, String> {
    [Durability::Process, Durability::Disk]
        .into_iter()
        .find(|durability| durability.to_string() == name)
        .ok_or_else(|| format!("no durability is called {name:?}; there are process and disk"))
}

fn durabilities() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["process", "disk"]).try_map(|name| parse_durability(&name))
}

/// The mode of this name.
///
/// # Errors
///
/// A sentence with the names that there are.
pub(crate) fn parse_mode(name: &str) -> Result<Mode, String> {
    let mode = Mode::ALL.into_iter().find(|mode| mode.to_string() == name);
    mode.ok_or_else(|| {
        format!("no mode is called {name:?}; there are bidirectional, read-only and write-only")
    })
}

/// A mode by its name.
pub(crate) fn modes() -> impl TypedValueParser<Value = Mode> {
    let names = ["bidirectional", "read-only", "write-only"];
    PossibleValuesParser::new(names).try_map(|name| parse_mode(&name))
}

/// A compression by its name, of those that this build has.
pub(crate) fn compressions() -> impl TypedValueParser<Value = Compression> {
    let names: &[&str] =
        if cfg!(feature = "zstd") { &["none", "lz4", "zstd"] } else { &["none", "lz4"] };
    PossibleValuesParser::new(names).map(|name| match name.as_str() {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    })
}

/// A role by its name.
pub(crate) fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["server", "client"]).map(|name| match name.as_str() {
        "server" => Role::Server,
        _ => Role::Client,
    })
}
