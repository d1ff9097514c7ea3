//! Drives one session over one connection: a loop over everything it waits for.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use blaze_codec::message::{CONTROL_BYTES_MAX, Compression, Message};
use blaze_codec::{Checkpoint, NodeId, Scope, Seq};
use blaze_db_adapter::{
    Audience, DatabaseAdapter, DatabaseError, Identity, Incoming, Limit, Merged, Withdrawn,
};
use blaze_sync_protocol::{
    Batch, CREDIT_BYTES_MAX, Event, Input, LocalNode, Moment, Outgoing, Output, Session,
    SessionConfig, SessionError, Side,
};
use blaze_transport::{Connection, FrameReceiver, FrameSender, TransportError};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::brake::Brake;
use crate::export::Export;
use crate::node::Shared;
use crate::policy::Withdrawal;
use crate::status::LinkEntry;
use crate::{outgoing, upkeep};

/// Frames that are taken from the connection before the session's outputs are
/// carried out again.
const FRAMES_MAX: usize = 256;
/// How long a goodbye may take, and the merge before it.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);
/// Bytes that may wait to be sent before nothing more is received: more than the
/// largest credit, so that two sides that both only send never wait for each other.
const UNFLUSHED_BYTES_MAX: u64 = 2 * CREDIT_BYTES_MAX;

/// How often it is looked whether a frame that isn't whole yet goes on.
const LOOK: Duration = Duration::from_secs(5);
/// Bytes a second that are no silence: a frame of 1 MiB may take 17 minutes.
const SLOWEST_BYTES: u64 = 1024;

/// On what terms a session is held.
pub(crate) struct Terms {
    /// What to compress by, if the peer reads it.
    pub(crate) compression: Compression,
    /// What the peer sees and writes, unless something else was agreed with it.
    pub(crate) scope: Option<Arc<Scope>>,
    /// Whether the peer may withdraw records.
    pub(crate) yields: bool,
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, DatabaseError>> + Send>>;

/// Runs a session until it ends, and tells why it did.
pub(crate) async fn drive(
    shared: &Arc<Shared>,
    connection: Connection,
    side: Side,
    terms: Terms,
    entry: &LinkEntry,
    cancel: &CancellationToken,
) -> SessionError {
    let Connection { mut sender, mut receiver, peer, .. } = connection;
    let Terms { compression, scope, yields } = terms;
    let scope = match peer.policy() {
        None => scope,
        Some(name) => {
            let Some(agreed) = shared.options.policies.get(name) else {
                let error = SessionError::Policy { name: name.to_owned() };
                refuse(&error, &mut *sender, &mut *receiver).await;
                return error;
            };
            Some(Arc::clone(agreed))
        }
    };
    // Before the identity is read: who changes it tells after that.
    let renewals = shared.renewals.subscribe();
    let history = tokio::select! {
        biased;
        () = cancel.cancelled() => return SessionError::Closed,
        history = shared.database.announce() => history,
    };
    let history = match history {
        Ok(history) => history,
        Err(error) => {
            let (reason, retryable) = storage_failure(&error);
            return SessionError::Storage { reason, retryable };
        }
    };
    let connects = matches!(side, Side::Connector { .. });
    // Before its value is read: what is committed after that is told by it.
    let head = shared.database.feed().watch();
    let Identity { node, former, database, role, .. } = shared.database.identity();
    let (name, head_now) = (shared.name.clone(), *head.borrow());
    let local = LocalNode { node, former, history, database, name, role, head: head_now };
    let (agreed_role, limits) = (peer.role(), shared.options.limits);
    let config = SessionConfig::new(local, side);
    let config = SessionConfig { agreed_role, scope, limits, compression, ..config };
    let principal = peer.principal().map(ToString::to_string).unwrap_or_default();
    let mut driver = Driver::new(shared, config, principal, (head, renewals), sender, entry);
    driver.yields = yields;
    let error = driver.run(receiver, cancel).await;
    upkeep::end(shared, entry.peer()).await;
    // A listener takes such a thing from nobody who didn't say who it is.
    if connects || driver.session.peer().is_some() {
        shared.renew_if_copied(&error).await;
    }
    error
}

struct Driver<'a> {
    shared: &'a Arc<Shared>,
    entry: &'a LinkEntry,
    session: Session,
    /// Who the peer is, as far as its transport vouches for that.
    principal: String,
    /// What the peer sees and writes; `None` if all.
    scope: Option<Arc<Scope>>,
    /// Whether the peer may withdraw records.
    yields: bool,
    /// What of the feed the peer gets, once that is known; `None` if all.
    export: Option<Arc<Export>>,
    sender: Box<dyn FrameSender>,
    started: Instant,
    head: watch::Receiver<Seq>,
    renewals: watch::Receiver<u64>,
    /// Answers that were there at once.
    answers: VecDeque<Input>,
    checkpoints: Option<Pending<(Vec<Checkpoint>, bool)>>,
    read: Option<Pending<Outgoing>>,
    registration: Option<Pending<Seq>>,
    roll: Option<Pending<Outgoing>>,
    merge: Option<Pending<Merged>>,
    brake: Brake,
    unflushed_bytes: u64,
    /// Whether the peer has said hello.
    greeted: bool,
    /// What had been received when that was looked at last.
    received_bytes: u64,
    looked: Instant,
}

