//! An endpoint at which a node accepts peers.

use std::sync::Arc;
use std::time::Duration;

use blaze_codec::Mode;
use blaze_sync_protocol::Side;
use blaze_transport::Listener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::driver::drive;
use crate::node::Shared;
use crate::status::Direction;

/// How long accepting pauses after an error, such as too many open files.
const PAUSE: Duration = Duration::from_millis(20);

/// An endpoint at which a node accepts peers.
pub(crate) struct Acceptor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) allowed: Vec<Mode>,
    pub(crate) cancel: CancellationToken,
}

impl Acceptor {
    /// Accepts until it is cancelled or the listener fails for good.
    pub(crate) async fn run(self, mut listener: Box<dyn Listener>) {
        let endpoint = listener.endpoint().clone();
        let places = Arc::new(Semaphore::new(self.shared.options.connections_max));
        loop {
            // Peers beyond the limit wait in the listener's queue.
            let place = tokio::select! {
                () = self.cancel.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                () = self.cancel.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let connection = match accepted {
                Ok(connection) => connection,
                Err(error) if error.is_retryable() => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(_) => break,
            };
            let entry = self.shared.links.add(endpoint.clone(), Direction::Incoming);
            let (shared, cancel) = (Arc::clone(&self.shared), self.cancel.clone());
            let side = Side::Acceptor { allowed: self.allowed.clone() };
            self.shared.tasks.spawn(async move {
                drive(&shared, connection, side, &entry, &cancel).await;
                drop(place);
            });
        }
        // Whatever could not be removed is reported to whoever listens next.
        let _ = listener.close().await;
    }
}
