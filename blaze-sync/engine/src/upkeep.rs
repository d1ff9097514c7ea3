//! Removes what no peer needs any more, every now and then.

use std::sync::Arc;
use std::time::Duration;

use blaze_codec::NodeId;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::node::Shared;

/// Runs until it is cancelled. The first time comes after a while, so that peers that
/// are about to be back count as there.
pub(crate) async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    let every = shared.options.upkeep.max(Duration::from_millis(1));
    let mut due = interval_at(Instant::now() + every, every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = due.tick() => once(&shared).await,
        }
    }
}

/// Stores what has settled, and removes the tombstones that are free to go. What fails
/// is tried again the next time; a database that can't be written tells its users.
async fn once(shared: &Shared) {
    let settled = shared.links.settled();
    if !settled.is_empty() {
        let _ = shared.database.settle(&settled).await;
    }
    let lease_ms = u64::try_from(shared.options.lease.as_millis()).unwrap_or(u64::MAX);
    let silent_since_ms = shared.options.clock.now_ms().saturating_sub(lease_ms);
    let _ = shared.database.purge(silent_since_ms).await;
}

/// Stores what has settled with a peer whose session ends: the next one begins with what
/// the peer holds anyway, but it may be a while until then.
pub(crate) async fn end(shared: &Shared, peer: Option<NodeId>) {
    let mut settled = shared.links.settled();
    settled.retain(|(node, _)| Some(*node) == peer);
    if !settled.is_empty() {
        let _ = shared.database.settle(&settled).await;
    }
}
