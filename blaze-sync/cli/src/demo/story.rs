//! What the demo does, and how it tells it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use blaze_sync::{Database, Endpoint, Mode, record};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::Args;
use super::child::App;
use super::compare::{Comparison, compare};
use super::figures::{human, per_second, quantile, thousands};
use super::wire::{Command, ConflictLine, Reply};
use crate::output::Out;

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

/// What was measured.
#[derive(Default, Serialize)]
struct Figures {
    durability: String,
    rows_imported: u64,
    import_seconds: f64,
    operations_while_importing: u64,
    operations_per_second: u64,
    latency_p50_us: f64,
    latency_p99_us: f64,
    latency_samples: usize,
    crash_seen_before: u64,
    crash_written: u64,
    crash_recovery_ms: f64,
    conflicts: Vec<ConflictLine>,
    records_compared: u64,
    differences: Vec<String>,
    /// The databases, if they were to be kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<Place>,
}

/// Where an app's database is, and its password.
#[derive(Clone, Serialize)]
struct Place {
    path: PathBuf,
    password: String,
}

/// What must be in both databases in the end.
#[derive(Default)]
struct Expected {
    rows: u64,
    stream: u64,
}

/// The two apps and the way between them.
struct Demo {
    args: Args,
    office: Place,
    field: Place,
    endpoint: String,
    expected: Expected,
    figures: Figures,
}

/// Runs the demo and tells it; fails if the databases differ in the end.
pub(super) async fn run(args: Args) -> Result<()> {
    if let Some(input) = &args.input {
        // Said here, in one line, rather than by a child process later.
        std::fs::File::open(input).with_context(|| format!("can't read {}", input.display()))?;
    }
    let directory = tempfile::Builder::new()
        .prefix("blaze-demo-")
        .tempdir()
        .context("can't make a temporary directory")?;
    let place = |name: &str| -> Result<Place> {
        Ok(Place { path: directory.path().join(name), password: random_password()? })
    };
    let mut demo = Demo {
        office: place("office.blaze")?,
        field: place("field.blaze")?,
        endpoint: Endpoint::unix(directory.path().join("blaze.sock"))?.to_string(),
        expected: Expected::default(),
        figures: Figures { durability: args.durability.clone(), ..Figures::default() },
        args,
    };
    // So that the directory goes with the demo, however it ends.
    let mut terminated = signal(SignalKind::terminate())?;
    let result = tokio::select! {
        result = demo.play() => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow!("terminated")),
    };
    if demo.args.keep {
        let kept = directory.keep();
        demo.figures.kept = vec![demo.office.clone(), demo.field.clone()];
        demo.tell_where(&kept);
    }
    result?;
    if demo.args.json {
        let mut out = Out::raw();
        out.json(&demo.figures)?;
        out.flush()?;
    }
    if !demo.figures.differences.is_empty() {
        bail!("not as it should be:\n  {}", demo.figures.differences.join("\n  "));
    }
    Ok(())
}

impl Demo {
    async fn play(&mut self) -> Result<()> {
        self.title("Two apps, two encrypted databases, one Unix socket");
        let mut office = self.start("office", &self.office).await?;
        office.ask(Command::Listen { endpoint: self.endpoint.clone() }).await?;
        let mut field = self.start("field", &self.field).await?;
        field.ask(self.connect()).await?;
        field.ask(Command::AwaitLink).await?;
        self.tell(&format!(
            "office  process {}, listens, owns {}",
            office.pid(),
            self.office.file()
        ));
        self.tell(&format!(
            "field   process {}, connects, owns {}",
            field.pid(),
            self.field.file()
        ));

        self.import(&mut office, &mut field).await?;
        self.measure(&mut office, &mut field).await?;
        self.duel(&mut office, &mut field).await?;
        let field = self.crash(&mut office, field).await?;
        self.finish(office, field).await
    }

    async fn start(&self, name: &'static str, place: &Place) -> Result<App> {
        let mut app = App::start(name)?;
        app.ask(Command::Open {
            path: place.path.clone(),
            password: place.password.clone(),
            durability: self.args.durability.clone(),
            name: name.to_owned(),
        })
        .await?;
        Ok(app)
    }

    fn connect(&self) -> Command {
        Command::Connect { endpoint: self.endpoint.clone(), mode: Mode::Bidirectional }
    }

