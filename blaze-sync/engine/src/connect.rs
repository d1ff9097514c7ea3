//! A link that this node makes, and makes again for as long as it stands.

use std::sync::Arc;
use std::time::Duration;

use blaze_codec::Mode;
use blaze_sync_protocol::{SessionError, Side};
use blaze_transport::{Connection, Endpoint, Transport, TransportError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::driver::{drive, report};
use crate::node::Shared;
use crate::status::{LinkEntry, LinkState};

/// A link that this node makes.
pub(crate) struct Connector {
    pub(crate) shared: Arc<Shared>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) endpoint: Endpoint,
    pub(crate) mode: Mode,
    pub(crate) entry: LinkEntry,
    pub(crate) cancel: CancellationToken,
}

/// How an attempt ended.
struct Failure {
    reason: String,
    refused: bool,
    lasted: bool,
}

impl Connector {
    /// Keeps the link up until it is cancelled, beginning with the first attempt's
    /// outcome.
    pub(crate) async fn run(self, first: Result<Connection, TransportError>) {
        self.keep_up(first).await;
        self.entry.end(report(&SessionError::Closed));
    }

    async fn keep_up(&self, first: Result<Connection, TransportError>) {
        let mut failures = 0;
        let mut attempt = first;
        loop {
            let failure = match attempt {
                Ok(connection) => match self.session(connection).await {
                    Some(failure) => failure,
                    None => return,
                },
                Err(error) => {
                    let refused = !error.is_retryable();
                    Failure { reason: report(&error), refused, lasted: false }
                }
            };
            failures = if failure.lasted { 1 } else { failures + 1 };
            if !self.wait(failure, failures).await {
                return;
            }
            self.entry.state(LinkState::Connecting);
            attempt = tokio::select! {
                () = self.cancel.cancelled() => return,
                attempt = self.transport.connect(&self.endpoint) => attempt,
            };
        }
    }

    /// Runs one session; `None` if this side closed it.
    async fn session(&self, connection: Connection) -> Option<Failure> {
        let began = Instant::now();
        let side = Side::Connector { mode: self.mode };
        let compression = self.transport.compression();
        let (shared, entry) = (&self.shared, &self.entry);
        let error = drive(shared, connection, side, compression, entry, &self.cancel).await;
        if error == SessionError::Closed {
            return None;
        }
        let lasted = began.elapsed() >= self.shared.options.backoff.lasted;
        Some(Failure { reason: report(&error), refused: !error.is_retryable(), lasted })
    }

    /// Waits before the next attempt; false if the link is cancelled meanwhile.
    async fn wait(&self, failure: Failure, failures: u32) -> bool {
        let wait = self.shared.options.backoff.wait(failures, fastrand::f64());
        // What somebody has to change first is not changed within milliseconds.
        let floor = if failure.refused { Duration::from_secs(1) } else { Duration::ZERO };
        let wait = wait.max(floor);
        let Failure { reason, refused, .. } = failure;
        self.entry.state(LinkState::Waiting { wait, reason: reason.into(), refused });
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}
