//! Errors of transports, as findings.

use blaze_sync::{TransportError, default_socket_directory};

use super::finding::{Finding, parted, with_causes};

/// What is said of an error, and what to do about it.
pub(super) fn fault(check: &'static str, subject: &str, error: &TransportError) -> Finding {
    let (text, remedy) = match error {
        TransportError::NotASocket { path, found } => (
            format!("{} is {found}, not a socket, and no server removes it", path.display()),
            format!("choose another path, or move it away: mv {0} {0}.old", path.display()),
        ),
        TransportError::ForeignSocket { path, uid, expected } => (
            format!("{} is a socket of uid {uid}, expected {expected}", path.display()),
            format!("run this as uid {uid}, or {}", own_directory()),
        ),
        TransportError::ServerRefused { uid, expected, .. } => (
            format!("the server runs as uid {uid}, expected {expected}; nothing is sent to it"),
            format!("run both as one user, or {}", own_directory()),
        ),
        TransportError::PermissionDenied { path, .. } => (
            error.to_string(),
            format!(
                "run this as the owner of {} and of the directories that lead to it, or {}",
                path.display(),
                own_directory()
            ),
        ),
        TransportError::DirectoryMissing { path } => (
            format!("there is no socket directory {}", path.display()),
            format!("make it before a server is started: mkdir -m 700 {}", path.display()),
        ),
        TransportError::ServerBusy { .. } => (
            error.to_string(),
            "it hangs, or has too much to do: look at the process, or try again".to_owned(),
        ),
        other => parted(&with_causes(other), "look at what the system says"),
    };
    Finding::fault(check, subject, text, remedy)
}

fn own_directory() -> String {
    match default_socket_directory() {
        Ok(directory) => format!("use a socket in {}", directory.display()),
        Err(_) => "use a socket in a directory of your own, of mode 0700".to_owned(),
    }
}
