//! `blaze import`: puts the rows of a file into a collection.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use blaze_sync::{Database, Name, RecordKey};
use serde_json::json;

use crate::args::CreateArgs;
use crate::output::{Out, count};
use crate::progress::Progress;
use crate::rows::{Format, KEY_COLUMN, KeySource, ReadOptions, Reader};

/// Rows of one transaction.
const BATCH_ROWS: usize = 1000;
/// Bytes of input after which a transaction is committed in any case.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// Puts the rows of a file into a collection
///
/// The database is made if there is none. Rows are committed 1,000 at a time, in their order. A
/// row that can't be read ends the import with its line number; the rows before it are kept, and
/// it says how many. Importing the file again is safe where rows have keys: a row that is there
/// already changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Formats:
  JSON Lines (.jsonl, .ndjson): one JSON object a line.
  CSV (.csv): the first row names the fields. A cell that is a number, true, false, null, or JSON
  in quotes, brackets or braces is that value; every other cell is text. Numbers such as 007 stay
  text. An empty cell leaves the field out. --text keeps every cell as the text that it is.

Keys:
  The column _key, which export writes, is the key and no field of the record. --key FIELD takes
  the key from a field that stays in the record. Rows without a key get a new UUID each.

Examples:
  blaze import shop.blaze articles articles.csv --key sku
  blaze import notes.blaze notes notes.jsonl
  curl -s https://example.org/feed.jsonl | blaze import news.blaze feed - --format jsonl --key id
  blaze import copy.blaze notes exported.csv --json")]
pub(crate) struct Args {
    #[command(flatten)]
    database: CreateArgs,

    /// The collection
    collection: Name,

    /// The file, or - for standard input
    file: PathBuf,

    /// The format, where the file's extension doesn't tell
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Take the keys from this field, which stays in the record
    #[arg(long, value_name = "FIELD", conflicts_with = "key_column")]
    key: Option<String>,

    /// Take the keys from this column, which is left out of the record
    #[arg(long, value_name = "NAME", default_value = KEY_COLUMN)]
    key_column: String,

    /// Keep every cell of a CSV file as text
    #[arg(long)]
    text: bool,

    /// Print a summary as a JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let started = Instant::now();
        // Opened first: a mistaken name should not leave an empty database behind.
        let rows = self.reader()?;
        let db = self.database.open().await?;
        let mut imported = 0;
        let result = self.import(&db, rows, &mut imported).await;
        let closed = db.close().await;
        let summary = format!("{} imported into {}", count(imported, "row"), self.collection);
        result.with_context(|| format!("the import ended early, {summary}"))?;
        closed.with_context(|| summary.clone())?;

        let took = started.elapsed();
        if self.json {
            let mut out = Out::raw();
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            out.json(&json!({
                "collection": self.collection, "imported": imported, "milliseconds": milliseconds,
            }))?;
            return Ok(out.flush()?);
        }
        let mut out = Out::styled();
        writeln!(out, "{summary} in {:.1} s", took.as_secs_f64())?;
        Ok(out.flush()?)
    }

    fn reader(&self) -> Result<Reader> {
        let format = Format::of(&self.file, self.format)?;
        let keys = match &self.key {
            Some(field) => KeySource::Field(field.clone()),
            None => KeySource::Column(self.key_column.clone()),
        };
        let options = ReadOptions { keys, text: self.text };
        if self.file == Path::new("-") {
            return Ok(Reader::stdin(format, options));
        }
        Ok(Reader::open_with(&self.file, format, options)?)
    }

    /// Commits the rows in batches, and adds to `imported` what is committed.
    async fn import(&self, db: &Database, mut rows: Reader, imported: &mut u64) -> Result<()> {
        let mut progress = Progress::new(rows.bytes_total());
        loop {
            let begin = rows.bytes_read();
            let mut transaction = db.transaction();
            let mut end = None;
            while transaction.len() < BATCH_ROWS && rows.bytes_read() - begin < BATCH_BYTES {
                match rows.next() {
                    Some(Ok((key, record))) => {
                        let key = key.unwrap_or_else(RecordKey::unique);
                        transaction = transaction.put(&self.collection, key, record)?;
                    }
                    None => {
                        end = Some(Ok(()));
                        break;
                    }
                    Some(Err(error)) => {
                        end = Some(Err(anyhow!(error)));
                        break;
                    }
                }
            }
            let count = transaction.len() as u64;
            if count > 0 {
                let committed = transaction.commit().await;
                committed.map_err(|error| self.database.write.explain(error))?;
            }
            *imported += count;
            progress.update(rows.bytes_read(), format!("{imported} rows"));
            if let Some(end) = end {
                return end;
            }
        }
    }
}
