//! Whom this node trusts, and how everybody who asks learns of a change.

mod error;
pub(crate) mod file;
mod peer;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use blaze_transport::check_policy_name;
use tokio::{sync::watch, time::sleep};

use crate::{PublicKey, own_file::Stamp, transport::SCHEME};

pub use error::TrustError;
pub use peer::TrustedPeer;

use peer::check_name;

/// How often the file is looked at for what other processes changed.
const LOOK: Duration = Duration::from_secs(1);

type Peers = BTreeMap<PublicKey, TrustedPeer>;

/// The peers that this node trusts, by their public keys. Clones share one store.
///
/// A transport asks it at every handshake, and each session that stands learns of a change at
/// once: it ends when its peer is revoked, or was agreed to be something else.
///
/// In a file, it's a line a peer, which only this user may write: key, role, mode and policy, address,
/// name.
/// Tickets that were issued with such a store are kept beside it, so that whichever process
/// listens with it can serve them.
///
/// While the file can't be read, what was read last holds: what other processes change meanwhile,
/// revocations too, counts only when it can be read again, which is tried each time it's looked at.
#[derive(Clone)]
pub struct TrustStore {
    inner: Arc<Inner>,
}

struct Inner {
    peers: watch::Sender<Peers>,
    /// Where they are kept, if they are.
    path: Option<PathBuf>,
    /// Locked from reading or changing the file until that is published: of two who do so at once,
    /// the one that saw the older file mustn't have the last word.
    known: Mutex<Known>,
}

/// What this process knows of the file.
#[derive(Default)]
struct Known {
    /// What of it was read last.
    seen: Stamp,
    /// Of which one it was told that it can't be read.
    told: Option<Stamp>,
    /// Who was revoked here, and may stand there still, as it couldn't be written.
    revoked: BTreeSet<PublicKey>,
}

