//! `blaze peers`: whom a database trusts over tls.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use blaze_sync::{PublicKey, TrustStore, TrustedPeer};
use serde_json::{Value, json};

use crate::output::{self, NAME, Out, printable};
use crate::policies;
use crate::trust::{PeersFile, terms};

/// Lists the peers that a database trusts over tls, renames and revokes them, sets their policies
///
/// They come in by `blaze pair` and `blaze join`. A peer that is revoked is refused from then on,
/// and a session with it, of a `blaze serve` or `blaze connect` that runs, ends within a second.
/// The peer doesn't hear of it, and keeps what it has.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  blaze peers notes.blaze
  blaze peers notes.blaze --json | jq -r .name
  blaze peers notes.blaze rename lujuj-soror phone
  blaze peers notes.blaze policy phone anna       # by `blaze serve --policies` from then on
  blaze peers notes.blaze policy phone --none     # sees and writes everything
  blaze peers notes.blaze revoke phone")]
pub(crate) struct Args {
    /// The database file, which needn't be opened for this
    #[arg(value_name = "DB")]
    path: PathBuf,

    #[command(subcommand)]
    action: Option<Action>,

    /// Print a JSON object a peer: name, key, fingerprint, role, mode, policy, endpoint
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    peers: PeersFile,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists them, which is the default
    List,
    /// Calls a peer by another name; its sessions go on
    Rename {
        /// The peer: its name or its key
        name: String,
        /// What to call it
        new: String,
    },
    /// Has a peer see and write by a policy of `blaze serve --policies`, or by none
    Policy {
        /// The peer: its name or its key
        #[arg(value_name = "NAME|KEY")]
        name: String,
        /// The policy's name
        #[arg(value_parser = policies::name, required_unless_present = "none")]
        policy: Option<String>,
        /// Let it see and write everything, as far as --policy of `blaze serve` does
        #[arg(long, conflicts_with = "policy")]
        none: bool,
    },
    /// Trusts a peer no more
    Revoke {
        /// The peer: its name or its key
        #[arg(value_name = "NAME|KEY")]
        name: String,
    },
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let place = self.peers.path(&self.path);
        if !place.exists() && !self.path.exists() {
            bail!("there is neither a database at {} nor {}", self.path.display(), place.display());
        }
        let store = self.peers.open(&self.path)?;
        match &self.action {
            None | Some(Action::List) => self.list(&store),
            Some(Action::Rename { name, new }) => {
                let (key, peer) = find(&store, name)?;
                store.rename(&key, new)?;
                self.tell("renamed", &key, &TrustedPeer::new(new), &peer)
            }
            Some(Action::Policy { name, policy, .. }) => {
                let (key, _) = find(&store, name)?;
                store.set_policy(&key, policy.as_deref())?;
                let (_, peer) = find(&store, &key.to_string())?;
                self.tell_policy(&key, &peer)
            }
            Some(Action::Revoke { name }) => {
                let (key, peer) = find(&store, name)?;
                store.revoke(&key)?;
                self.tell("revoked", &key, &peer, &peer)
            }
        }
    }

    fn list(&self, store: &TrustStore) -> Result<()> {
        let mut peers = store.peers();
        peers.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        let mut out = if self.json { Out::raw() } else { Out::styled() };
        for (key, peer) in &peers {
            if self.json {
                out.json(&object(key, peer))?;
                continue;
            }
            let (name, words) = (printable(&peer.name), key.fingerprint().words());
            let endpoint = peer.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}"));
            let endpoint = endpoint.unwrap_or_default();
            writeln!(out, "{NAME}{name}{NAME:#}\t{}{endpoint}\t{words}", terms(peer))?;
        }
        out.flush()?;
        if peers.is_empty() && !self.json {
            output::note("no peer is paired with this database; `blaze pair --help` tells how");
        }
        Ok(())
    }

    fn tell_policy(&self, key: &PublicKey, peer: &TrustedPeer) -> Result<()> {
        if self.json {
            let mut out = Out::raw();
            out.json(&object(key, peer))?;
            return Ok(out.flush()?);
        }
        let mut out = Out::styled();
        writeln!(out, "{NAME}{}{NAME:#} is {}", printable(&peer.name), terms(peer))?;
        Ok(out.flush()?)
    }

    fn tell(
        &self,
        what: &str,
        key: &PublicKey,
        peer: &TrustedPeer,
        before: &TrustedPeer,
    ) -> Result<()> {
        let (name, was) = (&peer.name, &before.name);
        if self.json {
            let mut out = Out::raw();
            out.json(&json!({ "event": what, "key": key.to_string(), "name": name, "was": was }))?;
            return Ok(out.flush()?);
        }
        let mut out = Out::styled();
        let (name, was) = (printable(name), printable(was));
        if what == "renamed" {
            writeln!(out, "{NAME}{was}{NAME:#} is called {NAME}{name}{NAME:#} from now on")?;
        } else {
            writeln!(out, "{NAME}{name}{NAME:#} is not trusted any more")?;
        }
        Ok(out.flush()?)
    }
}

/// A peer by its name or its key.
fn find(store: &TrustStore, asked: &str) -> Result<(PublicKey, TrustedPeer)> {
    let named = store.key_of(asked).or_else(|| asked.parse().ok());
    let found = named.and_then(|key| Some((key, store.peer(&key)?)));
    let Some(found) = found else {
        bail!("no peer is called {asked:?}; `blaze peers DB` lists them");
    };
    Ok(found)
}

fn object(key: &PublicKey, peer: &TrustedPeer) -> Value {
    json!({
        "name": peer.name, "key": key.to_string(), "fingerprint": key.fingerprint().words(),
        "role": peer.role.to_string(), "mode": peer.mode.to_string(), "policy": peer.policy,
        "endpoint": peer.endpoint.as_ref().map(ToString::to_string),
    })
}
