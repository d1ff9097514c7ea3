//! Who commits, and when: the caller's thread if it takes no longer than waking
//! another one, else a thread of the database's that groups what waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, mpsc};
use std::thread::JoinHandle;

use blaze_db_adapter::{DatabaseError, Durability, operation_bytes_max, write_bytes_max};
use tokio::sync::oneshot;

use crate::commit::{Done, Request};
use crate::committer::{Committer, Job, Shared};
use crate::peers::PURGE_RECORDS_MAX;

/// Requests that one commit takes at most: they share one sync of the disk, and
/// the first of them waits for the last.
const GROUP_REQUESTS_MAX: usize = 256;
/// Writes after which a group takes no further request.
const GROUP_WRITES_MAX: usize = 4096;
/// What a caller commits itself: some tens of microseconds of work, about what two
/// wake-ups of another thread cost. (Records are written whole: a small change to a
/// large one takes longer.)
const SMALL_WRITES: usize = 8;
const SMALL_BYTES: usize = 4096;

/// Commits, on the thread of whoever asks or on its own, which ends when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    committer: Arc<Mutex<Committer>>,
    shared: Arc<Shared>,
    /// Messages that the thread has not begun to handle.
    waiting: Arc<AtomicUsize>,
    /// Whether a commit waits for no disk, so that a caller may make it.
    prompt: bool,
    messages: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Job(Job),
    WriteBack,
    Close(oneshot::Sender<Result<(), DatabaseError>>),
}

/// The thread's part.
struct Thread {
    committer: Arc<Mutex<Committer>>,
    waiting: Arc<AtomicUsize>,
    inbox: mpsc::Receiver<Message>,
}

/// Ends the feed if a commit panics: nobody can make another one.
struct EndOnPanic<'a>(&'a Shared);

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        committer: Committer,
        durability: Durability,
    ) -> Result<Self, DatabaseError> {
        let (messages, inbox) = mpsc::channel();
        let shared = committer.shared().clone();
        let (committer, waiting) = (Arc::new(Mutex::new(committer)), Arc::<AtomicUsize>::default());
        let thread = Thread { committer: committer.clone(), waiting: waiting.clone(), inbox };
        let builder = std::thread::Builder::new().name("blaze-sqlite".to_owned());
        let started = builder.spawn(move || thread.run());
        let failed = |source: std::io::Error| DatabaseError::Failed {
            action: "start its thread",
            source: source.into(),
        };
        let (messages, thread) = (Some(messages), Some(started.map_err(failed)?));
        let prompt = durability == Durability::Process;
        Ok(Self { committer, shared, waiting, prompt, messages, thread })
    }

    /// Asks, and waits until the answer is durable.
    pub(crate) async fn ask(&self, request: Request) -> Result<Done, DatabaseError> {
        // Commits that never wait would leave the other tasks of their thread none of it.
        tokio::task::coop::consume_budget().await;
        let request = match self.commit_here(request) {
            Ok(answer) => return answer,
            Err(request) => request,
        };
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

    /// Commits on this thread, or gives the request back: something is ahead of it,
    /// or it may take long.
    fn commit_here(&self, request: Request) -> Result<Result<Done, DatabaseError>, Request> {
        if !self.prompt || !request.is_small() || self.waiting.load(Ordering::Acquire) > 0 {
            return Err(request);
        }
        let mut committer = match self.committer.try_lock() {
            Ok(committer) => committer,
            Err(TryLockError::WouldBlock) => return Err(request),
            Err(TryLockError::Poisoned(_)) => return Ok(Err(DatabaseError::Closed)),
        };
        let end = EndOnPanic(&self.shared);
        let answer = committer.commit_alone(request);
        std::mem::forget(end);
        if committer.log_is_long() {
            // Whoever commits next waits behind it.
            let _ = self.send(Message::WriteBack);
        }
        answer
    }

    fn send(&self, message: Message) -> Result<(), DatabaseError> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
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
    fn run(self) {
        let mut next = self.inbox.recv().ok();
        while let Some(message) = next.take() {
            // Unless a caller's commit panicked.
            let Ok(mut committer) = self.committer.lock() else { return };
            let mut handled = 1;
            match message {
                Message::Job(first) => {
                    let (jobs, other) = self.group(first);
                    (handled, next) = (jobs.len(), other);
                    committer.commit(jobs);
                }
                Message::WriteBack => {}
                Message::Close(reply) => {
                    let _ = reply.send(committer.close());
                    return;
                }
            }
            if committer.log_is_long() {
                committer.write_back();
            }
            committer.tend_log();
            self.waiting.fetch_sub(handled, Ordering::AcqRel);
            drop(committer);
            next = next.or_else(|| self.inbox.recv().ok());
        }
    }

    /// The first and what waits behind it, and the message that ends the group.
    fn group(&self, first: Job) -> (Vec<Job>, Option<Message>) {
        let mut writes = first.request.writes();
        let mut jobs = vec![first];
        while jobs.len() < GROUP_REQUESTS_MAX && writes < GROUP_WRITES_MAX {
            match self.inbox.try_recv() {
                Ok(Message::Job(job)) => {
                    writes += job.request.writes();
                    jobs.push(job);
                }
                Ok(other) => return (jobs, Some(other)),
                Err(_) => break,
            }
        }
        (jobs, None)
    }
}

impl Drop for Thread {
    /// However it ends, by a panic too, nobody is left to wait for a commit. It is
    /// before the inbox goes: who finds that gone finds the connection gone, too.
    fn drop(&mut self) {
        self.committer.lock().unwrap_or_else(PoisonError::into_inner).end();
    }
}

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        self.0.feed.close();
    }
}

impl Request {
    /// How much work it is.
    fn writes(&self) -> usize {
        match self {
            Self::Commit(writes) => writes.len(),
            Self::Merge(incoming) => incoming.operations.len(),
            Self::Settle(settled) => settled.len(),
            Self::Share(_, records, _) => records.len(),
            Self::Purge(..) => PURGE_RECORDS_MAX as usize,
            _ => 1,
        }
    }

    fn is_small(&self) -> bool {
        let bytes = || match self {
            Self::Commit(writes) => writes.iter().map(write_bytes_max).sum(),
            Self::Merge(incoming) => incoming.operations.iter().map(operation_bytes_max).sum(),
            Self::Register(_, name, _) => name.len(),
            _ => 0,
        };
        self.writes() <= SMALL_WRITES && bytes() <= SMALL_BYTES
    }
}

#[cfg(test)]
mod tests;
