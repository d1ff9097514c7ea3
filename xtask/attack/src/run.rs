//! A run: each attack in turn, with what it cost the hub and its honest peers.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blaze_sync::{Database, Record, Value};

use crate::PATIENCE;
use crate::args::Args;
use crate::attacks::{self, Attack, BESIDE_KIB, Field, Outcome, Over, Skipped};
use crate::honest::{HONEST, Honest, digest};
use crate::hub::Hub;
use crate::process::{Descriptors, Memory};
use crate::report::{Cost, Report, Row, Visible};
use crate::wire::Target;

/// What an honest commit may take until the other peer sees it: one that takes longer hangs.
const VISIBLE_MAX: Duration = Duration::from_secs(30);

/// A database keeps up to four readers, which it opens when that many read at a time, each with
/// the file and its log.
const READERS_FILES_MAX: usize = 4 * 2;

/// A hub, its honest peers, and what they have gone through.
struct Run<'a> {
    args: &'a Args,
    seed: u64,
    blaze: &'a Path,
    folder: &'a Path,
    hub: Hub,
    honest: Vec<Honest>,
    /// What the hub had open before any attack, beside connections.
    files: usize,
}

/// Runs these attacks.
///
/// # Errors
///
/// If it can't be run; what went wrong with an attack is in the report.
pub(crate) fn run(
    args: &Args,
    chosen: &[Attack],
    seed: u64,
    blaze: &Path,
    folder: &Path,
) -> Result<Report> {
    let hub = Hub::start(blaze, folder)?;
    let endpoints = [hub.unix.endpoint(), hub.tcp.endpoint()];
    let honest = endpoints.into_iter().enumerate();
    let honest = honest.map(|(number, endpoint)| Honest::start(folder, number, endpoint));
    let honest = honest.collect::<Result<Vec<_>>>()?;
    let files = hub.descriptors()?.others;
    let mut run = Run { args, seed, blaze, folder, hub, honest, files };
    let mut report = Report::new(seed);
    report.push(run.control()?);
    for attack in chosen {
        let targets = [("unix", run.hub.unix.clone()), ("tcp", run.hub.tcp.clone())];
        let over = if args.quick { attack.quickly_over } else { attack.over };
        for (name, target) in targets.into_iter().filter(|(name, _)| over.is(name)) {
            report.push(run.attack(attack, name, &target)?);
        }
    }
    run.finish(&mut report)?;
    Ok(report)
}

/// The attacks of these names; all, if none is named.
///
/// # Errors
///
/// If there is no such attack.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Attack>> {
    let all = attacks::all();
    for name in names {
        ensure!(
            all.iter().any(|attack| attack.name == name),
            "there is no attack {name:?}; --list tells which there are"
        );
    }
    let chosen = |attack: &Attack| names.is_empty() || names.iter().any(|name| name == attack.name);
    Ok(all.into_iter().filter(chosen).collect())
}

impl Over {
    /// Whether the transport of this name is one of them.
    fn is(self, name: &str) -> bool {
        match self {
            Self::Both => true,
            Self::Unix => name == "unix",
            Self::Tcp => name == "tcp",
        }
    }
}

/// What there was before an attack.
struct Before {
    started: Instant,
    memory: Memory,
    descriptors: Descriptors,
}