impl<'a> Driver<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        config: SessionConfig,
        principal: String,
        (head, renewals): (watch::Receiver<Seq>, watch::Receiver<u64>),
        sender: Box<dyn FrameSender>,
        entry: &'a LinkEntry,
    ) -> Self {
        let now = Moment { mono_ms: 0, wall_ms: shared.options.clock.now_ms() };
        Self {
            shared,
            entry,
            principal,
            scope: config.scope.clone(),
            yields: false,
            export: None,
            session: Session::new(config, now),
            sender,
            started: Instant::now(),
            head,
            renewals,
            answers: VecDeque::new(),
            checkpoints: None,
            read: None,
            registration: None,
            roll: None,
            merge: None,
            brake: Brake::default(),
            unflushed_bytes: 0,
            greeted: false,
            received_bytes: 0,
            looked: Instant::now(),
        }
    }

    async fn run(
        &mut self,
        mut receiver: Box<dyn FrameReceiver>,
        cancel: &CancellationToken,
    ) -> SessionError {
        // Little is kept of who hasn't said who it is.
        receiver.limit_frames(CONTROL_BYTES_MAX);
        let mut result = self.carry_out();
        let sleep = sleep_until(self.deadline());
        tokio::pin!(sleep);
        while result.is_ok() {
            // A peer that always has something to say leaves its thread to others, too.
            consume_budget().await;
            result = if cancel.is_cancelled() {
                self.close().await
            } else if let Some(handled) = self.at_hand(receiver.as_mut()) {
                handled
            } else {
                // It may have come nearer.
                if self.deadline() < sleep.deadline() {
                    sleep.as_mut().reset(self.deadline());
                }
                self.wait(receiver.as_mut(), sleep.as_mut(), cancel).await
            };
        }
        self.finish_merge().await;
        // What is left to send is the goodbye; a peer that is gone can't take it.
        let goodbye = say_goodbye(&mut self.session, &mut *self.sender, &mut *receiver);
        let _ = timeout(GOODBYE, goodbye).await;
        result.err().unwrap_or(SessionError::Closed)
    }

    /// Handles one thing that needn't be waited for, if there is one. To wait is to tell
    /// everything that could happen whom to wake, and to take that back.
    fn at_hand(&mut self, receiver: &mut dyn FrameReceiver) -> Option<Result<(), SessionError>> {
        if self.renewals.has_changed().unwrap_or(false) {
            self.renewals.mark_unchanged();
            return Some(self.handle(Input::Renewed));
        }
        if self.unflushed_bytes > 0 {
            let flushed = now(self.sender.flush().as_mut());
            if let Poll::Ready(flushed) = flushed {
                return Some(self.flushed(flushed));
            }
        }
        if let Some(merged) = take_now(&mut self.merge) {
            return Some(self.merged(merged));
        }
        if let Some(read) = take_now(&mut self.read) {
            return Some(self.answer(read, Input::Changes));
        }
        if let Some(checkpoints) = take_now(&mut self.checkpoints) {
            return Some(self.tell_checkpoints(checkpoints));
        }
        if let Some(registered) = take_now(&mut self.registration) {
            return Some(self.answer(registered, Input::Registered));
        }
        if let Some(roll) = take_now(&mut self.roll) {
            return Some(self.answer(roll, Input::Roll));
        }
        if self.unflushed_bytes < UNFLUSHED_BYTES_MAX
            && let Some(frame) = receiver.buffered().transpose()
        {
            return Some(self.frames(frame.map(Some), receiver));
        }
        self.head.has_changed().unwrap_or(false).then(|| self.tell_head())
    }

    /// Waits for one thing to happen and handles it.
    async fn wait(
        &mut self,
        receiver: &mut dyn FrameReceiver,
        mut sleep: Pin<&mut Sleep>,
        cancel: &CancellationToken,
    ) -> Result<(), SessionError> {
        tokio::select! {
            biased;
            // Beside the other branches, for the peer may write as we do: if both
            // sides only wrote, neither would ever read.
            flushed = self.sender.flush(), if self.unflushed_bytes > 0 => self.flushed(flushed),
            merged = pending(&mut self.merge) => {
                self.merge = None;
                self.merged(merged)
            }
            read = pending(&mut self.read) => {
                self.read = None;
                self.answer(read, Input::Changes)
            }
            checkpoints = pending(&mut self.checkpoints) => {
                self.checkpoints = None;
                self.tell_checkpoints(checkpoints)
            }
            registered = pending(&mut self.registration) => {
                self.registration = None;
                self.answer(registered, Input::Registered)
            }
            roll = pending(&mut self.roll) => {
                self.roll = None;
                self.answer(roll, Input::Roll)
            }
            frame = receiver.recv(), if self.unflushed_bytes < UNFLUSHED_BYTES_MAX => {
                self.frames(frame, receiver)
            }
            changed = self.head.changed() => {
                let head = *self.head.borrow_and_update();
                match changed {
                    Ok(()) => self.handle(Input::Head(head)),
                    Err(_) => self.handle(Input::Close),
                }
            }
            () = sleep.as_mut() => {
                let result = self.timeout(receiver.received_bytes());
                sleep.reset(self.deadline());
                result
            }
            // What comes rarely comes last: it isn't asked if something before is there.
            () = cancel.cancelled() => Ok(()),
            Ok(()) = self.renewals.changed() => self.handle(Input::Renewed),
        }
    }

    fn timeout(&mut self, received_bytes: u64) -> Result<(), SessionError> {
        let elapsed = self.looked.elapsed();
        // At least three times before a silence ends the session.
        let look = LOOK.min(Duration::from_millis(self.shared.options.limits.silence_ms / 3));
        if elapsed >= look {
            let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let expected = (SLOWEST_BYTES.saturating_mul(ms) / 1_000).max(1);
            let goes_on = received_bytes - self.received_bytes >= expected;
            (self.received_bytes, self.looked) = (received_bytes, Instant::now());
            if goes_on {
                self.handle(Input::Progress)?;
            }
        }
        self.handle(Input::Timeout)
    }

    fn flushed(&mut self, flushed: Result<(), TransportError>) -> Result<(), SessionError> {
        self.unflushed_bytes = 0;
        flushed.map_err(|error| disconnected(&error))
    }

    fn tell_checkpoints(
        &mut self,
        checkpoints: Result<(Vec<Checkpoint>, bool), DatabaseError>,
    ) -> Result<(), SessionError> {
        self.tell_head()?;
        let peer = self.session.peer().map(|peer| peer.node);
        let step = peer.and_then(|peer| self.shared.last_step(peer));
        self.answer(checkpoints, |(places, former)| Input::Checkpoints { places, former, step })
    }

    /// Ends the session; what is being merged is acknowledged before.
    async fn close(&mut self) -> Result<(), SessionError> {
        if let Some(merge) = self.merge.take()
            && let Ok(merged) = timeout(GOODBYE, merge).await
        {
            self.merged(merged)?;
        }
        self.handle(Input::Close)
    }

    fn tell_head(&mut self) -> Result<(), SessionError> {
        if !self.head.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let head = *self.head.borrow_and_update();
        self.handle(Input::Head(head))
    }

    /// Feeds a frame, and those that arrived with it.
    fn frames(
        &mut self,
        first: Result<Option<Bytes>, TransportError>,
        receiver: &mut dyn FrameReceiver,
    ) -> Result<(), SessionError> {
        // What the frames speak of may be newer than what was last seen of the feed.
        self.tell_head()?;
        let mut next = first;
        for count in 1.. {
            match next {
                Ok(Some(frame)) => {
                    self.handle(Input::Frame(frame))?;
                    if !self.greeted && self.session.peer().is_some() {
                        self.greeted = true;
                        receiver.limit_frames(usize::MAX);
                    }
                }
                Err(TransportError::FrameTooLong { .. }) if !self.greeted => {
                    return self.handle(Input::TooLong);
                }
                Ok(None) => return self.handle(Input::Disconnected("the peer closed it".into())),
                Err(error) => return Err(disconnected(&error)),
            }
            if count == FRAMES_MAX || self.unflushed_bytes >= UNFLUSHED_BYTES_MAX {
                break;
            }
            next = match receiver.buffered() {
                Ok(None) => break,
                more => more,
            };
        }
        Ok(())
    }

    /// A merge that was begun is not given up with the session: its conflicts are
    /// told once only.
    async fn finish_merge(&mut self) {
        if let Some(merge) = self.merge.take()
            && let Ok(Ok(merged)) = timeout(GOODBYE, merge).await
        {
            self.tell_losses(&merged);
        }
    }

    fn merged(&mut self, merged: Result<Merged, DatabaseError>) -> Result<(), SessionError> {
        if let Ok(merged) = &merged {
            self.tell_losses(merged);
            if !merged.refused.is_empty() {
                self.brake.refused(self.started.elapsed());
            }
        }
        let head = self.shared.database.feed().head();
        self.answer(merged, |merged| {
            let seq = merged.committed.map_or(Seq::ZERO, |committed| committed.seq());
            Input::Merged { head: head.max(seq) }
        })
    }

    fn tell_losses(&self, merged: &Merged) {
        for conflict in &merged.conflicts {
            // Nobody may be listening.
            let _ = self.shared.conflicts.send(conflict.clone());
        }
        let Some(peer) = self.session.peer().map(|peer| peer.node) else { return };
        let withdrawn = merged.withdrawn.iter().cloned();
        let withdrawn = withdrawn.map(|Withdrawn { collection, key, record }| Withdrawal {
            peer,
            collection,
            key,
            record: Some(record),
        });
        let refused = merged.refused.iter().cloned();
        let refused =
            refused.map(|(collection, key)| Withdrawal { peer, collection, key, record: None });
        for withdrawal in withdrawn.chain(refused) {
            let _ = self.shared.withdrawals.send(withdrawal);
        }
    }

    fn answer<T>(
        &mut self,
        answer: Result<T, DatabaseError>,
        input: impl FnOnce(T) -> Input,
    ) -> Result<(), SessionError> {
        self.handle(answer.map_or_else(|error| storage_failed(&error), input))
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
                self.unflushed_bytes += frame.len() as u64;
                self.sender.feed(frame).map_err(|error| disconnected(&error))?;
            }
            Output::LoadCheckpoints { peer, former } => {
                let database = Arc::clone(&self.shared.database);
                self.checkpoints = Some(Box::pin(checkpoints(database, peer, former)));
            }
            Output::Read { after, bytes, known, behind, left_out, since } => {
                let (feed, export) = (self.shared.database.feed(), self.export());
                // Taking it encodes it, so it is not taken to be thrown away.
                let (at_hand, bytes) = match &export {
                    _ if behind => (None, bytes),
                    None => (outgoing::from_ring(feed, after, &known), bytes),
                    Some(export) => outgoing::passed(feed, (after, bytes), &known, export),
                };
                self.read((after, bytes), (left_out, since), at_hand, export);
            }
            Output::Register { peer, name, holds } => {
                let database = Arc::clone(&self.shared.database);
                self.registration =
                    Some(Box::pin(async move { database.register(peer, &name, holds).await }));
            }
            Output::ReadRoll { after, through } => {
                let database = Arc::clone(&self.shared.database);
                let export = self.export();
                self.roll = Some(Box::pin(async move {
                    outgoing::roll(database.as_ref(), after, through, export.as_deref()).await
                }));
            }
            Output::Merge(batch) => {
                let limits = self.session.peer().is_some_and(|peer| peer.limits);
                let limit = self.export().and_then(|export| export.limit.clone());
                let withdraws = limits && self.yields;
                let pause = limit.as_ref().map(|_| self.brake.pause(self.started.elapsed()));
                self.merge = Some(merge(self.shared, batch, limit, withdraws, pause));
            }
            Output::Event(event) => {
                let tells = matches!(event, Event::Established(_) | Event::Received(_));
                self.entry.event(event);
                if tells && self.entry.is_copy() {
                    self.answers.push_back(Input::Copied);
                }
            }
            // Only an error ends a session, and then it is `say_goodbye` that finishes.
            _ => {}
        }
        Ok(())
    }

    fn read(
        &mut self,
        range: (Seq, u64),
        (left_out, since): (bool, Seq),
        at_hand: Option<Outgoing>,
        export: Option<Arc<Export>>,
    ) {
        if let Some(outgoing) = at_hand {
            self.answers.push_back(Input::Changes(outgoing));
            return;
        }
        let database = Arc::clone(&self.shared.database);
        self.read = Some(Box::pin(async move {
            let (database, export) = (database.as_ref(), export.as_deref());
            outgoing::from_database(database, range, left_out, since, export).await
        }));
    }

    /// What of the feed the peer gets, if that isn't all: the two sides have told that before
    /// anything is read or merged.
    fn export(&mut self) -> Option<Arc<Export>> {
        if self.export.is_none() {
            let accepted = self.session.accepted().cloned();
            let peer =
                self.session.peer().filter(|_| self.scope.is_some() || accepted.is_some())?;
            let principal = self.principal.clone();
            let limit = self.scope.clone().map(|scope| {
                Arc::new(Limit { scope, audience: Audience { node: peer.node, principal } })
            });
            self.export = Some(Arc::new(Export { limit, accepted, former: peer.former.clone() }));
        }
        self.export.clone()
    }

    fn now(&self) -> Moment {
        let mono_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment { mono_ms, wall_ms: self.shared.options.clock.now_ms() }
    }

    fn deadline(&self) -> Instant {
        // A timeout that means "never" is looked at again tomorrow.
        let mono_ms = self.session.poll_timeout().unwrap_or(0);
        let tomorrow = Instant::now() + Duration::from_secs(24 * 60 * 60);
        let due = self.started.checked_add(Duration::from_millis(mono_ms));
        due.map_or(tomorrow, |due| due.min(tomorrow))
    }
}

