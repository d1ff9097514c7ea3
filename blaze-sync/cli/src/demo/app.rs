//! One app of the demo: a process that owns a database and does as it is told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use blaze_sync::{
    Change, Database, Link, LinkState, LinkStatus, Mode, NodeKey, Record, RecordKey, Role,
    Topology, Value, record,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use super::place::records;
use super::wire::{Command, ConflictLine, Message, Reply};
use crate::args::parse_durability;
use crate::batch::put_rows;
use crate::keys;
use crate::rows::Reader;

/// How long a wait for the other app may take before the demo has failed.
const PATIENCE: Duration = Duration::from_secs(120);
const PROBES: &str = "probes";

/// Follows commands on standard input until it ends, even in the middle of one: then
/// the demo is gone, and nobody waits for the answer.
pub(super) async fn run() -> Result<()> {
    let (sender, lines) = mpsc::unbounded_channel();
    let read = tokio::spawn(async move {
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = commands.next_line().await.context("can't read a command")? {
            sender.send(line)?;
        }
        Ok(())
    });
    tokio::select! {
        biased;
        read = read => read?,
        followed = follow(lines) => followed,
    }
}

async fn follow(mut lines: mpsc::UnboundedReceiver<String>) -> Result<()> {
    let mut app: Option<App> = None;
    while let Some(line) = lines.recv().await {
        let command = serde_json::from_str(&line).context("can't understand a command")?;
        let result = match (&mut app, command) {
            (None, Command::Open { path, password, durability, name }) => {
                let opened = App::open(path, password, &durability, &name).await;
                opened.map(|opened| app = Some(opened)).map(|()| Reply::Nothing)
            }
            (Some(app), command) => app.follow(command).await,
            (None, _) => bail!("the first command opens the database"),
        };
        say(&match result {
            Ok(reply) => Message::Done(reply),
            Err(error) => Message::Failed { error: format!("{error:#}") },
        })?;
    }
    Ok(())
}

struct App {
    db: Database,
    topology: Topology,
    node: NodeKey,
    conflicts: Arc<Mutex<Vec<ConflictLine>>>,
    joined: Option<Link>,
}

