//! Commits, one group after the other, and what becomes of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blaze_db_adapter::{Committed, DatabaseError, Identity, LiveFeed, WallClock};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::commit::{Applied, Done, Request, Writing};
use crate::fault::{Fault, Undone};
use crate::lock::Lock;
use crate::open::{Opener, WRITER_WAIT};

/// How long closing waits for readers in other processes before it leaves them
/// the log.
const CLOSE_WAIT: Duration = Duration::from_millis(100);

/// What the writer shows to the rest.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) feed: LiveFeed,
    identity: Mutex<Identity>,
    /// Kept here, not by who commits: even a panic there leaves no file to others
    /// that this database still has open. `None` if it only reads, or is closed.
    lock: Mutex<Option<Lock>>,
    /// Transactions of SQLite that were committed, to see the grouping.
    #[cfg(test)]
    pub(crate) transactions: std::sync::atomic::AtomicU64,
    /// Those of them that were made by their callers.
    #[cfg(test)]
    pub(crate) by_callers: std::sync::atomic::AtomicU64,
}

/// The writing connection, and how what it commits is told to the rest.
#[derive(Debug)]
pub(crate) struct Committer {
    /// `None` after an error, and once it is closed.
    writing: Option<Writing>,
    opener: Arc<Opener>,
    wall: WallClock,
    shared: Arc<Shared>,
    /// Why nothing is written any more.
    halted: Option<String>,
    /// Whether a peer was told of the feed.
    announced: bool,
    /// Whether room for the log couldn't be made.
    forgoes_reserve: bool,
}

/// A request, and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Result<Done, DatabaseError>>,
}

