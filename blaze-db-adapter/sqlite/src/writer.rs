//! The thread that owns the writing connection, and its group commit.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use blaze_codec::Role;
use blaze_db_adapter::{Committed, DatabaseError, LiveFeed, WallClock};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;

use crate::commit::{Applied, Done, Request, Writing};
use crate::fault::Fault;
use crate::lock::Lock;
use crate::open::Opener;

/// Requests that one commit takes at most: they share one sync of the disk, and
/// the first of them waits for the last.
const GROUP_REQUESTS_MAX: usize = 256;
/// Writes after which a group takes no further request.
const GROUP_WRITES_MAX: usize = 4096;
/// How long closing waits for readers in other processes before it leaves them
/// the log.
const CLOSE_WAIT: Duration = Duration::from_millis(100);

/// What the writer shows to the rest.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) feed: LiveFeed,
    role: Mutex<Role>,
    /// Transactions of SQLite that were committed, to see the grouping.
    #[cfg(test)]
    pub(crate) transactions: std::sync::atomic::AtomicU64,
}

/// A handle on the writer's thread, which ends when the handle is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    messages: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Job(Job),
    Close(oneshot::Sender<Result<(), DatabaseError>>),
}

#[derive(Debug)]
struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Done, DatabaseError>>,
}

/// What the thread owns; the connection goes before the lock.
struct Thread {
    writing: Option<Writing>,
    opener: Arc<Opener>,
    wall: WallClock,
    shared: Arc<Shared>,
    lock: Option<Lock>,
}

impl Shared {
    pub(crate) fn new(feed: LiveFeed, role: Role) -> Self {
        Self {
            feed,
            role: Mutex::new(role),
            #[cfg(test)]
            transactions: std::sync::atomic::AtomicU64::default(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        writing: Writing,
        opener: Arc<Opener>,
        wall: WallClock,
        shared: Arc<Shared>,
        lock: Lock,
    ) -> Result<Self, DatabaseError> {
        let (messages, inbox) = mpsc::channel();
        let mut thread = Thread { writing: Some(writing), opener, wall, shared, lock: Some(lock) };
        let builder = std::thread::Builder::new().name("blaze-sqlite".to_owned());
        let started = builder.spawn(move || thread.run(&inbox));
        let failed = |source: std::io::Error| DatabaseError::Failed {
            action: "start its thread",
            source: source.into(),
        };
        Ok(Self { messages: Some(messages), thread: Some(started.map_err(failed)?) })
    }

    /// Asks, and waits until the answer is durable.
    pub(crate) async fn ask(&self, request: Request) -> Result<Done, DatabaseError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Job(Job { request, reply }))?;
        answer.await.map_err(|_| DatabaseError::Closed)?
    }

    /// Finishes what was asked before and ends the thread.
    pub(crate) async fn close(&self) -> Result<(), DatabaseError> {
        let (reply, answer) = oneshot::channel();
        if self.send(Message::Close(reply)).is_err() {
            return Ok(());
        }
        // Without an answer, someone else's `close` came first.
        answer.await.unwrap_or(Ok(()))
    }

    fn send(&self, message: Message) -> Result<(), DatabaseError> {
        let sent = self.messages.as_ref().map(|messages| messages.send(message));
        sent.and_then(Result::ok).ok_or(DatabaseError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.messages.take());
        if let Some(thread) = self.thread.take() {
            // So that the database can be opened again at once. It takes no longer
            // than the commit that is under way; a panic was reported by the hook.
            let _ = thread.join();
        }
    }
}

