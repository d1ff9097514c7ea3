//! `blaze export`: writes the records of a collection to a file.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use blaze_sync::{Database, Name, Record, RecordKey};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::args::ReadArgs;
use crate::output::{self, Out, count};
use crate::progress::Progress;
use crate::rows::{CsvWriter, KEY_COLUMN, WriteFormat, write_jsonl};

/// Records that are read at once.
const PAGE: usize = 500;

/// Writes the records of a collection to a file, or to standard output
///
/// Only reads, so it works beside a process that has the database open. What is exported can be
/// imported again, and gives equal records with equal keys. A file that is there is replaced when
/// the export is complete, not before, and keeps its mode.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Formats:
  JSON Lines: one object a line, the key in _key.
  CSV: one column a field that any record has, the key in the column _key. A field that a record
  doesn't have is an empty cell. What isn't text or a number, and text that would be taken for
  something else, is written as JSON. The records are read twice, first to find the fields.

Examples:
  blaze export notes.blaze notes notes.jsonl
  blaze export notes.blaze notes notes.csv
  blaze export notes.blaze notes | jq -r .title    # JSON Lines on standard output
  blaze export notes.blaze notes --format csv | head")]
pub(crate) struct Args {
    #[command(flatten)]
    database: ReadArgs,

    /// The collection
    collection: Name,

    /// The file, or - for standard output
    #[arg(default_value = "-")]
    file: PathBuf,

    /// The format, where the file's extension doesn't tell; jsonl on standard output
    #[arg(long, value_enum)]
    format: Option<WriteFormat>,

    /// Where the key is written
    #[arg(long, value_name = "NAME", default_value = KEY_COLUMN)]
    key_column: String,

    /// Print a summary as a JSON object; needs a FILE
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let stdout = self.file == Path::new("-");
        if stdout && self.json {
            bail!("a summary and the records can't both go to standard output; name a file");
        }
        let asked = self.format.or(stdout.then_some(WriteFormat::Jsonl));
        let format = WriteFormat::of(&self.file, asked)?;
        Name::new(&self.key_column).context("--key-column")?;

        let db = self.database.open().await?;
        if stdout {
            let mut out = self.write(&db, format, Out::raw()).await?.1;
            out.flush()?;
            return Ok(db.close().await?);
        }
        let exported = self.write_file(&db, format).await;
        db.close().await?;
        self.summarise(exported?)
    }

    fn summarise(&self, exported: u64) -> Result<()> {
        if !self.json {
            let (records, file) = (count(exported, "record"), self.file.display());
            output::note(format_args!("{records} exported to {file}"));
            return Ok(());
        }
        let mut out = Out::raw();
        out.json(&json!({ "collection": self.collection, "exported": exported }))?;
        Ok(out.flush()?)
    }

    async fn write_file(&self, db: &Database, format: WriteFormat) -> Result<u64> {
        let path = &self.file;
        let failed = || format!("can't write {}", path.display());
        // A device or a pipe is written to, not replaced.
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            let file = std::fs::File::options().write(true).open(path).with_context(failed)?;
            let (exported, mut sink) = self.write(db, format, BufWriter::new(file)).await?;
            sink.flush().with_context(failed)?;
            return Ok(exported);
        }
        // What a link points to is replaced, not the link, and whoever could read it still can.
        let there = std::fs::canonicalize(path).ok();
        let path = there.as_ref().unwrap_or(path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(failed)?;
        let (exported, sink) = self.write(db, format, BufWriter::new(file)).await?;
        let file =
            sink.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(failed)?;
        if there.is_some() {
            let permissions = std::fs::metadata(path).with_context(failed)?.permissions();
            file.as_file().set_permissions(permissions).with_context(failed)?;
        }
        file.as_file().sync_all().with_context(failed)?;
        file.persist(path).with_context(failed)?;
        Ok(exported)
    }

    async fn write<W: Write>(
        &self,
        db: &Database,
        format: WriteFormat,
        mut sink: W,
    ) -> Result<(u64, W)> {
        let key_column = &self.key_column;
        let mut exported = 0;
        match format {
            WriteFormat::Jsonl => {
                self.records(db, |key, record| {
                    exported += 1;
                    write_jsonl(&mut sink, key_column, key, record)
                })
                .await?;
                Ok((exported, sink))
            }
            WriteFormat::Csv => {
                let mut fields = BTreeSet::new();
                self.records(db, |_, record| {
                    fields.extend(record.into_iter().map(|(name, _)| name));
                    Ok(())
                })
                .await?;
                let mut writer = CsvWriter::new(sink, key_column, fields)?;
                self.records(db, |key, record| {
                    exported += 1;
                    writer.write(key, &record)
                })
                .await?;
                Ok((exported, writer.finish()?))
            }
        }
    }

    async fn records(
        &self,
        db: &Database,
        mut each: impl FnMut(&RecordKey, Record) -> Result<()>,
    ) -> Result<()> {
        let collection = db.collection(&self.collection);
        let mut progress = Progress::new(None);
        let mut read = 0;
        let mut after: Option<RecordKey> = None;
        loop {
            let page = collection.list(after.as_ref(), PAGE).await?;
            let last = page.len() < PAGE;
            for (key, record) in page {
                each(&key, record)?;
                after = Some(key);
                read += 1;
            }
            progress.update(read, format!("{read} records"));
            if last {
                return Ok(());
            }
        }
    }
}
