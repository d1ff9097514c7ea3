//! A hub that needs no daemon: of the nodes that join an endpoint one listens, the others
//! connect to it, and one of them takes its place when it is gone.

use blaze_codec::Mode;
use blaze_transport::{Connection, Endpoint, Listener, Transport, TransportError};
use tokio::time::Instant;

use crate::connect::{Connector, Failure, Failures};
use crate::listen::Acceptor;
use crate::status::LinkState;

/// A node that has joined an endpoint.
pub(crate) struct Member {
    /// What connects to the hub, as long as that is another node.
    pub(crate) connector: Connector,
    /// What accepts the others, as long as this is the hub.
    pub(crate) acceptor: Acceptor,
}

/// What a node found at the endpoint.
pub(crate) enum Seat {
    /// Nobody listened: now this node does.
    Hub(Box<dyn Listener>),
    /// Another node listens.
    Spoke(Connection),
}

/// Listens if nobody else does, and else connects to who does. Who is to be the only one
/// is decided by the transport, which never lets two listen.
///
/// A hub passes on what it gets from one to the others, so that a node which only receives
/// or only sends can't be it.
pub(crate) async fn take_seat(
    transport: &dyn Transport,
    endpoint: &Endpoint,
    mode: Mode,
) -> Result<Seat, TransportError> {
    if matches!(endpoint.scheme(), "tcp" | "tls") && endpoint.address().ends_with(":0") {
        let error = std::io::Error::other("port 0 is another one for each; name a port");
        return Err(TransportError::io(format!("join {endpoint}"), error));
    }
    let mut refused = None;
    if mode == Mode::Bidirectional {
        match transport.listen(endpoint).await {
            Ok(listener) => return Ok(Seat::Hub(listener)),
            Err(TransportError::AddressInUse { .. }) => {}
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => refused = Some(error),
        }
    }
    // Who can't listen, as at another device's address, may still connect.
    match (transport.connect(endpoint).await, refused) {
        (Err(TransportError::NothingListens { .. }), Some(refused)) => Err(refused),
        (connection, _) => connection.map(Seat::Spoke),
    }
}

impl Member {
    /// Keeps the node at the endpoint until it is cancelled, beginning with what it found
    /// there.
    pub(crate) async fn run(self, first: Result<Seat, TransportError>) {
        self.keep_seat(first).await;
        // The sessions with those who joined it end with it.
        self.acceptor.end().await;
        self.connector.end();
    }

    async fn keep_seat(&self, first: Result<Seat, TransportError>) {
        let Connector { shared, transport, endpoint, policy, entry, cancel, .. } = &self.connector;
        let (mut failures, mut found) = (Failures::default(), first);
        loop {
            let failure = match found {
                Ok(Seat::Hub(listener)) => {
                    entry.state(LinkState::Hub);
                    let began = Instant::now();
                    self.acceptor.accept(listener).await;
                    Failure::of_listener(began.elapsed() >= shared.options.backoff.lasted)
                }
                Ok(Seat::Spoke(connection)) => match self.connector.session(connection).await {
                    Some(failure) => failure,
                    None => return,
                },
                Err(error) => Failure::of(&error),
            };
            // A hub that goes leaves a free seat: whoever is first to wake takes it.
            let failures = failures.with(&failure, failure.lasted || failure.gone);
            if !self.connector.wait(failure, failures).await {
                return;
            }
            entry.state(LinkState::Connecting);
            found = tokio::select! {
                () = cancel.cancelled() => return,
                found = take_seat(&**transport, endpoint, policy.mode) => found,
            };
        }
    }
}
