//! What makes a folder one in which a user's files stay that user's.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use rustix::process::geteuid;

/// Who may write: the group and all others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In such a folder only its owner, and a file's own, may rename or remove that file.
const STICKY: u32 = 0o1000;
/// Could change anything anyway.
const ROOT: u32 = 0;

/// Why a folder isn't safe, or can't be looked at.
#[derive(Debug)]
pub(crate) enum FolderError {
    /// What is wrong with it, and what helps.
    Unsafe(String),
    Io(io::Error),
}

/// The folder that a file is in.
pub(super) fn of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Checks that nobody else can put another file in the place of this one: not a stranger's, which
/// its owner would show, but an older one of this user's.
pub(super) fn check(path: &Path) -> Result<(), FolderError> {
    let folder = of(path);
    let metadata = fs::metadata(folder).map_err(FolderError::Io)?;
    match problem(metadata.mode(), metadata.uid(), geteuid().as_raw()) {
        None => Ok(()),
        Some(problem) => {
            Err(FolderError::Unsafe(format!("its directory {} {problem}", folder.display())))
        }
    }
}

fn problem(mode: u32, owner: u32, own: u32) -> Option<String> {
    if ![own, ROOT].contains(&owner) {
        return Some(format!(
            "belongs to uid {owner}, expected {own} or {ROOT}; keep it in a directory of this user"
        ));
    }
    if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
        let mode = mode & 0o7777;
        return Some(format!(
            "can be written by others (mode {mode:04o}), who can put back older files; run chmod \
             go-w on it, or keep it in a directory of this user"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_we_and_root_may_replace_files() {
        for (mode, owner) in [
            (0o40700, 1000),
            (0o40755, 1000),
            (0o40755, ROOT),
            // Such as `/tmp`: others may add files, but not touch ours.
            (0o41777, ROOT),
            (0o41770, 1000),
        ] {
            assert_eq!(problem(mode, owner, 1000), None, "{mode:o}");
        }
        for mode in [0o40777, 0o40770, 0o40702] {
            let problem = problem(mode, 1000, 1000).expect("others may");
            assert!(problem.contains("chmod go-w"), "{problem}");
        }
        for mode in [0o40700, 0o41777] {
            let problem = problem(mode, 1001, 1000).expect("its owner may");
            assert!(problem.starts_with("belongs to uid 1001, expected 1000 or 0"), "{problem}");
        }
    }
}
