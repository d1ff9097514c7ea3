//! An endpoint at which a node accepts peers.

use std::sync::Arc;
use std::time::Duration;

use blaze_sync_protocol::Side;
use blaze_transport::{Connection, Endpoint, Listener, Transport, TransportError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::driver::{Terms, drive, report};
use crate::node::Shared;
use crate::policy::Admission;
use crate::status::{Direction, Links};

const SECOND: Duration = Duration::from_secs(1);
/// How many clients that weren't let in are told of in a second, at most.
const TOLD_MAX: usize = 8;

/// How long accepting pauses after a shortage, such as too many open files.
const PAUSE: Duration = Duration::from_millis(20);

/// An endpoint at which a node accepts peers.
pub(crate) struct Acceptor {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    admission: Admission,
    cancel: CancellationToken,
    /// Room for the peers.
    places: Arc<Semaphore>,
    /// The sessions with them.
    sessions: TaskTracker,
}

impl Acceptor {
    /// What accepts peers that ask for one of these modes, until it is cancelled.
    pub(crate) fn new(
        shared: Arc<Shared>,
        transport: Arc<dyn Transport>,
        admission: impl Into<Admission>,
        cancel: CancellationToken,
    ) -> Self {
        let places = Arc::new(Semaphore::new(shared.options.connections_max));
        let (admission, sessions) = (admission.into(), TaskTracker::new());
        Self { shared, transport, admission, cancel, places, sessions }
    }

    /// Accepts until it is cancelled. A listener that fails for good is replaced
    /// by a new one at the same endpoint as soon as that can be had.
    pub(crate) async fn run(self, first: Box<dyn Listener>) {
        let endpoint = first.endpoint().clone();
        let mut listener = Some(first);
        while let Some(open) = listener.take() {
            self.accept(open).await;
            listener = self.listen_again(&endpoint).await;
        }
    }

    /// Waits until the sessions have ended, once it is cancelled.
    pub(crate) async fn end(&self) {
        self.sessions.close();
        self.sessions.wait().await;
    }

    /// Accepts until it is cancelled or the listener fails for good, and ends the listener.
    pub(crate) async fn accept(&self, mut listener: Box<dyn Listener>) {
        let endpoint = listener.endpoint().clone();
        let mut refusals = Refusals::new(&self.shared.links, &endpoint);
        loop {
            // Peers beyond the limit wait in the listener's queue.
            let accepted = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let accepted = tokio::select! {
                () = self.cancel.cancelled() => break,
                accepted = accepted => accepted,
            };
            let error = match accepted {
                (Ok(place), Ok(connection)) => {
                    self.spawn(connection, endpoint.clone(), place);
                    continue;
                }
                (_, Err(error)) => error,
                // Nobody closes the places.
                (Err(_), _) => break,
            };
            refusals.tell(&error);
            match error {
                error if !error.is_retryable() => break,
                // A shortage, which may pass.
                TransportError::Io { .. } => tokio::time::sleep(PAUSE).await,
                // One peer's fault, for which no other is to wait.
                _ => consume_budget().await,
            }
        }
        // Whatever could not be removed is reported to whoever listens next.
        let _ = listener.close().await;
    }

    fn spawn(&self, connection: Connection, endpoint: Endpoint, place: OwnedSemaphorePermit) {
        let entry = self.shared.links.add(endpoint, Direction::Incoming);
        let (shared, cancel) = (Arc::clone(&self.shared), self.cancel.clone());
        // Where the transport knows what was agreed with the peer, it gets no more.
        let Admission { modes, scope, yields } = self.admission.clone();
        let allowed = modes.into_iter().filter(|mode| connection.peer.allows(*mode));
        let side = Side::Acceptor { allowed: allowed.collect() };
        let terms = Terms { compression: self.transport.compression(), scope, yields };
        let session = async move {
            let error = drive(&shared, connection, side, terms, &entry, &cancel).await;
            entry.end(report(&error));
            drop(place);
        };
        self.shared.tasks.spawn(self.sessions.track_future(session));
    }

    /// Tries until it listens again; `None` if it is cancelled meanwhile.
    async fn listen_again(&self, endpoint: &Endpoint) -> Option<Box<dyn Listener>> {
        for failures in 1.. {
            let wait = self.shared.options.backoff.wait(failures, fastrand::f64());
            tokio::select! {
                () = self.cancel.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
            match self.transport.listen(endpoint).await {
                Ok(listener) => return Some(listener),
                Err(error) => self.shared.links.refused(endpoint.clone(), report(&error)),
            }
        }
        None
    }
}

/// Tells whom a listener didn't let in, and what keeps it from accepting: some of it, for
/// strangers can connect as often as they like.
struct Refusals<'a> {
    links: &'a Links,
    endpoint: &'a Endpoint,
    /// When the second began in which so many were told.
    since: Instant,
    told: usize,
    last: String,
}

impl<'a> Refusals<'a> {
    fn new(links: &'a Links, endpoint: &'a Endpoint) -> Self {
        Self { links, endpoint, since: Instant::now(), told: 0, last: String::new() }
    }

    fn tell(&mut self, error: &TransportError) {
        if self.since.elapsed() >= SECOND {
            *self = Self::new(self.links, self.endpoint);
        }
        let reason = report(error);
        if self.told < TOLD_MAX && self.last != reason {
            self.links.refused(self.endpoint.clone(), reason.clone());
            (self.told, self.last) = (self.told + 1, reason);
        }
    }
}