    /// One app imports while the other edits; then both wait until they are equal.
    async fn import(&mut self, office: &mut App, field: &mut App) -> Result<()> {
        self.title("Office imports rows while field edits notes");
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
        tokio::try_join!(office.ask(Command::Settle), field.ask(Command::Settle))?;
        self.expected.rows = count(office, "rows").await?;
        let operations = rows + edited.0;
        let rate = per_second(operations, started.elapsed());
        self.tell(&format!(
            "{} rows imported by office in {}, {} edits by field meanwhile",
            rows,
            human(took),
            edited.0
        ));
        self.tell(&format!(
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
    async fn measure(&mut self, office: &mut App, field: &mut App) -> Result<()> {
        self.title("How long until a commit in office is visible in field?");
        field.tell(&Command::MeasureProbes { count: PROBES }).await?;
        field.ready().await?;
        let (_, reply) =
            tokio::try_join!(office.commit(Command::Probe { count: PROBES }), field.done(|_| ()))?;
        let Reply::Latencies(mut latencies) = reply else { bail!("field answered {reply:?}") };
        latencies.sort_unstable();
        let (p50, p99) = (quantile(&latencies, 500), quantile(&latencies, 990));
        self.tell(&format!(
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
    async fn duel(&mut self, office: &mut App, field: &mut App) -> Result<()> {
        self.title("Both edit the same record at the same time");
        for round in 0..DUELS {
            let edit = |who: &str| retitle(&format!("title {round} by {who}"));
            tokio::try_join!(office.ask(edit("office")), field.ask(edit("field")))?;
        }
        tokio::try_join!(office.ask(Command::Settle), field.ask(Command::Settle))?;
        let conflicts = conflicts(office, field).await?;
        self.tell(&format!(
            "{DUELS} rounds: {} reports of a write that lost to one its author had not heard of",
            conflicts.len()
        ));
        self.tell_conflict(conflicts.first());
        self.figures.conflicts.extend(conflicts);
        Ok(())
    }

    /// Kills the second app in mid-stream, and starts it again.
    async fn crash(&mut self, office: &mut App, mut field: App) -> Result<App> {
        self.title("Field is killed (SIGKILL) while office keeps writing");
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
        let before = count_in(&self.field, "stream").await?;
        self.expected.stream = count(office, "stream").await?;
        self.tell(&format!(
            "process {pid} was killed when {} of the {} records had arrived",
            thousands(before),
            thousands(self.expected.stream)
        ));

        // Both edit one record while they can't hear each other.
        let edit = |who: &str| retitle(&format!("written apart by {who}"));
        office.ask(edit("office")).await?;
        let reopened = Instant::now();
        let mut field = self.start("field", &self.field).await?;
        field.ask(edit("field")).await?;
        field.ask(self.connect()).await?;
        tokio::try_join!(office.ask(Command::Settle), field.ask(Command::Settle))?;
        let recovery = reopened.elapsed();
        self.tell(&format!(
            "started again: opened, reconnected and caught up in {}",
            human(recovery)
        ));
        let conflicts = conflicts(office, &mut field).await?;
        let apart = conflicts.iter().find(|line| line.won.starts_with("written apart"));
        if apart.is_none() {
            self.figures.differences.push("a conflict went unreported".to_owned());
        }
        self.tell_conflict(apart);
        self.figures.conflicts.extend(apart.cloned());
        self.figures.crash_seen_before = before;
        self.figures.crash_written = self.expected.stream;
        self.figures.crash_recovery_ms = recovery.as_secs_f64() * 1e3;
        Ok(field)
    }

    /// Closes both, and compares the files.
    async fn finish(&mut self, office: App, field: App) -> Result<()> {
        self.title("Are both databases equal?");
        tokio::try_join!(field.close(), office.close())?;
        let office = (self.office.path.as_path(), self.office.password.as_str());
        let field = (self.field.path.as_path(), self.field.password.as_str());
        let Comparison { collections, records, differences } = compare(office, field).await?;
        self.figures.records_compared = records;
        self.figures.differences.extend(differences);
        let expected = [
            // The edits, but for those that delete, and the one that both fight for.
            ("notes", edited_records(EDITS) + 1),
            ("probes", PROBES),
            ("rows", self.expected.rows),
            ("stream", edited_records(STREAM)),
        ];
        for (name, expected) in expected {
            let found = collections.iter().find(|info| info.name == name);
            let found = found.map_or(0, |info| info.records);
            if found != expected {
                let lost = format!("{name} has {found} records, not {expected}");
                self.figures.differences.push(lost);
            }
        }
        if self.figures.differences.is_empty() {
            let counts: Vec<_> = collections
                .iter()
                .map(|info| format!("{} {}", thousands(info.records), info.name))
                .collect();
            self.tell(&format!(
                "yes: {} records compared one by one ({}), and none of what was written is missing",
                thousands(records),
                counts.join(", ")
            ));
        }
        Ok(())
    }

    fn title(&self, text: &str) {
        if !self.args.json {
            let bold = anstyle::Style::new().bold();
            anstream::println!("\n{bold}{text}{bold:#}");
        }
    }

    fn tell(&self, text: &str) {
        if !self.args.json {
            anstream::println!("  {text}");
        }
    }

    fn tell_conflict(&self, conflict: Option<&ConflictLine>) {
        if let Some(ConflictLine { record, field, won, lost, .. }) = conflict {
            self.tell(&format!("{record}, {field}: {won:?} won over {lost:?}"));
        }
    }

    fn tell_where(&self, directory: &Path) {
        if self.args.json {
            return;
        }
        self.title(&format!("The databases are kept in {}", directory.display()));
        for place in [&self.office, &self.field] {
            self.tell(&format!(
                "BLAZE_PASSWORD={} blaze list {}",
                place.password,
                place.path.display()
            ));
        }
    }
}

impl Place {
    fn file(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Gives the one note that both apps write another title.
fn retitle(title: &str) -> Command {
    let note = record! { "title" => title };
    Command::Write { collection: "notes".into(), records: vec![("shared".into(), Some(note))] }
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

/// How many records of a collection a database has that no app has open.
async fn count_in(place: &Place, collection: &str) -> Result<u64> {
    let db = Database::open(&place.path).password(&place.password).read_only(true).await?;
    let collections = db.collections().await?;
    db.close().await?;
    let found = collections.iter().find(|info| info.name == collection);
    Ok(found.map_or(0, |info| info.records))
}

/// A counter that is shown on a terminal only.
fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {human_pos} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.with_message(what)
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

fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
