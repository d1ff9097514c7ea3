//! Whom this node trusts, and how everybody who asks learns of a change.

pub(crate) mod file;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use blaze_codec::{Mode, Role};
use blaze_transport::Endpoint;
use tokio::{sync::watch, time::sleep};

use crate::{PublicKey, own_file::Stamp, transport::SCHEME};

/// The longest name of a peer, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// No peer's name, as a name has at least a character.
const UNNAMED: &str = "";
/// How often the file is looked at for what other processes changed.
const LOOK: Duration = Duration::from_secs(1);

/// A peer that this node trusts.
///
/// Role and mode are what people agreed on as they paired the nodes. The peer is let in only in
/// that role, and a link with it carries no more than that mode, whichever of the two connects or
/// asks for more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedPeer {
    /// What this node calls it.
    pub name: String,
    /// What it was agreed to be.
    pub role: Role,
    /// What was agreed that a link with it carries, seen from the peer: [`Mode::ReadOnly`] if
    /// it only receives.
    pub mode: Mode,
    /// Where it listens, if that is known.
    pub endpoint: Option<Endpoint>,
}

impl TrustedPeer {
    /// A client with a link in both directions, until told otherwise.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::Client, mode: Mode::Bidirectional, endpoint: None }
    }

    /// One of which no name is known yet: when it redeems a ticket, it's called by the
    /// [first words](crate::Fingerprint::short) of its key.
    pub fn unnamed() -> Self {
        Self::new(UNNAMED)
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        self.name == UNNAMED
    }

    /// Sets what it was agreed to be. Default: [`Role::Client`].
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Sets what was agreed that a link with it carries. Default: [`Mode::Bidirectional`].
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Sets where it listens. Default: not known.
    pub fn with_endpoint(self, endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
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

    /// What was given is no peer's address.
    #[error("`{endpoint}` is no address of a peer; write tls://HOST:PORT")]
    EndpointInvalid {
        /// What was given.
        endpoint: Endpoint,
    },

    /// Others may write the file, and so say whom this node trusts. It wasn't read.
    #[error(
        "{} can be written by others (mode {mode:04o}, expected 0600); look through it, then run \
         chmod 0600", .path.display()
    )]
    TooOpen {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },

    /// The file is another user's. It wasn't read.
    #[error(
        "{} belongs to uid {uid}, expected {expected}; choose a file of this user", .path.display()
    )]
    ForeignOwner {
        /// Where it is.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Whose it must be.
        expected: u32,
    },

    /// What is there is no store. It was left as it is.
    #[error("{} has no trusted peers: {problem}; mend it, or choose another path", .path.display())]
    NotAStore {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The operating system failed in another way.
    #[error("cannot {action} the trusted peers in {}", .path.display())]
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

type Peers = BTreeMap<PublicKey, TrustedPeer>;

/// The peers that this node trusts, by their public keys. Clones share one store.
///
/// A transport asks it at every handshake, and each session that stands learns of a change at
/// once: it ends when its peer is revoked, or was agreed to be something else.
///
/// In a file, it's a line a peer, which only this user may write: key, role, mode, address, name.
/// Tickets that were issued with such a store are kept beside it, so that whichever process
/// listens with it can serve them.
#[derive(Clone)]
pub struct TrustStore {
    inner: Arc<Inner>,
}

struct Inner {
    peers: watch::Sender<Peers>,
    /// Where they are kept, if they are.
    path: Option<PathBuf>,
    /// What of the file was read last.
    seen: Mutex<Stamp>,
}

impl TrustStore {
    /// A store that is kept nowhere, and trusts nobody.
    pub fn in_memory() -> Self {
        let peers = watch::Sender::new(Peers::new());
        Self { inner: Arc::new(Inner { peers, path: None, seen: Mutex::default() }) }
    }

    /// The store in a file, which is made when somebody is trusted first. Several processes may
    /// have it open. What others change counts for a handshake at once, and for the sessions that
    /// stand as soon as this one looks at the file: see [`changed`](Self::changed).
    ///
    /// # Errors
    ///
    /// [`TrustError`] if others may write the file, it's no store, or it can't be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TrustError> {
        let path = path.into();
        let seen = Mutex::new(Stamp::of(&path));
        let peers = watch::Sender::new(file::read(&path)?);
        Ok(Self { inner: Arc::new(Inner { peers, path: Some(path), seen }) })
    }

    /// Where it's kept, if it is.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// Reads the file again, and ends the sessions of whoever isn't trusted any more.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); then the peers stay as they are.
    pub fn reload(&self) -> Result<(), TrustError> {
        if let Some(path) = &self.inner.path {
            self.publish(file::read(path)?);
        }
        Ok(())
    }

    /// Waits until another process has changed the file, and reloads it: call it again and again
    /// where sessions stand, so that they end with what they rest on. It looks at the file's
    /// metadata once a second, and reads it only if that is another. Without a file it waits for
    /// ever.
    ///
    /// Cancel-safe: what was changed meanwhile is seen by the next call.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload), once for each change of the file.
    pub async fn changed(&self) -> Result<(), TrustError> {
        let Some(path) = &self.inner.path else { return std::future::pending().await };
        loop {
            let stamp = Stamp::of(path);
            if stamp != *self.seen() {
                // Before it's read: a change in between is looked at once more.
                *self.seen() = stamp;
                return self.reload();
            }
            sleep(LOOK).await;
        }
    }

    /// Reloads the file if another process changed it, before somebody's key is looked at. What
    /// can't be read is left to [`changed`](Self::changed) to tell.
    pub(crate) fn look(&self) {
        let Some(path) = &self.inner.path else { return };
        let stamp = Stamp::of(path);
        if stamp != *self.seen() && self.reload().is_ok() {
            *self.seen() = stamp;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Stamp> {
        // Nothing panics while it holds the lock.
        self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Trusts a key from now on. If it was trusted before, under whatever name, this replaces
    /// what was agreed then, but for its address if none is given; sessions that stand end if
    /// that is another role or mode. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the name can't be one or is another peer's, or the file can't be
    /// written.
    pub fn trust(&self, key: PublicKey, mut peer: TrustedPeer) -> Result<(), TrustError> {
        check_name(&peer.name)?;
        if let Some(endpoint) = peer.endpoint.as_ref().filter(|it| it.scheme() != SCHEME) {
            return Err(TrustError::EndpointInvalid { endpoint: endpoint.clone() });
        }
        self.update(|peers| {
            check_free(peers, &key, &peer.name)?;
            if let Some(known) = peers.get(&key) {
                peer.endpoint = peer.endpoint.or_else(|| known.endpoint.clone());
            }
            peers.insert(key, peer);
            Ok(())
        })
    }

    /// Calls a peer by another name; its sessions go on. Returns whether it's trusted. Waits for
    /// the disk.
    ///
    /// # Errors
    ///
    /// As [`trust`](Self::trust).
    pub fn rename(&self, key: &PublicKey, name: &str) -> Result<bool, TrustError> {
        check_name(name)?;
        self.update(|peers| {
            check_free(peers, key, name)?;
            let known = peers.get_mut(key);
            Ok(known.map(|peer| name.clone_into(&mut peer.name)).is_some())
        })
    }

    /// Trusts a key no more: its sessions end, and it's refused from now on. Returns what was
    /// agreed with it. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the file can't be written. The peer is revoked all the same, until the
    /// file is read again.
    pub fn revoke(&self, key: &PublicKey) -> Result<Option<TrustedPeer>, TrustError> {
        // First of all it ends, whatever becomes of the file.
        let mut revoked = None;
        self.inner.peers.send_if_modified(|peers| {
            revoked = peers.remove(key);
            revoked.is_some()
        });
        let stored = self.update(|peers| Ok(peers.remove(key)))?;
        Ok(revoked.or(stored))
    }

    fn update<T>(
        &self,
        change: impl FnOnce(&mut Peers) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        if let Some(path) = &self.inner.path {
            let (peers, changed) = file::update(path, change)?;
            self.publish(peers);
            return Ok(changed);
        }
        let mut changed = None;
        self.inner.peers.send_if_modified(|peers| {
            let before = peers.clone();
            changed = Some(change(peers));
            *peers != before
        });
        changed.expect("it was called")
    }

    fn publish(&self, peers: Peers) {
        self.inner.peers.send_if_modified(|known| {
            let is_other = *known != peers;
            *known = peers;
            is_other
        });
    }

    /// What was agreed with the peer that has this key; `None` if it isn't trusted.
    pub fn peer(&self, key: &PublicKey) -> Option<TrustedPeer> {
        self.inner.peers.borrow().get(key).cloned()
    }

    /// The key of the peer that this node calls so.
    pub fn key_of(&self, name: &str) -> Option<PublicKey> {
        self.inner.peers.borrow().iter().find(|(_, peer)| peer.name == name).map(|(key, _)| *key)
    }

    /// All that are trusted.
    pub fn peers(&self) -> Vec<(PublicKey, TrustedPeer)> {
        self.inner.peers.borrow().iter().map(|(key, peer)| (*key, peer.clone())).collect()
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

    /// Ends when the key isn't trusted any more in the role and the mode that were agreed.
    pub(crate) fn changed_from(
        &self,
        key: PublicKey,
        agreed: &TrustedPeer,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut peers = self.inner.peers.subscribe();
        let agreed = (agreed.role, agreed.mode);
        // It keeps a sender, so that a store that nobody has any more ends no session.
        let store = self.clone();
        async move {
            let is_kept = |peer: &TrustedPeer| (peer.role, peer.mode) == agreed;
            let _ = peers.wait_for(|peers| !peers.get(&key).is_some_and(is_kept)).await;
            drop(store);
        }
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.peers()).finish()
    }
}

/// Checks that no other peer has the name.
fn check_free(peers: &Peers, key: &PublicKey, name: &str) -> Result<(), TrustError> {
    if peers.iter().any(|(other, known)| other != key && known.name == name) {
        return Err(TrustError::NameTaken { name: name.to_owned() });
    }
    Ok(())
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
