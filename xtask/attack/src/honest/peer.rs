//! An honest peer: a process that commits at a steady pace, and times what comes from the other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use blaze_sync::{
    Change, Database, Durability, LinkState, LinkStatus, Mode, Origin, Role, Topology, Value,
    record,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{Digest, HONEST, Lap, Order, Said, Task};

/// From one commit to the next.
const PACE: Duration = Duration::from_millis(10);

/// What the tasks of a peer share.
#[derive(Debug, Default)]
struct Shared {
    committed: AtomicI64,
    quiet: AtomicBool,
    lap: Mutex<Lap>,
}

impl Shared {
    fn lap(&self, change: impl FnOnce(&mut Lap)) {
        change(&mut self.lap.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs a peer until it is told to close.
pub(crate) fn work(task: &str) -> Result<()> {
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

async fn follow(task: Task) -> Result<()> {
    let db = Database::open(&task.path).durability(Durability::Process).await?;
    let topology = Topology::new();
    let node = topology.register(db.clone(), &task.name, Role::Client).await?;
    let shared = Arc::new(Shared::default());
    let observer = db.observe(HONEST)?;
    let mut link = topology.connect(node, &task.endpoint, Mode::Bidirectional).await?;
    link.wait_for(|link| link.state == LinkState::Live).await.context("the link is gone")?;
    tokio::spawn(watch(link, shared.clone()));
    tokio::spawn(time(observer, shared.clone()));
    let mut writer = Some(tokio::spawn(commit(db.clone(), task.lane, shared.clone())));
    say(&Said::Ready)?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        match serde_json::from_str(&order)? {
            Order::Lap => {
                let mut said = Lap::default();
                shared.lap(|lap| said = std::mem::take(lap));
                say(&Said::Lap(said))?;
            }
            Order::Quiet => {
                shared.quiet.store(true, Ordering::SeqCst);
                if let Some(writer) = writer.take() {
                    writer.await??;
                }
                say(&Said::Quiet { committed: shared.committed.load(Ordering::SeqCst) })?;
            }
            Order::Digest => say(&Said::Digest(digest(&db).await?))?,
            Order::Close => {
                topology.close().await;
                db.close().await?;
                return say(&Said::Closed);
            }
        }
    }
    Ok(())
}

/// Commits a record after the other, each with when it was written.
async fn commit(db: Database, lane: i64, shared: Arc<Shared>) -> Result<()> {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let honest = db.collection(HONEST);
    while !shared.quiet.load(Ordering::SeqCst) {
        pace.tick().await;
        let number = shared.committed.load(Ordering::SeqCst);
        let key = format!("{lane}/{number:010}");
        honest.insert_at(key, record! { "number" => number, "at_us" => now_us()? }).await?;
        shared.committed.store(number + 1, Ordering::SeqCst);
    }
    Ok(())
}

/// Notes how long the other's commits took to be visible here.
async fn time(mut observer: blaze_sync::Observer, shared: Arc<Shared>) -> Result<()> {
    loop {
        let seen = observer.next().await?;
        let Change::Insert(record) = &seen.change else { continue };
        let Some(Value::Int(at_us)) = record.get("at_us") else { continue };
        if matches!(seen.origin, Some(Origin::Local)) {
            continue;
        }
        let took = now_us()?.saturating_sub(*at_us).max(0);
        shared.lap(|lap| lap.visible_us.push(took.cast_unsigned()));
    }
}

/// Counts how often the link breaks.
async fn watch(mut link: blaze_sync::Link, shared: Arc<Shared>) {
    while link.wait_for(|link| !link.is_connected()).await.is_some_and(|broken| {
        shared.lap(|lap| {
            lap.breaks += 1;
            lap.why = why(&broken);
        });
        true
    }) {
        link.wait_for(LinkStatus::is_connected).await;
    }
}

fn why(link: &LinkStatus) -> String {
    match &link.state {
        LinkState::Waiting { reason, .. } | LinkState::Closed { reason } => reason.to_string(),
        other => format!("{other:?}"),
    }
}

/// A digest of every record of every collection.
pub(crate) async fn digest(db: &Database) -> Result<Digest> {
    let (mut records, mut hasher) = (0, DefaultHasher::new());
    let mut collections = db.collections().await?;
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    for info in collections {
        info.name.as_str().hash(&mut hasher);
        let mut after = None;
        loop {
            let page = db.collection(&info.name).list(after.as_ref(), PAGE).await?;
            for (key, record) in &page {
                format!("{key:?} {record:?}").hash(&mut hasher);
            }
            records += page.len() as u64;
            if page.len() < PAGE {
                break;
            }
            after = page.last().map(|(key, _)| key.clone());
        }
    }
    Ok(Digest { records, digest: hasher.finish() })
}

/// Records that are read at a time.
const PAGE: usize = 10_000;

fn now_us() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

/// Tells the driver something, as one line.
fn say(said: &Said) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(said)?)?;
    out.flush().context("the driver is gone")
}