impl Shared {
    pub(crate) fn new(feed: LiveFeed, identity: Identity, lock: Option<Lock>) -> Self {
        Self {
            feed,
            identity: Mutex::new(identity),
            lock: Mutex::new(lock),
            #[cfg(test)]
            transactions: std::sync::atomic::AtomicU64::default(),
            #[cfg(test)]
            by_callers: std::sync::atomic::AtomicU64::default(),
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets others open the file for writing.
    pub(crate) fn unlock(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Committer {
    pub(crate) fn new(
        writing: Writing,
        opener: Arc<Opener>,
        wall: WallClock,
        shared: Arc<Shared>,
    ) -> Self {
        let (writing, halted) = (Some(writing), None);
        Self { writing, opener, wall, shared, halted, announced: false, forgoes_reserve: false }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Commits a group and answers.
    pub(crate) fn commit(&mut self, mut jobs: Vec<Job>) {
        // Who no longer waits wants nothing done.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            return;
        }
        let (requests, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.request, job.reply)).unzip();
        for (reply, answer) in replies.into_iter().zip(self.carry_out(requests)) {
            // Who asked may have stopped waiting since; it is committed all the same.
            let _ = reply.send(answer);
        }
    }

    /// Commits one request if that can be begun at once, else gives it back: the
    /// file is to be opened again first, or another program is writing it.
    pub(crate) fn commit_alone(
        &mut self,
        request: Request,
    ) -> Result<Result<Done, DatabaseError>, Request> {
        let begun = self.writing.take_if(|writing| writing.begin(Duration::ZERO).is_ok());
        let Some(writing) = begun else { return Err(request) };
        #[cfg(test)]
        self.shared.by_callers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(self.finish(writing, vec![request]).pop().expect("each request has an answer"))
    }

    /// Whether the log has grown so long that it should be written back.
    pub(crate) fn log_is_long(&mut self) -> bool {
        self.writing.as_mut().is_some_and(Writing::log_is_long)
    }

    /// Makes room for the log, if it is soon to grow. Whatever goes wrong shows when
    /// something is committed.
    pub(crate) fn tend_log(&mut self) {
        let Some(writing) = &mut self.writing else { return };
        if writing.log_is_short() && writing.extend_log().is_err() {
            // What is committed is synced, so that nothing is lost with the connection.
            (self.writing, self.forgoes_reserve) = (None, true);
        }
    }

    /// Writes the log back into the file. Without room for that it goes on growing,
    /// and is as good; another error of the disk ends all writing.
    pub(crate) fn write_back(&mut self) {
        let Some(writing) = &mut self.writing else { return };
        if let Err(error) = writing.write_back()
            && error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
        {
            self.halted = Some(error.to_string());
            self.writing = None;
        }
    }

    /// Writes the log back into the file and closes it.
    pub(crate) fn close(&mut self) -> Result<(), DatabaseError> {
        self.shared.feed.close();
        let conn = self.writing.take().map(Writing::into_connection);
        let finish = |conn: Connection| {
            conn.busy_timeout(CLOSE_WAIT)?;
            // A reader in another process may still need the log: then it stays.
            // It stays as well where there is no room to write it back: what is committed
            // is in it, and who opens the file next reads it from there.
            match conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
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

    /// Drops the connection, and ends the feed.
    pub(crate) fn end(&mut self) {
        self.writing = None;
        self.shared.feed.close();
    }

    fn carry_out(&mut self, requests: Vec<Request>) -> Vec<Result<Done, DatabaseError>> {
        match self.begin() {
            Ok(writing) => self.finish(writing, requests),
            Err(undone) => self.fail(&undone, &requests),
        }
    }

    /// Commits a group. If there is no room for it, each request is tried alone: a
    /// large one must not fail its neighbours. Any other error fails them all, as it
    /// would again, after as long a wait or with an outcome as uncertain.
    fn finish(
        &mut self,
        mut writing: Writing,
        requests: Vec<Request>,
    ) -> Vec<Result<Done, DatabaseError>> {
        match writing.run(requests.iter()) {
            Ok(results) => {
                self.writing = Some(writing);
                #[cfg(test)]
                self.shared.transactions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.publish(requests, results)
            }
            Err(undone) if undone.is_full() && requests.len() > 1 => {
                drop(writing);
                requests.into_iter().flat_map(|request| self.carry_out(vec![request])).collect()
            }
            Err(undone) => self.fail(&undone, &requests),
        }
    }

    fn begin(&mut self) -> Result<Writing, Undone> {
        if let Some(reason) = &self.halted {
            return Err(Undone::Halted(reason.clone()));
        }
        // What a failed transaction left in memory, the clock and the numbers of
        // names, is read anew from the file, by a new connection: after an I/O error
        // nothing that the old one cached is to be trusted.
        let writing = match self.writing.take() {
            Some(writing) => writing,
            None => self.reopen()?,
        };
        writing.begin(WRITER_WAIT).map_err(|error| Undone::RolledBack(Arc::new(error)))?;
        Ok(writing)
    }

    fn reopen(&self) -> Result<Writing, Undone> {
        let opened = Writing::open(&self.opener, self.shared.identity(), self.wall.clone());
        let mut writing = opened.map_err(|fault| {
            let error = fault.into_error("open its file", self.opener.path());
            Undone::NotReopened(Arc::new(error))
        })?;
        let (found, expected) = (writing.seq(), self.shared.feed.head());
        if found != expected {
            return Err(Undone::Halted(format!("the file's head is {found}, not {expected}")));
        }
        if self.announced {
            writing.was_announced();
        }
        if self.forgoes_reserve {
            writing.forgo_reserve();
        }
        Ok(writing)
    }

    fn fail(&mut self, undone: &Undone, requests: &[Request]) -> Vec<Result<Done, DatabaseError>> {
        self.halted = undone.halts();
        let error = || undone.clone().into_error(self.opener.path());
        requests.iter().map(|_| Err(error())).collect()
    }

    /// What is durable now goes to the feed, in order, and then to who asked.
    fn publish(
        &mut self,
        requests: Vec<Request>,
        results: Vec<Result<Applied, DatabaseError>>,
    ) -> Vec<Result<Done, DatabaseError>> {
        let mut commits: Vec<Arc<Committed>> = Vec::with_capacity(requests.len());
        let mut answers = Vec::with_capacity(requests.len());
        for (request, result) in requests.into_iter().zip(results) {
            let changed = result.as_ref().is_ok_and(Applied::changed);
            let done = result.map(|applied| applied.done(request));
            match &done {
                Ok(Done::Commit(committed)) if changed => commits.push(committed.clone()),
                Ok(Done::Merge(merged)) => commits.extend(merged.committed.clone()),
                Ok(Done::Identify(identity)) => {
                    let mut shared =
                        self.shared.identity.lock().unwrap_or_else(PoisonError::into_inner);
                    shared.clone_from(identity);
                }
                Ok(Done::Announce(_)) => self.announced = true,
                _ => {}
            }
            answers.push(done);
        }
        self.shared.feed.push(commits);
        answers
    }
}
