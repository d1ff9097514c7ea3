//! Links to the peers of which it's known where they listen, all at once: none waits for another.

use std::future::pending;

use anyhow::Result;
use blaze_sync::{Endpoint, Error, Link, NodeKey, Topology};
use tokio::task::JoinSet;

use super::replicate::Plan;
use crate::output;

/// First attempts that are under way; their drop ends them.
pub(super) struct Attempts {
    running: JoinSet<(Endpoint, Result<Link, Error>)>,
    is_linked: bool,
}

impl Attempts {
    /// Begins with one for each endpoint that the plan knows from the peers.
    pub(super) fn begin(topology: &Topology, node: NodeKey, plan: &Plan) -> Self {
        let mut running = JoinSet::new();
        for endpoint in plan.known.iter().cloned() {
            let (topology, policy) = (topology.clone(), plan.policy_at(&endpoint));
            running.spawn(async move {
                let link = topology.connect(node, &endpoint.to_string(), policy).await;
                (endpoint, link)
            });
        }
        Self { running, is_linked: false }
    }

    /// Waits for what becomes of one, and warns of a peer that refuses; for ever if there is none
    /// left.
    ///
    /// Cancel-safe: what becomes of one is returned by the next call.
    ///
    /// # Errors
    ///
    /// The last refusal, if all have refused.
    pub(super) async fn next(&mut self) -> Result<()> {
        let Some(attempt) = self.running.join_next().await else { return pending().await };
        let (endpoint, link) = attempt?;
        let Err(error) = link else {
            self.is_linked = true;
            return Ok(());
        };
        let error = anyhow::Error::new(error);
        if self.running.is_empty() && !self.is_linked {
            return Err(error);
        }
        output::warning(format_args!("going on without the peer at {endpoint}: {error:#}"));
        Ok(())
    }
}