impl App {
    async fn open(path: PathBuf, password: String, durability: &str, name: &str) -> Result<Self> {
        let durability = parse_durability(durability).map_err(anyhow::Error::msg)?;
        let db = Database::open(path).password(password).durability(durability).await?;
        let topology = Topology::new();
        let node = topology.register(db.clone(), name, Role::Client).await?;
        let conflicts = Arc::new(Mutex::new(Vec::new()));
        let mut lost = topology.conflicts(node)?;
        let kept = Arc::clone(&conflicts);
        tokio::spawn(async move {
            while let Ok(conflict) = lost.recv().await {
                let text = |value: Option<Value>| match value {
                    Some(Value::Text(text)) => text.into(),
                    Some(other) => format!("{other:?}"),
                    None => "(deleted)".to_owned(),
                };
                let line = ConflictLine {
                    record: format!("{}/{}", conflict.collection, keys::to_text(&conflict.key)),
                    field: conflict.field.to_string(),
                    won: text(conflict.winner.value),
                    lost: text(conflict.loser.value),
                    version: format!("{:?}", conflict.winner.version),
                };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { db, topology, node, conflicts, joined: None })
    }

    async fn follow(&mut self, command: Command) -> Result<Reply> {
        match command {
            Command::Open { .. } => bail!("the database is open already"),
            Command::Listen { endpoint } => {
                self.topology.listen(self.node, &endpoint).await?;
                Ok(Reply::Nothing)
            }
            Command::Connect { endpoint, mode } => {
                self.topology.connect(self.node, &endpoint, mode).await?;
                Ok(Reply::Nothing)
            }
            Command::Join { endpoint } => {
                let mode = Mode::Bidirectional;
                self.joined = Some(self.topology.join(self.node, &endpoint, mode).await?);
                Ok(Reply::Nothing)
            }
            Command::AwaitSeat => patiently("a hub", self.await_seat()).await,
            Command::AwaitLink => patiently("the other app", self.await_link()).await,
            Command::Import { collection, input } => self.import(&collection, input).await,
            Command::Edit { collection, author, count } => {
                self.edit(&collection, &author, count).await
            }
            Command::Write { collection, records } => self.write(&collection, records).await,
            Command::Update { collection, key, fields } => {
                let started = Instant::now();
                self.db.collection(&collection).update(key, fields).await?;
                Ok(Reply::Committed { count: 1, took: started.elapsed() })
            }
            Command::Read { collection, key } => {
                Ok(Reply::Record(self.db.collection(&collection).get(key).await?))
            }
            Command::Count { collection } => self.count(&collection).await,
            Command::AwaitCount { collection, count } => {
                patiently("a record", self.await_count(&collection, count)).await
            }
            Command::Probe { count } => patiently("an acknowledgement", self.probe(count)).await,
            Command::MeasureProbes { count } => {
                patiently("a probe", self.measure_probes(count)).await
            }
            Command::AwaitChanges { collection, count } => {
                patiently("a change", self.await_changes(&collection, count)).await
            }
            Command::Settle => patiently("an acknowledgement", self.settle()).await,
            Command::Report => {
                let conflicts = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Reply::Report { conflicts: conflicts.clone(), commits: self.db.head().0 })
            }
            Command::Close => {
                self.topology.close().await;
                self.db.close().await?;
                Ok(Reply::Nothing)
            }
        }
    }

    async fn await_seat(&mut self) -> Result<Reply> {
        let link = self.joined.as_mut().context("it hasn't joined")?;
        let seated = |link: &LinkStatus| matches!(link.state, LinkState::Hub | LinkState::Live);
        let status = link.wait_for(seated).await.context("the node is gone")?;
        Ok(Reply::IsHub(status.state == LinkState::Hub))
    }

    async fn await_link(&self) -> Result<Reply> {
        let mut links = self.topology.links(self.node)?;
        links
            .wait_for(|links| links.values().any(LinkStatus::is_connected))
            .await
            .context("the node is gone")?;
        Ok(Reply::Nothing)
    }

    async fn import(&self, collection: &str, input: Option<PathBuf>) -> Result<Reply> {
        let started = Instant::now();
        let mut rows = match input {
            Some(path) => Reader::open(&path, None)?,
            None => super::sample_rows(),
        };
        let mut count = 0;
        let mut told = Ok(());
        let put = put_rows(&self.db, collection, &mut rows, |rows, _| {
            count = rows;
            told = say(&Message::Progress { rows });
        });
        put.await?;
        told?;
        Ok(Reply::Committed { count, took: started.elapsed() })
    }

    async fn edit(&self, collection: &str, author: &str, count: u64) -> Result<Reply> {
        let started = Instant::now();
        let collection = self.db.collection(collection);
        let mut recent: VecDeque<RecordKey> = VecDeque::new();
        for number in 0..count {
            // Mostly new notes, some edits and now and then a delete.
            let edited = recent.front().cloned().filter(|_| number % 4 == 3);
            match edited {
                Some(key) if number % 12 == 11 => {
                    collection.delete(&key).await?;
                    recent.pop_front();
                }
                Some(key) => {
                    let text = format!("edited as change {number}");
                    collection.update(&key, record! { "text" => text }).await?;
                }
                None => {
                    let note = record! {
                        "author" => author,
                        "number" => number.cast_signed(),
                        "text" => format!("note {number} by {author}"),
                    };
                    recent.push_back(collection.insert(note).await?);
                }
            }
        }
        Ok(Reply::Committed { count, took: started.elapsed() })
    }

    async fn write(
        &self,
        collection: &str,
        records: Vec<(RecordKey, Option<Record>)>,
    ) -> Result<Reply> {
        let started = Instant::now();
        let mut transaction = self.db.transaction();
        for (key, record) in records {
            transaction = match record {
                Some(record) => transaction.put(collection, key, record)?,
                None => transaction.delete(collection, key)?,
            };
        }
        let count = transaction.len() as u64;
        transaction.commit().await?;
        Ok(Reply::Committed { count, took: started.elapsed() })
    }

    async fn count(&self, collection: &str) -> Result<Reply> {
        let collections = self.db.collections().await?;
        Ok(Reply::Count(records(&collections, collection)))
    }

    async fn await_count(&self, collection: &str, count: u64) -> Result<Reply> {
        let mut changes = self.db.observe(collection)?;
        while records(&self.db.collections().await?, collection) < count {
            changes.next().await?;
        }
        Ok(Reply::Nothing)
    }

    async fn probe(&self, count: u64) -> Result<Reply> {
        let started = Instant::now();
        let probes = self.db.collection(PROBES);
        for _ in 0..count {
            probes.insert(record! { "sent_ns" => monotonic_ns() }).await?;
            self.settle().await?;
        }
        Ok(Reply::Committed { count, took: started.elapsed() })
    }

    async fn measure_probes(&self, count: u64) -> Result<Reply> {
        let mut changes = self.db.observe(PROBES)?;
        say(&Message::Ready)?;
        let mut latencies = Vec::new();
        while (latencies.len() as u64) < count {
            let change = changes.next().await?.change;
            let now = monotonic_ns();
            let Change::Insert(probe) = change else { continue };
            let sent = probe.get("sent_ns").and_then(Value::as_int).context("not a probe")?;
            let nanoseconds = u64::try_from(now - sent).context("the clock went back")?;
            latencies.push(Duration::from_nanos(nanoseconds));
        }
        Ok(Reply::Latencies(latencies))
    }

    async fn await_changes(&self, collection: &str, count: u64) -> Result<Reply> {
        let mut changes = self.db.observe(collection)?;
        say(&Message::Ready)?;
        for _ in 0..count {
            changes.next().await?;
        }
        Ok(Reply::Nothing)
    }

    /// Waits until a peer is there and has everything.
    async fn settle(&self) -> Result<Reply> {
        loop {
            self.await_link().await?;
            if !self.topology.synced(self.node).await?.is_empty() {
                return Ok(Reply::Nothing);
            }
        }
    }
}

async fn patiently(what: &str, wait: impl Future<Output = Result<Reply>>) -> Result<Reply> {
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.with_context(|| format!("waited {} s for {what}", PATIENCE.as_secs()))?
}

fn say(message: &Message) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, message)?;
    out.write_all(b"\n")?;
    out.flush().context("the demo is gone")
}

/// A clock that all processes of this machine share.
fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
