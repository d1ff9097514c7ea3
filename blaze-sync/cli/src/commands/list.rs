//! `blaze list`: prints collections, or the records of one.

use std::io::Write;

use anyhow::Result;
use blaze_sync::{Database, Name, Record, RecordKey};
use serde_json::json;

use crate::args::ReadArgs;
use crate::keys;
use crate::output::{NAME, Out, count, printable, printable_json};

/// Records that are read at once.
const PAGE: usize = 500;

/// Prints the collections, or the records of one
///
/// Only reads, so it works beside a process that has the database open. Records come in the order
/// of their keys: UUIDs, which are in the order of their making, then integers, then texts.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze list notes.blaze                           # collections, and how many records each has
  blaze list notes.blaze notes
  blaze list notes.blaze notes --limit 10 --keys-only
  blaze list notes.blaze notes --json | jq -r .record.title")]
pub(crate) struct Args {
    #[command(flatten)]
    database: ReadArgs,

    /// The collection; without it, the collections are listed
    collection: Option<Name>,

    /// Print at most so many records
    #[arg(long, value_name = "COUNT", requires = "collection")]
    limit: Option<usize>,

    /// Print the keys without the records, each on one line, as the other commands take them
    #[arg(long, requires = "collection")]
    keys_only: bool,

    /// Print a JSON object a line: {"key", "record"}, or {"collection", "records"}
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let db = self.database.open().await?;
        let mut out = if self.json { Out::raw() } else { Out::styled() };
        match &self.collection {
            Some(collection) => self.records(&db, collection, &mut out).await?,
            None => self.collections(&db, &mut out).await?,
        }
        out.flush()?;
        Ok(db.close().await?)
    }

    async fn collections(&self, db: &Database, out: &mut Out) -> Result<()> {
        for info in db.collections().await? {
            if self.json {
                out.json(&json!({ "collection": info.name, "records": info.records }))?;
                continue;
            }
            let (name, records) = (printable(&info.name), count(info.records, "record"));
            writeln!(out, "{NAME}{name}{NAME:#}\t{records}")?;
        }
        Ok(())
    }

    async fn records(&self, db: &Database, collection: &str, out: &mut Out) -> Result<()> {
        let collection = db.collection(collection);
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut after: Option<RecordKey> = None;
        loop {
            let wanted = PAGE.min(left);
            let page = collection.list(after.as_ref(), wanted).await?;
            for (key, record) in &page {
                self.record(key, record, out)?;
            }
            left -= page.len();
            if page.len() < wanted || left == 0 {
                return Ok(());
            }
            after = page.into_iter().next_back().map(|(key, _)| key);
        }
    }

    fn record(&self, key: &RecordKey, record: &Record, out: &mut Out) -> Result<()> {
        let key = keys::to_text(key);
        match (self.json, self.keys_only) {
            (true, true) => out.json(&json!({ "key": key }))?,
            (true, false) => out.json(&json!({ "key": key, "record": record }))?,
            (false, true) => writeln!(out, "{NAME}{key}{NAME:#}")?,
            (false, false) => {
                let record = printable_json(&serde_json::to_string(record)?);
                writeln!(out, "{NAME}{key}{NAME:#}\t{record}")?;
            }
        }
        Ok(())
    }
}
