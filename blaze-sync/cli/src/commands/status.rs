//! `blaze status`: tells who a database is, and which peers it waits for.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use blaze_sync::{NodeOptions, RegisteredPeer, Seq};
use serde_json::json;

use crate::args::ReadArgs;
use crate::output::{NAME, NOTABLE, Out, count, printable};

/// Tells who a database is, and which peers it exchanges with
///
/// A deleted record is kept as a tombstone, which is small, until each of these peers has heard of
/// it: those that hold it up are named. One that wasn't there for 30 days is not waited for; when
/// it comes back, it is told which of its records were deleted, and keeps what it wrote itself. One
/// that won't be back can be taken out at once by `blaze forget`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze status notes.blaze
  blaze status notes.blaze --json | jq '.peers[] | select(.waited_for)'")]
pub(crate) struct Args {
    #[command(flatten)]
    database: ReadArgs,

    /// Print a JSON object: node, database, role, head, and peers with node, name, settled,
    /// `seen_ms` (since 1970) and `waited_for`
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) async fn run(self) -> Result<()> {
        let db = self.database.open().await?;
        let (identity, head, peers) = (db.identity(), db.head(), db.peers().await?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut out = if self.json { Out::raw() } else { Out::styled() };
        if self.json {
            let peers = peers.iter().map(|peer| {
                json!({
                    "node": peer.node.to_string(), "name": peer.name, "settled": peer.settled,
                    "seen_ms": peer.seen_ms, "waited_for": is_waited_for(peer, head, now),
                })
            });
            out.json(&json!({
                "node": identity.node.to_string(), "database": identity.database,
                "role": identity.role.to_string(), "head": head,
                "peers": peers.collect::<Vec<_>>(),
            }))?;
        } else {
            let (node, role, database) = (identity.node, identity.role, identity.database);
            let peers_in_all = count(peers.len() as u64, "peer");
            writeln!(
                out,
                "{NAME}{node}{NAME:#} is a {role} of database {database:?}, at commit {head}, with {peers_in_all}"
            )?;
            for peer in &peers {
                peer_line(peer, head, now, &mut out)?;
            }
        }
        out.flush()?;
        Ok(db.close().await?)
    }
}

fn peer_line(peer: &RegisteredPeer, head: Seq, now: Duration, out: &mut Out) -> Result<()> {
    let (node, name) = (peer.node, printable(&peer.name));
    let ago = ago(now.saturating_sub(Duration::from_millis(peer.seen_ms)));
    let waits = if is_waited_for(peer, head, now) {
        format!(
            "; {NOTABLE}deleted records are kept for it{NOTABLE:#}: it has commit {} for sure",
            peer.settled
        )
    } else if peer.settled < head {
        "; it was away for too long to be waited for".to_owned()
    } else {
        String::new()
    };
    Ok(writeln!(out, "{NAME}{node}{NAME:#}\t{name}, last there {ago}{waits}")?)
}

/// Whether tombstones are kept for this peer, or would be.
fn is_waited_for(peer: &RegisteredPeer, head: Seq, now: Duration) -> bool {
    let silent_since = now.saturating_sub(NodeOptions::default().lease);
    let silent_since_ms = u64::try_from(silent_since.as_millis()).unwrap_or(u64::MAX);
    peer.settled < head && !peer.is_expired(silent_since_ms)
}

fn ago(since: Duration) -> String {
    let seconds = since.as_secs();
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", count(number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let text = |seconds| ago(Duration::from_secs(seconds));
        assert_eq!(
            [1, 119, 120, 7_200].map(text),
            ["1 second ago", "119 seconds ago", "2 minutes ago", "2 hours ago"]
        );
        assert_eq!(text(31 * 86_400), "31 days ago");
    }
}