/// Says goodbye to a peer with which no session is begun.
async fn refuse(
    error: &SessionError,
    sender: &mut dyn FrameSender,
    receiver: &mut dyn FrameReceiver,
) {
    if let Some(goodbye) = error.goodbye() {
        let _ = sender.feed(Message::Goodbye(goodbye).encode());
    }
    receiver.limit_frames(CONTROL_BYTES_MAX);
    let _ = timeout(GOODBYE, leave(sender, receiver)).await;
}

/// Sends what is left of a session, and leaves.
pub(crate) async fn say_goodbye(
    session: &mut Session,
    sender: &mut dyn FrameSender,
    receiver: &mut dyn FrameReceiver,
) {
    while let Some(output) = session.poll_output() {
        if let Output::Send(frame) = output {
            let _ = sender.feed(frame);
        }
    }
    leave(sender, receiver).await;
}

/// Half-closes, and reads until the peer does: closing with unread input would reset the
/// connection and lose the goodbye.
async fn leave(sender: &mut dyn FrameSender, receiver: &mut dyn FrameReceiver) {
    let drain = async { while let Ok(Some(_)) = receiver.recv().await {} };
    let _ = tokio::join!(sender.finish(), drain);
}

fn merge(
    shared: &Arc<Shared>,
    batch: Batch,
    limit: Option<Arc<Limit>>,
    withdraws: bool,
    pause: Option<Duration>,
) -> Pending<Merged> {
    let shared = Arc::clone(shared);
    let Batch { peer, checkpoint, step, roots, operations, holds, roll } = batch;
    let incoming = Incoming { peer, checkpoint, roots, operations, holds, roll, limit, withdraws };
    Box::pin(async move {
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            sleep(pause).await;
        }
        let merged = shared.database.merge(incoming).await?;
        if step.is_some() || checkpoint.is_some() {
            shared.step(peer, step);
        }
        Ok(merged)
    })
}

