//! `blaze get`: prints a record.

use std::io::Write;

use anyhow::{Result, anyhow, bail};
use blaze_sync::{Name, Record};

use crate::args::ReadArgs;
use crate::keys;
use crate::output::{Out, printable_json};

/// Prints a record as JSON
///
/// Only reads, so it works beside a process that has the database open. If there is no such
/// record, it fails with exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze get notes.blaze notes hello
  blaze get notes.blaze notes 42                   # the integer 42
  blaze get notes.blaze notes '\"42\"'               # the text 42
  blaze get notes.blaze notes hello --json | jq -r .title")]
pub(crate) struct Args {
    #[command(flatten)]
    database: ReadArgs,

    /// The collection
    collection: Name,

    /// The key: a UUID, an integer or a text
    #[arg(allow_negative_numbers = true)]
    key: String,

    /// Print it on one line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let key = keys::parse(&self.key).map_err(|problem| anyhow!("this is no key: {problem}"))?;
        let db = self.database.open().await?;
        let record: Option<Record> = db.collection(&self.collection).get(&key).await?;
        db.close().await?;
        let Some(record) = record else {
            bail!("{}/{} doesn't exist", self.collection, keys::to_text(&key));
        };
        if self.json {
            let mut out = Out::raw();
            out.json(&record)?;
            return Ok(out.flush()?);
        }
        let mut out = Out::styled();
        writeln!(out, "{}", printable_json(&serde_json::to_string_pretty(&record)?))?;
        Ok(out.flush()?)
    }
}
