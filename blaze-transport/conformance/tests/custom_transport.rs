//! A transport of one's own, over any byte stream, that passes the suite.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use blaze_transport::{
    Connection, Endpoint, FrameLimits, Listener, PeerInfo, Transport, TransportError, framed,
};
use blaze_transport_conformance::{Harness, transport_conformance};
use tokio::{io::DuplexStream, sync::mpsc};

/// Serves a single endpoint, `pipe:only`, over in-memory byte pipes.
#[derive(Clone, Debug, Default)]
struct PipeTransport(Arc<Mutex<Option<mpsc::Sender<DuplexStream>>>>);

fn connection(stream: DuplexStream) -> Connection {
    let (read_half, write_half) = tokio::io::split(stream);
    let (sender, receiver) = framed(read_half, write_half, FrameLimits::default());
    Connection::new(sender, receiver, PeerInfo::new("the other end of a pipe"))
}

#[async_trait]
impl Transport for PipeTransport {
    fn scheme(&self) -> &'static str {
        "pipe"
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, TransportError> {
        endpoint.expect_scheme(self.scheme())?;
        let nothing_listens = || TransportError::NothingListens { endpoint: endpoint.clone() };
        let queue = self.0.lock().unwrap().clone().ok_or_else(nothing_listens)?;
        let (near, far) = tokio::io::duplex(64 * 1024);
        queue.send(far).await.map_err(|_| nothing_listens())?;
        Ok(connection(near))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        endpoint.expect_scheme(self.scheme())?;
        let (queue, incoming) = mpsc::channel(16);
        let mut place = self.0.lock().unwrap();
        if place.as_ref().is_some_and(|queue| !queue.is_closed()) {
            return Err(TransportError::AddressInUse { endpoint: endpoint.clone(), pid: None });
        }
        *place = Some(queue);
        Ok(Box::new(PipeListener(incoming, endpoint.clone())))
    }
}

#[derive(Debug)]
struct PipeListener(mpsc::Receiver<DuplexStream>, Endpoint);

#[async_trait]
impl Listener for PipeListener {
    async fn accept(&mut self) -> Result<Connection, TransportError> {
        Ok(connection(self.0.recv().await.expect("the transport keeps a sender")))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.1
    }
}

impl Harness for PipeTransport {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }

    fn endpoint(&self) -> Endpoint {
        "pipe:only".parse().unwrap()
    }
}

transport_conformance!(PipeTransport::default());
