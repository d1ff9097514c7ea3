//! An app: a process that owns a database, writes to it and syncs it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use blaze_sync::{
    Backoff, Database, DatabaseError, Durability, Error, LinkId, LinkStatus, MemoryTransport, Mode,
    Name, NodeKey, NodeOptions, RecordKey, Role, Topology, UnixTransport, Value, record,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{Command, SHARED, Said, Task, flood};
use crate::plan::{self, COUNTER, Content, Size, mix};
use crate::worker::say;

/// Runs an app until it is told to close, or killed.
pub(crate) fn work(task: &str) -> Result<()> {
    // A stopped process doesn't see the end of its input.
    let signal = rustix::process::Signal::KILL;
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    let task: Task = serde_json::from_str(task)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(follow(task));
    // A read of standard input may still be under way.
    runtime.shutdown_background();
    ended
}

/// Checks one closed file: its path, then its password if it has one.
pub(crate) fn check(task: &str) -> Result<()> {
    let (path, password): (std::path::PathBuf, Option<String>) = serde_json::from_str(task)?;
    crate::cuts::integrity(&path, password.as_deref())?;
    say(&Said::Done)
}

struct App {
    task: Task,
    db: Database,
    topology: Topology,
    node: NodeKey,
    /// Whose its commits are.
    incarnation: u64,
    quiet: AtomicBool,
    /// Each lane's last commit.
    numbers: Vec<AtomicU64>,
}

async fn follow(task: Task) -> Result<()> {
    let app = match App::open(task).await {
        Ok(app) => Arc::new(app),
        Err(error) => return say(&Said::Unopened { why: format!("{error:#}") }),
    };
    let (incarnation, head) = (app.incarnation, app.db.head().0);
    let identity = app.db.identity();
    let (node, copied) = (identity.node.to_string(), identity.copied);
    say(&Said::Opened { lanes: app.lanes(), incarnation, head, node, copied })?;
    tokio::spawn(tell_went_back(app.clone()));
    let mut writers = Vec::new();
    if app.task.writes {
        for place in 0..app.task.lanes.len() {
            writers.push(tokio::spawn(write(app.clone(), place)));
        }
    }
    tokio::spawn(tell_synced(app.clone()));
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = commands.next_line().await? {
        match serde_json::from_str(&line)? {
            Command::Quiet => {
                app.quiet.store(true, Ordering::Relaxed);
                for writer in writers.drain(..) {
                    writer.await??;
                }
                say(&Said::Quiet)?;
            }
            Command::Digest => say(&app.digest().await?)?,
            Command::Dump => app.dump().await?,
            Command::Flood { ms } => {
                let wanted = Duration::from_millis(ms);
                let mut flooded = flood::run(&app.db, app.task.seed, wanted).await?;
                let links = app.topology.links(app.node)?.borrow().clone();
                flooded.connected = links.values().any(LinkStatus::is_connected);
                say(&Said::Flooded(flooded))?;
            }
            Command::Sync => {
                app.topology.synced(app.node).await?;
                say(&Said::Done)?;
            }
            Command::Fill => fill(&app.task)?,
            Command::Free => {
                std::fs::remove_file(filler(&app.task))?;
                say(&Said::Done)?;
            }
            Command::Close => {
                app.topology.close().await;
                app.db.close().await?;
                return say(&Said::Done);
            }
        }
    }
    Ok(())
}

impl App {
    async fn open(task: Task) -> Result<Self> {
        let durability = if task.disk { Durability::Disk } else { Durability::Process };
        let mut options = Database::open(&task.path).durability(durability);
        if let Some(password) = &task.password {
            options = options.password(password);
        }
        let db = options.await?;
        // A peer that is back is found soon, and one that stands still is given up.
        let backoff = Backoff {
            first: Duration::from_millis(10),
            max: Duration::from_millis(200),
            refused_max: Duration::from_millis(200),
            ..Backoff::default()
        };
        let mut options = NodeOptions { backoff, ..NodeOptions::default() };
        if task.patient {
            options.limits.window_bytes = 64 * 1024 * 1024;
        } else {
            (options.limits.heartbeat_ms, options.limits.silence_ms) = (300, 900);
        }
        let unix = Arc::new(UnixTransport::new());
        let topology =
            Topology::with_transports(vec![unix, Arc::new(MemoryTransport::global())], options);
        let node = topology.register(db.clone(), &task.name, Role::Client).await?;
        if let Some(endpoint) = &task.listen {
            topology.listen(node, endpoint).await?;
        }
        for endpoint in &task.connect {
            topology.connect(node, endpoint, Mode::Bidirectional).await?;
        }
        let incarnation = db.adapter().announce().await?.latest().0;
        let mut numbers = Vec::new();
        for lane in &task.lanes {
            let collection = Name::new(&plan::collection(*lane))?;
            let counter = db.adapter().read(&collection, &COUNTER.into()).await?;
            let number = counter.as_ref().map_or(Some(0), counter_of);
            numbers.push(AtomicU64::new(number.context("a counter is damaged")?));
        }
        Ok(Self { task, db, topology, node, incarnation, quiet: AtomicBool::new(false), numbers })
    }

