//! Drives one session over one connection: a loop over everything it waits for.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use blaze_codec::{Checkpoint, Seq};
use blaze_db_adapter::{DatabaseAdapter, DatabaseError, Incoming, Merged};
use blaze_sync_protocol::{
    Batch, Input, LocalNode, Moment, Outgoing, Output, Session, SessionConfig, SessionError, Side,
};
use blaze_transport::{Connection, FrameReceiver, FrameSender, TransportError};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::node::Shared;
use crate::outgoing;
use crate::status::LinkEntry;

/// Frames that are taken from the connection before the session's outputs are
/// carried out again.
const FRAMES_MAX: usize = 256;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send>>;

/// Runs a session until it ends, and tells why it did.
pub(crate) async fn drive(
    shared: &Arc<Shared>,
    connection: Connection,
    side: Side,
    entry: &LinkEntry,
    cancel: &CancellationToken,
) -> SessionError {
    let Connection { sender, receiver, .. } = connection;
    let mut driver = Driver::new(shared, sender, side, entry);
    driver.run(receiver, cancel).await
}

struct Driver<'a> {
    shared: &'a Arc<Shared>,
    entry: &'a LinkEntry,
    session: Session,
    sender: Box<dyn FrameSender>,
    started: Instant,
    head: watch::Receiver<Seq>,
    /// Answers that were there at once.
    answers: VecDeque<Input>,
    checkpoint: Option<Pending<Option<Checkpoint>>>,
    read: Option<Pending<Outgoing>>,
    merge: Option<Pending<Merged>>,
    unflushed: bool,
}

