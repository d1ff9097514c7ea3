//! Accepts connections and lets in those that are trusted.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use async_trait::async_trait;
use blaze_transport::{Connection, Endpoint, Listener, TransportError};
use tokio::net::{TcpListener, TcpStream};

use crate::{HandshakeError, TlsTransport};

/// The most handshakes that go on at once; other clients wait in the system's queue.
const PENDING_MAX: usize = 32;
/// The most of them from one address, so that one stranger can't take all places.
const PENDING_PER_ADDRESS_MAX: usize = 8;

type Handshake = Pin<Box<dyn Future<Output = Result<Option<Connection>, TransportError>> + Send>>;

/// A socket that listens, and the handshakes that have begun. They go on while somebody accepts,
/// and wait with the listener if nobody does.
pub(crate) struct TlsListener {
    listener: TcpListener,
    endpoint: Endpoint,
    transport: TlsTransport,
    pending: Vec<(IpAddr, Handshake)>,
    /// Failures that nobody was told of yet. Each keeps its handshake's place.
    failed: VecDeque<TransportError>,
}

impl TlsListener {
    pub(crate) fn new(listener: TcpListener, endpoint: Endpoint, transport: TlsTransport) -> Self {
        Self { listener, endpoint, transport, pending: Vec::new(), failed: VecDeque::new() }
    }

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Connection, TransportError>> {
        loop {
            // Who is let in comes before who was refused: strangers must hold up nobody.
            if let Some(connection) = self.poll_pending(context) {
                return Poll::Ready(Ok(connection));
            }
            if self.pending.len() + self.failed.len() >= PENDING_MAX {
                break;
            }
            match self.listener.poll_accept(context) {
                Poll::Ready(Ok((stream, address))) => self.begin(stream, address),
                Poll::Ready(Err(error)) => {
                    let action = format!("accept a connection at {}", self.endpoint);
                    return Poll::Ready(Err(TransportError::io(action, error)));
                }
                Poll::Pending => break,
            }
        }
        self.failed.pop_front().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }

    /// Lets all handshakes go on; returns the first connection that is made.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Option<Connection> {
        let mut index = 0;
        while let Some((_, handshake)) = self.pending.get_mut(index) {
            let Poll::Ready(finished) = handshake.as_mut().poll(context) else {
                index += 1;
                continue;
            };
            drop(self.pending.swap_remove(index));
            match finished {
                Ok(Some(connection)) => return Some(connection),
                // It was paired and is gone.
                Ok(None) => {}
                Err(error) => self.failed.push_back(error),
            }
        }
        None
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        let place = place(address.ip());
        let pending = self.pending.iter().filter(|(other, _)| *other == place).count();
        if pending >= PENDING_PER_ADDRESS_MAX {
            let error = HandshakeError::TooManyPending { pending_max: PENDING_PER_ADDRESS_MAX };
            self.failed.push_back(error.accepting(address.to_string()));
            return;
        }
        let transport = self.transport.clone();
        self.pending.push((place, Box::pin(transport.accept(stream, address))));
    }
}

/// What counts as one address: of IPv6 the network, as a device has as many addresses in it as it
/// likes.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[async_trait]
impl Listener for TlsListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsListener")
            .field("endpoint", &self.endpoint)
            .field("pending", &self.pending.len())
            .field("failed", &self.failed.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let place = |address: &str| place(address.parse().unwrap());
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:2"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_eq!(place("::ffff:10.0.0.1"), place("10.0.0.1"));
        assert_ne!(place("10.0.0.1"), place("10.0.0.2"));
    }
}
