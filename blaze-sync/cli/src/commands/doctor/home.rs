//! The default socket directory, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use blaze_sync::{Endpoint, TransportError, default_socket_directory, inspect_socket_directory};

use super::finding::Finding;
use super::{Asked, transport, unix};

const CHECK: &str = "directory";

/// Looks at the directory, and at each socket in it.
pub(super) async fn check() -> Vec<Finding> {
    let directory = match default_socket_directory() {
        Ok(directory) => directory,
        Err(error) => return vec![transport::fault(CHECK, "default socket directory", &error)],
    };
    let subject = directory.display().to_string();
    let sockets = match inspect_socket_directory(&directory).map(|real| sockets(&real)) {
        Ok(Ok(sockets)) => sockets,
        Ok(Err(error)) => {
            let error = TransportError::io("list the default socket directory", error);
            return vec![transport::fault(CHECK, &subject, &error)];
        }
        Err(TransportError::DirectoryMissing { .. }) => {
            let text = "the default socket directory; the first server makes it";
            return vec![Finding::ok(CHECK, subject, text)];
        }
        Err(error) => return vec![transport::fault(CHECK, &subject, &error)],
    };
    let text = match sockets.len() {
        0 => "the default socket directory; it is safe, and has no socket".to_owned(),
        count => format!("the default socket directory; it is safe, and has {count} *.sock"),
    };
    let mut findings = vec![Finding::ok(CHECK, subject, text)];
    for path in sockets {
        findings.extend(socket(&path).await);
    }
    findings
}

async fn socket(path: &Path) -> Vec<Finding> {
    match Endpoint::unix(path) {
        // Named after its database.
        Ok(endpoint) => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            unix::check(&endpoint, &Asked::guessed(name), true).await
        }
        Err(error) => {
            vec![transport::fault(CHECK, &path.display().to_string(), &error.into())]
        }
    }
}

fn sockets(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths: Result<Vec<_>, _> =
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut sockets = paths?;
    sockets.retain(|path| path.extension().is_some_and(|extension| extension == "sock"));
    sockets.sort();
    Ok(sockets)
}
