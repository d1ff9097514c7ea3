//! Whom this node trusts, and how everybody who asks learns of a change.

use std::{collections::BTreeMap, fmt, sync::Arc};

use blaze_codec::{Mode, Role};
use tokio::sync::watch;

use crate::PublicKey;

/// The longest name of a peer, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A peer that this node trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedPeer {
    /// What this node calls it.
    pub name: String,
    /// What it was agreed to be.
    pub role: Role,
    /// What was agreed that a link with it carries.
    pub mode: Mode,
}

impl TrustedPeer {
    /// A client with a link in both directions, until told otherwise.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::Client, mode: Mode::Bidirectional }
    }

    /// Sets what it was agreed to be. Default: [`Role::Client`].
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Sets what was agreed that a link with it carries. Default: [`Mode::Bidirectional`].
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }
}

/// Why a peer wasn't trusted. The store is as it was, but where a variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The name can't be one.
    #[error("`{name}` is no name for a peer: {problem}")]
    NameInvalid {
        /// The name that was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// Another peer has the name.
    #[error("another peer is called `{name}` already; choose another name, or revoke that one")]
    NameTaken {
        /// The name that was given.
        name: String,
    },
}

type Peers = BTreeMap<PublicKey, TrustedPeer>;

/// The peers that this node trusts, by their public keys. Clones share one store.
///
/// A transport asks it at every handshake, and each session that stands learns of a change at
/// once: it ends when its peer is revoked, or was agreed to be something else.
#[derive(Clone)]
pub struct TrustStore {
    peers: Arc<watch::Sender<Peers>>,
}

impl TrustStore {
    /// A store that is kept nowhere, and trusts nobody.
    pub fn in_memory() -> Self {
        Self { peers: Arc::new(watch::Sender::new(Peers::new())) }
    }

    /// Trusts a key from now on. If it was trusted before, under whatever name, this replaces
    /// what was agreed then, and sessions that stand end.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the name can't be one or is another peer's.
    pub fn trust(&self, key: PublicKey, peer: TrustedPeer) -> Result<(), TrustError> {
        check_name(&peer.name)?;
        let mut taken = false;
        self.peers.send_if_modified(|peers| {
            taken = peers.iter().any(|(other, known)| *other != key && known.name == peer.name);
            !taken && peers.insert(key, peer.clone()).as_ref() != Some(&peer)
        });
        if taken { Err(TrustError::NameTaken { name: peer.name }) } else { Ok(()) }
    }

    /// Trusts a key no more: its sessions end, and it's refused from now on. Returns what was
    /// agreed with it.
    pub fn revoke(&self, key: &PublicKey) -> Option<TrustedPeer> {
        let mut revoked = None;
        self.peers.send_if_modified(|peers| {
            revoked = peers.remove(key);
            revoked.is_some()
        });
        revoked
    }

    /// What was agreed with the peer that has this key; `None` if it isn't trusted.
    pub fn peer(&self, key: &PublicKey) -> Option<TrustedPeer> {
        self.peers.borrow().get(key).cloned()
    }

    /// The key of the peer that this node calls so.
    pub fn key_of(&self, name: &str) -> Option<PublicKey> {
        self.peers.borrow().iter().find(|(_, peer)| peer.name == name).map(|(key, _)| *key)
    }

    /// All that are trusted.
    pub fn peers(&self) -> Vec<(PublicKey, TrustedPeer)> {
        self.peers.borrow().iter().map(|(key, peer)| (*key, peer.clone())).collect()
    }

    /// Checks that `peer` could be trusted, under the key that it will have, if that's known.
    pub(crate) fn check(
        &self,
        key: Option<&PublicKey>,
        peer: &TrustedPeer,
    ) -> Result<(), TrustError> {
        check_name(&peer.name)?;
        match self.key_of(&peer.name) {
            Some(other) if key != Some(&other) => {
                Err(TrustError::NameTaken { name: peer.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Ends when the key isn't trusted any more as it was agreed.
    pub(crate) fn changed_from(
        &self,
        key: PublicKey,
        agreed: TrustedPeer,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut peers = self.peers.subscribe();
        // It keeps a sender, so that a store that nobody has any more ends no session.
        let store = self.clone();
        async move {
            let _ = peers.wait_for(|peers| peers.get(&key) != Some(&agreed)).await;
            drop(store);
        }
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.peers()).finish()
    }
}

fn check_name(name: &str) -> Result<(), TrustError> {
    let problem = match name {
        "" => "it is empty",
        _ if name.len() > NAME_BYTES_MAX => "it has more than 64 bytes",
        _ if name.chars().any(char::is_control) => "it has control characters",
        _ if name.trim() != name => "it begins or ends with white space",
        _ => return Ok(()),
    };
    Err(TrustError::NameInvalid { name: name.to_owned(), problem })
}
