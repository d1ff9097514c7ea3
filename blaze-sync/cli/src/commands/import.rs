//! `blaze import`: puts the rows of a file into a collection.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use blaze_sync::{Database, Name};
use serde_json::json;

use crate::args::CreateArgs;
use crate::batch::{BatchError, put_rows};
use crate::output::{Out, count};
use crate::progress::Progress;
use crate::rows::{Format, KEY_COLUMN, KeySource, ReadOptions, Reader};

/// Puts the rows of a file into a collection
///
/// The database is made if there is none. Rows are committed 1,000 at a time, in their order. A
/// row that can't be read ends the import with its line number, or with its byte in what BlazeDB
/// writes; the rows before it are kept, and it says how many. Importing the file again is safe where rows have keys: a row that is there
/// already changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Formats:
  JSON Lines (.jsonl, .ndjson): one JSON object a line.
  CSV (.csv): the first row names the fields. A cell that is a number, true, false, null, or JSON
  in quotes, brackets or braces is that value; every other cell is text. Numbers such as 007 and
  1.10, which would not be written the same way again, stay text. An empty cell leaves the field out. --text keeps every cell as the text that it is.
  BlazeDB (--format blazedb): a record, a counted sequence of records, or the JSON export of BlazeDB
  for Swift; the first bytes tell which. A damaged record is found by its checksum, if it has one;
  dates become timestamps, to the nearest millisecond. JSON doesn't tell a date, a UUID or data from
  a text or a number, nor 2.0 from 2: there, each value is what it is written as.

Keys:
  The column _key, which export writes, is the key and no field of the record. --key FIELD takes
  the key from a field that stays in the record. In _key and in CSV the text 42 means the integer,
  as on the command line; with --key, JSON Lines tell \"42\" from 42. Rows without a
  key get a new UUID each. BlazeDB's first look at the field id, which is the key if it is a UUID;
  in this format a text of the 36 characters of a UUID makes the same key as the UUID.

Examples:
  blaze import shop.blaze articles articles.csv --key sku
  blaze import notes.blaze notes notes.jsonl
  curl -s https://example.org/feed.jsonl | blaze import news.blaze feed - --format jsonl --key id
  blaze import copy.blaze notes exported.csv --json
  blaze import notes.blaze notes backup.json --format blazedb")]
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
        let before = self.records(&db).await?;
        let result = self.import(&db, rows, &mut imported).await;
        let after = self.records(&db).await;
        let closed = db.close().await;
        let summary = format!("{} imported into {}", count(imported, "row"), self.collection);
        result.with_context(|| format!("the import ended early, {summary}"))?;
        closed.with_context(|| summary.clone())?;
        // Nobody else wrote meanwhile: a row that added no record had the key of another one.
        let added = after?.saturating_sub(before);

        let took = started.elapsed();
        if self.json {
            let mut out = Out::raw();
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            out.json(&json!({
                "collection": self.collection, "imported": imported, "added": added,
                "milliseconds": milliseconds,
            }))?;
            return Ok(out.flush()?);
        }
        let mut out = Out::styled();
        let again = match imported.saturating_sub(added) {
            0 => String::new(),
            again => format!("; {} had a key that was there already", count(again, "row")),
        };
        writeln!(out, "{summary} in {:.1} s{again}", took.as_secs_f64())?;
        Ok(out.flush()?)
    }

    async fn records(&self, db: &Database) -> Result<u64> {
        let collections = db.collections().await?;
        let found = collections.iter().find(|info| info.name == self.collection);
        Ok(found.map_or(0, |info| info.records))
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

    /// Commits the rows in batches, and counts in `imported` what is committed.
    async fn import(&self, db: &Database, mut rows: Reader, imported: &mut u64) -> Result<()> {
        let mut progress = Progress::new(rows.bytes_total());
        let put = put_rows(db, &self.collection, &mut rows, |count, bytes| {
            *imported = count;
            progress.update(bytes, format!("{count} rows"));
        });
        put.await.map_err(|error| match error {
            BatchError::Commit(error) => self.database.write.explain(error),
            BatchError::Row(error) => error.into(),
        })
    }
}
