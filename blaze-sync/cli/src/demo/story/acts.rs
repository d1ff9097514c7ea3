//! What the two apps are made to do, and what is measured of it.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail};
use blaze_sync::record;

use super::Demo;
use crate::demo::child::App;
use crate::demo::figures::{human, per_second, quantile, thousands};
use crate::demo::narrator::progress;
use crate::demo::wire::{Command, ConflictLine, Reply};

/// Edits that the second app makes while the first imports.
const EDITS: u64 = 300;
/// Commits of which each is timed until it is visible in the other app.
const PROBES: u64 = 500;
/// Edits that the first app makes around the crash of the second.
const STREAM: u64 = 2_000;
/// After so many of them have arrived, the second app is killed.
const KILLED_AFTER: u64 = 500;
/// Times that both apps write one field at once.
const DUELS: u64 = 20;

impl Demo {
    /// One app imports while the other edits; then both wait until they are equal.
    pub(super) async fn import(&mut self, office: &mut App, field: &mut App) -> Result<()> {
        self.narrator.title("Office imports rows while field edits notes");
        let input = self.args.input.clone().map(std::path::absolute).transpose()?;
        let bar = progress("rows imported");
        let started = Instant::now();
        let import = Command::Import { collection: "rows".into(), input };
        office.tell(&import).await?;
        let imported = office.done(|rows| bar.set_position(rows));
        let edited = field.commit(Command::Edit {
            collection: "notes".into(),
            author: "field".into(),
            count: EDITS,
        });
        let (imported, edited) = tokio::try_join!(imported, edited)?;
        bar.finish_and_clear();
        let Reply::Committed { count: rows, took } = imported else {
            bail!("office answered {imported:?}")
        };
        settle(office, field).await?;
        self.rows = count(office, "rows").await?;
        let operations = rows + edited.0;
        let rate = per_second(operations, started.elapsed());
        self.narrator.tell(&format!(
            "{} rows imported by office in {}, {} edits by field meanwhile",
            rows,
            human(took),
            edited.0
        ));
        self.narrator.tell(&format!(
            "both have everything after {}: {} operations a second, merged and durable ({})",
            human(started.elapsed()),
            thousands(rate),
            self.args.durability
        ));
        self.figures.rows_imported = rows;
        self.figures.import_seconds = took.as_secs_f64();
        self.figures.operations_while_importing = operations;
        self.figures.operations_per_second = rate;
        Ok(())
    }

    /// One commit at a time, each timed until it is visible in the other app.
    pub(super) async fn measure(&mut self, office: &mut App, field: &mut App) -> Result<()> {
        self.narrator.title("How long until a commit in office is visible in field?");
        field.tell(&Command::MeasureProbes { count: PROBES }).await?;
        field.ready().await?;
        let (_, reply) =
            tokio::try_join!(office.commit(Command::Probe { count: PROBES }), field.done(|_| ()))?;
        let Reply::Latencies(mut latencies) = reply else { bail!("field answered {reply:?}") };
        latencies.sort_unstable();
        let (p50, p99) = (quantile(&latencies, 500), quantile(&latencies, 990));
        self.narrator.tell(&format!(
            "median {}, 99th percentile {}, of {} commits, one in flight",
            human(p50),
            human(p99),
            latencies.len()
        ));
        self.figures.latency_p50_us = p50.as_secs_f64() * 1e6;
        self.figures.latency_p99_us = p99.as_secs_f64() * 1e6;
        self.figures.latency_samples = latencies.len();
        Ok(())
    }

    /// Both write one field of one record at once.
    pub(super) async fn duel(&mut self, office: &mut App, field: &mut App) -> Result<()> {
        self.narrator.title("Both edit the same record at the same time");
        for round in 0..DUELS {
            let edit = |who: &str| retitle(&format!("title {round} by {who}"));
            tokio::try_join!(office.ask(edit("office")), field.ask(edit("field")))?;
        }
        settle(office, field).await?;
        let conflicts = conflicts(office, field).await?;
        self.narrator.tell(&format!(
            "{DUELS} rounds: {} reports of a write that lost to one its author had not heard of",
            conflicts.len()
        ));
        self.narrator.conflict(conflicts.first());
        self.figures.conflicts.extend(conflicts);
        Ok(())
    }

