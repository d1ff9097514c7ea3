//! The thread that owns the writing connection, and its group commit.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use blaze_codec::Role;
use blaze_db_adapter::{Committed, DatabaseError, LiveFeed, WallClock};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::commit::{Applied, Done, Request, Writing};
use crate::fault::{Fault, Undone};
use crate::life;
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
    /// Kept here, not by the thread: even one that panicked leaves no file to others
    /// that this database still has open. `None` if it only reads, or is closed.
    lock: Mutex<Option<Lock>>,
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

/// What the thread owns.
struct Thread {
    writing: Option<Writing>,
    opener: Arc<Opener>,
    wall: WallClock,
    shared: Arc<Shared>,
    /// Why nothing is written any more.
    halted: Option<String>,
}

impl Shared {
    pub(crate) fn new(feed: LiveFeed, role: Role, lock: Option<Lock>) -> Self {
        Self {
            feed,
            role: Mutex::new(role),
            lock: Mutex::new(lock),
            #[cfg(test)]
            transactions: std::sync::atomic::AtomicU64::default(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        *self.role.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others open the file for writing.
    pub(crate) fn unlock(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        writing: Writing,
        opener: Arc<Opener>,
        wall: WallClock,
        shared: Arc<Shared>,
    ) -> Result<Self, DatabaseError> {
        let (messages, inbox) = mpsc::channel();
        let thread = Thread { writing: Some(writing), opener, wall, shared, halted: None };
        let builder = std::thread::Builder::new().name("blaze-sqlite".to_owned());
        let started = builder.spawn(move || {
            // Before the inbox: who finds that gone finds the connection gone, too.
            let mut thread = thread;
            thread.run(&inbox);
        });
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
    }

    /// Commits a group. If there is no room for it, each request is tried alone: a
    /// large one must not fail its neighbours. Any other error fails them all, as it
    /// would again, after as long a wait or with an outcome as uncertain.
    fn commit(&mut self, mut jobs: Vec<Job>) {
        // Who no longer waits wants nothing done.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            return;
        }
        match self.attempt(&jobs) {
            Ok(results) => self.publish(jobs, results),
            Err(undone) if undone.is_full() && jobs.len() > 1 => {
                for job in jobs {
                    self.commit(vec![job]);
                }
            }
            Err(undone) => {
                self.halted = undone.halts();
                for job in jobs {
                    let _ = job.reply.send(Err(undone.clone().into_error(self.opener.path())));
                }
            }
        }
    }

    fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Result<Applied, DatabaseError>>, Undone> {
        if let Some(reason) = &self.halted {
            return Err(Undone::Halted(reason.clone()));
        }
        // What a failed transaction left in memory, the clock and the numbers of
        // names, is read anew from the file, by a new connection: after an I/O error
        // nothing that the old one cached is to be trusted.
        let mut writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.reopen()?,
        };
        let results = writing.run(jobs.iter().map(|job| &job.request))?;
        self.writing = Some(writing);
        #[cfg(test)]
        self.shared.transactions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(results)
    }

    fn reopen(&self) -> Result<Writing, Undone> {
        let opened = Writing::open(&self.opener, self.wall.clone());
        let writing = opened.map_err(|fault| {
            let error = fault.into_error("open its file", self.opener.path());
            Undone::NotReopened(Arc::new(error))
        })?;
        let (found, expected) = (writing.seq(), self.shared.feed.head());
        if found != expected {
            return Err(Undone::Halted(format!("the file's head is {found}, not {expected}")));
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
            // Who asked may have stopped waiting since; it is committed all the same.
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
            // It stays as well where there is no room to write it back: what is committed
            // is in it, and who opens the file next reads it from there.
            let checkpoint = |()| conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
            match life::end(&conn).and_then(checkpoint) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
                finished => finished?,
            }
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            conn.close().map_err(|(_, error)| error)
        };
        let finished = conn.map_or(Ok(()), finish);
        // Before the answer, so that who has it can open the file again.
        self.shared.unlock();
        finished.map_err(|error| Fault::Sqlite(error).into_error("close", self.opener.path()))
    }
}

impl Drop for Thread {
    /// However it ends, by a panic too, nobody is left to wait for a commit.
    fn drop(&mut self) {
        self.shared.feed.close();
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