/// How far a peer's feed is merged, and whether under a former id: the latest of those
/// that is known.
async fn checkpoints(
    database: Arc<dyn DatabaseAdapter>,
    peer: NodeId,
    former: Vec<NodeId>,
) -> Result<(Vec<Checkpoint>, bool), DatabaseError> {
    for id in std::iter::once(peer).chain(former.into_iter().rev()) {
        let found = database.checkpoints(id).await?;
        if !found.is_empty() {
            return Ok((found, id != peer));
        }
    }
    Ok((Vec::new(), false))
}

/// Polls a future once. Who goes on to wait for it polls it again, by a waker of its own.
fn now<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of a future that may not be there, if that is there at once.
fn take_now<T>(slot: &mut Option<Pending<T>>) -> Option<Result<T, DatabaseError>> {
    let Poll::Ready(result) = now(slot.as_mut()?.as_mut()) else { return None };
    *slot = None;
    Some(result)
}

/// The result of a future that may not be there; waits forever if it isn't.
async fn pending<T>(slot: &mut Option<Pending<T>>) -> Result<T, DatabaseError> {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn disconnected(error: &TransportError) -> SessionError {
    SessionError::Disconnected { reason: report(error) }
}

fn storage_failed(error: &DatabaseError) -> Input {
    let (reason, retryable) = storage_failure(error);
    Input::StorageFailed { reason, retryable }
}

/// What is said of it, and whether trying again can help.
fn storage_failure(error: &DatabaseError) -> (String, bool) {
    // A disk that was full may have room again; a database that stopped stays so.
    let retryable = !matches!(
        error,
        DatabaseError::Closed | DatabaseError::Halted { .. } | DatabaseError::ReadOnly { .. }
    );
    (report(error), retryable)
}

/// An error and its causes, in one line.
pub(crate) fn report(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
