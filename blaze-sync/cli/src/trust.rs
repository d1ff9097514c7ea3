//! A database's key, and the peers that it trusts: files beside the database.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use blaze_sync::{
    Compression, Endpoint, KeyFileError, KeyPair, Mode, Paired, PublicKey, TlsTransport, Transport,
    TrustStore, TrustedPeer,
};

use crate::open::beside;
use crate::output::{self, printable};
use crate::shell;

/// What the options stand below in the help.
const HEADING: &str = "TLS options";

/// Where the peers that a database trusts are kept.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PeersFile {
    /// Keep the peers that it trusts over tls here, and tickets beside that; DB.peers by default
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    peers_file: Option<PathBuf>,
}

impl PeersFile {
    /// Where they are kept.
    pub(crate) fn path(&self, database: &Path) -> PathBuf {
        self.peers_file.clone().unwrap_or_else(|| beside(database, ".peers"))
    }

    /// The option for it, with a space before it, if it was given.
    fn option(&self) -> String {
        option("--peers-file", self.peers_file.as_deref())
    }

    /// The command that revokes a peer: by its key, as its name can be changed meanwhile.
    pub(crate) fn revoking(&self, database: &Path, key: &PublicKey) -> String {
        format!("blaze peers {}{} revoke {key}", shell::path(database), self.option())
    }

    /// Tells people whom the database was paired with, and how to see that it is the right one.
    pub(crate) fn tell(&self, database: &Path, paired: &Paired) {
        let Paired { key, peer, words, .. } = paired;
        output::note(format_args!("paired with {}, {}", printable(&peer.name), terms(peer)));
        output::note(format_args!("both devices show: {words}"));
        let revoking = self.revoking(database, key);
        output::note(format_args!("if the other one shows other words: {revoking}"));
    }

    /// Opens the store.
    pub(crate) fn open(&self, database: &Path) -> Result<TrustStore> {
        Ok(TrustStore::open(self.path(database))?)
    }
}

/// Where a database's key and the peers that it trusts are kept.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TrustArgs {
    /// Keep the private key, by which its peers know it over tls, here; DB.key by default
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    key_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) peers: PeersFile,
}

impl TrustArgs {
    /// The options for both, with a space before each that was given.
    pub(crate) fn options(&self) -> String {
        option("--key-file", self.key_file.as_deref()) + &self.peers.option()
    }

    /// Where the key is kept.
    pub(crate) fn key_path(&self, database: &Path) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| beside(database, ".key"))
    }

    /// Opens both, and makes a key if there is none.
    pub(crate) fn open(&self, database: &Path) -> Result<Trust> {
        let store = self.peers.open(database)?;
        let path = self.key_path(database);
        let key_pair = if store.peers().is_empty() {
            KeyPair::open_or_create(&path)
        } else {
            KeyPair::open(&path)
        };
        let key_pair = key_pair.map_err(|error| match error {
            error @ KeyFileError::Missing { .. } => anyhow::Error::new(error).context(format!(
                "the peers in {} know this database by a key that is gone; put it back, or revoke \
                 them and pair them anew",
                self.peers.path(database).display()
            )),
            error => error.into(),
        })?;
        let transport = TlsTransport::new(&key_pair, store.clone());
        Ok(Trust { store, transport })
    }
}

/// A database's key and the peers that it trusts.
pub(crate) struct Trust {
    pub(crate) store: TrustStore,
    pub(crate) transport: TlsTransport,
}

impl Trust {
    /// What links are made with.
    pub(crate) fn transport(&self, compression: Compression) -> Arc<dyn Transport> {
        Arc::new(self.transport.clone().with_compression(compression))
    }

    /// Where the peers listen of which that is known, each place once.
    pub(crate) fn endpoints(&self) -> BTreeSet<Endpoint> {
        self.store.peers().into_iter().filter_map(|(_, peer)| peer.endpoint).collect()
    }