    fn lanes(&self) -> Vec<(u64, u64)> {
        let numbers = self.numbers.iter().map(|number| number.load(Ordering::Relaxed));
        self.task.lanes.iter().copied().zip(numbers).collect()
    }

    async fn digest(&self) -> Result<Said> {
        let (mut records, mut hasher) = (0, DefaultHasher::new());
        for info in self.db.collections().await? {
            let all = self.db.adapter().scan(&info.name, None, usize::MAX).await?;
            (&info.name, all.len() as u64 == info.records).hash(&mut hasher);
            for (key, record) in all {
                records += 1;
                (key, format!("{record:?}")).hash(&mut hasher);
            }
        }
        Ok(Said::Digest { records, digest: hasher.finish() })
    }

    async fn dump(&self) -> Result<()> {
        for info in self.db.collections().await? {
            let Some(lane) = info.name.as_str().strip_prefix("lane") else { continue };
            let (lane, mut number, mut records) = (lane.parse()?, 0, Vec::new());
            for (key, record) in self.db.adapter().scan(&info.name, None, usize::MAX).await? {
                let RecordKey::Int(key) = key else { bail!("lane {lane} has a record at {key:?}") };
                if key == COUNTER {
                    number = counter_of(&record).context("a counter is damaged")?;
                    continue;
                }
                let content = plan::of_record(&record);
                let content = content.with_context(|| format!("lane {lane} key {key} is torn"))?;
                records.push((key, content.mark, content.bytes));
            }
            say(&Said::Lane { lane, number, records })?;
        }
        say(&Said::Done)
    }
}

fn counter_of(record: &blaze_sync::Record) -> Option<u64> {
    record.get("number").and_then(Value::as_int).map(i64::cast_unsigned)
}

/// Commits one after the other, with pauses, until the app is to be quiet.
async fn write(app: Arc<App>, place: usize) -> Result<()> {
    let lane = app.task.lanes[place];
    let collection = plan::collection(lane);
    let mut rng = fastrand::Rng::with_seed(mix(app.task.seed, lane));
    let first = app.numbers[place].load(Ordering::Relaxed) + 1;
    let mut number = first;
    while !app.quiet.load(Ordering::Relaxed) {
        let mut transaction = app.db.transaction();
        for (key, content) in plan::writes(app.task.seed, lane, number, Size::Small) {
            transaction = match content {
                Some(content) => transaction.put(&collection, key, plan::to_record(content))?,
                None => transaction.delete(&collection, key)?,
            };
        }
        let counter = record! { "number" => number.cast_signed() };
        transaction = transaction.put(&collection, COUNTER, counter)?;
        let key = rng.i64(1..=20);
        transaction = if rng.u8(0..4) == 0 {
            transaction.delete(SHARED, key)?
        } else {
            let mark = mix(app.task.seed, mix(lane, number)).cast_signed();
            transaction.put(SHARED, key, plan::to_record(Content { mark, bytes: 10 }))?
        };
        match transaction.commit().await {
            Ok(seq) => {
                app.numbers[place].store(number, Ordering::Relaxed);
                let incarnation = app.incarnation;
                say(&Said::Acked { lane, number, seq: seq.0, incarnation })?;
                number += 1;
                tokio::time::sleep(Duration::from_micros(rng.u64(0..6_000))).await;
            }
            Err(Error::Database(DatabaseError::Closed)) => return Ok(()),
            Err(error) => {
                let full = matches!(error, Error::Database(DatabaseError::Full));
                let halted = matches!(
                    error,
                    Error::Database(
                        DatabaseError::OutcomeUnknown { .. } | DatabaseError::Halted { .. }
                    )
                );
                say(&Said::Refused { full, halted, why: format!("{error:?}") })?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    Ok(())
}

/// Tells now and then what every connected peer has.
async fn tell_synced(app: Arc<App>) -> Result<()> {
    loop {
        let lanes = app.lanes();
        let peers = app.topology.synced(app.node).await?;
        if !peers.is_empty() {
            let peers = peers.into_iter().map(|peer| peer.name).collect();
            say(&Said::Synced { lanes, peers })?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tells what sessions find of files that went back.
async fn tell_went_back(app: Arc<App>) -> Result<()> {
    let mut links = app.topology.links(app.node)?;
    let mut known = BTreeMap::<LinkId, _>::new();
    loop {
        let found = links.borrow_and_update().clone();
        for (id, status) in &found {
            let before = known.insert(*id, status.went_back).flatten();
            if let Some(found) = status.went_back.filter(|found| before != Some(*found)) {
                say(&Said::WentBack { here: found.here })?;
            }
        }
        known.retain(|id, _| found.contains_key(id));
        links.changed().await?;
    }
}

fn filler(task: &Task) -> std::path::PathBuf {
    task.path.with_extension("filler")
}

/// Writes a file until there is no room.
fn fill(task: &Task) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(filler(task))?;
    let mut piece = vec![0; 64 * 1024];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
    say(&Said::Done)
}
