//! `blaze watch`: prints changes as they are committed.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use blaze_sync::{ChangeSet, ChangesLimit, Database, Name, RecordKey, RecordState, Seq};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::signals::Signals;
use crate::args::ReadArgs;
use crate::keys;
use crate::output::{self, BAD, NAME, Out, printable, printable_json};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// One commit at a time, so that each line has the number of its own.
const LIMIT: ChangesLimit = ChangesLimit { records: 1, bytes: usize::MAX };

/// Prints changes as they are committed, until it is interrupted
///
/// Only reads, so it works beside the process that writes, whichever that is: it looks at the file
/// ten times a second. Each line has the number of the commit (its seq) and the record as it was
/// after it, or that it was deleted. A record that changed several times between two looks is
/// printed once, in its latest state. Fields that were removed are just not there.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze watch notes.blaze
  blaze watch notes.blaze notes --json | jq -r .record.title
  blaze watch notes.blaze --since 0                # everything there is, then what comes
  blaze watch notes.blaze --since 1200             # goes on after the last line seen")]
pub(crate) struct Args {
    #[command(flatten)]
    database: ReadArgs,

    /// The collection; without it, all of them
    collection: Option<Name>,

    /// Begin after this seq instead of now; 0 begins with everything there is
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,

    /// Print a JSON object a line: {"event", "seq", "collection", "key", "record"}
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let db = self.database.open().await?;
        let mut signals = Signals::new()?;
        let mut out = if self.json { Out::raw() } else { Out::styled() };
        let seen = self.since.map_or_else(|| db.head(), Seq);
        if self.json {
            out.json(&json!({ "event": "watching", "since": seen.0 }))?;
            out.flush()?;
        } else {
            output::note(format_args!("watching for changes after seq {seen}; ctrl-C ends it"));
        }
        tokio::select! {
            result = self.follow(&db, seen, &mut out) => result?,
            () = signals.next() => {}
        }
        Ok(db.close().await?)
    }

    async fn follow(&self, db: &Database, mut seen: Seq, out: &mut Out) -> Result<()> {
        let mut looks = tokio::time::interval(PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            loop {
                let changes = db.adapter().changes(seen, LIMIT).await?;
                let more = changes.more;
                seen = changes.through;
                self.print(changes, out)?;
                if !more {
                    break;
                }
            }
            out.flush()?;
        }
    }

    fn print(&self, changes: ChangeSet, out: &mut Out) -> Result<()> {
        let mut records: BTreeMap<(Name, RecordKey), RecordState> = BTreeMap::new();
        for operation in changes.operations {
            if self.collection.as_ref().is_some_and(|only| *only != operation.collection) {
                continue;
            }
            let record = (operation.collection.clone(), operation.key.clone());
            records.entry(record).or_default().merge(&operation, &mut Vec::new());
        }
        let seq = changes.through;
        for ((collection, key), state) in records {
            let (key, record) = (keys::to_text(&key), state.record());
            if self.json {
                out.json(&json!({
                    "event": "change", "seq": seq.0, "collection": collection, "key": key,
                    "record": record,
                }))?;
                continue;
            }
            let place = printable(format_args!("{collection}/{key}"));
            match record {
                Some(record) => {
                    let record = printable_json(&serde_json::to_string(&record)?);
                    writeln!(out, "{seq}\t{NAME}{place}{NAME:#}\t{record}")?;
                }
                None => writeln!(out, "{seq}\t{NAME}{place}{NAME:#}\t{BAD}deleted{BAD:#}")?,
            }
        }
        Ok(())
    }
}
