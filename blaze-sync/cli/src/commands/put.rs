//! `blaze put`: inserts or replaces a record, or changes some of its fields.

use std::io::{Read, Write, stdin};

use anyhow::{Context, Result, anyhow, bail};
use blaze_sync::{Name, Record, RecordKey};
use serde_json::json;

use crate::args::CreateArgs;
use crate::output::Out;
use crate::{keys, rows};

/// Inserts a record, or replaces the one under its key
///
/// The database is made if there is none. Without a key, the record gets a new UUID, which is
/// printed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Values:
  What is JSON is that value: 3, 1.5, true, null, [1, 2], {\"a\": 1}. Everything else is text.
  Quotes make text of anything: zip='\"01234\"'. Bytes, UUIDs and times are written as
  {\"$hex\": \"00ff\"}, {\"$uuid\": \"…\"} and {\"$timestamp\": 1700000000000} (ms since 1970).

Keys:
  A UUID, an integer, or any other text. '\"42\"' is the text 42. A key that looks like data
  (it has a = or is -) is given with --key.

Examples:
  blaze put notes.blaze notes hello title='Hello, world' stars=3
  blaze put notes.blaze notes '{\"title\": \"no key, so it gets a UUID\"}'
  blaze put notes.blaze notes hello --update stars=4       # leaves the title
  jq -n '{title: \"piped\"}' | blaze put notes.blaze notes piped -
  blaze put secret.blaze notes hello title=x --encrypt      # asks for a new password")]
pub(crate) struct Args {
    #[command(flatten)]
    database: CreateArgs,

    /// The collection
    collection: Name,

    /// KEY, if it has one, and then field=value…, a JSON object, or - to read one from standard input
    #[arg(value_name = "KEY|DATA", required = true, allow_negative_numbers = true)]
    rest: Vec<String>,

    /// The key, where it could be taken for data
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,

    /// Only set these fields, and leave the others as they are
    #[arg(long)]
    update: bool,

    /// Print the key and the commit's number as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let (key, data) = split(self.key.as_deref(), &self.rest);
        let record = record_of(data)?;
        if self.update && key.is_none() {
            bail!("an update needs the key of the record that it changes");
        }
        let generated = key.is_none();
        let key = key
            .map_or_else(|| Ok(RecordKey::unique()), keys::parse)
            .map_err(|problem| anyhow!("this is no key: {problem}"))?;

        // There is nothing to update in a database that isn't there.
        let db = if self.update {
            self.database.write.open().await?
        } else {
            self.database.open().await?
        };
        let transaction = db.transaction();
        let transaction = if self.update {
            transaction.update(&self.collection, &key, record)?
        } else {
            transaction.put(&self.collection, &key, record)?
        };
        let committed = transaction.commit().await;
        db.close().await?;
        let seq = committed.map_err(|error| self.database.write.explain(error))?;

        let key = keys::to_text(&key);
        let mut out = Out::raw();
        if self.json {
            out.json(&json!({ "collection": self.collection, "key": key, "seq": seq.0 }))?;
        } else if generated {
            writeln!(out, "{key}")?;
        }
        Ok(out.flush()?)
    }
}

/// Tells the key from the data.
fn split<'a>(key: Option<&'a str>, rest: &'a [String]) -> (Option<&'a str>, &'a [String]) {
    let Some((first, others)) = rest.split_first().filter(|_| key.is_none()) else {
        return (key, rest);
    };
    let object_alone = first.starts_with('{') && others.is_empty();
    let data = object_alone || first == "-" || first.contains('=') && !first.starts_with('{');
    if data { (None, rest) } else { (Some(first), others) }
}

fn record_of(data: &[String]) -> Result<Record> {
    match data {
        [] => bail!(
            "there is no data; write field=value…, a JSON object, or - to read one from standard input"
        ),
        [dash] if dash == "-" => {
            let mut text = Vec::new();
            stdin().read_to_end(&mut text).context("can't read standard input")?;
            object(&text).context("standard input")
        }
        [text] if text.trim_start().starts_with('{') => object(text.as_bytes()),
        fields => {
            let mut record = Record::new();
            for text in fields {
                let Some((field, value)) = text.split_once('=') else {
                    bail!("{text:?} is no field=value; write a text with spaces in quotes");
                };
                if record.set(field, rows::infer(value))?.is_some() {
                    bail!("the field {field:?} is given twice");
                }
            }
            Ok(record)
        }
    }
}

fn object(text: &[u8]) -> Result<Record> {
    rows::parse_record(text).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_words(words: &[String]) -> (Option<&str>, usize) {
        let (key, data) = split(None, words);
        (key, data.len())
    }

    #[test]
    fn a_key_is_told_from_data() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(split_words(&words(&["k", "a=1", "b=2"])), (Some("k"), 2));
        assert_eq!(split_words(&words(&["a=1", "b=2"])), (None, 2));
        assert_eq!(split_words(&words(&["{\"a\": \"=\"}"])), (None, 1));
        assert_eq!(
            split_words(&words(&["{\"$hex\": \"00\"}", "a=1"])),
            (Some("{\"$hex\": \"00\"}"), 1)
        );
        assert_eq!(split_words(&words(&["-"])), (None, 1));
        assert_eq!(split_words(&words(&["k", "-"])), (Some("k"), 1));
        assert_eq!(split(Some("a=b"), &words(&["c=1"])), (Some("a=b"), &words(&["c=1"])[..]));
    }
}