    /// What was agreed that a link to an endpoint carries, seen from this side.
    ///
    /// A device that has got another key is two peers at one endpoint, until the former is
    /// revoked. Which of them answers isn't known before, so the link carries what was agreed
    /// with either.
    ///
    /// # Errors
    ///
    /// If that is nothing.
    pub(crate) fn mode_at(&self, database: &Path, endpoint: &Endpoint) -> Result<Option<Mode>> {
        let peers = self.store.peers().into_iter().map(|(_, peer)| peer);
        let peers: Vec<_> = peers.filter(|peer| peer.endpoint.as_ref() == Some(endpoint)).collect();
        let Some(first) = peers.first() else { return Ok(None) };
        let mode = peers.iter().try_fold(first.mode, |mode, peer| common(mode, peer.mode));
        if peers.iter().all(|peer| peer.mode == first.mode) {
            return Ok(mode.map(Mode::reversed));
        }
        let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        let agreed = format!(
            "{} were paired with {} as listening at {endpoint}, for links of other modes",
            names.join(" and "),
            database.display()
        );
        let remedy = "revoke the one that isn't there any more by `blaze peers DB revoke NAME`, or \
                      give --mode";
        let Some(mode) = mode.map(Mode::reversed) else { bail!("{agreed}; {remedy}") };
        output::warning(format_args!("{agreed}, so this one is {mode}; {remedy}"));
        Ok(Some(mode))
    }

    /// Takes in what other processes change of the peers, and tells who was paired here, for
    /// as long as it's polled.
    pub(crate) async fn follow(&self, database: &Path, peers: &PeersFile) -> ! {
        let mut paired = self.transport.paired();
        loop {
            tokio::select! {
                changed = self.store.changed() => if let Err(error) = changed {
                    let error = anyhow::Error::new(error);
                    output::warning(format_args!("{error:#}; the peers stay as they were"));
                },
                // What is missed of very many is in the list of peers.
                Ok(paired) = paired.recv() => peers.tell(database, &paired),
            }
        }
    }

    /// Says what lets nobody in, and what to do.
    pub(crate) fn warn_if_alone(&self, database: &Path, endpoint: &Endpoint) {
        if self.store.peers().is_empty() {
            output::warning(format_args!(
                "no peer is paired with {} yet, and nobody else can connect to {endpoint}; run \
                 `blaze pair {} {endpoint}` in another terminal",
                database.display(),
                shell::path(database)
            ));
        }
    }

    /// # Errors
    ///
    /// If nobody who answers can be trusted.
    pub(crate) fn check_not_alone(&self, database: &Path, endpoint: &Endpoint) -> Result<()> {
        let first = self.store.peers().into_iter().next();
        first.map(drop).with_context(|| {
            format!(
                "no peer is paired with {}; run `blaze pair DB {endpoint}` there, and `blaze join \
                 {}` here",
                database.display(),
                shell::path(database)
            )
        })
    }
}

/// What both modes let a link carry, if that is anything.
fn common(one: Mode, other: Mode) -> Option<Mode> {
    match (one, other) {
        (mode, Mode::Bidirectional) | (Mode::Bidirectional, mode) => Some(mode),
        _ => (one == other).then_some(one),
    }
}

/// What a peer is and does, for people.
pub(crate) fn terms(peer: &TrustedPeer) -> String {
    let does = match peer.mode {
        Mode::Bidirectional => "sends and receives",
        Mode::ReadOnly => "only receives",
        Mode::WriteOnly => "only sends",
    };
    format!("a {} that {does}{}", peer.role, under(peer.policy.as_deref(), ""))
}

/// By which policy, and of which side, if by one.
pub(crate) fn under(policy: Option<&str>, whose: &str) -> String {
    policy.map_or_else(String::new, |policy| format!(", under the policy {policy:?}{whose}"))
}

fn option(name: &str, path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" {name} {}", shell::path(path)))
}