impl Thread {
    fn run(&mut self, inbox: &mpsc::Receiver<Message>) {
        let mut next = inbox.recv().ok();
        while let Some(message) = next.take() {
            let mut jobs = Vec::new();
            let mut writes = 0;
            next = Some(message);
            while let Some(Message::Job(job)) = next.take_if(|next| matches!(next, Message::Job(_)))
            {
                writes += job.request.writes();
                jobs.push(job);
                if jobs.len() == GROUP_REQUESTS_MAX || writes >= GROUP_WRITES_MAX {
                    break;
                }
                next = inbox.try_recv().ok();
            }
            self.commit(jobs);
            if let Some(Message::Close(reply)) = next {
                let _ = reply.send(self.close());
                return;
            }
            next = inbox.recv().ok();
        }
        // Dropped, not closed: the log stays for whoever opens next, as this must be quick.
        if let Some(conn) = self.writing.take().map(Writing::into_connection) {
            let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }

    /// Commits a group. If SQLite fails, each request is tried alone: one that the
    /// disk has no room for must not fail its neighbours.
    fn commit(&mut self, mut jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        match self.attempt(&jobs) {
            Ok(results) => self.publish(jobs, results),
            Err(error) if jobs.len() == 1 => {
                let job = jobs.remove(0);
                let _ = job.reply.send(Err(error));
            }
            Err(_) => jobs.into_iter().for_each(|job| self.commit(vec![job])),
        }
    }

    fn attempt(
        &mut self,
        jobs: &[Job],
    ) -> Result<Vec<Result<Applied, DatabaseError>>, DatabaseError> {
        // What a failed transaction left in memory, the clock and the numbers of
        // names, is read anew from the file, by a new connection: after an I/O error
        // nothing that the old one cached is to be trusted.
        let mut writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.reopen()?,
        };
        let results = writing.run(jobs.iter().map(|job| &job.request));
        let results = results
            .map_err(|error| Fault::Sqlite(error).into_error("commit", self.opener.path()))?;
        self.writing = Some(writing);
        #[cfg(test)]
        self.shared.transactions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(results)
    }

    fn reopen(&self) -> Result<Writing, DatabaseError> {
        let writing = Writing::open(&self.opener, self.wall.clone())
            .map_err(|fault| fault.into_error("open its file again", self.opener.path()))?;
        let (found, expected) = (writing.seq(), self.shared.feed.head());
        if found != expected {
            return Err(DatabaseError::Failed {
                action: "go on after an error; close it and open it again",
                source: format!("the file's head is {found}, not {expected}").into(),
            });
        }
        Ok(writing)
    }

    /// What is durable now goes to the feed, in order, and then to who asked.
    fn publish(&self, jobs: Vec<Job>, results: Vec<Result<Applied, DatabaseError>>) {
        let mut commits: Vec<Arc<Committed>> = Vec::with_capacity(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        for (Job { request, reply }, result) in jobs.into_iter().zip(results) {
            let changed = result.as_ref().is_ok_and(Applied::changed);
            let done = result.map(|applied| applied.done(request));
            match &done {
                Ok(Done::Commit(committed)) if changed => commits.push(committed.clone()),
                Ok(Done::Merge(merged)) => commits.extend(merged.committed.clone()),
                Ok(Done::SetRole(role)) => {
                    *self.shared.role.lock().unwrap_or_else(PoisonError::into_inner) = *role;
                }
                _ => {}
            }
            answers.push((reply, done));
        }
        self.shared.feed.push(commits);
        for (reply, done) in answers {
            // Who asked may have stopped waiting; it is committed all the same.
            let _ = reply.send(done);
        }
    }

    /// Writes the log back into the file and closes it.
    fn close(&mut self) -> Result<(), DatabaseError> {
        self.shared.feed.close();
        let conn = self.writing.take().map(Writing::into_connection);
        let finish = |conn: Connection| {
            conn.busy_timeout(CLOSE_WAIT)?;
            // A reader in another process may still need the log: then it stays.
            conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
            conn.close().map_err(|(_, error)| error)
        };
        let finished = conn.map_or(Ok(()), finish);
        // Before the answer, so that who has it can open the file again.
        self.lock = None;
        finished.map_err(|error| Fault::Sqlite(error).into_error("close", self.opener.path()))
    }
}

impl Request {
    /// How much work it is.
    fn writes(&self) -> usize {
        match self {
            Self::Commit(writes) => writes.len(),
            Self::Merge(incoming) => incoming.operations.len(),
            Self::SetRole(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests;
