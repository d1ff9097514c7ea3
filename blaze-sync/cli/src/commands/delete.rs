//! `blaze delete`: deletes records.

use std::io::Write;

use anyhow::{Result, anyhow};
use blaze_sync::{Name, Record, RecordKey};
use serde_json::json;

use crate::args::WriteArgs;
use crate::keys;
use crate::output::{self, Out, count};

/// Deletes records, all in one commit
///
/// A key without a record is no error: it is gone, as asked for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze delete notes.blaze notes hello
  blaze delete notes.blaze notes 1 2 3
  blaze list notes.blaze notes --keys-only | xargs -d '\\n' blaze delete notes.blaze notes --")]
pub(crate) struct Args {
    #[command(flatten)]
    database: WriteArgs,

    /// The collection
    collection: Name,

    /// The keys: UUIDs, integers or texts
    #[arg(value_name = "KEY", required = true, allow_negative_numbers = true)]
    keys: Vec<String>,

    /// Print how many were deleted, and how many didn't exist, as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let keys: Result<Vec<RecordKey>, _> =
            self.keys.iter().map(|key| keys::parse(key)).collect();
        let keys = keys.map_err(|problem| anyhow!("this is no key: {problem}"))?;
        let db = self.database.open().await?;
        let collection = db.collection(&self.collection);
        let mut transaction = db.transaction();
        let mut missing = Vec::new();
        for key in &keys {
            // Nobody else writes while this process has the database open.
            match collection.get::<Record>(key).await? {
                Some(_) => transaction = transaction.delete(&self.collection, key)?,
                None => missing.push(key),
            }
        }
        let deleted = transaction.len() as u64;
        transaction.commit().await?;
        db.close().await?;

        if self.json {
            let mut out = Out::raw();
            out.json(&json!({ "deleted": deleted, "missing": missing.len() }))?;
            return Ok(out.flush()?);
        }
        for key in missing {
            output::note(format_args!("{}/{} doesn't exist", self.collection, keys::to_text(key)));
        }
        let mut out = Out::styled();
        writeln!(out, "deleted {}", count(deleted, "record"))?;
        Ok(out.flush()?)
    }
}
