//! What the demo does, from its first process to its verdict.

mod acts;

use std::io::Write as _;

use anyhow::{Context, Result, anyhow, bail};
use blaze_sync::{Endpoint, Mode};
use tokio::signal::unix::{SignalKind, signal};

use super::Args;
use super::child::App;
use super::compare::compare;
use super::figures::{Figures, thousands};
use super::narrator::Narrator;
use super::place::{Place, records};
use super::wire::Command;
use crate::output::Out;

/// The two apps and the way between them.
struct Demo {
    args: Args,
    narrator: Narrator,
    office: Place,
    field: Place,
    endpoint: String,
    figures: Figures,
    /// The imported rows that both must have in the end.
    rows: u64,
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
    let mut demo = Demo {
        narrator: Narrator { silent: args.json },
        office: Place::new(directory.path(), "office.blaze")?,
        field: Place::new(directory.path(), "field.blaze")?,
        endpoint: Endpoint::unix(directory.path().join("blaze.sock"))?.to_string(),
        figures: Figures { durability: args.durability.clone(), ..Figures::default() },
        rows: 0,
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
        demo.narrator.kept(&kept, &demo.figures.kept);
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
        self.narrator.title("Two apps, two encrypted databases, one Unix socket");
        let mut office = self.start("office", &self.office).await?;
        office.ask(Command::Listen { endpoint: self.endpoint.clone() }).await?;
        let mut field = self.start("field", &self.field).await?;
        field.ask(self.connect()).await?;
        field.ask(Command::AwaitLink).await?;
        self.narrator.tell(&format!(
            "office  process {}, listens, owns {}",
            office.pid(),
            self.office.file()
        ));
        self.narrator.tell(&format!(
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

    /// Closes both, and compares the files.
    async fn finish(&mut self, office: App, field: App) -> Result<()> {
        self.narrator.title("Are both databases equal?");
        tokio::try_join!(field.close(), office.close())?;
        let compared = compare(&self.office, &self.field).await?;
        self.figures.records_compared = compared.records;
        self.figures.differences.extend(compared.differences);
        for (name, expected) in acts::expected_records(self.rows) {
            let found = records(&compared.collections, name);
            if found != expected {
                let lost = format!("{name} has {found} records, not {expected}");
                self.figures.differences.push(lost);
            }
        }
        if self.figures.differences.is_empty() {
            let counts: Vec<_> = compared
                .collections
                .iter()
                .map(|info| format!("{} {}", thousands(info.records), info.name))
                .collect();
            self.narrator.tell(&format!(
                "yes: {} records compared one by one ({}), and none of what was written is missing",
                thousands(compared.records),
                counts.join(", ")
            ));
        }
        Ok(())
    }
}
