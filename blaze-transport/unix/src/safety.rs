//! What makes the directories that lead to a socket safe.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use blaze_transport::TransportError;
use rustix::process::geteuid;

use crate::{directory::suggested, path_error};

/// Who may write: the group and all others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In such a directory only its owner, and a file's own, may rename or remove that file.
const STICKY: u32 = 0o1000;
/// Could change anything anyway.
const ROOT: u32 = 0;

/// Whom the directories that lead to a socket may belong to.
#[derive(Clone, Debug)]
pub(crate) struct Owners {
    uids: BTreeSet<u32>,
}

impl Owners {
    /// This process's effective user, and root.
    pub(crate) fn own() -> Self {
        Self::with(geteuid().as_raw())
    }

    /// The same, and the user of the server that is expected.
    pub(crate) fn with(server_uid: u32) -> Self {
        Self { uids: [geteuid().as_raw(), ROOT, server_uid].into() }
    }

    /// Finds where a directory really is, and checks that nobody else can replace what is in it,
    /// or lead elsewhere on the way to it.
    ///
    /// # Errors
    ///
    /// If it is missing, or it or a directory above it isn't safe; the topmost such is named.
    pub(crate) fn resolve(&self, directory: &Path) -> Result<PathBuf, TransportError> {
        let resolved = fs::canonicalize(directory).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                TransportError::DirectoryMissing { path: directory.to_owned() }
            }
            _ => path_error("find the socket directory", directory)(error),
        })?;
        // From the root down: once a directory is known to be safe, nobody else can replace the
        // next one, neither while it is looked at nor later. No symbolic link is left, nor can
        // one come.
        let mut parts = resolved.ancestors().collect::<Vec<_>>();
        parts.reverse();
        for part in parts {
            self.check(part, part == resolved)?;
        }
        Ok(resolved)
    }

    /// Checks whose socket this is.
    ///
    /// # Errors
    ///
    /// [`TransportError::ForeignSocket`] if it belongs to nobody of these.
    pub(crate) fn check_socket(
        &self,
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(), TransportError> {
        let uid = metadata.uid();
        if self.uids.contains(&uid) {
            return Ok(());
        }
        let (path, expected) = (path.to_owned(), geteuid().as_raw());
        Err(TransportError::ForeignSocket { path, uid, expected })
    }

    fn check(&self, path: &Path, holds_socket: bool) -> Result<(), TransportError> {
        let metadata = fs::symlink_metadata(path);
        let metadata = metadata.map_err(path_error("look at the directory", path))?;
        let problem = self.problem(metadata.mode(), metadata.uid(), holds_socket);
        let Some((problem, remedy)) = problem else { return Ok(()) };
        let (path, mode, suggestion) = (path.to_owned(), metadata.mode() & 0o7777, suggested());
        Err(if holds_socket {
            TransportError::DirectoryInsecure { path, mode, problem, suggestion }
        } else {
            TransportError::ParentInsecure { path, mode, problem, remedy, suggestion }
        })
    }

    /// What is wrong with something of this mode and owner, and what helps.
    ///
    /// The sticky bit does for a directory further up, as the next one belongs to us or root. It
    /// doesn't for the one that holds the socket: in `/tmp` a stranger can be there first.
    pub(crate) fn problem(
        &self,
        mode: u32,
        owner: u32,
        holds_socket: bool,
    ) -> Option<(String, &'static str)> {
        let sticky_does = !holds_socket && mode & STICKY != 0;
        if mode & WRITABLE_BY_OTHERS != 0 && !sticky_does {
            return Some(("writable by other users".to_owned(), "run `chmod go-w` on it"));
        }
        if self.uids.contains(&owner) {
            return None;
        }
        let expected = self.uids.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
        let problem = format!("owned by uid {owner}, expected {expected}");
        Some((problem, "have root run `chown` on it"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Owners, ROOT};

    #[test]
    fn only_we_and_root_may_write() {
        let owners = Owners { uids: [1000, ROOT].into() };
        let problem = |mode, owner, holds_socket| {
            owners.problem(mode, owner, holds_socket).map(|(problem, _)| problem)
        };
        for holds_socket in [true, false] {
            assert_eq!(problem(0o40700, 1000, holds_socket), None);
            assert_eq!(problem(0o40755, 1000, holds_socket), None);
            assert_eq!(problem(0o40755, 0, holds_socket), None, "root could anyway");
            for mode in [0o40777, 0o40770, 0o40702] {
                let problem = problem(mode, 1000, holds_socket);
                assert_eq!(problem.as_deref(), Some("writable by other users"), "{mode:o}");
            }
            let stranger = problem(0o40700, 1001, holds_socket);
            assert_eq!(stranger.as_deref(), Some("owned by uid 1001, expected 0 or 1000"));
            assert!(problem(0o41777, 1001, holds_socket).is_some(), "its owner may rename");
        }
        assert!(problem(0o41777, 0, true).is_some(), "a stranger can be there first");
        assert_eq!(problem(0o41777, 0, false), None);
    }
}