impl<'a> Driver<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        sender: Box<dyn FrameSender>,
        side: Side,
        entry: &'a LinkEntry,
    ) -> Self {
        let head = shared.database.feed().watch();
        let identity = shared.database.identity();
        let local = LocalNode {
            node: identity.node,
            incarnation: identity.incarnation,
            database: identity.database,
            name: shared.name.clone(),
            role: identity.role,
            head: *head.borrow(),
        };
        let limits = shared.options.limits;
        let now = Moment { mono_ms: 0, wall_ms: shared.options.clock.now_ms() };
        Self {
            shared,
            entry,
            session: Session::new(SessionConfig { local, side, limits }, now),
            sender,
            started: Instant::now(),
            head,
            answers: VecDeque::new(),
            checkpoint: None,
            read: None,
            merge: None,
            unflushed: false,
        }
    }

    async fn run(
        &mut self,
        mut receiver: Box<dyn FrameReceiver>,
        cancel: &CancellationToken,
    ) -> SessionError {
        let mut result = self.carry_out();
        let sleep = sleep_until(self.deadline());
        tokio::pin!(sleep);
        while result.is_ok() {
            result = self.step(receiver.as_mut(), sleep.as_mut(), cancel).await;
        }
        // What is left to send is the goodbye; a peer that is gone can't take it.
        let goodbye = self.say_goodbye(receiver.as_mut());
        let _ = timeout(GOODBYE, goodbye).await;
        result.err().unwrap_or(SessionError::Closed)
    }

    /// Waits for one thing to happen and handles it.
    async fn step(
        &mut self,
        receiver: &mut dyn FrameReceiver,
        mut sleep: Pin<&mut Sleep>,
        cancel: &CancellationToken,
    ) -> Result<(), SessionError> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => self.handle(Input::Close),
            // Beside the other branches, for the peer may write as we do: if both
            // sides only wrote, neither would ever read.
            flushed = self.sender.flush(), if self.unflushed => {
                self.unflushed = false;
                flushed.map_err(|_| SessionError::Disconnected)
            }
            merged = pending(&mut self.merge) => {
                self.merge = None;
                self.merged(merged)
            }
            read = pending(&mut self.read) => {
                self.read = None;
                self.answer(read, Input::Changes)
            }
            checkpoint = pending(&mut self.checkpoint) => {
                self.checkpoint = None;
                self.answer(checkpoint, Input::Checkpoint)
            }
            frame = receiver.recv() => self.frames(frame, receiver),
            changed = self.head.changed() => {
                let head = *self.head.borrow_and_update();
                match changed {
                    Ok(()) => self.handle(Input::Head(head)),
                    Err(_) => self.handle(Input::Close),
                }
            }
            () = sleep.as_mut() => {
                let result = self.handle(Input::Timeout);
                sleep.reset(self.deadline());
                result
            }
        }
    }

    /// Feeds a frame, and those that arrived with it.
    fn frames(
        &mut self,
        first: Result<Option<Bytes>, TransportError>,
        receiver: &mut dyn FrameReceiver,
    ) -> Result<(), SessionError> {
        let mut next = first;
        for _ in 0..FRAMES_MAX {
            match next {
                Ok(Some(frame)) => self.handle(Input::Frame(frame))?,
                Ok(None) => return self.handle(Input::Disconnected),
                Err(_) => return Err(SessionError::Disconnected),
            }
            next = match receiver.buffered() {
                Ok(None) => return Ok(()),
                more => more,
            };
        }
        // The last one was taken from the buffer and must not be lost.
        match next {
            Ok(Some(frame)) => self.handle(Input::Frame(frame)),
            _ => Err(SessionError::Disconnected),
        }
    }

    fn merged(&mut self, merged: Result<Merged, DatabaseError>) -> Result<(), SessionError> {
        if let Ok(merged) = &merged {
            for conflict in &merged.conflicts {
                // Nobody may be listening.
                let _ = self.shared.conflicts.send(conflict.clone());
            }
        }
        self.answer(merged, |_| Input::Merged)
    }

    fn answer<T>(
        &mut self,
        answer: Result<T, DatabaseError>,
        input: impl FnOnce(T) -> Input,
    ) -> Result<(), SessionError> {
        self.handle(answer.map_or_else(|error| Input::StorageFailed(report(&error)), input))
    }

    fn handle(&mut self, input: Input) -> Result<(), SessionError> {
        self.session.handle_input(self.now(), input)?;
        self.carry_out()
    }

    /// Carries out the session's outputs, and feeds it the answers that are there
    /// at once.
    fn carry_out(&mut self) -> Result<(), SessionError> {
        loop {
            while let Some(output) = self.session.poll_output() {
                self.output(output)?;
            }
            let Some(answer) = self.answers.pop_front() else { return Ok(()) };
            self.session.handle_input(self.now(), answer)?;
        }
    }

    fn output(&mut self, output: Output) -> Result<(), SessionError> {
        match output {
            Output::Send(frame) => {
                self.sender.feed(frame).map_err(|_| SessionError::Disconnected)?;
                self.unflushed = true;
            }
            Output::LoadCheckpoint { peer } => {
                let database = Arc::clone(&self.shared.database);
                self.checkpoint = Some(Box::pin(async move { database.checkpoint(peer).await }));
            }
            Output::Read { after, bytes } => self.read(after, bytes),
            Output::Merge(batch) => self.merge = Some(merge(&self.shared.database, batch)),
            Output::Event(event) => self.entry.event(event, self.session.received()),
            // Only an error ends a session, and then it is `say_goodbye` that finishes.
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, after: Seq, bytes: u64) {
        if let Some(outgoing) = outgoing::from_ring(self.shared.database.feed(), after) {
            self.answers.push_back(Input::Changes(outgoing));
            return;
        }
        let database = Arc::clone(&self.shared.database);
        self.read = Some(Box::pin(async move {
            outgoing::from_database(database.as_ref(), after, bytes).await
        }));
    }

    /// Sends what is left, half-closes, and reads until the peer does: closing
    /// with unread input would reset the connection and lose the goodbye.
    async fn say_goodbye(&mut self, receiver: &mut dyn FrameReceiver) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Send(frame) = output {
                let _ = self.sender.feed(frame);
            }
        }
        let finish = self.sender.finish();
        let drain = async { while let Ok(Some(_)) = receiver.recv().await {} };
        let _ = tokio::join!(finish, drain);
    }

    fn now(&self) -> Moment {
        let mono_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment { mono_ms, wall_ms: self.shared.options.clock.now_ms() }
    }

    fn deadline(&self) -> Instant {
        let mono_ms = self.session.poll_timeout().unwrap_or(0);
        self.started + Duration::from_millis(mono_ms)
    }
}

fn merge(database: &Arc<dyn DatabaseAdapter>, batch: Batch) -> Pending<Merged> {
    let database = Arc::clone(database);
    let Batch { peer, checkpoint, operations } = batch;
    Box::pin(async move { database.merge(Incoming { peer, checkpoint, operations }).await })
}

/// The result of a future that may not be there; waits forever if it isn't.
async fn pending<T>(slot: &mut Option<Pending<T>>) -> Result<T, DatabaseError> {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// An error and its causes, in one line.
pub(crate) fn report(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
