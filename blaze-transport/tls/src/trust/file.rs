//! The file of a trust store: a line a peer.

use std::{
    io,
    path::{Path, PathBuf},
};

use blaze_codec::{Mode, Role};
use blaze_transport::Endpoint;

use super::{Peers, TrustError, TrustedPeer, peer::check_name};
use crate::{
    PublicKey,
    own_file::{self, ReadError, Stamp, WriteError},
    transport::SCHEME,
};

/// The first line: what the file is, and the version of its form.
const HEADER: &str = "blaze-trusted-peers-1";
/// Some thousands of peers.
const FILE_BYTES_MAX: u32 = 1024 * 1024;
/// What a line has.
const FORM: &str = "it must be KEY ROLE MODE[:POLICY] ADDRESS NAME";
/// What stands between a mode and a policy. A version that knows of no policies refuses such a
/// mode, and with it the file, rather than to let the peer see everything.
const POLICY: char = ':';
/// What stands in the place of an address that isn't known.
const NO_ENDPOINT: &str = "-";
/// Whoever may write the file says whom this node trusts.
const FORBIDDEN: u32 = 0o022;

/// Reads the peers; none if there's no file yet.
pub(super) fn read(path: &Path) -> Result<Peers, TrustError> {
    let text = match own_file::read(path, FORBIDDEN, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(ReadError::Missing) => return Ok(Peers::new()),
        Err(error) => return Err(read_error(path, error)),
    };
    let wrong = |line: usize, problem: &str| TrustError::NotAStore {
        path: path.into(),
        problem: format!("line {line}: {problem}"),
    };
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err(wrong(1, &format!("it is not {HEADER}")));
    }
    let mut peers = Peers::new();
    for (number, line) in (2..).zip(lines) {
        let (key, peer) = parse(line).map_err(|problem| wrong(number, problem))?;
        if peers.values().any(|known: &TrustedPeer| known.name == peer.name) {
            return Err(wrong(number, "its name is another peer's"));
        }
        if peers.insert(key, peer).is_some() {
            return Err(wrong(number, "its key is another peer's"));
        }
    }
    Ok(peers)
}

/// What became of the file.
pub(super) struct Updated<T> {
    /// What it has.
    pub(super) peers: Peers,
    /// That of the file with these.
    pub(super) stamp: Stamp,
    pub(super) changed: T,
    /// Why a power cut may undo it, if that's so.
    pub(super) unsynced: Option<TrustError>,
}

/// Changes the peers in the file; nobody else does so meanwhile.
pub(super) fn update<T>(
    path: &Path,
    change: impl FnOnce(&mut Peers) -> Result<T, TrustError>,
) -> Result<Updated<T>, TrustError> {
    let _lock = own_file::lock(path).map_err(|error| write_error(path, error))?;
    let (mut stamp, mut unsynced) = (Stamp::of(path), None);
    let mut peers = read(path)?;
    let before = peers.clone();
    let changed = change(&mut peers)?;
    if peers != before {
        let lines: String = peers.iter().map(|(key, peer)| line(key, peer)).collect();
        match own_file::replace(path, &[HEADER, "\n", &lines]) {
            Ok(()) => {}
            Err(error @ WriteError::Unsynced(_)) => unsynced = Some(write_error(path, error)),
            Err(error) => return Err(write_error(path, error)),
        }
        stamp = Stamp::of(path);
    }
    Ok(Updated { peers, stamp, changed, unsynced })
}

fn line(key: &PublicKey, peer: &TrustedPeer) -> String {
    format!("{key} {}\n", terms(peer))
}

/// What was agreed with a peer, as a part of a line: its name comes last, as that may have spaces.
pub(crate) fn terms(peer: &TrustedPeer) -> String {
    let role = match peer.role {
        Role::Server => "server",
        Role::Client => "client",
    };
    let mode = match peer.mode {
        Mode::Bidirectional => "bidirectional",
        Mode::ReadOnly => "read-only",
        Mode::WriteOnly => "write-only",
    };
    let policy = peer.policy.as_ref().map(|policy| format!("{POLICY}{policy}"));
    let policy = policy.unwrap_or_default();
    let endpoint = peer.endpoint.as_ref().map(Endpoint::to_string);
    format!("{role} {mode}{policy} {} {}", endpoint.as_deref().unwrap_or(NO_ENDPOINT), peer.name)
}

fn parse(line: &str) -> Result<(PublicKey, TrustedPeer), &'static str> {
    let (key, terms) = line.split_once(' ').ok_or(FORM)?;
    let key = key.parse().map_err(|_| "its key is not 64 hexadecimal digits")?;
    let peer = parse_terms(terms)?;
    check_name(&peer.name).map_err(|_| "its name can be none")?;
    Ok((key, peer))
}

/// Takes [`terms`] back.
pub(crate) fn parse_terms(terms: &str) -> Result<TrustedPeer, &'static str> {
    let mut parts = terms.splitn(4, ' ');
    let mut part = || parts.next().ok_or(FORM);
    let role = match part()? {
        "server" => Role::Server,
        "client" => Role::Client,
        _ => return Err("its role is neither server nor client"),
    };
    let mode = part()?;
    let (mode, policy) = match mode.split_once(POLICY) {
        Some((mode, policy)) => (mode, Some(policy.to_owned())),
        None => (mode, None),
    };
    let mode = match mode {
        "bidirectional" => Mode::Bidirectional,
        "read-only" => Mode::ReadOnly,
        "write-only" => Mode::WriteOnly,
        _ => return Err("its mode is none of bidirectional, read-only and write-only"),
    };
    let endpoint = match part()? {
        NO_ENDPOINT => None,
        text => {
            let endpoint = text.parse::<Endpoint>().ok();
            let endpoint = endpoint.filter(|endpoint| endpoint.scheme() == SCHEME);
            Some(endpoint.ok_or("its address is neither tls://HOST:PORT nor -")?)
        }
    };
    let peer = TrustedPeer::new(part()?).with_role(role).with_mode(mode);
    let peer = TrustedPeer { policy, endpoint, ..peer };
    peer.check_policy().map_err(|_| "its policy's name can be none")?;
    Ok(peer)
}

fn read_error(path: &Path, error: ReadError) -> TrustError {
    let path = PathBuf::from(path);
    match error {
        ReadError::TooOpen { mode } => TrustError::TooOpen { path, mode },
        ReadError::ForeignOwner { uid, expected } => {
            TrustError::ForeignOwner { path, uid, expected }
        }
        ReadError::Folder(problem) => TrustError::FolderUnsafe { path, problem },
        ReadError::Unexpected(problem) => TrustError::NotAStore { path, problem },
        ReadError::Missing => {
            TrustError::Io { action: "read", path, source: io::ErrorKind::NotFound.into() }
        }
        ReadError::Io(source) => TrustError::Io { action: "read", path, source },
    }
}

fn write_error(path: &Path, error: WriteError) -> TrustError {
    let path = PathBuf::from(path);
    match error {
        WriteError::Folder(problem) => TrustError::FolderUnsafe { path, problem },
        WriteError::Lock { lock, problem } => TrustError::LockUnusable { lock, problem },
        WriteError::Busy { pid, waited_ms, .. } => TrustError::Busy { path, pid, waited_ms },
        WriteError::Unsynced(source) => TrustError::Unsynced { path, source },
        WriteError::Io(source) => TrustError::Io { action: "write", path, source },
    }
}