impl TrustStore {
    /// A store that is kept nowhere, and trusts nobody.
    pub fn in_memory() -> Self {
        let peers = watch::Sender::new(Peers::new());
        Self { inner: Arc::new(Inner { peers, path: None, known: Mutex::default() }) }
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
        let known = Mutex::new(Known { seen: Stamp::of(&path), ..Known::default() });
        let peers = watch::Sender::new(file::read(&path)?);
        Ok(Self { inner: Arc::new(Inner { peers, path: Some(path), known }) })
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
        match &self.inner.path {
            Some(path) => self.read_again(path, &mut self.known()),
            None => Ok(()),
        }
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
    /// As [`reload`](Self::reload), once for each change of the file; it's tried again each second,
    /// in the next call.
    pub async fn changed(&self) -> Result<(), TrustError> {
        let Some(path) = &self.inner.path else { return std::future::pending().await };
        loop {
            if let Some(looked) = self.look_again(path) {
                return looked;
            }
            sleep(LOOK).await;
        }
    }

    /// Reloads the file if it's another than the one that was read last; `None` if it isn't, or it
    /// was told already that it can't be read.
    fn look_again(&self, path: &Path) -> Option<Result<(), TrustError>> {
        let mut known = self.known();
        let stamp = Stamp::of(path);
        if stamp == known.seen {
            return None;
        }
        match self.read_again(path, &mut known) {
            Err(_) if known.told.replace(stamp) == Some(stamp) => None,
            read => Some(read),
        }
    }

    /// Reloads the file if another process changed it, before somebody's key is looked at. What
    /// can't be read is left to [`changed`](Self::changed) to tell.
    pub(crate) fn look(&self) {
        let Some(path) = &self.inner.path else { return };
        let mut known = self.known();
        if Stamp::of(path) != known.seen {
            // What was read last holds.
            let _ = self.read_again(path, &mut known);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock.
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_again(&self, path: &Path, known: &mut Known) -> Result<(), TrustError> {
        // Before it's read: a change in between is looked at once more.
        let seen = Stamp::of(path);
        let mut peers = file::read(path)?;
        // Whoever isn't in the file any more needn't be taken out again.
        known.revoked.retain(|key| peers.remove(key).is_some());
        (known.seen, known.told) = (seen, None);
        self.publish(peers);
        Ok(())
    }

    /// Trusts a key from now on. If it was trusted before, under whatever name, this replaces
    /// what was agreed then, but for its address if none is given; sessions that stand end if
    /// that is another role, mode or policy. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the name can't be one or is another peer's, the policy's can't be one,
    /// or the file can't be written. [`TrustError::Unsynced`] if a power cut may undo it: until then, it's trusted.
    pub fn trust(&self, key: PublicKey, mut peer: TrustedPeer) -> Result<(), TrustError> {
        check_name(&peer.name)?;
        peer.check_policy()?;
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

    /// Has a peer see and write by another policy, or by none; its sessions end if that is another
    /// one. Returns whether it's trusted. Waits for the disk.
    ///
    /// # Errors
    ///
    /// As [`trust`](Self::trust).
    pub fn set_policy(&self, key: &PublicKey, policy: Option<&str>) -> Result<bool, TrustError> {
        policy.map_or(Ok(()), check_policy_name)?;
        self.update(|peers| {
            let known = peers.get_mut(key);
            Ok(known.map(|peer| peer.policy = policy.map(ToOwned::to_owned)).is_some())
        })
    }

    /// Trusts a key no more: its sessions end, and it's refused from now on. Returns what was
    /// agreed with it. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the file can't be written. The peer is revoked all the same, for as long
    /// as this process has the store open; the next change of the store puts it into the file.
    pub fn revoke(&self, key: &PublicKey) -> Result<Option<TrustedPeer>, TrustError> {
        // First of all it ends, whatever becomes of the file.
        let ended = self.forget(key);
        let Some(path) = &self.inner.path else { return Ok(ended) };
        let mut known = self.known();
        let stored = self.update_file(path, &mut known, |peers| Ok(peers.remove(key)));
        if stored.is_err() {
            known.revoked.insert(*key);
            // Somebody may just have read the file.
            self.forget(key);
        }
        Ok(ended.or(stored?))
    }

    fn forget(&self, key: &PublicKey) -> Option<TrustedPeer> {
        let mut forgotten = None;
        self.inner.peers.send_if_modified(|peers| {
            forgotten = peers.remove(key);
            forgotten.is_some()
        });
        forgotten
    }

    fn update<T>(
        &self,
        change: impl FnOnce(&mut Peers) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        if let Some(path) = &self.inner.path {
            return self.update_file(path, &mut self.known(), change);
        }
        let mut changed = None;
        self.inner.peers.send_if_modified(|peers| {
            let before = peers.clone();
            changed = Some(change(peers));
            *peers != before
        });
        changed.expect("it was called")
    }

    fn update_file<T>(
        &self,
        path: &Path,
        known: &mut Known,
        change: impl FnOnce(&mut Peers) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        let updated = file::update(path, |peers| {
            peers.retain(|key, _| !known.revoked.contains(key));
            change(peers)
        })?;
        *known = Known { seen: updated.stamp, ..Known::default() };
        self.publish(updated.peers);
        match updated.unsynced {
            Some(error) => Err(error),
            None => Ok(updated.changed),
        }
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
        peer.check_policy()?;
        check_name(&peer.name)?;
        match self.key_of(&peer.name) {
            Some(other) if key != Some(&other) => {
                Err(TrustError::NameTaken { name: peer.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Ends when the key isn't trusted any more in the role and the mode, and by the policy, that
    /// were agreed.
    pub(crate) fn changed_from(
        &self,
        key: PublicKey,
        agreed: &TrustedPeer,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut peers = self.inner.peers.subscribe();
        let agreed = (agreed.role, agreed.mode, agreed.policy.clone());
        // It keeps a sender, so that a store that nobody has any more ends no session.
        let store = self.clone();
        async move {
            let (role, mode, policy) = &agreed;
            let is_kept =
                |peer: &TrustedPeer| (&peer.role, &peer.mode, &peer.policy) == (role, mode, policy);
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
