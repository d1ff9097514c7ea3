//! A link that this node makes, and makes again for as long as it stands.

use std::sync::Arc;

use blaze_codec::message::Reason;
use blaze_sync_protocol::{SessionError, Side};
use blaze_transport::{Connection, Endpoint, Transport, TransportError};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::driver::{Terms, drive, report};
use crate::node::Shared;
use crate::policy::ExportPolicy;
use crate::status::{LinkEntry, LinkState};

/// A link that this node makes.
pub(crate) struct Connector {
    pub(crate) shared: Arc<Shared>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) endpoint: Endpoint,
    pub(crate) policy: ExportPolicy,
    pub(crate) entry: LinkEntry,
    pub(crate) cancel: CancellationToken,
    /// Ends a wait.
    pub(crate) retry: Arc<Notify>,
}

/// How an attempt ended.
pub(crate) struct Failure {
    reason: String,
    refused: bool,
    pub(crate) lasted: bool,
    /// Whether the session was live until the peer went away.
    pub(crate) gone: bool,
}

/// How many failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    count: u32,
    refused: bool,
}

impl Failures {
    /// How many there are with this one, which may be the first of others: the waits after
    /// refusals grow by themselves.
    pub(crate) fn with(&mut self, failure: &Failure, begins: bool) -> u32 {
        let begins = begins || failure.refused != self.refused;
        self.count = if begins { 1 } else { self.count.saturating_add(1) };
        self.refused = failure.refused;
        self.count
    }
}

impl Failure {
    /// That of a connection or a listener which couldn't be had.
    pub(crate) fn of(error: &TransportError) -> Self {
        let refused = !error.is_retryable();
        Self { reason: report(error), refused, lasted: false, gone: false }
    }

    /// That of this node's own listener.
    pub(crate) fn of_listener(lasted: bool) -> Self {
        let reason = "the listener failed".to_owned();
        Self { reason, refused: false, lasted, gone: false }
    }
}

impl Connector {
    /// Keeps the link up until it is cancelled, beginning with the first attempt's
    /// outcome.
    pub(crate) async fn run(self, first: Result<Connection, TransportError>) {
        self.keep_up(first).await;
        self.end();
    }

    /// Ends the link, which this side closed.
    pub(crate) fn end(self) {
        self.entry.end(report(&SessionError::Closed));
    }

    async fn keep_up(&self, first: Result<Connection, TransportError>) {
        let mut failures = Failures::default();
        let mut attempt = first;
        loop {
            let failure = match attempt {
                Ok(connection) => match self.session(connection).await {
                    Some(failure) => failure,
                    None => return,
                },
                Err(error) => Failure::of(&error),
            };
            let failures = failures.with(&failure, failure.lasted);
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
    pub(crate) async fn session(&self, connection: Connection) -> Option<Failure> {
        if !connection.peer.allows(self.policy.mode.reversed()) {
            let error = SessionError::Mode { mode: self.policy.mode.to_string() };
            let reason = report(&error);
            return Some(Failure { reason, refused: true, lasted: false, gone: false });
        }
        let began = Instant::now();
        let side = Side::Connector { mode: self.policy.mode };
        let ExportPolicy { scope, yields, .. } = self.policy.clone();
        let terms = Terms { compression: self.transport.compression(), scope, yields };
        let (shared, entry) = (&self.shared, &self.entry);
        let error = drive(shared, connection, side, terms, entry, &self.cancel).await;
        if error == SessionError::Closed {
            return None;
        }
        let lasted = began.elapsed() >= self.shared.options.backoff.lasted;
        let left = matches!(
            error,
            SessionError::Disconnected { .. }
                | SessionError::PeerLeft { reason: Reason::Shutdown, .. }
        );
        let gone = left && entry.is_live();
        Some(Failure { reason: report(&error), refused: !error.is_retryable(), lasted, gone })
    }

    /// Waits before the next attempt; false if the link is cancelled meanwhile.
    pub(crate) async fn wait(&self, failure: Failure, failures: u32) -> bool {
        let (backoff, random) = (&self.shared.options.backoff, fastrand::f64());
        let Failure { reason, refused, .. } = failure;
        let wait = if refused {
            backoff.wait_refused(failures, random)
        } else {
            backoff.wait(failures, random)
        };
        // Whoever sees that it waits is heard.
        let retried = self.retry.notified();
        self.entry.state(LinkState::Waiting { wait, reason: reason.into(), refused });
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = retried => true,
            () = tokio::time::sleep(wait) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_other_failures_are_counted_apart() {
        let failure =
            |refused| Failure { reason: String::new(), refused, lasted: false, gone: false };
        let mut failures = Failures::default();
        let mut counted = |refused, begins| failures.with(&failure(refused), begins);
        assert_eq!([counted(false, false), counted(false, false)], [1, 2]);
        assert_eq!([counted(true, false), counted(true, false)], [1, 2]);
        assert_eq!([counted(false, false), counted(false, false)], [1, 2]);
        assert_eq!([counted(false, true), counted(false, false)], [1, 2]);
    }
}