impl Run<'_> {
    /// How long an attack goes on at the least, so that enough honest commits are timed.
    const fn time_min(&self) -> Duration {
        Duration::from_millis(if self.args.quick { 250 } else { 4_000 })
    }

    /// The honest peers alone.
    fn control(&mut self) -> Result<Row> {
        // Caches fill before anything is measured.
        std::thread::sleep(self.time_min());
        let before = self.before()?;
        std::thread::sleep(self.time_min());
        let result = Ok(Outcome::new(0, ""));
        self.row("none, for comparison", "both", &before, 0, result)
    }

    fn attack(&mut self, attack: &Attack, over: &'static str, target: &Target) -> Result<Row> {
        eprintln!("==> {} over {over}: {}", attack.name, attack.about);
        let folder = self.folder.join(format!("{}-{over}", attack.name));
        std::fs::create_dir(&folder)?;
        let before = self.before()?;
        let mut result: Result<Outcome> = Ok(Outcome::new(0, ""));
        while let Ok(sofar) = &result
            && (sofar.tried == 0 || before.started.elapsed() < self.time_min())
        {
            let tried = sofar.tried;
            let field = Field {
                hub: &self.hub,
                target: target.clone(),
                seed: mixed((self.seed, attack.name, over, tried)),
                quick: self.args.quick,
                folder: &folder,
                blaze: self.blaze,
            };
            result = (attack.run)(&field)
                .map(|outcome| Outcome { tried: tried + outcome.tried, ..outcome });
        }
        self.row(attack.name, over, &before, attack.grows_kib, result)
    }

    /// Forgets what was before.
    fn before(&mut self) -> Result<Before> {
        self.hub.hear()?;
        for peer in &mut self.honest {
            peer.lap()?;
        }
        let descriptors = self.hub.descriptors()?;
        Memory::forget_peak(self.hub.pid())?;
        Ok(Before { started: Instant::now(), memory: self.hub.memory()?, descriptors })
    }

    /// Looks at what an attack left.
    fn row(
        &mut self,
        name: &'static str,
        over: &'static str,
        before: &Before,
        grows_kib: u64,
        result: Result<Outcome>,
    ) -> Result<Row> {
        let seconds = before.started.elapsed().as_secs_f64();
        let mut wrong = Vec::new();
        let (mut outcome, mut skipped) = (Outcome::new(0, ""), None);
        match result {
            Ok(found) => outcome = found,
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(found) => skipped = Some(found.why),
                None => wrong.push(format!("{error:#}")),
            },
        }
        self.hub.check_alive()?;
        wrong.extend(self.leaks(before.descriptors)?);
        let memory = self.hub.memory()?;
        let grew_kib = memory.peak_kib.saturating_sub(before.memory.now_kib);
        let grows_kib_max = BESIDE_KIB + grows_kib;
        if grew_kib > grows_kib_max {
            wrong.push(format!("the hub grew by {grew_kib} KiB; {grows_kib_max} are allowed"));
        }
        let visible = self.visible(&mut wrong)?;
        let heard = self.hub.hear()?;
        let folder = self.folder.display().to_string();
        outcome.said = heard.most().unwrap_or_default().replace(&folder, "…");
        wrong.extend(heard.honest_lost.iter().map(|why| format!("the hub lost {why}")));
        let cost = Cost {
            before_kib: before.memory.now_kib,
            peak_kib: memory.peak_kib,
            after_kib: memory.now_kib,
            grows_kib_max,
        };
        Ok(Row { name, over, outcome, seconds, cost, visible, skipped, wrong })
    }

    /// Waits until the hub has as many connections open as before, and little else.
    fn leaks(&self, before: Descriptors) -> Result<Option<String>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = self.hub.descriptors()?;
            if open.sockets <= before.sockets && open.others <= self.files + READERS_FILES_MAX {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Ok(Some(format!("{open:?} are open, {before:?} were before")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How long honest commits took to be visible, of which each peer has to see some.
    fn visible(&mut self, wrong: &mut Vec<String>) -> Result<Visible> {
        let mut all = Vec::new();
        for peer in &mut self.honest {
            let deadline = Instant::now() + VISIBLE_MAX;
            let mut seen = 0;
            while seen == 0 {
                let lap = peer.lap()?;
                seen += lap.visible_us.len();
                all.extend(lap.visible_us);
                if lap.breaks > 0 {
                    wrong.push(format!("the link of {} broke: {}", peer.name, lap.why));
                }
                ensure!(Instant::now() < deadline, "{} sees nothing any more", peer.name);
            }
        }
        let visible = Visible::of(all);
        if Duration::from_micros(visible.slowest_us) > VISIBLE_MAX {
            wrong.push(format!("an honest commit took {} µs", visible.slowest_us));
        }
        Ok(visible)
    }

    /// Compares the replicas, and looks for what was acknowledged.
    fn finish(mut self, report: &mut Report) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut committed = Vec::new();
        for peer in &mut self.honest {
            committed.push((peer.lane, peer.quiet()?));
        }
        let deadline = Instant::now() + PATIENCE;
        let equal = loop {
            let digests = self.honest.iter_mut().map(Honest::digest).collect::<Result<Vec<_>>>()?;
            if digests.iter().all(|digest| *digest == digests[0]) {
                break digests[0];
            }
            ensure!(Instant::now() < deadline, "the replicas don't become equal: {digests:?}");
        };
        let paths: Vec<PathBuf> = self.honest.iter().map(|peer| peer.path.clone()).collect();
        for peer in self.honest {
            peer.close()?;
        }
        let hub = self.hub.stop()?;
        for path in paths.iter().chain([&hub]) {
            let found = runtime.block_on(async {
                let db = Database::open(path).read_only(true).await?;
                let found = digest(&db).await?;
                check_committed(&db, &committed).await?;
                db.close().await?;
                anyhow::Ok(found)
            });
            let found = found.with_context(|| path.display().to_string())?;
            ensure!(found == equal, "{} differs: {found:?}, not {equal:?}", path.display());
        }
        report.end(committed.iter().map(|(_, count)| count.cast_unsigned()).sum(), equal.records);
        Ok(())
    }
}

/// Another number for each attack, transport and round.
fn mixed(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Looks for each acknowledged commit.
async fn check_committed(db: &Database, committed: &[(i64, i64)]) -> Result<()> {
    let honest = db.collection(HONEST);
    for (lane, count) in committed {
        for number in 0..*count {
            let key = format!("{lane}/{number:010}");
            let record = honest.get::<Record>(key.as_str()).await?;
            let found = record.as_ref().and_then(|record| record.get("number"));
            ensure!(found == Some(&Value::Int(number)), "commit {key} is lost, found {found:?}");
        }
    }
    Ok(())
}
