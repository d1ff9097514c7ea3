//! A proxy between a connector and a listener.

use blaze_transport::{Connection, Listener, Transport, TransportError};
use tokio::task::JoinHandle;

use super::{
    front::{Front, Stream},
    treatment::{Carried, Treatment},
};
use crate::link::within;

/// What is done to what the connector sends, and to what the listener's side sends.
#[derive(Clone, Debug)]
pub(super) struct Treatments {
    pub(super) connector: Treatment,
    pub(super) acceptor: Treatment,
}

/// Two ends, as far as each came about, and the proxy between them. It goes with this.
#[derive(Debug)]
pub(super) struct Proxied {
    pub(super) connected: Result<Connection, TransportError>,
    pub(super) accepted: Result<Connection, TransportError>,
    pub(super) proxy: Proxy,
}

/// The task that passes bytes on.
#[derive(Debug)]
pub(super) struct Proxy(JoinHandle<()>);

impl Drop for Proxy {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects through a proxy.
pub(super) async fn connect_through(
    front: &Front,
    transport: &dyn Transport,
    listener: &mut dyn Listener,
    treatments: Treatments,
) -> Proxied {
    let back = listener.endpoint().clone();
    let relaying = async {
        let (front, back) = front.accept(&back).await.expect("the proxy reaches the listener");
        Proxy(tokio::spawn(relay(front, back, treatments)))
    };
    let all =
        async { tokio::join!(transport.connect(front.endpoint()), listener.accept(), relaying) };
    let (connected, accepted, proxy) = within("connecting through a proxy", all).await;
    Proxied { connected, accepted, proxy }
}

/// Passes bytes on in both directions until both have ended, or one breaks.
async fn relay(front: Box<dyn Stream>, back: Box<dyn Stream>, treatments: Treatments) {
    let (front_read, front_write) = tokio::io::split(front);
    let (back_read, back_write) = tokio::io::split(back);
    let there = async { whole(&treatments.connector.carry(front_read, back_write).await) };
    let again = async { whole(&treatments.acceptor.carry(back_read, front_write).await) };
    // Who breaks drops both streams, and with them the other direction.
    let _ = tokio::try_join!(there, again);
}

/// Whether the other direction goes on.
fn whole(carried: &std::io::Result<Carried>) -> Result<(), ()> {
    match carried {
        Ok(Carried::ToTheEnd) => Ok(()),
        Ok(Carried::HungUp) | Err(_) => Err(()),
    }
}