    /// Kills the second app in mid-stream, and starts it again.
    pub(super) async fn crash(&mut self, office: &mut App, mut field: App) -> Result<App> {
        self.narrator.title("Field is killed (SIGKILL) while office keeps writing");
        field
            .tell(&Command::AwaitChanges { collection: "stream".into(), count: KILLED_AFTER })
            .await?;
        field.ready().await?;
        office
            .tell(&Command::Edit {
                collection: "stream".into(),
                author: "office".into(),
                count: STREAM,
            })
            .await?;
        field.done(|_| ()).await?;
        let pid = field.pid();
        field.kill().await?;
        office.done(|_| ()).await?;
        let before = self.field.count("stream").await?;
        let written = count(office, "stream").await?;
        self.narrator.tell(&format!(
            "process {pid} was killed when {} of the {} records had arrived",
            thousands(before),
            thousands(written)
        ));

        // Both edit one record while they can't hear each other.
        let edit = |who: &str| retitle(&format!("written apart by {who}"));
        office.ask(edit("office")).await?;
        let reopened = Instant::now();
        let mut field = self.start("field", &self.field).await?;
        field.ask(edit("field")).await?;
        field.ask(self.connect()).await?;
        settle(office, &mut field).await?;
        let recovery = reopened.elapsed();
        self.narrator.tell(&format!(
            "started again: opened, reconnected and caught up in {}",
            human(recovery)
        ));
        let conflicts = conflicts(office, &mut field).await?;
        let apart = conflicts.iter().find(|line| line.won.starts_with("written apart"));
        if apart.is_none() {
            self.figures.differences.push("a conflict went unreported".to_owned());
        }
        self.narrator.conflict(apart);
        self.figures.conflicts.extend(apart.cloned());
        self.figures.crash_seen_before = before;
        self.figures.crash_written = written;
        self.figures.crash_recovery_ms = recovery.as_secs_f64() * 1e3;
        Ok(field)
    }
}

/// Gives the one note that both apps write another title.
fn retitle(title: &str) -> Command {
    let note = record! { "title" => title };
    Command::Write { collection: "notes".into(), records: vec![("shared".into(), Some(note))] }
}

/// How many records each collection has when all is done.
pub(super) const fn expected_records(rows: u64) -> [(&'static str, u64); 4] {
    [
        // The edits, but for those that delete, and the one that both fight for.
        ("notes", edited_records(EDITS) + 1),
        ("probes", PROBES),
        ("rows", rows),
        ("stream", edited_records(STREAM)),
    ]
}

/// How many records so many edits leave: three of four insert, one of twelve deletes.
const fn edited_records(edits: u64) -> u64 {
    edits - edits / 4 - edits / 12
}

/// How many records of a collection an app has.
async fn count(app: &mut App, collection: &str) -> Result<u64> {
    match app.ask(Command::Count { collection: collection.to_owned() }).await? {
        Reply::Count(count) => Ok(count),
        other => bail!("an app answered {other:?}"),
    }
}

/// Waits until each app has everything of the other.
async fn settle(a: &mut App, b: &mut App) -> Result<()> {
    tokio::try_join!(a.ask(Command::Settle), b.ask(Command::Settle))?;
    Ok(())
}

/// What both apps report, each conflict once.
async fn conflicts(a: &mut App, b: &mut App) -> Result<BTreeSet<ConflictLine>> {
    let mut all = BTreeSet::new();
    for app in [a, b] {
        if let Reply::Report { conflicts, .. } = app.ask(Command::Report).await? {
            all.extend(conflicts);
        }
    }
    Ok(all)
}
