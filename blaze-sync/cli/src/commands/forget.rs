//! `blaze forget`: takes out a peer that won't be back.

use std::io::Write;

use anyhow::{Result, bail};
use blaze_sync::{NodeId, RegisteredPeer};
use serde_json::json;

use crate::args::WriteArgs;
use crate::output::{NAME, Out, printable};

/// Takes out a peer that won't be back
///
/// Tombstones of deleted records, which are kept until each peer has heard of them, no longer wait
/// for it. If it does come back, nothing is lost: it is told which of its records were deleted, and
/// keeps what it wrote itself. `blaze status` lists the peers.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze forget notes.blaze 'old phone'
  blaze forget notes.blaze 6f0f3bd44a3b4a1f9f0d3a5b0c9d8e7f")]
pub(crate) struct Args {
    #[command(flatten)]
    database: WriteArgs,

    /// The peer: its node id, or its name if no other peer has that
    peer: String,

    /// Print the peer that was taken out as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let db = self.database.open().await?;
        let peers = db.peers().await?;
        let peer = self.choose(&peers)?;
        db.forget_peer(peer.node).await?;
        db.close().await?;
        let (node, name) = (peer.node, &peer.name);
        if self.json {
            let mut out = Out::raw();
            out.json(&json!({ "forgotten": node.to_string(), "name": name }))?;
            return Ok(out.flush()?);
        }
        let mut out = Out::styled();
        writeln!(out, "{NAME}{}{NAME:#} ({node}) is not waited for any more", printable(name))?;
        Ok(out.flush()?)
    }

    fn choose<'a>(&self, peers: &'a [RegisteredPeer]) -> Result<&'a RegisteredPeer> {
        let asked = &self.peer;
        if let Ok(node) = asked.parse::<NodeId>()
            && let Some(peer) = peers.iter().find(|peer| peer.node == node)
        {
            return Ok(peer);
        }
        let named: Vec<_> = peers.iter().filter(|peer| peer.name == *asked).collect();
        match &named[..] {
            [peer] => Ok(peer),
            [] => bail!("no peer is called {asked:?}; `blaze status` lists them"),
            several => bail!(
                "{} peers are called {asked:?}; name one by its node id, which `blaze status` lists",
                several.len()
            ),
        }
    }
}
