//! A worker that commits and merges through the SQLite adapter and says so.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use blaze_codec::{Change, Hlc, Name, Operation, RecordKey, Value, Version, record};
use blaze_db_adapter::{
    DatabaseAdapter as _, DatabaseError, Durability, Incoming, Write, WriteKind,
};
use blaze_db_adapter_sqlite::{SqliteDatabase, SqliteOptions};

use super::{Ack, MERGING, Phase, Said, Task, checkpoint, peer};
use crate::plan::{self, COUNTER, Writes, mix};
use crate::worker::say;

/// After so many errors a lane waits for the next opening.
const ATTEMPTS: u32 = 4;

/// Commits until the power goes or everything is done.
pub(crate) fn work(task: &str) -> Result<()> {
    let task: Arc<Task> = Arc::new(serde_json::from_str(task)?);
    crate::worker::end_with_driver();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        for phase in &task.phases {
            follow(&task, phase).await?;
        }
        Ok(())
    })
}

async fn follow(task: &Arc<Task>, phase: &Phase) -> Result<()> {
    let durability = if phase.disk { Durability::Disk } else { Durability::Process };
    let mut options = SqliteOptions::new(&task.path).durability(durability);
    if let Some(password) = &task.password {
        options = options.password(password);
    }
    let opened = async {
        let db = options.open().await?;
        // As a session would: its commits are of this incarnation from now on.
        let incarnation = db.announce().await?.latest().0;
        Ok::<_, DatabaseError>((Arc::new(db), incarnation))
    };
    let (db, incarnation) = match opened.await {
        Ok(opened) => opened,
        Err(error) if task.errors => return say(&Said::Failed(text(&error))),
        Err(error) => return Err(error).context("can't open"),
    };
    say(&Said::Opened)?;
    let lanes: Vec<_> = (0..task.lanes)
        .map(|lane| {
            let (task, db) = (task.clone(), db.clone());
            let lane = Lane { task, db, incarnation, number: lane, disk: phase.disk };
            tokio::spawn(lane.run(phase.commits))
        })
        .collect();
    for lane in lanes {
        lane.await??;
    }
    if phase.close {
        match db.close().await {
            Err(error) if task.errors => say(&Said::Failed(text(&error)))?,
            closed => closed.context("can't close")?,
        }
    }
    Ok(())
}

/// Commits that follow one another.
struct Lane {
    task: Arc<Task>,
    db: Arc<SqliteDatabase>,
    incarnation: u64,
    number: u64,
    disk: bool,
}

impl Lane {
    async fn run(self, commits: u64) -> Result<()> {
        let (mut number, mut live) = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) if self.task.errors => return refused(self.number, &error),
            Err(error) => return Err(error).context("can't read"),
        };
        say(&Said::At { lane: self.number, number })?;
        let mut attempts = ATTEMPTS;
        let last = number + commits;
        while number < last && attempts > 0 {
            let writes = plan::writes(self.task.seed, self.number, number + 1, self.task.size);
            match self.commit(number + 1, &writes, &live).await {
                Ok(seq) => {
                    number += 1;
                    let (lane, disk, incarnation) = (self.number, self.disk, self.incarnation);
                    say(&Said::Acked(Ack { lane, number, seq, incarnation, disk }))?;
                    for (key, content) in writes {
                        match content {
                            Some(_) => live.insert(key),
                            None => live.remove(&key),
                        };
                    }
                }
                Err(error) if self.task.errors => {
                    refused(self.number, &error)?;
                    attempts -= 1;
                }
                Err(error) => return Err(error).context("can't commit"),
            }
        }
        Ok(())
    }

    /// The number of the last commit, and the records that exist.
    async fn load(&self) -> Result<(u64, BTreeSet<i64>), DatabaseError> {
        let collection = self.collection();
        let counter = self.db.read(&collection, &COUNTER.into()).await?;
        let number = counter.and_then(|record| record.get("number").and_then(Value::as_int));
        let records = self.db.scan(&collection, None, usize::MAX).await?;
        let live = records.into_iter().filter_map(|(key, _)| match key {
            RecordKey::Int(key) => Some(key),
            _ => None,
        });
        Ok((number.unwrap_or_default().cast_unsigned(), live.collect()))
    }

    fn collection(&self) -> Name {
        Name::new(&plan::collection(self.number)).expect("a short name")
    }

    async fn commit(
        &self,
        number: u64,
        writes: &Writes,
        live: &BTreeSet<i64>,
    ) -> Result<u64, DatabaseError> {
        if self.number == MERGING {
            return self.merge(number, writes).await;
        }
        let collection = self.collection();
        let mut rng = fastrand::Rng::with_seed(mix(self.task.seed, number));
        let mut all = Vec::with_capacity(writes.len() + 1);
        for (key, content) in writes {
            let kind = match content.map(plan::to_record) {
                None => WriteKind::Delete,
                Some(record) if rng.bool() => WriteKind::Put(record),
                Some(record) if live.contains(key) => {
                    let fields = record.into_iter().map(|(name, value)| (name, Some(value)));
                    WriteKind::Update(fields.collect())
                }
                Some(record) => WriteKind::Insert(record),
            };
            all.push(Write { collection: collection.clone(), key: (*key).into(), kind });
        }
        let kind = WriteKind::Put(record! { "number" => number.cast_signed() });
        all.push(Write { collection, key: COUNTER.into(), kind });
        Ok(self.db.commit(all).await?.seq().0)
    }

    async fn merge(&self, number: u64, writes: &Writes) -> Result<u64, DatabaseError> {
        let changes = writes.iter().map(|(key, content)| {
            let change =
                content.map_or(Change::Delete, |content| Change::Insert(plan::to_record(content)));
            (*key, change)
        });
        let counter = Change::Insert(record! { "number" => number.cast_signed() });
        let collection = self.collection();
        let operations = changes.chain([(COUNTER, counter)]).zip(0..);
        let operations = operations.map(|((key, change), at)| {
            let hlc = Hlc::from_millis(1_000_000_000 + number * 1_000 + at);
            let version = Version { epoch: Hlc::ZERO, hlc, node: peer() };
            let (collection, key) = (collection.clone(), key.into());
            Operation { collection, key, version, base: Version::ZERO, change }
        });
        let operations = operations.collect();
        let checkpoint = Some(checkpoint(number));
        let incoming = Incoming { peer: peer(), checkpoint, roots: Vec::new(), operations };
        let merged = self.db.merge(incoming).await?;
        Ok(merged.committed.map_or(0, |committed| committed.seq().0))
    }
}

fn refused(lane: u64, error: &DatabaseError) -> Result<()> {
    let unknown = matches!(error, DatabaseError::OutcomeUnknown { .. });
    let halted = matches!(error, DatabaseError::Halted { .. });
    if matches!(error, DatabaseError::Write(_)) {
        bail!("a write was refused as impossible: {}", text(error));
    }
    say(&Said::Refused { lane, unknown, halted, why: text(error) })
}

/// An error with all that caused it.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
